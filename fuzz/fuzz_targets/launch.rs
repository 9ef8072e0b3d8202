//! Decodes a launch request, as the enclave does.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_protocol::fuzzing::launch(bytes));
