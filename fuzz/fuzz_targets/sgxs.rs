//! Reads an image with all functions that read images.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_image::fuzzing::sgxs(bytes));
