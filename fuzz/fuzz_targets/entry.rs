//! Decodes an entry of the log, and its payload.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_volume::fuzzing::entry(bytes));
