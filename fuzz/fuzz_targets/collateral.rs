//! Reads collateral.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_verifier::fuzzing::collateral(bytes));
