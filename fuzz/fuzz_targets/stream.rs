//! Loads an image.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sgx_sim::fuzzing::stream(bytes));
