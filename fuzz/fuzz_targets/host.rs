//! A host that answers each call with anything.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_boundary::fuzzing::host(bytes));
