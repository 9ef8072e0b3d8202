//! Takes frames out of a connection's bytes, as both ends do.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_channel::fuzzing::frames(bytes));
