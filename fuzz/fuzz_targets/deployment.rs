//! Decodes the manifest of a deployment, and checks it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_evidence::fuzzing::manifest(bytes));
