//! Decodes a SIGSTRUCT, as the image tools and the simulated processor do.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    assert_eq!(twine_image::fuzzing::sigstruct(bytes), sgx_sim::fuzzing::sigstruct(bytes));
});
