//! Resolves paths, for all file systems, within the sandbox.
//!
//! A path starts at a directory that the program has open. It may not lead out of that directory:
//! not by `..`, not as an absolute path, and not by a symbolic link with such a target. The errno
//! is then `PERM`, as in wasmtime.
//!
//! File systems only see single names. The directories of the path stay held on a stack, and `..`
//! pops one. So a path cannot leave the files that the program could reach already, whatever
//! happens to the tree meanwhile.

use crate::types::Errno;
use std::borrow::Cow;
use twine_vfs::{Error as FileError, FileKind, FileSystem, Inode, MAX_NAME_BYTES};

/// Limit on the size of a path, in bytes (POSIX `PATH_MAX`, without its NUL).
pub(crate) const MAX_PATH_BYTES: usize = 4095;
/// Limit on the symbolic links in a path, as on Linux.
const MAX_LINKS: u32 = 40;

/// How to resolve the last name of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastName {
    /// Do not look it up; it may be free.
    Name,
    /// Look it up.
    Find,
    /// Look it up, and follow it if it is a symbolic link.
    Follow,
}

/// The end of a path. The [`Walk`] holds its inodes.
#[derive(Debug)]
pub(crate) enum PathEnd {
    /// A directory, because the path ends in `.` or `..`.
    Directory(Inode),
    /// A name.
    Name {
        /// The directory that the name is in.
        directory: Inode,
        name: String,
        /// Whether slashes follow the name, so that it should be a directory.
        slash: bool,
        /// The inode with this name. `None` if the name is free or was not looked up.
        found: Option<(Inode, FileKind)>,
    },
}

impl PathEnd {
    /// Returns the inode at the end of the path.
    pub(crate) fn existing(&self) -> Result<(Inode, FileKind), Errno> {
        match self {
            PathEnd::Directory(inode) => Ok((*inode, FileKind::Directory)),
            PathEnd::Name { found, .. } => found.ok_or(Errno::Noent),
        }
    }
}

/// The inodes that a call holds, released when it ends in any way.
pub(crate) struct Walk<'a> {
    files: &'a mut dyn FileSystem,
    held: Vec<Inode>,
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        while !self.held.is_empty() {
            self.release_last();
        }
    }
}

/// Returns the next component of `text`, and the offset of the one after it.
#[expect(clippy::string_slice, reason = "`at` is 0, or follows a slash")]
fn component(text: &str, at: usize) -> (&str, usize) {
    let rest = &text[at..];
    let (name, after) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let slashes = after.len() - after.trim_start_matches('/').len();
    (name, at + name.len() + slashes)
}

/// Checks the rules that do not depend on the tree.
pub(crate) fn check(path: &str) -> Result<(), Errno> {
    if path.is_empty() {
        Err(Errno::Noent)
    } else if path.len() > MAX_PATH_BYTES {
        Err(Errno::Nametoolong)
    } else if path.contains('\0') {
        Err(Errno::Inval)
    } else if path.starts_with('/') {
        Err(Errno::Perm)
    } else {
        Ok(())
    }
}

impl<'a> Walk<'a> {
    pub(crate) fn new(files: &'a mut dyn FileSystem) -> Self {
        Walk { files, held: Vec::new() }
    }

    /// Returns the file system.
    pub(crate) fn files(&mut self) -> &mut dyn FileSystem {
        self.files
    }

    fn release_last(&mut self) {
        if let Some(inode) = self.held.pop() {
            self.files.release(inode);
        }
    }

    /// Holds `inode`, which the file system just returned, until the walk ends.
    pub(crate) fn hold(&mut self, inode: Inode) -> Inode {
        self.held.push(inode);
        inode
    }

    /// Passes one hold on `inode` to the caller. Returns whether the walk has one.
    pub(crate) fn keep(&mut self, inode: Inode) -> bool {
        let at = self.held.iter().rposition(|&held| held == inode);
        at.map(|at| self.held.remove(at)).is_some()
    }

    /// Looks a name up. Returns `None` if it is free.
    pub(crate) fn find(
        &mut self,
        directory: Inode,
        name: &str,
    ) -> Result<Option<(Inode, FileKind)>, Errno> {
        let inode = match self.files.lookup(directory, name) {
            Ok(inode) => self.hold(inode),
            Err(FileError::NotFound) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        Ok(Some((inode, self.files.attributes(inode)?.kind)))
    }

    /// Follows `path` from the directory `start`.
    #[expect(
        clippy::indexing_slicing,
        clippy::string_slice,
        reason = "no inode before `base` is released here, and `name_end` is the end of a name"
    )]
    pub(crate) fn to(
        &mut self,
        start: Inode,
        path: &str,
        last: LastName,
    ) -> Result<PathEnd, Errno> {
        check(path)?;
        let base = self.held.len();
        let mut text = Cow::Borrowed(path);
        let mut at = 0;
        let mut links = 0;
        loop {
            let directory = self.held[base..].last().copied().unwrap_or(start);
            let (name, next) = component(&text, at);
            let is_last = next == text.len();
            let name_end = at + name.len();
            let slash = name_end < text.len();
            if name == "." || name == ".." {
                if name == ".." {
                    if self.held.len() == base {
                        return Err(Errno::Perm);
                    }
                    self.release_last();
                }
                if is_last {
                    let directory = self.held[base..].last().copied().unwrap_or(start);
                    return Ok(PathEnd::Directory(directory));
                }
                at = next;
                continue;
            }
            if name.len() > MAX_NAME_BYTES {
                return Err(Errno::Nametoolong);
            }
            let end = |found| PathEnd::Name { directory, name: name.to_string(), slash, found };
            if is_last && last == LastName::Name {
                return Ok(end(None));
            }
            match self.find(directory, name)? {
                None if is_last => return Ok(end(None)),
                None => return Err(Errno::Noent),
                Some((inode, FileKind::SymbolicLink))
                    if !is_last || slash || last == LastName::Follow =>
                {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::Loop);
                    }
                    let target = self.files.read_link(inode)?;
                    self.release_last();
                    check(&target)?;
                    text = Cow::Owned(target + &text[name_end..]);
                    at = 0;
                }
                Some((_, FileKind::Directory)) if !is_last => at = next,
                Some((_, kind)) if !is_last || (slash && kind != FileKind::Directory) => {
                    return Err(Errno::Notdir);
                }
                found => return Ok(end(found)),
            }
        }
    }
}
