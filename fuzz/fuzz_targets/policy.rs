//! Reads a policy for verifications.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_verifier::fuzzing::policy(bytes));
