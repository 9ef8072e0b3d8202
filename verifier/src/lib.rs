//! Verifies evidence of enclaves: that a quote is genuine, of the enclave that a policy names, on a
//! platform in a state that it accepts, and bound to the key, the nonce and the statement at hand.
//!
//! This crate depends on neither the host's side nor the enclave's, and trusts neither. What it trusts
//! is the policy: the root of trust comes from there, never from the evidence. A verification opens no
//! connection and asks no clock; the collateral and the time are its caller's to give. The feature
//! `fetch` adds a fetcher of collateral.
//!
//! A [`Verdict`] lists every check by name, with its result and its reason. It says "accepted" only if
//! `dcap-qvl` verified the quote, whatever its TCB status, and then none of the policy's checks failed.
//!
//! ```
//! use twine_verifier::{CheckName, Collateral, Moment, Outcome, Policy, Request, Roots, verify};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let json = serde_json::json!({
//! #     "pck_crl_issuer_chain": "", "root_ca_crl": "", "pck_crl": "", "tcb_info_issuer_chain": "",
//! #     "tcb_info": "", "tcb_info_signature": "", "qe_identity_issuer_chain": "",
//! #     "qe_identity": "", "qe_identity_signature": "",
//! # }).to_string();
//! let policy = Policy::from_toml(
//!     "root = 'intel'\n\
//!      [enclave]\n\
//!      measurements = ['8f1b4d0e5a2c3977f6e08d1c2b3a49586776859403122130fedcba9876543210']\n",
//! )?;
//! let verdict = verify(&Request {
//!     evidence: b"something else",
//!     collateral: &Collateral::from_json(json.as_bytes())?,
//!     policy: &policy,
//!     roots: &Roots::hardware(),
//!     at: Moment(1_795_834_000),
//!     nonce: None,
//!     data: None,
//!     public_key: None,
//!     channel: None,
//!     report_data: None,
//! });
//! assert!(!verdict.is_accepted());
//! let format = verdict.check(CheckName::Format);
//! assert_eq!(format.result, Outcome::Failed);
//! assert_eq!(format.reason, "neither a quote of version 3, 4 or 5, nor evidence in CBOR, nor a certificate");
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

mod appraise;
mod binding;
mod bytes;
mod cbor;
mod certificate;
mod chain;
mod claims;
mod collateral;
mod crypto;
mod evidence;
mod facts;
#[cfg(feature = "fetch")]
mod fetch;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod genuine;
mod launch;
mod platform;
mod policy;
mod roots;
mod tcb;
mod text;
mod verdict;
mod verify;

pub use bytes::{Bytes, Hex, HexError, Moment};
pub use cbor::CborError;
pub use certificate::{Certificate, CertificateError};
pub use claims::{Claims, KeyHash};
pub use collateral::{Collateral, CollateralError, Lifetime, MAX_COLLATERAL_BYTES};
pub use evidence::{Ca, Evidence, EvidenceError, Form, MAX_EVIDENCE_BYTES, Platform, Tee};
pub use facts::{ClaimFacts, CollateralFacts, Facts, LaunchFacts, PlatformFacts, TcbFacts};
#[cfg(feature = "fetch")]
pub use fetch::{FetchError, Fetcher, MAX_ANSWER_BYTES, Update, kept};
pub use policy::{
    ClaimRules, CollateralRules, EnclaveRules, LaunchRules, MAX_POLICY_BYTES, PlatformRules,
    Policy, PolicyError, Root, TcbRules, TcbStatus,
};
pub use roots::Roots;
pub use verdict::{Check, CheckName, Outcome, Verdict};
pub use verify::{Request, verify};
