//! A folder of a host that answers with anything.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_hostfs::fuzzing::folder(bytes));
