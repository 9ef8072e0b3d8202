//! The functions on paths, except `path_open`.

use super::walk::{LastName, MAX_PATH_BYTES, PathEnd, Walk, check};
use crate::Wasi;
use crate::fd::descriptor::HeldInode;
use crate::fd::stat::{filestat, stamps};
use crate::transfer::length_of;
use crate::types::Result;
use crate::types::{Errno, Fd, Filestat, Fstflags, Lookupflags, Rights, Size, Timestamp};
use std::borrow::Cow;
use twine_vfs::{FileKind, Inode};
use wiggle::{GuestMemory, GuestPtr};

/// Reads a path from the program's memory.
pub(crate) fn path<'a>(
    memory: &'a GuestMemory<'_>,
    pointer: GuestPtr<str>,
) -> Result<Cow<'a, str>> {
    if pointer.len() as usize > MAX_PATH_BYTES {
        return Err(Errno::Nametoolong.into());
    }
    Ok(memory.as_cow_str(pointer)?)
}

/// Returns what to do about a symbolic link at the end of a path.
fn last(flags: Lookupflags) -> LastName {
    match flags.contains(Lookupflags::SYMLINK_FOLLOW) {
        true => LastName::Follow,
        false => LastName::Find,
    }
}

/// The end of a path whose last name will change.
struct Named {
    directory: Inode,
    name: String,
    slash: bool,
}

impl Walk<'_> {
    /// Finds a name, which may be free. `dots` is the errno for a path that ends in `.` or `..`.
    fn name_at(&mut self, start: Inode, path: &str, dots: Errno) -> Result<Named, Errno> {
        match self.to(start, path, LastName::Name)? {
            PathEnd::Directory(_) => Err(dots),
            PathEnd::Name { directory, name, slash, .. } => Ok(Named { directory, name, slash }),
        }
    }

    /// Finds a name for a new file or symbolic link.
    fn new_name(&mut self, start: Inode, path: &str) -> Result<Named, Errno> {
        let named = self.name_at(start, path, Errno::Exist)?;
        if named.slash {
            let taken = self.find(named.directory, &named.name)?.is_some();
            return Err(if taken { Errno::Exist } else { Errno::Noent });
        }
        Ok(named)
    }

    fn kind_of(&mut self, named: &Named) -> Result<FileKind, Errno> {
        let found = self.find(named.directory, &named.name)?;
        found.map(|(_, kind)| kind).ok_or(Errno::Noent)
    }
}

impl Wasi {
    /// Returns the directory that a path starts from.
    fn start(&self, fd: Fd, right: Rights) -> Result<HeldInode, Errno> {
        self.descriptors.get(fd)?.directory(right).cloned()
    }

    /// Returns the directories that two paths start from, which must be in the same mount.
    fn starts(
        &self,
        one: (Fd, Rights),
        other: (Fd, Rights),
    ) -> Result<(HeldInode, HeldInode), Errno> {
        let one = self.start(one.0, one.1)?;
        let other = self.start(other.0, other.1)?;
        if one.mount == other.mount { Ok((one, other)) } else { Err(Errno::Xdev) }
    }

    fn walk(&mut self, start: &HeldInode) -> Result<Walk<'_>, Errno> {
        Ok(Walk::new(self.files(start.mount)?))
    }

    /// Starts a walk for an operation that changes something.
    fn walk_to_change(&mut self, start: &HeldInode) -> Result<Walk<'_>, Errno> {
        self.will_change(start.mount);
        self.walk(start)
    }

    pub(crate) fn create_directory(&mut self, fd: Fd, path: &str) -> Result<()> {
        let start = self.start(fd, Rights::PATH_CREATE_DIRECTORY)?;
        let mut walk = self.walk_to_change(&start)?;
        let Named { directory, name, .. } = walk.name_at(start.inode, path, Errno::Exist)?;
        Ok(walk.files().create_directory(directory, &name)?)
    }

    pub(crate) fn path_filestat(
        &mut self,
        fd: Fd,
        flags: Lookupflags,
        path: &str,
    ) -> Result<Filestat> {
        let start = self.start(fd, Rights::PATH_FILESTAT_GET)?;
        let mut walk = self.walk(&start)?;
        let (inode, _) = walk.to(start.inode, path, last(flags))?.existing()?;
        let attributes = walk.files().attributes(inode)?;
        Ok(filestat(start.mount, inode, &attributes))
    }

    pub(crate) fn set_path_times(
        &mut self,
        fd: Fd,
        flags: Lookupflags,
        path: &str,
        times: (Timestamp, Timestamp, Fstflags),
    ) -> Result<()> {
        let start = self.start(fd, Rights::PATH_FILESTAT_SET_TIMES)?;
        let (accessed, modified) = stamps(times.0, times.1, times.2)?;
        let mut walk = self.walk_to_change(&start)?;
        let (inode, _) = walk.to(start.inode, path, last(flags))?.existing()?;
        Ok(walk.files().set_times(inode, accessed, modified)?)
    }

    pub(crate) fn link(
        &mut self,
        (old_fd, flags, old_path): (Fd, Lookupflags, &str),
        (new_fd, new_path): (Fd, &str),
    ) -> Result<()> {
        let (old, new) =
            self.starts((old_fd, Rights::PATH_LINK_SOURCE), (new_fd, Rights::PATH_LINK_TARGET))?;
        let mut walk = self.walk_to_change(&old)?;
        let (inode, _) = walk.to(old.inode, old_path, last(flags))?.existing()?;
        let Named { directory, name, .. } = walk.new_name(new.inode, new_path)?;
        Ok(walk.files().link(inode, directory, &name)?)
    }

    /// Returns the target of a symbolic link.
    pub(crate) fn link_target(&mut self, fd: Fd, path: &str) -> Result<String> {
        let start = self.start(fd, Rights::PATH_READLINK)?;
        let mut walk = self.walk(&start)?;
        match walk.to(start.inode, path, LastName::Find)?.existing()? {
            (inode, FileKind::SymbolicLink) => Ok(walk.files().read_link(inode)?),
            _ => Err(Errno::Inval.into()),
        }
    }

    pub(crate) fn read_link(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        at: GuestPtr<str>,
        buffer: GuestPtr<u8>,
        size: Size,
    ) -> Result<Size> {
        let target = self.link_target(fd, &path(memory, at)?)?;
        let length = length_of(target.as_bytes()).min(size);
        let (bytes, _) = target.as_bytes().split_at(length as usize);
        memory.copy_from_slice(bytes, buffer.as_array(length))?;
        Ok(length)
    }

    pub(crate) fn remove_directory(&mut self, fd: Fd, path: &str) -> Result<()> {
        let start = self.start(fd, Rights::PATH_REMOVE_DIRECTORY)?;
        let mut walk = self.walk_to_change(&start)?;
        let Named { directory, name, .. } = walk.name_at(start.inode, path, Errno::Inval)?;
        Ok(walk.files().remove_directory(directory, &name)?)
    }

    pub(crate) fn rename(
        &mut self,
        (old_fd, old_path): (Fd, &str),
        (new_fd, new_path): (Fd, &str),
    ) -> Result<()> {
        let (old, new) = self
            .starts((old_fd, Rights::PATH_RENAME_SOURCE), (new_fd, Rights::PATH_RENAME_TARGET))?;
        let mut walk = self.walk_to_change(&old)?;
        let from = walk.name_at(old.inode, old_path, Errno::Busy)?;
        let to = walk.name_at(new.inode, new_path, Errno::Busy)?;
        if (from.slash || to.slash) && walk.kind_of(&from)? != FileKind::Directory {
            return Err(Errno::Notdir.into());
        }
        Ok(walk.files().rename(from.directory, &from.name, to.directory, &to.name)?)
    }

    pub(crate) fn symlink(&mut self, target: &str, fd: Fd, path: &str) -> Result<()> {
        let start = self.start(fd, Rights::PATH_SYMLINK)?;
        // Refuse an absolute target: it leads nowhere in the sandbox, but elsewhere it could lead
        // out.
        check(target)?;
        let mut walk = self.walk_to_change(&start)?;
        let Named { directory, name, .. } = walk.new_name(start.inode, path)?;
        Ok(walk.files().create_symbolic_link(directory, &name, target)?)
    }

    pub(crate) fn unlink(&mut self, fd: Fd, path: &str) -> Result<()> {
        let start = self.start(fd, Rights::PATH_UNLINK_FILE)?;
        let mut walk = self.walk_to_change(&start)?;
        let named = walk.name_at(start.inode, path, Errno::Isdir)?;
        if named.slash {
            return Err(match walk.kind_of(&named)? {
                FileKind::Directory => Errno::Isdir,
                FileKind::File | FileKind::SymbolicLink => Errno::Notdir,
            }
            .into());
        }
        Ok(walk.files().unlink(named.directory, &named.name)?)
    }
}
