//! Errors of both sides.

use std::fmt;
use twine_evidence::bytes::Digest;
use twine_evidence::manifest::Refusal;
use twine_evidence::{cbor, signed};

/// Why nothing is handed over, or what was handed over is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The message is not complete, or not one of this version.
    Message(Option<cbor::Error>),
    /// The request is of this version of the protocol.
    Version(u32),
    /// No enclave on this machine made the report for this one.
    Report,
    /// The report is about another message, or about none.
    NotReported,
    /// The answer comes from another image than the one that was asked.
    Image {
        /// The image that was asked.
        asked: Digest,
        /// The image of the answer.
        answered: Digest,
    },
    /// The manifest is not signed by its owner.
    Signed(signed::Error),
    /// The manifest does not allow it.
    Refused(Refusal),
    /// The manifest has no volume at this path.
    NoVolume(String),
    /// The manifest of a kept deployment does not let it start without its owner.
    NoRestart,
    /// The older enclave has no such key, or the record is not one of its own: the reason, in words.
    Keeper(String),
    /// The key can't be encrypted or decrypted.
    Encryption,
    /// The key that was handed over does not open the record.
    Record,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Message(None) => f.write_str("the message is not complete"),
            Error::Message(Some(error)) => write!(f, "the message is not valid: {error}"),
            Error::Version(version) => write!(f, "the request has the unknown version {version}"),
            Error::Report => f.write_str(
                "the report was made on another machine, for another enclave, or changed",
            ),
            Error::NotReported => f.write_str("the report is about something else"),
            Error::Image { asked, answered } => {
                write!(f, "image {asked} was asked, and image {answered} has answered")
            }
            Error::Signed(error) => error.fmt(f),
            Error::Refused(refusal) => refusal.fmt(f),
            Error::NoVolume(guest) => write!(f, "the manifest has no volume at {guest}"),
            Error::NoRestart => {
                f.write_str("the manifest does not let a host start the deployment again")
            }
            Error::Keeper(reason) => f.write_str(reason),
            Error::Encryption => f.write_str("the key can't be encrypted or decrypted"),
            Error::Record => f.write_str("the key that was handed over does not open the record"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::Refused(refusal)
    }
}

impl From<signed::Error> for Error {
    fn from(error: signed::Error) -> Self {
        Error::Signed(error)
    }
}
