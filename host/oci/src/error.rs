//! The reasons why a container could not be prepared.

use std::io;
use std::path::PathBuf;

/// The result of this crate's own operations.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// The reason why a container could not be prepared. The message is one line of cause;
/// [`remedy`](Error::remedy) returns one line of remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The bundle's `config.json` is not a configuration.
    #[error("{path}: not a configuration of a container: {cause}", path = .path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// The defect.
        cause: String,
    },
    /// An annotation has a value that is not valid.
    #[error("annotation {name}: {cause}")]
    Annotation {
        /// The annotation's name.
        name: String,
        /// The defect of its value.
        cause: String,
        /// A valid value.
        remedy: String,
    },
    /// The `twine` command or one of its files is missing.
    #[error("{0}")]
    Installation(String),
    /// The configuration of containerd can't be changed.
    #[error("{path}: {cause}", path = .path.display())]
    Containerd {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// This machine has no runc.
    #[error("there is no runc on this machine")]
    NoRunc,
}

impl Error {
    /// Returns the remedy, in one line.
    pub fn remedy(&self) -> String {
        match self {
            Error::File { .. } => "check the path and its permissions".into(),
            Error::Configuration { .. } => {
                "name the folder of a bundle with --bundle; its config.json is OCI's".into()
            }
            Error::Annotation { remedy, .. } => remedy.clone(),
            Error::Installation(_) => {
                "install Twine completely: `cargo xtask install --prefix /usr/local`".into()
            }
            Error::Containerd { .. } => {
                "correct the file; `containerd config migrate` brings an older version up to date"
                    .into()
            }
            Error::NoRunc => "install runc, or name it with TWINE_RUNC=/path/to/runc".into(),
        }
    }
}
