//! What an enclave asks of a folder, as the host reads it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_protocol::fuzzing::request(bytes));
