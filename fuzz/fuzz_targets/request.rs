//! Decodes an enclave's request to a folder, as the host does.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_protocol::fuzzing::request(bytes));
