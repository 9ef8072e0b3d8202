//! Decodes a key slot, and opens it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_volume::fuzzing::slot(bytes));
