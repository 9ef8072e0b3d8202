//! Decodes a node of the tree, and changes it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_volume::fuzzing::node(bytes));
