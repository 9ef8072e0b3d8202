//! The interface of file systems.
//!
//! WASI calls a [`FileSystem`] for each mount. The protected volume, a folder of the host, and a
//! tree in memory implement it. It knows inodes and single names. WASI handles paths, `..`,
//! symbolic links in paths, rights and descriptors, so that they are right once for all file
//! systems.
//!
//! An [`Inode`] that a call returns is *held*: it stays valid, even when its last name is removed,
//! until [`FileSystem::release`] was called as often as it was returned.
//!
//! [`Memory`] is a file system in memory. With the feature `testing`, the module `conformance`
//! contains the checks that every implementation must pass.
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

/// The result of an operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A tree of files, directories and symbolic links.
///
/// Names are single components: not empty, at most [`MAX_NAME_BYTES`] bytes, without `/` and NUL,
/// neither `.` nor `..`. An implementation refuses others with [`Error::Invalid`] or
/// [`Error::NameTooLong`]. No operation follows symbolic links. An operation that fails changes
/// nothing.
pub trait FileSystem: Send {
    /// The root directory. It is not held and needs no release.
    fn root(&self) -> Inode;

    /// Whether the file system refuses every change, with [`Error::ReadOnly`].
    fn read_only(&self) -> bool;

    /// Looks up `name` in `directory`, and holds the inode.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::NotDirectory`].
    fn lookup(&mut self, directory: Inode, name: &str) -> Result<Inode>;

    /// Releases one hold on an inode. The root is not held, and releasing it is no error.
    fn release(&mut self, inode: Inode);

    /// Returns the attributes of an inode.
    ///
    /// # Errors
    /// Errors of the storage, such as [`Error::Io`].
    fn attributes(&mut self, inode: Inode) -> Result<Attributes>;

    /// Sets times, in nanoseconds since 1970. `Now` is the time of the file system's clock.
    ///
    /// # Errors
    /// [`Error::ReadOnly`].
    fn set_times(&mut self, inode: Inode, accessed: Stamp, modified: Stamp) -> Result<()>;

    /// Sets the mode of a file or directory.
    ///
    /// # Errors
    /// [`Error::ReadOnly`]; [`Error::NotSupported`] for symbolic links.
    fn set_mode(&mut self, inode: Inode, mode: Mode) -> Result<()>;

    /// Makes an empty file, and holds it.
    ///
    /// # Errors
    /// [`Error::Exists`] if the name exists, whatever its kind.
    fn create_file(&mut self, directory: Inode, name: &str) -> Result<Inode>;

    /// Makes an empty directory, and does not hold it.
    ///
    /// # Errors
    /// [`Error::Exists`] if the name exists, whatever its kind.
    fn create_directory(&mut self, directory: Inode, name: &str) -> Result<()>;

    /// Makes an empty file as [`create_file`](Self::create_file) does, with a mode from the start.
    ///
    /// # Errors
    /// Those of `create_file` and [`set_mode`](Self::set_mode).
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

    /// Makes an empty directory as [`create_directory`](Self::create_directory) does, with a mode
    /// from the start.
    ///
    /// # Errors
    /// Those of `create_directory` and [`set_mode`](Self::set_mode).
    fn create_directory_with(&mut self, directory: Inode, name: &str, mode: Mode) -> Result<()> {
        self.create_directory(directory, name)?;
        let inode = self.lookup(directory, name)?;
        let result = self.set_mode(inode, mode);
        self.release(inode);
        result
    }

    /// Makes a symbolic link with the target `target`, which is not checked.
    ///
    /// # Errors
    /// [`Error::Exists`] if the name exists, whatever its kind; [`Error::NameTooLong`] for a target
    /// of more than 4,095 bytes.
    fn create_symbolic_link(&mut self, directory: Inode, name: &str, target: &str) -> Result<()>;

    /// Returns the target of a symbolic link.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything else.
    fn read_link(&mut self, inode: Inode) -> Result<String>;

    /// Gives a file or symbolic link another name.
    ///
    /// # Errors
    /// [`Error::Exists`]; [`Error::NotPermitted`] for directories; [`Error::NotFound`] for an inode
    /// that has no name any more.
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

    /// Renames as POSIX `rename` does: a file replaces an existing file, and a directory replaces
    /// an empty directory. If both names have the same inode, nothing changes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a move into a directory's own subtree; [`Error::IsDirectory`] and
    /// [`Error::NotDirectory`] for kinds that cannot replace each other; [`Error::NotEmpty`].
    fn rename(&mut self, from: Inode, from_name: &str, to: Inode, to_name: &str) -> Result<()>;

    /// Calls `each` for the entries of a directory after `cookie` (0: from the start), without `.`
    /// and `..`, until it returns `false`. The entry of that last call counts as not returned. Each
    /// entry has the cookie from which to continue after it. Cookies stay valid when the directory
    /// changes: an entry that exists all the time is returned exactly once. No entry has a cookie
    /// from 0 to 3.
    ///
    /// # Errors
    /// [`Error::NotDirectory`]. If some entries cannot be read, `each` may be called for others
    /// before the error is returned.
    fn entries(
        &mut self,
        directory: Inode,
        cookie: u64,
        each: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Result<()>;

    /// Reads into `bytes` from `offset`. Returns fewer bytes only at the end of the file.
    ///
    /// # Errors
    /// [`Error::IsDirectory`]; [`Error::Invalid`] for symbolic links. After an error `bytes`
    /// contain no data of the file that are not authentic.
    fn read(&mut self, inode: Inode, offset: u64, bytes: &mut [u8]) -> Result<usize>;

    /// Returns the offset, from `offset` on, of the next bytes of a file that may not be zero.
    /// `None` if the rest of the file reads as zero.
    ///
    /// # Errors
    /// Those of [`read`](Self::read).
    fn next_data(&mut self, inode: Inode, offset: u64) -> Result<Option<u64>> {
        let Attributes { size, .. } = self.attributes(inode)?;
        Ok((offset < size).then_some(offset))
    }

    /// Writes all of `bytes` at `offset`. Bytes between the end and `offset` then read as zero.
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::FileTooBig`]; those of [`read`](Self::read). After an error of
    /// the storage, a part may have been written.
    fn write(&mut self, inode: Inode, offset: u64, bytes: &[u8]) -> Result<usize>;

    /// Makes a file shorter or longer. Added bytes read as zero.
    ///
    /// # Errors
    /// [`Error::FileTooBig`]; [`Error::IsDirectory`].
    fn set_size(&mut self, inode: Inode, size: u64) -> Result<()>;

    /// Ensures that writes to these bytes will not fail for lack of space, and that the file is at
    /// least long enough to have them (`posix_fallocate`).
    ///
    /// # Errors
    /// [`Error::NoSpace`], [`Error::FileTooBig`].
    fn allocate(&mut self, inode: Inode, offset: u64, length: u64) -> Result<()>;

    /// Returns when the data of an inode are durable, and its attributes too if `change` says so. A
    /// name is durable once its directory is synced.
    ///
    /// # Errors
    /// The storage did not confirm it. The data are then not durable.
    fn sync(&mut self, inode: Inode, change: Change) -> Result<()>;

    /// Returns when everything is durable.
    ///
    /// # Errors
    /// As [`FileSystem::sync`].
    fn sync_all(&mut self) -> Result<()>;

    /// Hands changes over, so that they survive the end of this process, though not of the machine.
    /// Call it before others can learn of the changes. If it fails, the next [`sync`](Self::sync)
    /// fails too.
    fn hand_over(&mut self) {}

    /// Whether others see a change as soon as it is made. A program's changes in other file systems
    /// are handed over before.
    fn is_shared(&self) -> bool {
        false
    }

    /// Returns how full the file system is.
    ///
    /// # Errors
    /// Errors of the storage, such as [`Error::Io`].
    fn usage(&mut self) -> Result<Usage>;
}

/// Checks that a name is one that [`FileSystem`] accepts.
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
