//! A whole volume whose maker has the key and is hostile: mount, check, walk, changes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_volume::fuzzing::volume(bytes));
