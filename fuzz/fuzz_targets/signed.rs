//! Opens a signed manifest, as the enclave does.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_evidence::fuzzing::signed(bytes));
