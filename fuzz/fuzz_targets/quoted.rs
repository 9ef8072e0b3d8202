//! Reads and verifies evidence that nobody signed.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_verifier::fuzzing::quoted(bytes));
