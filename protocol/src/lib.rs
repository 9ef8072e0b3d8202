//! What the Twine enclave and its untrusted host say to each other.
//!
//! Eight things and no logic:
//!
//! - [`calls`]: the host calls, declared once. The enclave's stubs, the host's
//!   dispatch and `docs/host-calls.md` are all made from that declaration.
//! - [`code`]: the settings that compiled code depends on.
//! - [`folder`]: what the enclave asks of an ordinary folder of the host's.
//! - [`key`]: what opens a volume.
//! - [`launch`]: the launch request, which the host hands to the enclave when it
//!   starts a program, and the outcome, which comes back.
//! - [`task`]: what the enclave can be asked to do but run a program: work on volumes.
//! - [`text`]: how both show names that a program has chosen.
//! - [`wire`]: the few plain values that calls pass in registers or in memory:
//!   status codes, poll records, clocks, page permissions.
//!
//! Nothing here is trusted by itself: the enclave checks every value that it gets
//! from the host before it uses it (the `twine-boundary` crate does that).
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(
        unreachable_pub,
        clippy::cast_lossless,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::print_stderr,
        clippy::print_stdout,
        clippy::string_slice,
        clippy::unwrap_used
    )
)]

extern crate alloc;

pub mod calls;
pub mod code;
pub mod document;
pub mod folder;
#[cfg(feature = "fuzzing")]
#[allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a panic of what only fuzz targets call is a find"
)]
pub mod fuzzing;
pub mod key;
pub mod launch;
pub mod task;
pub mod text;
pub mod wire;

/// Version of everything in this crate. An enclave refuses a launch request of
/// another version by name.
pub const VERSION: u32 = 6;
