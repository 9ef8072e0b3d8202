//! Uses a whole volume that a hostile holder of the key has made: mount, check, walk, changes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_volume::fuzzing::volume(bytes));
