//! The operations on an ordinary folder of the host, for the host call `folder`.
//!
//! The host numbers the inodes. An answer that holds an inode ([`Answer::Inode`]) keeps it valid
//! until the enclave has released it as often as answers have held it.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Limit on the size of an encoded request or answer, in bytes. The rest of the transfer buffer is
/// for the data to write or read.
pub const MAX_MESSAGE: usize = 64 << 10;

/// Limit on the data that one request writes or reads, in bytes.
pub const MAX_DATA: usize = crate::wire::TRANSFER_BUFFER_LENGTH - MAX_MESSAGE;

/// An operation. Inodes come first among its values.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Request {
    /// Returns the inode of the folder itself: [`Answer::Inode`].
    Root,
    /// Looks a name up in a directory: [`Answer::Inode`].
    Lookup(u64, String),
    /// Releases an inode.
    Release(u64),
    /// Returns the attributes of an inode: [`Answer::Attributes`].
    Attributes(u64),
    /// Sets the times of access and modification.
    SetTimes(u64, Time, Time),
    /// Sets the permission bits of a file or directory.
    SetMode(u64, u32),
    /// Makes a file that must not exist: [`Answer::Inode`]. `None` instead of permission bits means
    /// those of any new file.
    CreateFile(u64, String, Option<u32>),
    /// Makes a directory. `None` instead of permission bits means those of any new directory.
    CreateDirectory(u64, String, Option<u32>),
    /// Makes a symbolic link: its directory, its name, its target.
    CreateSymbolicLink(u64, String, String),
    /// Reads the target of a symbolic link: [`Answer::Target`].
    ReadLink(u64),
    /// Gives the first inode a name in the second, a directory.
    Link(u64, u64, String),
    /// Removes a name of anything but a directory.
    Unlink(u64, String),
    /// Removes an empty directory.
    RemoveDirectory(u64, String),
    /// Renames: the directory and name of the entry, then those that it gets.
    Rename(u64, String, u64, String),
    /// Lists the entries after a cookie, as many as fit: [`Answer::Entries`]. No entry means the
    /// end.
    Entries(u64, u64),
    /// Reads, at an offset, a number of bytes: [`Answer::Count`], followed by the bytes.
    Read(u64, u64, u64),
    /// Finds the next data, outside of holes, from an offset on: [`Answer::Data`].
    NextData(u64, u64),
    /// Writes, at an offset, a number of bytes, which follow: [`Answer::Count`].
    Write(u64, u64, u64),
    /// Sets the size of a file.
    SetSize(u64, u64),
    /// Allocates, at an offset, a number of bytes.
    Allocate(u64, u64, u64),
    /// Syncs an inode: only the data if true, otherwise all of it.
    Sync(u64, bool),
    /// Returns how full the file system is: [`Answer::Usage`].
    Usage,
}

/// A time to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Time {
    /// Leave the time as it is.
    Keep,
    /// The current time.
    Now,
    /// Nanoseconds since 1970.
    At(u64),
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// The operation is done.
    Done,
    /// The operation failed.
    Failed(Failure),
    /// An inode, held until it is released.
    Inode(u64),
    /// Attributes.
    Attributes(Attributes),
    /// The target of a symbolic link.
    Target(String),
    /// Entries of a directory.
    Entries(Vec<Entry>),
    /// The number of bytes that were read or written.
    Count(u64),
    /// The offset of the next data. `None`: the rest of the file is a hole.
    Data(Option<u64>),
    /// Bytes in use, and bytes in all.
    Usage(u64, u64),
}

/// The kind of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    SymbolicLink,
}

/// Attributes of an inode, as the host reports them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// The kind of the inode.
    pub kind: Kind,
    /// Its permission bits. Other bits may be set too.
    pub mode: u32,
    /// Bytes of the file or of the link's target.
    pub size: u64,
    /// The number of its names.
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
    /// Its inode, which this answer does not hold.
    pub inode: u64,
    /// The inode's kind.
    pub kind: Kind,
    /// The cookie to continue after this entry.
    pub cookie: u64,
}

/// Why an operation failed. Each value stands for errors of Linux.
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
    /// `EOPNOTSUPP`, and inodes other than files, directories and symbolic links
    NotSupported,
    /// All other errors
    Io,
}

impl Request {
    /// The request as bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes the request at the start of `bytes`, which zeros follow up to a multiple of 8. Also
    /// returns the bytes after the zeros.
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

    /// Decodes an answer, which must be all of `bytes`.
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
