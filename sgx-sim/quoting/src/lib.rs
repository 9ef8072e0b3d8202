//! The quoting enclave, the provisioning certificates and the collateral of the machines that
//! `sgx-sim` simulates.
//!
//! **It protects nothing.** A quote of this crate proves nothing about any machine: the private key
//! of its root derives from a constant in this source, so everybody can sign with it. All names of
//! its certificates contain "Twine simulation, protects nothing". A verifier that trusts
//! [`root_certificate`] trusts everybody; only tests, and deployments that know this, may do so.
//!
//! Everything else is as on hardware, so a verifier needs no code for the simulation: a quote of
//! version 3 with a chain of PCK certificates (certification data of type 5), and collateral in the
//! form of `dcap-qvl`'s `QuoteCollateralV3`.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use sgx_sim_quoting::{Error, QuotingEnclave, collateral};
//!
//! let machine = sgx_sim::Device::throwaway()?;
//! let quoting_enclave = QuotingEnclave::new(&machine)?;
//! // An enclave gives this to EREPORT.
//! let target = quoting_enclave.target_info();
//! # let report = [0; sgx_sim::REPORT_SIZE];
//! // What EREPORT returned becomes a quote. These bytes are no report, and are refused.
//! assert!(matches!(quoting_enclave.quote(&report), Err(Error::Report)));
//! // What Intel's servers, or a cache of them, give for real machines.
//! let json = collateral(1_795_000_000)?;
//! # assert_eq!(target.len(), 512);
//! # assert!(json.starts_with('{'));
//! # Ok(())
//! # }
//! ```
//!
//! The structures are Intel's:
//!
//! - the quote: "Intel SGX ECDSA QuoteLibReference DCAP API", appendix A;
//! - the extension of the PCK certificate: "SGX PCK Certificate and Certificate Revocation List
//!   Profile Specification", section 1.3.5;
//! - TCB info and QE identity: "Intel SGX and Intel TDX Provisioning Certification Service", version 4
//!   of its interface.
//!
//! [`Variant`] and [`Collateral`] make the machines and the collateral that the tests of verifiers
//! need: old, revoked, expired, of another kind, or under another root.

#![forbid(unsafe_code)]

mod authority;
mod collateral;
mod enclave;
mod error;
mod identity;
mod key;
mod level;
mod pck;
mod quote;
mod variant;

pub use authority::{Authority, root_certificate};
pub use collateral::{Collateral, VALIDITY, collateral};
pub use enclave::QuotingEnclave;
pub use error::Error;
pub use level::{TcbLevel, TcbStatus};
pub use pck::Configuration;
pub use variant::Variant;

/// What the names of all certificates contain.
const NOTICE: &str = "Twine simulation, protects nothing";

/// FMSPC of all simulated machines. Intel assigns it to a kind of processor and board.
pub const FMSPC: [u8; 6] = *b"TWSIM\0";

/// The ISVSVN of the simulated provisioning certification enclave.
pub const PCE_SVN: u16 = 2;

/// The ISVSVN of the simulated quoting enclave.
pub const QE_SVN: u16 = 2;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
