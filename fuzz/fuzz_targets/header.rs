//! Decodes both copies of the header, and opens a volume with them.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_volume::fuzzing::header(bytes));
