//! Decodes the list of changes in a commit.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_volume::fuzzing::records(bytes));
