//! Quotes of enclaves: what a remote party takes for evidence of what runs.
//!
//! An enclave makes a report for the quoting enclave of its machine (EREPORT); the quoting enclave
//! signs it. This crate reaches the quoting enclave, on both platforms:
//!
//! | [`Platform`] | who signs | what a quote proves |
//! |---|---|---|
//! | `Hardware` | Intel's quoting enclave, through the daemon AESM | what runs, to whoever trusts Intel's root |
//! | `Simulated` | `sgx-sim-quoting` | **nothing**: everybody has the keys |
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use twine_quoting::{Platform, Quoting};
//!
//! let machine = sgx_sim::Device::throwaway()?;
//! let quoting = Quoting::open(&Platform::Simulated(machine))?;
//! // The enclave passes this to EREPORT, and the report to `quote`.
//! assert_eq!(quoting.target_info().len(), 512);
//! # Ok(())
//! # }
//! ```
//!
//! # What was never run
//! No machine with SGX was at hand. The path through AESM has been run only against a daemon of this
//! crate's tests, which speaks Intel's protocol and signs with the simulated quoting enclave. What the
//! tests hold beyond that: the requests are, byte for byte, those of the crate `aesm-client` 0.6.3. The
//! remedies for the daemon's refusals come from Intel's documents and from reports of users; nobody
//! followed them here.

#![forbid(unsafe_code)]

mod connection;
mod daemon;
mod error;
mod message;
mod refusal;

use std::path::PathBuf;

use sgx_sim_quoting::QuotingEnclave;

use daemon::Daemon;
pub use error::Error;
pub use refusal::Refusal;

/// The socket of AESM, where Intel's packages put it.
pub const SOCKET: &str = "/var/run/aesmd/aesm.socket";

/// The size of a REPORT, in bytes (SDM Vol. 3D, "Report").
pub const REPORT_SIZE: usize = 432;

/// The size of a TARGETINFO, in bytes (SDM Vol. 3D, "Report Target Info").
pub const TARGETINFO_SIZE: usize = 512;

/// The SGX whose quoting enclave is asked.
#[derive(Debug, Clone)]
pub enum Platform {
    /// Hardware SGX.
    Hardware {
        /// The socket of AESM, which is [`SOCKET`] except where a container has it elsewhere.
        socket: PathBuf,
    },
    /// Software SGX: the machine on which the enclave runs.
    Simulated(sgx_sim::Device),
}

/// The quoting enclave of a machine.
#[derive(Debug)]
pub struct Quoting(Source);

#[derive(Debug)]
enum Source {
    Daemon(Box<Daemon>),
    Simulated(Box<QuotingEnclave>),
}

impl Quoting {
    /// Reaches the quoting enclave of a platform. On hardware AESM may load it for that, and ask Intel
    /// or a cache for the machine's certificates, which takes seconds the first time.
    ///
    /// # Errors
    /// [`Error`], with a cause and a remedy: on hardware that there is no daemon, that it refuses, or
    /// that it has no key for ECDSA.
    pub fn open(platform: &Platform) -> Result<Self, Error> {
        Ok(Quoting(match platform {
            Platform::Hardware { socket } => Source::Daemon(Box::new(Daemon::open(socket)?)),
            Platform::Simulated(machine) => {
                Source::Simulated(Box::new(QuotingEnclave::new(machine)?))
            }
        }))
    }

    /// Returns the TARGETINFO of the quoting enclave. A report that EREPORT makes for it, on this
    /// machine, can be quoted.
    pub fn target_info(&self) -> [u8; TARGETINFO_SIZE] {
        match &self.0 {
            Source::Daemon(daemon) => *daemon.target_info(),
            Source::Simulated(enclave) => enclave.target_info(),
        }
    }

    /// Returns the quote of the enclave that made this report: a quote of version 3, signed with ECDSA
    /// on P-256, of 4 to 5 KB.
    ///
    /// # Errors
    /// [`Error`]. If the quoting enclave was replaced since [`Self::open`], it refuses the report: open
    /// it again then, and make another report.
    pub fn quote(&self, report: &[u8; REPORT_SIZE]) -> Result<Vec<u8>, Error> {
        match &self.0 {
            Source::Daemon(daemon) => daemon.quote(report),
            Source::Simulated(enclave) => Ok(enclave.quote(report)?),
        }
    }
}
