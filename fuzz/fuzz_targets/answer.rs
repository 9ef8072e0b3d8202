//! What a host answers of a folder, as the enclave reads it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_protocol::fuzzing::answer(bytes));
