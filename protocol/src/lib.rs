//! The protocol between the Twine enclave and its untrusted host.
//!
//! The crate declares data and contains no logic:
//!
//! - [`calls`]: the host calls, declared once. The enclave's stubs, the host's dispatch and
//!   `docs/host-calls.md` are all made from that declaration.
//! - [`code`]: the settings that compiled code depends on.
//! - [`folder`]: the operations on an ordinary folder of the host.
//! - [`key`]: the keys of volumes.
//! - [`launch`]: the launch request, which the host passes to the enclave when it starts a program,
//!   and the outcome, which the enclave reports.
//! - [`network`]: what a deployment's program asks of the host's network.
//! - [`state`]: what the enclave keeps in a state folder of the host, by name.
//! - [`task`]: the work that the enclave can do, apart from running a program: work on volumes.
//! - [`text`]: how enclave and host show names that a program has chosen.
//! - [`wire`]: plain values that calls pass in registers or in memory: status codes, poll records,
//!   clocks, page permissions.
//!
//! Values of these types are not trusted. The enclave checks every value from the host before it
//! uses it (in the `twine-boundary` crate).
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
    reason = "in a function for fuzz targets, a panic is a finding"
)]
pub mod fuzzing;
pub mod key;
pub mod launch;
pub mod network;
pub mod state;
pub mod task;
pub mod text;
pub mod wire;

/// The version of everything in this crate. An enclave refuses a launch request of another version,
/// and names both versions.
pub const VERSION: u32 = 9;
