//! Opens a tree of files that comes from a client or from an enclave, in pieces of any size.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| twine_channel::fuzzing::parcel(bytes));
