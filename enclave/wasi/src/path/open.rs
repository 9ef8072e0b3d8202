//! `path_open`.

use super::walk::{LastName, PathEnd, Walk};
use crate::Wasi;
use crate::fd::descriptor::{Descriptor, HeldInode, Kind};
use crate::fd::rights;
use crate::types::Result;
use crate::types::{Errno, Fd, Fdflags, Lookupflags, Oflags, Rights};
use twine_vfs::{FileKind, Inode};

/// The arguments of `path_open`.
pub(crate) struct Opening {
    pub lookup: Lookupflags,
    pub flags: Oflags,
    pub rights: Rights,
    pub descriptor_flags: Fdflags,
}

impl Opening {
    fn creates(&self) -> bool {
        self.flags.contains(Oflags::CREAT)
    }

    /// Whether it must make a new file.
    fn exclusive(&self) -> bool {
        self.flags.contains(Oflags::CREAT | Oflags::EXCL)
    }

    fn truncates(&self) -> bool {
        self.flags.contains(Oflags::TRUNC)
    }

    fn writes(&self) -> bool {
        self.rights.contains(Rights::FD_WRITE)
    }

    /// Whether it can read. As in wasmtime, a program that asks for neither reading nor writing
    /// can.
    fn reads(&self) -> bool {
        self.rights.contains(Rights::FD_READ) || !self.writes()
    }

    fn last(&self) -> LastName {
        // An exclusive creation fails at a symbolic link, wherever it leads.
        match self.lookup.contains(Lookupflags::SYMLINK_FOLLOW) && !self.exclusive() {
            true => LastName::Follow,
            false => LastName::Find,
        }
    }

    /// Checks the flags, and the rights of the directory.
    fn check(&self, directory: &Descriptor) -> Result<(), Errno> {
        let only_files = Oflags::CREAT | Oflags::EXCL | Oflags::TRUNC;
        if self.flags.contains(Oflags::DIRECTORY) && self.flags.intersects(only_files) {
            return Err(Errno::Inval);
        }
        let asked = self.rights & (Rights::FD_READ | Rights::FD_WRITE);
        if !directory.inheriting.contains(asked) {
            return Err(Errno::Notcapable);
        }
        if self.creates() {
            directory.check(Rights::PATH_CREATE_FILE)?;
        }
        if self.truncates() {
            directory.check(Rights::PATH_FILESTAT_SET_SIZE)?;
        }
        Ok(())
    }

    /// Opens the end of a path, and makes it if requested. The walk holds the inode.
    fn open(&self, walk: &mut Walk<'_>, end: &PathEnd) -> Result<(Inode, FileKind), Errno> {
        let found = match end {
            PathEnd::Directory(inode) => Some((*inode, FileKind::Directory)),
            PathEnd::Name { found, .. } => *found,
        };
        match (found, end) {
            (Some(_), _) if self.exclusive() => Err(Errno::Exist),
            (Some((inode, kind)), _) => self.open_existing(walk, inode, kind),
            (None, PathEnd::Name { directory, name, slash, .. }) if self.creates() => {
                if *slash {
                    return Err(Errno::Isdir);
                }
                let inode = walk.files().create_file(*directory, name)?;
                Ok((walk.hold(inode), FileKind::File))
            }
            (None, _) => Err(Errno::Noent),
        }
    }

    fn open_existing(
        &self,
        walk: &mut Walk<'_>,
        inode: Inode,
        kind: FileKind,
    ) -> Result<(Inode, FileKind), Errno> {
        let changes = self.writes() || self.truncates();
        let only_directory = self.flags.contains(Oflags::DIRECTORY);
        match kind {
            FileKind::Directory if changes || self.creates() => Err(Errno::Isdir),
            FileKind::Directory => Ok((inode, kind)),
            FileKind::File | FileKind::SymbolicLink if only_directory => Err(Errno::Notdir),
            FileKind::SymbolicLink => Err(Errno::Loop),
            FileKind::File if changes && walk.files().read_only() => Err(Errno::Rofs),
            FileKind::File => {
                if self.truncates() {
                    walk.files().set_size(inode, 0)?;
                }
                Ok((inode, kind))
            }
        }
    }

    /// Makes the descriptor for an inode that was opened through `directory`.
    fn descriptor(&self, held: HeldInode, kind: FileKind, directory: &Descriptor) -> Descriptor {
        let inheriting = directory.inheriting;
        if kind == FileKind::Directory {
            let kind = Kind::Directory { held, preopened: false };
            let base = rights::directory() & inheriting;
            return Descriptor { kind, flags: Fdflags::empty(), base, inheriting };
        }
        let mut base = rights::file() & inheriting;
        if !self.reads() {
            base &= !Rights::FD_READ;
        }
        if !self.writes() {
            base &= !Rights::FD_WRITE;
        }
        Descriptor::new(Kind::File { held, position: 0 }, self.descriptor_flags, base)
    }
}

impl Wasi {
    pub(crate) fn open(&mut self, fd: Fd, path: &str, opening: &Opening) -> Result<Fd> {
        let directory = self.descriptors.get(fd)?.clone();
        let start = directory.directory(Rights::PATH_OPEN)?;
        opening.check(&directory)?;
        // Check this first, so that no file is made or truncated without being opened.
        self.descriptors.check_room()?;
        if opening.creates() || opening.truncates() {
            self.will_change(start.mount);
        }
        let mut walk = Walk::new(self.files(start.mount)?);
        let end = walk.to(start.inode, path, opening.last())?;
        let (inode, kind) = opening.open(&mut walk, &end)?;
        // If the walk does not hold the inode, it is the directory that the path started from.
        let held = match walk.keep(inode) {
            true => HeldInode::new(start.mount, inode),
            false => start.clone(),
        };
        drop(walk);
        Ok(self.descriptors.insert(opening.descriptor(held, kind, &directory))?)
    }
}
