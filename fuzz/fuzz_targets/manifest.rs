//! Parses a manifest, and lays out an image by it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_image::fuzzing::manifest(bytes));
