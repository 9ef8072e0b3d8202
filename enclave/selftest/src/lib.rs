//! The tests that run inside an enclave image.
//!
//! The library also builds natively: the runner of the WebAssembly specification's test scripts
//! ([`spec`]) and the format in which scripts and results pass between host and enclave
//! ([`wire`]). The program `twine-selftest` adds the unit tests, and builds for the enclave only;
//! `host/host/tests/inside.rs` makes an image of it, runs it and reports the results.
//!
//! The engine is configured by [`twine_engine::configuration`], as for a user's program.
#![forbid(unsafe_code)]

pub mod spec;
pub mod wire;
