//! Resolves a program's paths in a tree with links.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_wasi::fuzzing::path(bytes));
