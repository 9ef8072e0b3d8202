//! What Twine takes a file system to be.
//!
//! [`FileSystem`] is what WASI calls for each mount; the protected volume, a folder of
//! the host's and a tree in memory implement it. It knows inodes and single names: paths,
//! `..`, symbolic links on the way, rights and descriptors are WASI's business, so that
//! they are right once for all file systems.
//!
//! An [`Inode`] that a call returns is *held*: it stays valid, also when its last name is
//! removed, until it has been given to [`FileSystem::release`] as often as it was
//! returned.
//!
//! [`Memory`] is such a tree in memory. What every implementation must pass is in
//! `conformance`, behind the feature `testing`.
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(
        unreachable_pub,
        clippy::cast_lossless,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::print_stderr,
        clippy::print_stdout,
        clippy::string_slice,
        clippy::unwrap_used
    )
)]

#[cfg(feature = "testing")]
#[expect(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "a check that panics has failed"
)]
pub mod conformance;
mod memory;
mod shared;
mod types;

pub use memory::Memory;
pub use shared::Shared;
pub use types::{
    Attributes, Change, Entry, Error, FileKind, Inode, MAX_NAME_BYTES, Mode, Stamp, Usage,
};

/// What operations give.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A tree of files, directories and symbolic links.
///
/// Names are single components: not empty, at most [`MAX_NAME_BYTES`] bytes, without `/`
/// and NUL, neither `.` nor `..`; an implementation answers [`Error::Invalid`] or
/// [`Error::NameTooLong`] to others. No operation follows symbolic links. An operation
/// that fails changes nothing.
pub trait FileSystem: Send {
    /// The root directory. Not held: it needs no release.
    fn root(&self) -> Inode;

    /// Whether every change is refused with [`Error::ReadOnly`].
    fn read_only(&self) -> bool;

    /// The inode that `name` stands for in `directory`; held.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotDirectory`].
    fn lookup(&mut self, directory: Inode, name: &str) -> Result<Inode>;

    /// Gives back one hold on an inode. The root is not held, and giving it is no error.
    fn release(&mut self, inode: Inode);

    /// The attributes of an inode.
    ///
    /// # Errors
    /// [`Error::Io`] and its like.
    fn attributes(&mut self, inode: Inode) -> Result<Attributes>;

    /// Sets times; nanoseconds since 1970, `Now` by the file system's clock.
    ///
    /// # Errors
    /// [`Error::ReadOnly`].
    fn set_times(&mut self, inode: Inode, accessed: Stamp, modified: Stamp) -> Result<()>;

    /// Sets the mode of a file or directory.
    ///
    /// # Errors
    /// [`Error::ReadOnly`]; [`Error::NotSupported`] for symbolic links.
    fn set_mode(&mut self, inode: Inode, mode: Mode) -> Result<()>;

    /// Makes an empty file; held.
    ///
    /// # Errors
    /// [`Error::Exists`], whatever has the name.
    fn create_file(&mut self, directory: Inode, name: &str) -> Result<Inode>;

    /// Makes an empty directory; not held.
    ///
    /// # Errors
    /// [`Error::Exists`], whatever has the name.
    fn create_directory(&mut self, directory: Inode, name: &str) -> Result<()>;

    /// Makes an empty file, as [`create_file`](Self::create_file) does, that has a mode from the
    /// start.
    ///
    /// # Errors
    /// As those of the two.
    fn create_file_with(&mut self, directory: Inode, name: &str, mode: Mode) -> Result<Inode> {
        let inode = self.create_file(directory, name)?;
        match self.set_mode(inode, mode) {
            Ok(()) => Ok(inode),
            Err(error) => {
                self.release(inode);
                Err(error)
            }
        }
    }

    /// Makes an empty directory, as [`create_directory`](Self::create_directory) does, that has a
    /// mode from the start.
    ///
    /// # Errors
    /// As those of the two.
    fn create_directory_with(&mut self, directory: Inode, name: &str, mode: Mode) -> Result<()> {
        self.create_directory(directory, name)?;
        let inode = self.lookup(directory, name)?;
        let result = self.set_mode(inode, mode);
        self.release(inode);
        result
    }

    /// Makes a symbolic link that holds `target`, which is not looked at.
    ///
    /// # Errors
    /// [`Error::Exists`], whatever has the name; [`Error::NameTooLong`] for a target of
    /// more than 4,095 bytes.
    fn create_symbolic_link(&mut self, directory: Inode, name: &str, target: &str) -> Result<()>;

    /// What a symbolic link holds.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else.
    fn read_link(&mut self, inode: Inode) -> Result<String>;

    /// Gives a file or symbolic link another name.
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::NotPermitted`] for directories; [`Error::NotFound`] for
    /// an inode that has no name any more.
    fn link(&mut self, inode: Inode, directory: Inode, name: &str) -> Result<()>;

    /// Removes a name of a file or symbolic link.
    ///
    /// # Errors
    /// [`Error::IsDirectory`].
    fn unlink(&mut self, directory: Inode, name: &str) -> Result<()>;

    /// Removes an empty directory.
    ///
    /// # Errors
    /// [`Error::NotEmpty`], [`Error::NotDirectory`].
    fn remove_directory(&mut self, directory: Inode, name: &str) -> Result<()>;

    /// Renames, as POSIX `rename` does: an existing file is replaced by a file, an empty
    /// directory by a directory; two names of one inode stay as they are.
    ///
    /// # Errors
    /// [`Error::Invalid`] into a directory's own subtree, [`Error::IsDirectory`] and
    /// [`Error::NotDirectory`] where the kinds don't go together, [`Error::NotEmpty`].
    fn rename(&mut self, from: Inode, from_name: &str, to: Inode, to_name: &str) -> Result<()>;

    /// The entries of a directory after `cookie` (0: from the start), without `.` and `..`,
    /// until `each` returns `false` (the entry it was called with then counts as not
    /// given). Each entry has the cookie to go on after it. Cookies stay good under
    /// change: an entry that is there all the time is given exactly once. Cookies 0 to 3
    /// are never given.
    ///
    /// # Errors
    /// [`Error::NotDirectory`]. What can't be read may be between other entries: these can have
    /// been given before the error comes.
    fn entries(
        &mut self,
        directory: Inode,
        cookie: u64,
        each: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Result<()>;

    /// Reads into `bytes` from `offset`: fewer bytes only at the end of the file.
    ///
    /// # Errors
    /// [`Error::IsDirectory`]; [`Error::Invalid`] for symbolic links. After an error
    /// `bytes` hold nothing of the file that was not authentic.
    fn read(&mut self, inode: Inode, offset: u64, bytes: &mut [u8]) -> Result<usize>;

    /// Where a file goes on with what may be other than zero: at `offset` or behind it. `None` if
    /// it reads as zero to its end.
    ///
    /// # Errors
    /// As for reading.
    fn next_data(&mut self, inode: Inode, offset: u64) -> Result<Option<u64>> {
        let Attributes { size, .. } = self.attributes(inode)?;
        Ok((offset < size).then_some(offset))
    }

    /// Writes all of `bytes` at `offset`; what lies between the end and `offset` reads as
    /// zero.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::FileTooBig`]; as for reading. Nothing or a part may
    /// have been written where an error comes from the storage.
    fn write(&mut self, inode: Inode, offset: u64, bytes: &[u8]) -> Result<usize>;

    /// Makes a file this long, shorter or longer; what is added reads as zero.
    ///
    /// # Errors
    /// [`Error::FileTooBig`]; [`Error::IsDirectory`].
    fn set_size(&mut self, inode: Inode, size: u64) -> Result<()>;

    /// Sees to it that writes to these bytes won't fail for want of space, and that the
    /// file is at least as long (`posix_fallocate`).
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::FileTooBig`].
    fn allocate(&mut self, inode: Inode, offset: u64, length: u64) -> Result<()>;

    /// Returns when what was written to an inode is durable; with its attributes, if
    /// `change` says so. A name is durable once its directory is synced.
    ///
    /// # Errors
    /// When the storage could not say so. The data are then not durable.
    fn sync(&mut self, inode: Inode, change: Change) -> Result<()>;

    /// Returns when everything is durable.
    ///
    /// # Errors
    /// As [`FileSystem::sync`].
    fn sync_all(&mut self) -> Result<()>;

    /// Hands changes on so far that they survive the end of this process, though not of the
    /// machine. To be called before others can learn of them. Where that fails, the next
    /// [`sync`](Self::sync) will.
    fn hand_over(&mut self) {}

    /// Whether others see a change as soon as it is made: a program's changes in other file
    /// systems are handed over before.
    fn is_shared(&self) -> bool {
        false
    }

    /// How full it is.
    ///
    /// # Errors
    /// [`Error::Io`] and its like.
    fn usage(&mut self) -> Result<Usage>;
}

/// Checks a single name as [`FileSystem`] wants it.
///
/// # Errors
/// [`Error::Invalid`] or [`Error::NameTooLong`].
pub fn check_name(name: &str) -> Result<()> {
    if name.len() > MAX_NAME_BYTES {
        return Err(Error::NameTooLong);
    }
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(Error::Invalid);
    }
    Ok(())
}
