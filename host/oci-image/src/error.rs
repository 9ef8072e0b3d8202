//! Why an image could not be written or read.

use std::io;
use std::path::{Path, PathBuf};

/// What this crate's own operations give.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an image could not be written or read. The message is one line of cause;
/// [`remedy`](Error::remedy) is one line that says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("{path}: {source}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The folder exists and holds something else.
    #[error("{0} is not an OCI layout: {1}", .folder.display(), .cause)]
    NotALayout {
        /// The folder.
        folder: PathBuf,
        /// What is missing or different.
        cause: String,
    },
    /// A part of the image is damaged, or breaks the specification.
    #[error("{path} is damaged: {cause}", path = .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The layout has no such image.
    #[error("{folder} has no image {name}", folder = .folder.display(), name = .name.as_deref().unwrap_or("of a WebAssembly program"))]
    NoImage {
        /// The folder of the layout.
        folder: PathBuf,
        /// The name that was looked for.
        name: Option<String>,
        /// The names of the images of programs that it has.
        found: Vec<String>,
    },
    /// The layout has several images, and none was named, or several have the name.
    #[error("{folder} has several images of programs to choose from", folder = .folder.display())]
    Several {
        /// The folder of the layout.
        folder: PathBuf,
        /// Their names, if these tell them apart.
        found: Vec<String>,
    },
    /// The image uses something that this version can't read.
    #[error("the image has {what}, which can't be read")]
    Unsupported {
        /// What it uses.
        what: String,
        /// What would be right.
        remedy: String,
    },
    /// What the image was to be built from is wrong.
    #[error("{cause}")]
    Recipe {
        /// What is wrong.
        cause: String,
        /// What would be right.
        remedy: String,
    },
}

impl Error {
    /// What to do about it, in one line.
    pub fn remedy(&self) -> String {
        match self {
            Error::File { .. } => {
                "check the path, its permissions and the space on the disk".into()
            }
            Error::NotALayout { .. } => {
                "name a folder that `twine oci build` or `skopeo copy` made; an image can also be \
                 written into one that does not exist yet"
                    .into()
            }
            Error::Damaged { .. } => "copy the image anew from where it came from".into(),
            Error::NoImage { found, .. } | Error::Several { found, .. } if !found.is_empty() => {
                format!("name one of them: {}", found.join(", "))
            }
            Error::Several { .. } => {
                "give each image in index.json a name of its own, as its annotation \
                 org.opencontainers.image.ref.name"
                    .into()
            }
            Error::NoImage { .. } => {
                "build an image with `twine oci build PROGRAM --tag NAME --output FOLDER`".into()
            }
            Error::Unsupported { remedy, .. } | Error::Recipe { remedy, .. } => remedy.clone(),
        }
    }

    /// An error of the system at a file.
    pub(crate) fn at(path: &Path) -> impl FnOnce(io::Error) -> Error {
        |source| Error::File { path: path.to_owned(), source }
    }

    /// Damage of a file.
    pub(crate) fn damaged(path: &Path, cause: impl ToString) -> Error {
        Error::Damaged { path: path.to_owned(), cause: cause.to_string() }
    }
}
