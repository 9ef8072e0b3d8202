//! Decodes a message of the enclave, as an owner's client does.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_channel::fuzzing::answered(bytes));
