//! The reasons why a measurement has no result.

use std::path::PathBuf;

/// The reason why a measurement, or one case of it, has no result. `Display` is one line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The `twine` command or its image is missing.
    #[error("there is no {}: build it with `cargo xtask image`", .0.display())]
    NotBuilt(PathBuf),
    /// An example program is missing.
    #[error("there is no {}: build it with `cargo xtask guests`", .0.display())]
    NoProgram(PathBuf),
    /// A rival program is missing.
    #[error("there is no {}: build it with `cargo xtask rivals`", .0.display())]
    NoRival(PathBuf),
    /// A process could not be started, or a file could not be used.
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    /// A measured process failed.
    #[error("{command} failed: {why}")]
    Failed { command: String, why: String },
    /// Rivals that should print the same did not.
    #[error("{0} prints something else inside than outside")]
    Differs(String),
    /// One of the benchmark's own programs is wrong.
    #[error("{0}")]
    Program(String),
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// Adds to an I/O error the thing that it is about.
pub(crate) fn about<T>(what: impl ToString, result: std::io::Result<T>) -> Result<T> {
    result.map_err(|source| Error::Io { what: what.to_string(), source })
}
