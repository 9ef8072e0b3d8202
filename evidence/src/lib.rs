//! What an enclave says of itself, and the encoding of it.
//!
//! - [`statement`]: the launch statement, which names everything that decides what an enclave does.
//! - [`manifest`]: what an owner allows to be launched, and where. The enclave compares its statement
//!   with it.
//! - [`signed`]: manifests with their owner's signature.
//! - [`channel`]: what binds evidence to one TLS connection.
//! - [`claims`]: the claims whose hash a report carries, and the evidence made of them and a quote.
//! - [`cbor`]: the encoding of all of these, deterministic CBOR (RFC 8949, section 4.2.1).
//!
//! The enclave, the tools of an owner and the verifier share this crate. `docs/evidence.md` gives
//! every byte.
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

pub mod access;
pub mod bytes;
pub mod cbor;
pub mod channel;
pub mod claims;
#[cfg(any(test, feature = "fuzzing"))]
pub mod examples;
#[cfg(feature = "fuzzing")]
#[allow(clippy::panic, reason = "in a function for fuzz targets, a panic is a finding")]
pub mod fuzzing;
pub mod manifest;
pub mod owner;
pub mod platform;
pub mod signed;
pub mod sockets;
pub mod statement;
pub mod terms;
