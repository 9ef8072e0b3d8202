//! An image that is loaded.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sgx_sim::fuzzing::stream(bytes));
