//! An entry of the log, and what its payload holds.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_volume::fuzzing::entry(bytes));
