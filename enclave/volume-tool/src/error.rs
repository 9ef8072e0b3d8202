//! Why some work was not done.

use crate::console::StreamError;
use crate::walk::Refused;

/// What this crate's own operations give.
pub(crate) type Result<T, E = Error> = std::result::Result<T, E>;

/// Why some work was not done, each with the place as the user named it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operation on a file failed.
    #[error("{place}: {error}")]
    Files {
        /// Where.
        place: String,
        /// Why.
        error: twine_vfs::Error,
    },
    /// Something new is to be in a directory that is not there.
    #[error("there is no directory for {place}")]
    NoDirectory {
        /// What is to be made.
        place: String,
    },
    /// A directory, where that was not asked for.
    #[error("{place} is a directory")]
    Directory {
        /// Which.
        place: String,
    },
    /// Several things are to go to one name.
    #[error("{place} is not a directory, and cannot take several things")]
    TargetNotDirectory {
        /// The name.
        place: String,
    },
    /// A directory can't take the place of something else.
    #[error("{place} is not a directory, and a directory can't take its place")]
    OverFile {
        /// Which.
        place: String,
    },
    /// Something else can't take the place of a directory.
    #[error("{place} is a directory, and nothing else can take its place")]
    OverDirectory {
        /// Which.
        place: String,
    },
    /// A file on itself.
    #[error("{place} would be copied onto itself")]
    SameFile {
        /// Which.
        place: String,
    },
    /// A directory into its own subtree.
    #[error("{place} is a directory and can't be copied or moved into itself")]
    IntoItself {
        /// Which.
        place: String,
    },
    /// A directory that is below itself.
    #[error("{place}: the directory is in itself")]
    InItself {
        /// Which.
        place: String,
    },
    /// A directory that has another name, by which it was seen.
    #[error("{place}: the directory was there before, by another name")]
    Again {
        /// Which.
        place: String,
    },
    /// The root of a volume can't be removed or moved.
    #[error("{place} is no name that can be removed or moved")]
    NoName {
        /// What was named.
        place: String,
    },
    /// A stream has no name.
    #[error("{place} is a directory, and what comes from standard input has no name in it")]
    StreamNeedsName {
        /// The directory.
        place: String,
    },
    /// A stream takes one file.
    #[error("standard output takes one file, no directory")]
    StreamTakesFile,
    /// A stream has no holes.
    #[error("{place} has {size} bytes, nearly all of them a hole, which is zeros in a stream")]
    LongHole {
        /// Which.
        place: String,
        /// Its size.
        size: u64,
    },
    /// Something about the volume itself.
    #[error("{cause}")]
    Volume {
        /// What, with the volume's name.
        cause: String,
        /// What to do about it.
        remedy: String,
    },
    /// A standard stream failed.
    #[error("{0}")]
    Stream(#[from] StreamError),
}

impl Error {
    /// What to do about it, in one line.
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
            Error::Volume { remedy, .. } => remedy,
            Error::Stream(_) => "check where the standard streams go",
        };
        remedy.into()
    }
}

/// Says where an operation on files failed.
pub(crate) trait At<T> {
    fn at(self, place: impl FnOnce() -> String) -> Result<T>;
}

/// Says where something new could not be: the way there ends early.
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
