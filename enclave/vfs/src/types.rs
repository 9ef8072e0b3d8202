//! The types of the file system trait.

/// Limit on the size of a name, in bytes (POSIX `NAME_MAX`).
pub const MAX_NAME_BYTES: usize = 255;

/// The number of a file, directory or symbolic link, unique in its file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inode(pub u64);

/// The kind of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    SymbolicLink,
}

/// The nine permission bits of POSIX: who may read, write and execute a file, or search a
/// directory. Nothing enforces them; they are kept for programs that copy files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mode(u16);

impl Mode {
    /// The permission bits of an `st_mode`. All other bits are dropped: a restored file must not
    /// run with somebody else's identity.
    pub fn new(bits: u32) -> Self {
        Mode((bits & 0o777) as u16)
    }

    /// The bits.
    pub fn bits(self) -> u32 {
        self.0.into()
    }

    /// The same bits, and all permissions for the owner.
    #[must_use]
    pub fn with_owner(self) -> Self {
        Mode(self.0 | 0o700)
    }
}

/// In the notation of `ls -l`.
impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let letters: String = (0..9)
            .rev()
            .zip("rwxrwxrwx".chars())
            .map(|(bit, letter)| if self.0 >> bit & 1 == 0 { '-' } else { letter })
            .collect();
        f.write_str(&letters)
    }
}

/// The attributes of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// The kind of the inode.
    pub kind: FileKind,
    /// The permission bits, if they were ever set.
    pub mode: Option<Mode>,
    /// Size, in bytes, of the file or of the link's target.
    pub size: u64,
    /// The number of its names; a directory has one.
    pub links: u64,
    /// Last read, in nanoseconds since 1970.
    pub accessed: u64,
    /// Last change of the contents.
    pub modified: u64,
    /// Last change of contents or attributes.
    pub changed: u64,
}

/// A time to set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// Leave the time as it is.
    Keep,
    /// The current time.
    Now,
    /// Nanoseconds since 1970.
    At(u64),
}

/// How much of an inode must be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The data, and the attributes that are needed to read them (`fdatasync`).
    Data,
    /// The data and all attributes (`fsync`).
    All,
}

/// An entry of a directory.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The name.
    pub name: &'a str,
    /// Its inode, which is not held.
    pub inode: Inode,
    /// The inode's kind.
    pub kind: FileKind,
    /// The cookie to continue after this entry.
    pub cookie: u64,
}

/// How full a file system is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Size of the space in use in bytes, with all overhead.
    pub used: u64,
    /// Size of the storage in bytes.
    pub size: u64,
}

/// Why an operation failed. Each value stands for an error of POSIX.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `ENOENT`
    #[error("no such file or directory")]
    NotFound,
    /// `EEXIST`
    #[error("file exists")]
    Exists,
    /// `ENOTDIR`
    #[error("not a directory")]
    NotDirectory,
    /// `EISDIR`
    #[error("is a directory")]
    IsDirectory,
    /// `ENOTEMPTY`
    #[error("directory not empty")]
    NotEmpty,
    /// `ENAMETOOLONG`
    #[error("file name too long")]
    NameTooLong,
    /// `EINVAL`
    #[error("invalid argument")]
    Invalid,
    /// `EPERM`
    #[error("operation not permitted")]
    NotPermitted,
    /// `EACCES`
    #[error("permission denied")]
    Denied,
    /// `EROFS`
    #[error("read-only file system")]
    ReadOnly,
    /// `ENOSPC`
    #[error("no space left on device")]
    NoSpace,
    /// `EFBIG`
    #[error("file too large")]
    FileTooBig,
    /// `EMLINK`
    #[error("too many links")]
    TooManyLinks,
    /// `ELOOP`
    #[error("too many levels of symbolic links")]
    Loop,
    /// `EMFILE`
    #[error("too many open files")]
    TooManyOpen,
    /// `ENOMEM`
    #[error("out of memory")]
    NoMemory,
    /// `EIO`: the storage failed, or its data are not authentic.
    #[error("input/output error")]
    Io,
    /// `ENOTSUP`
    #[error("not supported")]
    NotSupported,
}
