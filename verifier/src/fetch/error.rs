//! The errors of fetching.

use std::io;
use std::path::PathBuf;

/// Why there is no collateral.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The address of the service is not one of HTTP or HTTPS with a host.
    #[error("`{address}` is not the address of a service, such as https://pccs.example:8081")]
    Address {
        /// The address.
        address: String,
    },
    /// There is no certificate in PEM among those to trust.
    #[error("no certificates in PEM: {reason}")]
    Trust {
        /// What the reader met.
        reason: String,
    },
    /// The quote is not of an enclave.
    #[error("collateral is fetched for quotes of SGX enclaves only")]
    Tee,
    /// The service can't be reached, is too slow, or does not speak HTTP.
    #[error("{url}: {reason}")]
    Connection {
        /// What was asked for.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// The service answered with another status than 200. A redirection is one.
    #[error("{url}: status {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The status.
        status: u16,
    },
    /// The answer is not what it should be.
    #[error("{url}: the answer {problem}")]
    Answer {
        /// What was asked for.
        url: String,
        /// The defect.
        problem: String,
    },
    /// The cache could not be written.
    #[error("{path}: {source}", path = path.display())]
    Cache {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}
