//! A key slot, and opening it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_volume::fuzzing::slot(bytes));
