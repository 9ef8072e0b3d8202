//! An image, to all that read one.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_image::fuzzing::sgxs(bytes));
