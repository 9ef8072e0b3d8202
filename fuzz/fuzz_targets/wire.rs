//! Decodes records of fixed size, and codes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_protocol::fuzzing::wire(bytes));
