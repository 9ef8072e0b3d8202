//! The tests that run inside an enclave image.
//!
//! Here is the part that runs natively too: the runner of the WebAssembly specification's
//! test scripts ([`spec`]) and what is exchanged with the host ([`exchange`]). The program
//! `twine-selftest`, which adds the tests of our own, builds for the enclave only;
//! `host/host/tests/inside.rs` makes an image of it, runs it and says what came of it.
//!
//! The engine is set up by [`twine_engine::configuration`], as for a program of a user's.
#![forbid(unsafe_code)]

pub mod exchange;
pub mod spec;
