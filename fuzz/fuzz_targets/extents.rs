//! Decodes an extents item: the pointers of a group of blocks.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_volume::fuzzing::extents(bytes));
