//! The protocol between an owner's client and an enclave that holds deployments (`twine host`).
//!
//! It runs in a TLS 1.3 connection that ends inside the enclave. Each side sends [`frame`]s. The
//! client begins with [`Request::Hello`](message::Request::Hello), the enclave answers with fresh
//! evidence that is bound to the connection, and the client, if the evidence satisfies it, proves
//! who it is. Then the client makes one request.
//!
//! ```text
//! client                                   enclave
//!   Hello { version, nonce }        --->
//!                                   <---   Evidence { evidence }
//!   Prove { key, signature }        --->
//!                                   <---   Welcome
//!   Deploy { manifest, secrets }    --->
//!                                   <---   Wanted          (if the program is not there yet)
//!   Upload { length }, Program ...  --->
//!                                   <---   Started
//!   Input ...                       <-->   Credit, Output, Errors ...
//!                                   <---   Ended
//!   Thanks                          --->
//! ```
//!
//! The client says how much output it has got (`Received`), and the enclave keeps what it has not. A
//! client that lost its connection makes another one and sends `Attach` with its place in the output;
//! `Started` says which place the enclave goes on from, and how much input has come. So nothing is
//! lost or doubled. One client is attached at a time: the former one is refused what it sends. The
//! end of a program is kept until the client has said `Thanks`, or was away for minutes.
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

pub mod frame;
#[cfg(feature = "fuzzing")]
#[allow(clippy::panic, reason = "in a function for fuzz targets, a panic is a finding")]
pub mod fuzzing;
pub mod message;
pub mod parcel;
pub mod peer;
pub mod volume;

/// The version of the protocol.
pub const VERSION: u32 = 1;

/// The application protocol in the TLS handshake (RFC 7301). Each version of the protocol has its
/// own.
pub const ALPN: &[u8] = b"twine/1";

/// How many bytes of a stream may be on their way: how much input waits for a program, and how much of
/// its output waits until the client has it. A window that is smaller would hold up a fast connection.
pub const WINDOW: usize = 1 << 20;

/// Size of a client's nonce, in bytes.
pub const NONCE_BYTES: usize = 32;
