//! Where a path leads: for all file systems, and within the sandbox.
//!
//! A path starts at a directory that the program has open, and may not lead out of it:
//! neither by `..`, nor as an absolute path, nor by a symbolic link that holds either.
//! The errno is `PERM` then, as wasmtime has it.
//!
//! File systems only ever see single names. The directories on the way stay held on a
//! stack, and `..` goes back on it: whatever happens to the tree meanwhile, a path can't
//! leave what the program could reach already.

use crate::types::Errno;
use std::borrow::Cow;
use twine_vfs::{Error as FileError, FileKind, FileSystem, Inode, MAX_NAME_BYTES};

/// Most bytes of a path (POSIX `PATH_MAX`, without its NUL).
pub(crate) const MAX_PATH_BYTES: usize = 4095;
/// Most symbolic links on the way, as on Linux.
const MAX_LINKS: u32 = 40;

/// What is done about the last name of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LastName {
    /// Nothing: it may be free.
    Name,
    /// It is looked up.
    Find,
    /// It is looked up, and followed if it is a symbolic link.
    Follow,
}

/// Where a path ends. Its inodes are held as long as the [`Walk`] is there.
#[derive(Debug)]
pub(crate) enum PathEnd {
    /// At a directory by way of `.` or `..`.
    Directory(Inode),
    /// At a name.
    Name {
        /// The directory that the name is in.
        directory: Inode,
        name: String,
        /// Slashes follow the name: it should be a directory's.
        slash: bool,
        /// What has the name, unless nothing does or only the name was wanted.
        found: Option<(Inode, FileKind)>,
    },
}

impl PathEnd {
    /// What is there.
    pub(crate) fn existing(&self) -> Result<(Inode, FileKind), Errno> {
        match self {
            PathEnd::Directory(inode) => Ok((*inode, FileKind::Directory)),
            PathEnd::Name { found, .. } => found.ok_or(Errno::Noent),
        }
    }
}

/// The inodes that one call holds, given back when it ends in any way.
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

/// The next component of `text`: its bytes, and where the one after it starts.
#[expect(clippy::string_slice, reason = "`at` is 0, or follows a slash: this function gave it")]
fn component(text: &str, at: usize) -> (&str, usize) {
    let rest = &text[at..];
    let (name, after) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let slashes = after.len() - after.trim_start_matches('/').len();
    (name, at + name.len() + slashes)
}

/// Checks what needs no look at the tree.
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

    /// The file system.
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

    /// Leaves one hold on `inode` to the caller; whether there is one.
    pub(crate) fn keep(&mut self, inode: Inode) -> bool {
        let at = self.held.iter().rposition(|&held| held == inode);
        at.map(|at| self.held.remove(at)).is_some()
    }

    /// Looks a name up; nothing if it is free.
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
        reason = "no inode before `base` is released here, and `name_end` is where a name ended"
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
