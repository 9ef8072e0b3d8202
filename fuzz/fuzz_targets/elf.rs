//! Makes an image of a program.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_image::fuzzing::elf(bytes));
