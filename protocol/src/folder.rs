//! What the enclave asks of an ordinary folder of the host's, in the host call `folder`.
//!
//! Inodes are numbers of the host's. One that an answer names stays valid until it has
//! been released as often as it was named.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Most bytes of an encoded request or answer; what is written or read has the rest of the
/// transfer buffer.
pub const MAX_MESSAGE: usize = 64 << 10;

/// Most bytes that one request writes or reads.
pub const MAX_DATA: usize = crate::wire::TRANSFER_BUFFER_LENGTH - MAX_MESSAGE;

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// The folder itself: answered by [`Answer::Inode`].
    Root,
    /// The inode with a name: [`Answer::Inode`].
    Lookup(u64, String),
    /// Gives an inode back.
    Release(u64),
    /// [`Answer::Attributes`].
    Attributes(u64),
    /// Sets the times of access and modification.
    SetTimes(u64, Time, Time),
    /// Sets the permission bits of a file or directory.
    SetMode(u64, u32),
    /// Makes a file that must not exist, with these permission bits or as any new file has them:
    /// [`Answer::Inode`].
    CreateFile(u64, String, Option<u32>),
    /// Makes a directory, with these permission bits or as any new directory has them.
    CreateDirectory(u64, String, Option<u32>),
    /// Makes a symbolic link with a name, then what it holds.
    CreateSymbolicLink(u64, String, String),
    /// What a symbolic link holds: [`Answer::Target`].
    ReadLink(u64),
    /// Gives the first inode a name in the second.
    Link(u64, u64, String),
    /// Removes a name that is no directory's.
    Unlink(u64, String),
    /// Removes an empty directory.
    RemoveDirectory(u64, String),
    /// Renames.
    Rename(u64, String, u64, String),
    /// Entries after a cookie, as many as fit: [`Answer::Entries`]. None: the end.
    Entries(u64, u64),
    /// Reads at an offset so many bytes: [`Answer::Count`], then the bytes.
    Read(u64, u64, u64),
    /// Where from an offset on a file has data, and no hole: [`Answer::Data`].
    NextData(u64, u64),
    /// Writes at an offset so many bytes, which follow: [`Answer::Count`].
    Write(u64, u64, u64),
    /// Makes a file that long.
    SetSize(u64, u64),
    /// Makes room for so many bytes at an offset.
    Allocate(u64, u64, u64),
    /// Makes durable, the data alone or all.
    Sync(u64, bool),
    /// How full the file system is: [`Answer::Usage`].
    Usage,
}

/// A time to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Time {
    /// Leave it.
    Keep,
    /// The time it is.
    Now,
    /// Nanoseconds since 1970.
    At(u64),
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// It was done.
    Done,
    /// It failed.
    Failed(Failure),
    /// An inode, held.
    Inode(u64),
    /// Attributes.
    Attributes(Attributes),
    /// What a symbolic link holds.
    Target(String),
    /// Entries of a directory.
    Entries(Vec<Entry>),
    /// How many bytes were read or written.
    Count(u64),
    /// Where data begin; none: there is a hole up to the end of the file.
    Data(Option<u64>),
    /// Bytes in use and bytes in all.
    Usage(u64, u64),
}

/// What an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    SymbolicLink,
}

/// What the host says of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// What it is.
    pub kind: Kind,
    /// Its permission bits; others may be set too.
    pub mode: u32,
    /// Bytes of the file or of the link's target.
    pub size: u64,
    /// Names it has.
    pub links: u64,
    /// Last read, in nanoseconds since 1970.
    pub accessed: u64,
    /// Last change of the contents.
    pub modified: u64,
    /// Last change of contents or attributes.
    pub changed: u64,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its inode, not held.
    pub inode: u64,
    /// What that is.
    pub kind: Kind,
    /// Where to go on after it.
    pub cookie: u64,
}

/// Why an operation failed, each an errno of Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// `ENOENT`
    NotFound,
    /// `EEXIST`
    Exists,
    /// `ENOTDIR`
    NotDirectory,
    /// `EISDIR`
    IsDirectory,
    /// `ENOTEMPTY`
    NotEmpty,
    /// `ENAMETOOLONG`
    NameTooLong,
    /// `EINVAL`
    Invalid,
    /// `EPERM`
    NotPermitted,
    /// `EACCES`
    Denied,
    /// `EROFS`
    ReadOnly,
    /// `ENOSPC`, `EDQUOT`
    NoSpace,
    /// `EFBIG`
    FileTooBig,
    /// `EMLINK`
    TooManyLinks,
    /// `ELOOP`
    Loop,
    /// `EMFILE`, `ENFILE`
    TooManyOpen,
    /// `ENOMEM`
    NoMemory,
    /// `EOPNOTSUPP`, and files that are no file, directory or link
    NotSupported,
    /// All others.
    Io,
}

impl Request {
    /// The request as bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The request at the start of `bytes`, which is followed by zeros up to a multiple of
    /// 8, and what comes then.
    pub fn decode(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (request, rest) = postcard::take_from_bytes(bytes).ok()?;
        let padded = (bytes.len() - rest.len()).next_multiple_of(8);
        Some((request, bytes.get(padded..)?))
    }
}

impl Answer {
    /// The answer as bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The answer in all of `bytes`.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match postcard::take_from_bytes(bytes) {
            Ok((answer, [])) => Some(answer),
            _ => None,
        }
    }
}

fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    postcard::to_allocvec(value).expect("writing to a Vec has no error of its own")
}
