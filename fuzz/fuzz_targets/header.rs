//! The header, both copies, and opening a volume with it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_volume::fuzzing::header(bytes));
