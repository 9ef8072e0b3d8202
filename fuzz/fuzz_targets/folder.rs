//! Uses a folder of a host that gives arbitrary answers.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_hostfs::fuzzing::folder(bytes));
