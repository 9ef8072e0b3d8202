//! The standard streams.

use crate::Wasi;
use crate::preview1::Result;
use crate::preview1::types::{CiovecArray, Errno, Fd, Fdflags, Filetype, IovecArray, Rights, Size};
use twine_protocol::wire::{PollRecord, StreamKind, poll};
use wiggle::GuestMemory;

/// Most bytes of one read or write; a program gets a short count beyond.
const MOST_BYTES: usize = twine_protocol::wire::TRANSFER_BUFFER_SIZE as usize;

/// A standard stream of the host.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    /// The host's number: 0, 1 or 2.
    pub number: u64,
    /// What the program may do with it.
    pub rights: Rights,
    /// Of `fd_fdstat_set_flags`, the only flag that means something here: don't wait.
    pub nonblocking: bool,
}

impl Stream {
    pub(crate) fn flags(&self) -> Fdflags {
        if self.nonblocking { Fdflags::NONBLOCK } else { Fdflags::empty() }
    }
}

impl Wasi {
    /// A stream that may be used so, or why not.
    pub(crate) fn stream_for(&mut self, fd: Fd, right: Rights) -> Result<&mut Stream> {
        let stream = self.descriptors.stream(fd.into())?;
        if stream.rights.contains(right) { Ok(stream) } else { Err(Errno::Badf.into()) }
    }

    pub(crate) fn file_type(&mut self, number: u64) -> Result<Filetype, Errno> {
        Ok(match self.system.kind(number)? {
            StreamKind::Terminal | StreamKind::Device => Filetype::CharacterDevice,
            StreamKind::File => Filetype::RegularFile,
            StreamKind::Pipe => Filetype::Unknown,
        })
    }

    /// With `NONBLOCK` set, says `AGAIN` where a call would have to wait.
    pub(crate) fn ready_or_again(&mut self, stream: u64, events: u64) -> Result<()> {
        let mut records = [PollRecord { stream, events, bytes: 0 }];
        self.system.poll(&mut records, 0)?;
        if records[0].events == 0 { Err(Errno::Again.into()) } else { Ok(()) }
    }

    pub(crate) fn read_stream(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        iovs: IovecArray,
    ) -> Result<Size> {
        let stream = self.stream_for(fd, Rights::FD_READ)?.clone();
        let mut targets = Vec::new();
        let mut room = 0usize;
        for iov in iovs.iter() {
            let iov = memory.read(iov?)?;
            let length = (iov.buf_len as usize).min(MOST_BYTES - room);
            if length > 0 {
                let target = iov.buf.as_array(length as u32);
                // A buffer out of bounds traps before a byte is taken from the stream.
                memory.as_cow(target)?;
                targets.push(target);
                room += length;
            }
            if room == MOST_BYTES {
                break;
            }
        }
        if room == 0 {
            return Ok(0);
        }
        if stream.nonblocking {
            self.ready_or_again(stream.number, poll::READ)?;
        }
        let mut bytes = vec![0; room];
        let read = self.system.read(stream.number, &mut bytes)?;
        let mut rest = &bytes[..read];
        for target in targets {
            let length = rest.len().min(target.len() as usize);
            let (part, after) = rest.split_at(length);
            memory.copy_from_slice(part, target.as_ptr().as_array(length as u32))?;
            rest = after;
        }
        Ok(read as Size)
    }

    pub(crate) fn write_stream(
        &mut self,
        memory: &mut GuestMemory<'_>,
        fd: Fd,
        ciovs: CiovecArray,
    ) -> Result<Size> {
        let stream = self.stream_for(fd, Rights::FD_WRITE)?.clone();
        // All pieces leave in one host call: a line of `printf` is one exit.
        let mut bytes = Vec::new();
        for ciov in ciovs.iter() {
            let ciov = memory.read(ciov?)?;
            let length = (ciov.buf_len as usize).min(MOST_BYTES - bytes.len());
            bytes.extend_from_slice(&memory.as_cow(ciov.buf.as_array(length as u32))?);
            if bytes.len() == MOST_BYTES {
                break;
            }
        }
        if bytes.is_empty() {
            return Ok(0);
        }
        if stream.nonblocking {
            self.ready_or_again(stream.number, poll::WRITE)?;
        }
        Ok(self.system.write(stream.number, &bytes)? as Size)
    }
}
