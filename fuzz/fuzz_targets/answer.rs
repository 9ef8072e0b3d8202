//! Decodes a host's answer about a folder, as the enclave does.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_protocol::fuzzing::answer(bytes));
