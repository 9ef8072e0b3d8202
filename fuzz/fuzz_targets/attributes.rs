//! Decodes the attributes of an inode.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_volume::fuzzing::attributes(bytes));
