//! The words of the file system trait.

/// Most bytes of one name (POSIX `NAME_MAX`).
pub const MAX_NAME_BYTES: usize = 255;

/// The number of a file, directory or symbolic link, unique in its file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Inode(pub u64);

/// What an inode is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    SymbolicLink,
}

/// Who may read, write and execute a file, or search a directory: the nine permission bits of
/// POSIX. Nothing here is refused by them; they are kept for who copies files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mode(u16);

impl Mode {
    /// The permission bits of an `st_mode`. No others are kept: who restores a file lends it
    /// nobody's identity.
    pub fn new(bits: u32) -> Self {
        Mode((bits & 0o777) as u16)
    }

    /// The bits.
    pub fn bits(self) -> u32 {
        self.0.into()
    }

    /// The same, and all for the owner.
    #[must_use]
    pub fn with_owner(self) -> Self {
        Mode(self.0 | 0o700)
    }
}

/// As `ls -l` writes it.
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

/// What is known of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// What it is.
    pub kind: FileKind,
    /// Who may use it, where that was ever said.
    pub mode: Option<Mode>,
    /// Bytes of a file or of a symbolic link's target.
    pub size: u64,
    /// Names it has; a directory counts as one.
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
    /// Leave it.
    Keep,
    /// The time it is.
    Now,
    /// Nanoseconds since 1970.
    At(u64),
}

/// How much of an inode must be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Data, and what is needed to read them back (`fdatasync`).
    Data,
    /// All (`fsync`).
    All,
}

/// A name in a directory.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The name.
    pub name: &'a str,
    /// What it stands for; not held.
    pub inode: Inode,
    /// What that is.
    pub kind: FileKind,
    /// Where to go on after this entry.
    pub cookie: u64,
}

/// How full a file system is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes in use, with all overhead.
    pub used: u64,
    /// Bytes of the storage, used or not.
    pub size: u64,
}

/// Why an operation failed; each is an errno of POSIX.
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
    /// `EIO`: the storage failed, or what it gave is not authentic.
    #[error("input/output error")]
    Io,
    /// `ENOTSUP`
    #[error("not supported")]
    NotSupported,
}
