//! Attributes and flags of descriptors.

use super::descriptor::{Descriptor, Kind};
use super::io::MAX_OFFSET;
use crate::Wasi;
use crate::types::Result;
use crate::types::{
    Errno, Fd, Fdflags, Fdstat, Filesize, Filestat, Filetype, Fstflags, Rights, Timestamp,
};
use twine_vfs::{Attributes, FileKind, Inode, Stamp};

pub(crate) fn file_type(kind: FileKind) -> Filetype {
    match kind {
        FileKind::File => Filetype::RegularFile,
        FileKind::Directory => Filetype::Directory,
        FileKind::SymbolicLink => Filetype::SymbolicLink,
    }
}

/// Converts the times that a program asks to set: last access and last change.
pub(crate) fn stamps(
    accessed: Timestamp,
    modified: Timestamp,
    flags: Fstflags,
) -> Result<(Stamp, Stamp), Errno> {
    let stamp = |set, now, time| match (flags.contains(set), flags.contains(now)) {
        (true, true) => Err(Errno::Inval),
        (true, false) => Ok(Stamp::At(time)),
        (false, true) => Ok(Stamp::Now),
        (false, false) => Ok(Stamp::Keep),
    };
    Ok((
        stamp(Fstflags::ATIM, Fstflags::ATIM_NOW, accessed)?,
        stamp(Fstflags::MTIM, Fstflags::MTIM_NOW, modified)?,
    ))
}

/// Converts the attributes of an inode for a program.
pub(crate) fn filestat(mount: usize, inode: Inode, attributes: &Attributes) -> Filestat {
    Filestat {
        dev: mount as u64 + 1,
        ino: inode.0,
        filetype: file_type(attributes.kind),
        nlink: attributes.links,
        size: attributes.size,
        atim: attributes.accessed,
        mtim: attributes.modified,
        ctim: attributes.changed,
    }
}

impl Wasi {
    /// Returns the file type of a descriptor.
    fn descriptor_type(&mut self, descriptor: &Descriptor) -> Result<Filetype, Errno> {
        match descriptor.kind {
            Kind::Stream(number) => self.stream_type(number),
            Kind::File { .. } => Ok(Filetype::RegularFile),
            Kind::Directory { .. } => Ok(Filetype::Directory),
            Kind::Listener(_) | Kind::Connection(_) => Ok(Filetype::SocketStream),
        }
    }

    pub(crate) fn fdstat(&mut self, fd: Fd) -> Result<Fdstat> {
        let descriptor = self.descriptors.get(fd)?.clone();
        Ok(Fdstat {
            fs_filetype: self.descriptor_type(&descriptor)?,
            fs_flags: descriptor.flags,
            fs_rights_base: descriptor.base,
            fs_rights_inheriting: descriptor.inheriting,
        })
    }

    pub(crate) fn set_flags(&mut self, fd: Fd, flags: Fdflags) -> Result<()> {
        let descriptor = self.descriptors.get_mut(fd)?;
        let durable = Fdflags::DSYNC | Fdflags::SYNC | Fdflags::RSYNC;
        match descriptor.kind {
            // A directory has no flags.
            Kind::Directory { .. } => return Err(Errno::Badf.into()),
            Kind::File { .. } => {
                descriptor.check(Rights::FD_FDSTAT_SET_FLAGS)?;
                descriptor.flags = flags;
            }
            Kind::Stream(_) | Kind::Listener(_) | Kind::Connection(_) => {
                descriptor.check(Rights::FD_FDSTAT_SET_FLAGS)?;
                if flags.intersects(durable) {
                    return Err(Errno::Inval.into());
                }
                // The other flags do not apply.
                descriptor.flags = flags & Fdflags::NONBLOCK;
            }
        }
        Ok(())
    }

    pub(crate) fn narrow_rights(&mut self, fd: Fd, base: Rights, inheriting: Rights) -> Result<()> {
        let descriptor = self.descriptors.get_mut(fd)?;
        if !descriptor.base.contains(base) || !descriptor.inheriting.contains(inheriting) {
            return Err(Errno::Notcapable.into());
        }
        descriptor.base = base;
        descriptor.inheriting = inheriting;
        Ok(())
    }

    pub(crate) fn descriptor_filestat(&mut self, fd: Fd) -> Result<Filestat> {
        let descriptor = self.descriptors.get(fd)?.clone();
        descriptor.check(Rights::FD_FILESTAT_GET)?;
        if let Kind::File { held, .. } | Kind::Directory { held, .. } = &descriptor.kind {
            let (files, inode) = self.at(held)?;
            return Ok(filestat(held.mount, inode, &files.attributes(inode)?));
        }
        Ok(Filestat {
            dev: 0,
            ino: 0,
            filetype: self.descriptor_type(&descriptor)?,
            nlink: 1,
            size: 0,
            atim: 0,
            mtim: 0,
            ctim: 0,
        })
    }

    pub(crate) fn set_size(&mut self, fd: Fd, size: Filesize) -> Result<()> {
        let descriptor = self.descriptors.get(fd)?;
        let held = descriptor.file(Rights::FD_FILESTAT_SET_SIZE, Errno::Inval)?.clone();
        // The errno of POSIX for a file that is not open for writing is `EINVAL` here, not `EBADF`.
        if !descriptor.base.contains(Rights::FD_WRITE) || size > MAX_OFFSET {
            return Err(Errno::Inval.into());
        }
        self.will_change(held.mount);
        let (files, inode) = self.at(&held)?;
        Ok(files.set_size(inode, size)?)
    }

    pub(crate) fn set_times(
        &mut self,
        fd: Fd,
        accessed: Timestamp,
        modified: Timestamp,
        flags: Fstflags,
    ) -> Result<()> {
        let held =
            self.descriptors.get(fd)?.inode(Rights::FD_FILESTAT_SET_TIMES, Errno::Inval)?.clone();
        let (accessed, modified) = stamps(accessed, modified, flags)?;
        self.will_change(held.mount);
        let (files, inode) = self.at(&held)?;
        Ok(files.set_times(inode, accessed, modified)?)
    }
}
