//! Why a container could not be prepared.

use std::io;
use std::path::PathBuf;

/// What this crate's own operations give.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a container could not be prepared. The message is one line of cause;
/// [`remedy`](Error::remedy) is one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The bundle's `config.json` is not one.
    #[error("{path}: not a configuration of a container: {cause}", path = .path.display())]
    Configuration {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// An annotation has a value that it can't have.
    #[error("annotation {name}: {cause}")]
    Annotation {
        /// The annotation's name.
        name: String,
        /// What is wrong with its value.
        cause: String,
        /// What would be right.
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
    /// There is no runc.
    #[error("there is no runc on this machine")]
    NoRunc,
}

impl Error {
    /// What to do about it, in one line.
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
                "correct the file, or bring it to a newer version: `containerd config migrate`"
                    .into()
            }
            Error::NoRunc => "install runc, or name it with TWINE_RUNC=/path/to/runc".into(),
        }
    }
}
