//! What a commit lists.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_volume::fuzzing::records(bytes));
