//! Decodes a message of another deployment, as the enclave does.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_channel::fuzzing::peer(bytes));
