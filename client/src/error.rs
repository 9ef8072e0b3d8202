//! Why a request was not served.

use std::io;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The host can't be reached.
    #[error("{address} can't be reached: {source}")]
    Unreachable {
        /// The address, as it was given.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// There was no TLS handshake.
    #[error("{address}: no TLS handshake: {cause}")]
    Handshake {
        /// The address, as it was given.
        address: String,
        /// Why.
        cause: String,
    },
    /// The connection was lost. The request may have been served.
    #[error("the connection was lost: {0}")]
    Lost(#[source] io::Error),
    /// The other side sent something that is not expected.
    #[error("the host sent something that is not expected: {0}")]
    Unexpected(String),
    /// The streams of the deployment have begun anew, so that nothing can go on where it was.
    #[error("the program was started again, and its streams have begun anew")]
    StartedAgain,
    /// The enclave refused the request.
    #[error("{cause}")]
    Refused {
        /// The cause, in one line.
        cause: String,
        /// The remedy, in one line.
        remedy: String,
    },
    /// The client could not sign, or has no random bytes.
    #[error("{0}")]
    Client(String),
    /// A stream of this process failed.
    #[error("a stream of this process failed: {0}")]
    Stream(#[source] io::Error),
}

impl Error {
    /// The remedy, in one line.
    pub fn remedy(&self) -> &str {
        match self {
            Error::Unreachable { .. } => "check the address, and that `twine host` runs there",
            Error::Handshake { .. } => "name the address of a `twine host`",
            Error::Lost(_) => "try again: `twine ps` tells whether the request was served",
            Error::Unexpected(_) => "use a client and a host of the same release",
            Error::StartedAgain => "attach to it as it runs now: `twine attach`",
            Error::Refused { remedy, .. } => remedy,
            Error::Client(_) => "try again, or use another machine",
            Error::Stream(_) => "check where the streams lead",
        }
    }

    /// Whether another try may go on where this one was lost.
    pub fn is_lost(&self) -> bool {
        matches!(self, Error::Lost(_) | Error::Unreachable { .. } | Error::Handshake { .. })
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Lost(error)
    }
}
