//! Answers a request for the keys of a deployment, and takes the answer to one.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_handover::fuzzing::handover(bytes));
