//! Decodes a message of an owner's client, as the enclave does.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_channel::fuzzing::asked(bytes));
