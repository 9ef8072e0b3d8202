//! Decodes the outcome of a run, as the host does.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_protocol::fuzzing::outcome(bytes));
