//! A SIGSTRUCT, as the image's tools read it and as the simulator's processor does.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    assert_eq!(twine_image::fuzzing::sigstruct(bytes), sgx_sim::fuzzing::sigstruct(bytes));
});
