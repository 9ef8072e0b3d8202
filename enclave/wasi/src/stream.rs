//! The standard streams, and the parts that they share with connections.

use crate::Wasi;
use crate::system::{Interest, PollRequest, Readiness, StreamKind};
use crate::transfer::{Buffers, counted};
use crate::types::Result;
use crate::types::{Errno, Filetype, Size};
use wiggle::GuestMemory;

impl Wasi {
    pub(crate) fn stream_type(&mut self, number: u64) -> Result<Filetype, Errno> {
        Ok(match self.system.kind(number)? {
            StreamKind::Terminal | StreamKind::Device => Filetype::CharacterDevice,
            StreamKind::File => Filetype::RegularFile,
            StreamKind::Pipe => Filetype::Unknown,
        })
    }

    /// Whether a stream is ready now.
    pub(crate) fn is_ready(&mut self, stream: u64, interest: Interest) -> Result<bool, Errno> {
        let readiness = self.system.poll(&[PollRequest { stream, interest }], Some(0))?;
        Ok(!matches!(readiness[..], [] | [Readiness::Pending, ..]))
    }

    /// Returns `AGAIN` if a call with `NONBLOCK` would have to wait.
    fn ready_or_again(&mut self, stream: u64, interest: Interest) -> Result<()> {
        if self.is_ready(stream, interest)? { Ok(()) } else { Err(Errno::Again.into()) }
    }

    /// Reads at most `length` bytes, which is not 0, from a stream: none only at its end.
    pub(crate) fn read_once(&mut self, stream: u64, length: usize) -> Result<Vec<u8>, Errno> {
        // Skip this while input arrives faster than the program reads it.
        if self.drained {
            self.hand_over();
        }
        let mut bytes = vec![0; length];
        let read = counted(self.system.read(stream, &mut bytes)?, length)?;
        self.drained = read < length;
        bytes.truncate(read);
        Ok(bytes)
    }

    pub(crate) fn read_stream(
        &mut self,
        memory: &mut GuestMemory<'_>,
        stream: u64,
        nonblocking: bool,
        targets: &Buffers,
    ) -> Result<Size> {
        if targets.total == 0 {
            return Ok(0);
        }
        if nonblocking {
            self.ready_or_again(stream, Interest::Read)?;
        }
        let bytes = self.read_once(stream, targets.total as usize)?;
        targets.scatter(memory, &bytes)
    }

    pub(crate) fn write_stream(
        &mut self,
        memory: &GuestMemory<'_>,
        stream: u64,
        nonblocking: bool,
        sources: &Buffers,
    ) -> Result<Size> {
        if sources.total == 0 {
            return Ok(0);
        }
        if nonblocking {
            self.ready_or_again(stream, Interest::Write)?;
        }
        self.hand_over();
        // All buffers leave in one host call, so a line of `printf` is one exit.
        sources.hand_on(memory, !nonblocking, |bytes| Ok(self.system.write(stream, bytes)?))
    }
}
