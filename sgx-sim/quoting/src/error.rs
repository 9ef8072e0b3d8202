//! The errors of this crate, with their remedies.

/// A quote or collateral could not be made.
///
/// The message is one line with the cause; [`Error::remedy`] is one line with the remedy, if there is
/// one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The report's MAC is not that of a report for this quoting enclave, made on its machine. A
    /// report for another target, of another machine, of the same one under another CPUSVN or owner
    /// epoch, and a changed one cannot be told apart.
    #[error("the report is not for the quoting enclave of this simulated machine")]
    Report,
    /// Collateral can't have this time, in seconds since 1970: its certificates are not valid then.
    #[error("simulated collateral can't have the time {0}, in seconds since 1970")]
    Time(u64),
    /// Signing needs random bytes, and the system gave none.
    #[error("the system has no random bytes for a signature")]
    Random,
}

impl Error {
    /// Returns the remedy in one line, if there is one.
    pub fn remedy(&self) -> Option<&'static str> {
        match self {
            Error::Report => {
                Some("make the report on this machine, for the TARGETINFO that it has now")
            }
            Error::Time(_) => Some("give a time from 2020-01-01 to 2049-12-01"),
            Error::Random => None,
        }
    }
}

impl From<rcgen::Error> for Error {
    /// The fields of all certificates and CRLs here are well-formed, so only signing fails.
    fn from(_: rcgen::Error) -> Self {
        Error::Random
    }
}
