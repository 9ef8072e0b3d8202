//! Filters a program's text on its way to a terminal.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_protocol::fuzzing::text(bytes));
