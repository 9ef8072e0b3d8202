//! Reading, writing and positions of descriptors.

use super::descriptor::{Descriptor, HeldInode, Kind};
use crate::Wasi;
use crate::transfer::{Buffers, MAX_FILE_BYTES, MAX_STREAM_BYTES, MAX_WRITTEN_BYTES};
use crate::types::Result;
use crate::types::{
    Advice, CiovecArray, Errno, Fd, Fdflags, Filedelta, Filesize, IovecArray, Rights, Size, Whence,
};
use twine_vfs::Change;
use wiggle::GuestMemory;

/// Limit on offsets in a file: offsets of programs are signed.
pub(super) const MAX_OFFSET: u64 = i64::MAX as u64;

/// Checks offset and length of a range of a file.
fn check_range(offset: Filesize, length: Filesize) -> Result<(), Errno> {
    if offset > MAX_OFFSET || length > MAX_OFFSET { Err(Errno::Inval) } else { Ok(()) }
}

/// The offset at which a call reads or writes.
#[derive(Clone, Copy)]
pub(crate) enum At {
    /// The descriptor's position, which the call advances.
    Position,
    /// This offset; the position does not change.
    Offset(Filesize),
}

impl Wasi {
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
        let held = descriptor.file(Rights::FD_ALLOCATE, Errno::Spipe)?.clone();
        descriptor.check(Rights::FD_WRITE)?;
        check_range(offset, length)?;
        if length == 0 {
            return Err(Errno::Inval.into());
        }
        if offset + length > MAX_OFFSET {
            return Err(Errno::Fbig.into());
        }
        self.will_change(held.mount);
        let (files, inode) = self.at(&held)?;
        Ok(files.allocate(inode, offset, length)?)
    }

    pub(crate) fn file_sync(&mut self, fd: Fd, right: Rights, change: Change) -> Result<()> {
        let held = self.descriptors.get(fd)?.inode(right, Errno::Inval)?.clone();
        let (files, inode) = self.at(&held)?;
        Ok(files.sync(inode, change)?)
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
                let targets = Buffers::targets(memory, vectors, MAX_STREAM_BYTES)?;
                self.read_stream(memory, number, nonblocking, &targets)
            }
            &Kind::Connection(socket) => {
                let targets = Buffers::targets(memory, vectors, MAX_STREAM_BYTES)?;
                self.receive(memory, socket, &targets, false, !nonblocking)
            }
            Kind::File { held, position } => {
                let (held, position) = (held.clone(), *position);
                let targets = Buffers::targets(memory, vectors, MAX_FILE_BYTES)?;
                self.read_file(memory, fd, &held, position, &targets, at)
            }
            Kind::Listener(_) => Err(Errno::Notconn.into()),
            Kind::Directory { .. } => Err(Errno::Isdir.into()),
        }
    }

    fn read_file(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        held: &HeldInode,
        position: u64,
        targets: &Buffers,
        at: At,
    ) -> Result<Size> {
        let offset = match at {
            At::Position => position,
            At::Offset(offset) => offset,
        };
        check_range(offset, 0)?;
        let (files, inode) = self.at(held)?;
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
                let sources = Buffers::sources(memory, vectors, MAX_WRITTEN_BYTES)?;
                self.write_stream(memory, number, nonblocking, &sources)
            }
            &Kind::Connection(socket) => {
                let sources = Buffers::sources(memory, vectors, MAX_WRITTEN_BYTES)?;
                self.send(memory, socket, &sources, !nonblocking)
            }
            Kind::File { .. } => {
                let file = descriptor.clone();
                let sources = Buffers::sources(memory, vectors, MAX_FILE_BYTES)?;
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
        let Kind::File { held, position } = &file.kind else { return Err(Errno::Badf.into()) };
        self.will_change(held.mount);
        let (files, inode) = self.at(held)?;
        // As on Linux, a descriptor with `APPEND` ignores the offset.
        let offset = match at {
            _ if file.flags.contains(Fdflags::APPEND) => files.attributes(inode)?.size,
            At::Position => *position,
            At::Offset(offset) => offset,
        };
        check_range(offset, 0)?;
        if sources.total == 0 {
            return Ok(0);
        }
        if u64::from(sources.total) > MAX_OFFSET.saturating_sub(offset) {
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
        // A seek that only asks for the position needs the right to tell.
        let right = match (offset, whence) {
            (0, Whence::Cur) => Rights::FD_TELL,
            _ => Rights::FD_SEEK,
        };
        let descriptor = self.descriptors.get(fd)?;
        if descriptor.is_device(right) {
            return Ok(0);
        }
        let held = descriptor.file(right, Errno::Spipe)?.clone();
        let base = match whence {
            Whence::Set => 0,
            Whence::Cur => self.tell(fd)?,
            Whence::End => {
                let (files, inode) = self.at(&held)?;
                files.attributes(inode)?.size
            }
        };
        let position = base.checked_add_signed(offset).filter(|&to| to <= MAX_OFFSET);
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
