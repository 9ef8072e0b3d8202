//! Makes host calls to a host that gives arbitrary results.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_boundary::fuzzing::host(bytes));
