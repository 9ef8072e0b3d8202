//! Decodes a launch statement, as a verifier does.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_evidence::fuzzing::statement(bytes));
