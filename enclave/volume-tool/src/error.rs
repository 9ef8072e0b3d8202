//! Why an operation failed.

use crate::console::StreamError;
use crate::walk::Refused;

/// The result of this crate's operations.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an operation failed, with the path as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operation on a file failed.
    #[error("{place}: {error}")]
    Files {
        /// The path.
        place: String,
        /// The error of the file system.
        error: twine_vfs::Error,
    },
    /// The directory for a new file or directory does not exist.
    #[error("there is no directory for {place}")]
    NoDirectory {
        /// The path to make.
        place: String,
    },
    /// A directory without `--recursive`.
    #[error("{place} is a directory")]
    Directory {
        /// The directory.
        place: String,
    },
    /// Several items have one target that is not a directory.
    #[error("{place} is not a directory, and cannot take several things")]
    TargetNotDirectory {
        /// The target.
        place: String,
    },
    /// A directory would replace something else.
    #[error("{place} is not a directory, and a directory can't take its place")]
    OverFile {
        /// The path to replace.
        place: String,
    },
    /// Something else would replace a directory.
    #[error("{place} is a directory, and nothing else can take its place")]
    OverDirectory {
        /// The directory.
        place: String,
    },
    /// A file or directory would be copied onto itself.
    #[error("{place} would be copied onto itself")]
    SameFile {
        /// The file or directory.
        place: String,
    },
    /// A directory would be copied or moved into its own subtree.
    #[error("{place} is a directory and can't be copied or moved into itself")]
    IntoItself {
        /// The directory.
        place: String,
    },
    /// The tree is damaged: a directory is below itself.
    #[error("{place}: the directory is in itself")]
    InItself {
        /// The directory.
        place: String,
    },
    /// The tree is damaged: a directory was found before, under another name.
    #[error("{place}: the directory was there before, by another name")]
    Again {
        /// The directory.
        place: String,
    },
    /// A path to remove or move ends with no name, such as the volume's root.
    #[error("{place} is no name that can be removed or moved")]
    NoName {
        /// The path.
        place: String,
    },
    /// Standard input has no name to use in a directory.
    #[error("{place} is a directory, and what comes from standard input has no name in it")]
    StreamNeedsName {
        /// The directory.
        place: String,
    },
    /// Standard output takes only one file.
    #[error("standard output takes one file, no directory")]
    StreamTakesFile,
    /// A file is nearly all hole, which a stream cannot represent.
    #[error("{place} has {size} bytes, nearly all of them a hole, which is zeros in a stream")]
    LongHole {
        /// The file.
        place: String,
        /// Its size in bytes.
        size: u64,
    },
    /// What comes from a client is no tree of files.
    #[error("what the client sends is no copy of files: {0}")]
    Parcel(String),
    /// What comes from a client ends before its end.
    #[error("the copy was cut off before its end")]
    CutOff,
    /// An error of the volume itself.
    #[error("{cause}")]
    Volume {
        /// The cause, with the volume's name.
        cause: String,
        /// The remedy.
        remedy: String,
    },
    /// A standard stream failed.
    #[error("{0}")]
    Stream(#[from] StreamError),
}

impl Error {
    /// Returns the remedy, in one line.
    pub fn remedy(&self) -> String {
        use twine_vfs::Error as Files;
        let remedy = match self {
            Error::Files { error, .. } => match error {
                Files::NotFound => "see what is there: `twine volume tree VOLUME`",
                Files::Exists => "choose another name, or remove what is there first",
                Files::NotDirectory => "name a directory, or leave out what comes after the file",
                Files::IsDirectory => "name a file: `twine volume ls` shows those in a directory",
                Files::NotEmpty => "remove what is in it first: `twine volume rm --recursive`",
                Files::NameTooLong => "names have at most 255 bytes, links at most 4,095",
                Files::ReadOnly => {
                    "the file that holds the volume, or the folder, can't be written"
                }
                Files::NoSpace => "make room on the host's disk",
                Files::FileTooBig => {
                    "raise the limit of the size of files, `ulimit -f unlimited`, or choose a place \
                     whose file system takes larger ones"
                }
                Files::Denied | Files::NotPermitted => "check who may read and write it",
                Files::Loop => "the path goes through symbolic links that lead to each other",
                Files::TooManyOpen => "raise the limit of open files (ulimit -n)",
                Files::NotSupported => "only files, directories and symbolic links can be kept",
                Files::Io => "see what is damaged: `twine volume check`",
                _ => "check the path",
            },
            Error::NoDirectory { .. } => "make it first: `twine volume mkdir -p VOLUME PATH`",
            Error::Directory { .. } => "give --recursive for directories",
            Error::TargetNotDirectory { .. } => "make the directory first: `twine volume mkdir`",
            Error::OverFile { .. } | Error::OverDirectory { .. } => {
                "remove what is there first, or choose another name"
            }
            Error::SameFile { .. } | Error::IntoItself { .. } => "choose another target",
            Error::InItself { .. } | Error::Again { .. } => {
                "see what is damaged: `twine volume check`"
            }
            Error::NoName { .. } => "name a file or directory below the root",
            Error::StreamNeedsName { .. } => "name a file in it",
            Error::StreamTakesFile => "name one file",
            Error::LongHole { .. } => {
                "copy it to a file, where a hole stays one: `twine volume cp`"
            }
            Error::Parcel(_) => "use a client and a host of the same release",
            Error::CutOff => "copy again: what is there already is written again",
            Error::Volume { remedy, .. } => remedy,
            Error::Stream(_) => "check where the standard streams go",
        };
        remedy.into()
    }
}

/// Adds the path at which an operation failed.
pub(crate) trait At<T> {
    fn at(self, place: impl FnOnce() -> String) -> Result<T>;
}

/// Adds the path of a new item. If a directory of the path is missing, says so.
pub(crate) fn on_the_way<T>(
    located: twine_vfs::Result<T>,
    place: impl FnOnce() -> String,
) -> Result<T> {
    match located {
        Err(twine_vfs::Error::NotFound) => Err(Error::NoDirectory { place: place() }),
        located => located.at(place),
    }
}

impl At<()> for Result<(), Refused> {
    fn at(self, place: impl FnOnce() -> String) -> Result<()> {
        self.map_err(|refused| match refused {
            Refused::Files(error) => Error::Files { place: place(), error },
            Refused::InItself => Error::InItself { place: place() },
            Refused::Again => Error::Again { place: place() },
        })
    }
}

impl<T> At<T> for twine_vfs::Result<T> {
    fn at(self, place: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| Error::Files { place: place(), error })
    }
}
