//! The imports `twine:attestation`: a program proves itself to its peers, verifies them, and seals bytes
//! for its own use.
//!
//! `witx/twine_attestation.witx` defines the functions, and `docs/guest-api.md` describes them for those
//! who write programs. This crate checks what a program passes, and keeps each length within a limit;
//! [`Proof`] does the work: in the enclave with evidence and sealing keys, in tests with whatever they
//! want.
//!
//! ```no_run
//! # fn f(engine: &wasmtime::Engine, proof: Box<dyn twine_guest::Proof>) -> wasmtime::Result<()> {
//! let mut linker = wasmtime::Linker::<twine_guest::Guest>::new(engine);
//! twine_guest::add_to_linker(&mut linker, |guest| guest)?;
//! let guest = twine_guest::Guest::new(proof);
//! # Ok(())
//! # }
//! ```
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

mod fairness;
mod functions;
mod link;
mod proof;
#[allow(clippy::too_many_arguments, reason = "the witx defines the functions")]
mod types;

pub use fairness::{Allowance, Turn, Turns};
pub use functions::{
    Guest, MAX_CONTEXT_BYTES, MAX_DATA_BYTES, MAX_EVIDENCE_BYTES, MAX_NONCE_BYTES,
    MAX_POLICY_BYTES, MAX_ROOT_BYTES, MAX_SEALED_BYTES, MIN_NONCE_BYTES, SEAL_BYTES,
};
pub use link::{MODULE, add_to_linker, provides};
pub use proof::{Failure, Peer, Proof, Verified};
