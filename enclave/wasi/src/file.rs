//! The functions on descriptors.

use crate::Wasi;
use crate::descriptor::{Descriptor, Kind, Place};
use crate::transfer::{Buffers, MOST_FILE_BYTES, MOST_STREAM_BYTES, MOST_WRITTEN_BYTES};
use crate::types::Result;
use crate::types::{
    Advice, CiovecArray, Errno, Fd, Fdflags, Fdstat, Filedelta, Filesize, Filestat, Filetype,
    Fstflags, IovecArray, Rights, Size, Timestamp, Whence,
};
use twine_vfs::{Attributes, Change, FileKind, Inode, Stamp};
use wiggle::GuestMemory;

/// Highest offset in a file: offsets are signed for programs.
const MOST_OFFSET: u64 = i64::MAX as u64;

pub(crate) fn file_type(kind: FileKind) -> Filetype {
    match kind {
        FileKind::File => Filetype::RegularFile,
        FileKind::Directory => Filetype::Directory,
        FileKind::SymbolicLink => Filetype::SymbolicLink,
    }
}

/// The times that a program asks to set: last access and last change.
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

/// The attributes of an inode as a program gets them.
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

/// Checks a range of a file's bytes.
fn check_range(offset: Filesize, length: Filesize) -> Result<(), Errno> {
    if offset > MOST_OFFSET || length > MOST_OFFSET { Err(Errno::Inval) } else { Ok(()) }
}

/// Where a call reads or writes.
#[derive(Clone, Copy)]
pub(crate) enum At {
    /// At the descriptor's position, which then goes on.
    Position,
    /// There, and the position stays.
    Offset(Filesize),
}

impl Wasi {
    /// What a descriptor is.
    fn descriptor_type(&mut self, descriptor: &Descriptor) -> Result<Filetype, Errno> {
        match descriptor.kind {
            Kind::Stream(number) => self.stream_type(number),
            Kind::File { .. } => Ok(Filetype::RegularFile),
            Kind::Directory { .. } => Ok(Filetype::Directory),
            Kind::Listener(_) | Kind::Connection(_) => Ok(Filetype::SocketStream),
        }
    }

    pub(crate) fn file_advise(
        &self,
        fd: Fd,
        offset: Filesize,
        length: Filesize,
        _advice: Advice,
    ) -> Result<()> {
        self.descriptors.get(fd)?.file(Rights::FD_ADVISE, Errno::Spipe)?;
        Ok(check_range(offset, length)?)
    }

    pub(crate) fn file_allocate(
        &mut self,
        fd: Fd,
        offset: Filesize,
        length: Filesize,
    ) -> Result<()> {
        let descriptor = self.descriptors.get(fd)?;
        let place = descriptor.file(Rights::FD_ALLOCATE, Errno::Spipe)?.clone();
        descriptor.check(Rights::FD_WRITE)?;
        check_range(offset, length)?;
        if length == 0 {
            return Err(Errno::Inval.into());
        }
        if offset + length > MOST_OFFSET {
            return Err(Errno::Fbig.into());
        }
        self.will_change(place.mount);
        let (files, inode) = self.at(&place)?;
        Ok(files.allocate(inode, offset, length)?)
    }

    pub(crate) fn file_sync(&mut self, fd: Fd, right: Rights, change: Change) -> Result<()> {
        let place = self.descriptors.get(fd)?.place(right, Errno::Inval)?.clone();
        let (files, inode) = self.at(&place)?;
        Ok(files.sync(inode, change)?)
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
                // Nothing else means something here.
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
        if let Kind::File { place, .. } | Kind::Directory { place, .. } = &descriptor.kind {
            let (files, inode) = self.at(place)?;
            return Ok(filestat(place.mount, inode, &files.attributes(inode)?));
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
        let place = descriptor.file(Rights::FD_FILESTAT_SET_SIZE, Errno::Inval)?.clone();
        // POSIX has `EINVAL` for a file that is not open for writing, not `EBADF`.
        if !descriptor.base.contains(Rights::FD_WRITE) || size > MOST_OFFSET {
            return Err(Errno::Inval.into());
        }
        self.will_change(place.mount);
        let (files, inode) = self.at(&place)?;
        Ok(files.set_size(inode, size)?)
    }

    pub(crate) fn set_times(
        &mut self,
        fd: Fd,
        accessed: Timestamp,
        modified: Timestamp,
        flags: Fstflags,
    ) -> Result<()> {
        let place =
            self.descriptors.get(fd)?.place(Rights::FD_FILESTAT_SET_TIMES, Errno::Inval)?.clone();
        let (accessed, modified) = stamps(accessed, modified, flags)?;
        self.will_change(place.mount);
        let (files, inode) = self.at(&place)?;
        Ok(files.set_times(inode, accessed, modified)?)
    }

    pub(crate) fn read(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        vectors: IovecArray,
        at: At,
    ) -> Result<Size> {
        let descriptor = self.descriptors.get(fd)?;
        if let Kind::Directory { .. } = descriptor.kind {
            return Err(Errno::Isdir.into());
        }
        if let At::Offset(_) = at {
            descriptor.file(Rights::FD_SEEK, Errno::Spipe)?;
        }
        descriptor.check(Rights::FD_READ)?;
        let nonblocking = descriptor.nonblocking();
        match &descriptor.kind {
            &Kind::Stream(number) => {
                let targets = Buffers::targets(memory, vectors, MOST_STREAM_BYTES)?;
                self.read_stream(memory, number, nonblocking, &targets)
            }
            &Kind::Connection(socket) => {
                let targets = Buffers::targets(memory, vectors, MOST_STREAM_BYTES)?;
                self.receive(memory, socket, &targets, false, !nonblocking)
            }
            Kind::File { place, position } => {
                let (place, position) = (place.clone(), *position);
                let targets = Buffers::targets(memory, vectors, MOST_FILE_BYTES)?;
                self.read_file(memory, fd, &place, position, &targets, at)
            }
            Kind::Listener(_) => Err(Errno::Notconn.into()),
            Kind::Directory { .. } => Err(Errno::Isdir.into()),
        }
    }

    fn read_file(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        place: &Place,
        position: u64,
        targets: &Buffers,
        at: At,
    ) -> Result<Size> {
        let offset = match at {
            At::Position => position,
            At::Offset(offset) => offset,
        };
        check_range(offset, 0)?;
        let (files, inode) = self.at(place)?;
        let read = targets.read(memory, files, inode, offset)?;
        if let At::Position = at {
            self.set_position(fd, offset + u64::from(read));
        }
        Ok(read)
    }

    pub(crate) fn write(
        &mut self,
        memory: &GuestMemory<'_>,
        fd: Fd,
        vectors: CiovecArray,
        at: At,
    ) -> Result<Size> {
        let descriptor = self.descriptors.get(fd)?;
        if let At::Offset(_) = at {
            descriptor.file(Rights::FD_SEEK, Errno::Spipe)?;
        }
        descriptor.check(Rights::FD_WRITE)?;
        let nonblocking = descriptor.nonblocking();
        match &descriptor.kind {
            &Kind::Stream(number) => {
                let sources = Buffers::sources(memory, vectors, MOST_WRITTEN_BYTES)?;
                self.write_stream(memory, number, nonblocking, &sources)
            }
            &Kind::Connection(socket) => {
                let sources = Buffers::sources(memory, vectors, MOST_WRITTEN_BYTES)?;
                self.send(memory, socket, &sources, !nonblocking)
            }
            Kind::File { .. } => {
                let file = descriptor.clone();
                let sources = Buffers::sources(memory, vectors, MOST_FILE_BYTES)?;
                self.write_file(memory, fd, &file, &sources, at)
            }
            Kind::Listener(_) => Err(Errno::Notconn.into()),
            Kind::Directory { .. } => Err(Errno::Badf.into()),
        }
    }

    fn write_file(
        &mut self,
        memory: &GuestMemory<'_>,
        fd: Fd,
        file: &Descriptor,
        sources: &Buffers,
        at: At,
    ) -> Result<Size> {
        let Kind::File { place, position } = &file.kind else { return Err(Errno::Badf.into()) };
        self.will_change(place.mount);
        let (files, inode) = self.at(place)?;
        // As on Linux, an appending descriptor appends wherever it is told to write.
        let offset = match at {
            _ if file.flags.contains(Fdflags::APPEND) => files.attributes(inode)?.size,
            At::Position => *position,
            At::Offset(offset) => offset,
        };
        check_range(offset, 0)?;
        if sources.total == 0 {
            return Ok(0);
        }
        if u64::from(sources.total) > MOST_OFFSET.saturating_sub(offset) {
            return Err(Errno::Fbig.into());
        }
        let written = sources.write(memory, files, inode, offset)?;
        if file.flags.intersects(Fdflags::SYNC | Fdflags::RSYNC) {
            files.sync(inode, Change::All)?;
        } else if file.flags.contains(Fdflags::DSYNC) {
            files.sync(inode, Change::Data)?;
        }
        if let At::Position = at {
            self.set_position(fd, offset + u64::from(written));
        }
        Ok(written)
    }

    fn set_position(&mut self, fd: Fd, to: u64) {
        if let Ok(Descriptor { kind: Kind::File { position, .. }, .. }) =
            self.descriptors.get_mut(fd)
        {
            *position = to;
        }
    }

    pub(crate) fn seek(&mut self, fd: Fd, offset: Filedelta, whence: Whence) -> Result<Filesize> {
        // Asking for the position is telling it.
        let right = match (offset, whence) {
            (0, Whence::Cur) => Rights::FD_TELL,
            _ => Rights::FD_SEEK,
        };
        let descriptor = self.descriptors.get(fd)?;
        if descriptor.is_device(right) {
            return Ok(0);
        }
        let place = descriptor.file(right, Errno::Spipe)?.clone();
        let base = match whence {
            Whence::Set => 0,
            Whence::Cur => self.tell(fd)?,
            Whence::End => {
                let (files, inode) = self.at(&place)?;
                files.attributes(inode)?.size
            }
        };
        let position = base.checked_add_signed(offset).filter(|&to| to <= MOST_OFFSET);
        let position = position.ok_or(Errno::Inval)?;
        self.set_position(fd, position);
        Ok(position)
    }

    pub(crate) fn tell(&self, fd: Fd) -> Result<Filesize> {
        let descriptor = self.descriptors.get(fd)?;
        if descriptor.is_device(Rights::FD_TELL) {
            return Ok(0);
        }
        descriptor.file(Rights::FD_TELL, Errno::Spipe)?;
        match descriptor.kind {
            Kind::File { position, .. } => Ok(position),
            _ => Err(Errno::Badf.into()),
        }
    }

    pub(crate) fn renumber(&mut self, from: Fd, to: Fd) -> Result<()> {
        if let Some(replaced) = self.descriptors.renumber(from, to)? {
            self.close(replaced);
        }
        Ok(())
    }

    pub(crate) fn close_number(&mut self, fd: Fd) -> Result<()> {
        let descriptor = self.descriptors.remove(fd)?;
        self.close(descriptor);
        Ok(())
    }
}
