//! `wasi:io/streams` and `wasi:io/error`: streams of bytes, from and to files and the system.

use super::command::bindings::wasi::io::error;
use super::command::bindings::wasi::io::streams::{
    Host, HostInputStream, HostOutputStream, StreamError,
};
use super::poll::Pollable;
use super::{Failed, Failure};
use crate::Wasi;
use crate::fd::descriptor::HeldInode;
use crate::system::Interest;
use crate::transfer::{MAX_STREAM_BYTES, counted};
use crate::types::Errno;
use wasmtime::component::Resource;
use wasmtime::{ensure, format_err};

/// Limit on the bytes that `blocking-write-and-flush` takes, as the interface says.
const MAX_BLOCKING_WRITE: usize = 4096;

/// A stream that a component reads.
#[derive(Debug)]
pub enum InputStream {
    /// The standard input.
    Standard {
        /// Whether its end was read.
        ended: bool,
    },
    /// A file, from a position on.
    File {
        /// The file.
        held: Held,
        /// The offset of the next byte.
        position: u64,
    },
}

impl InputStream {
    /// The inode that it holds.
    pub(super) fn held(&self) -> Option<&HeldInode> {
        match self {
            InputStream::Standard { .. } => None,
            InputStream::File { held: Held(held), .. } => Some(held),
        }
    }

    /// The standard input.
    pub(super) fn standard() -> Self {
        InputStream::Standard { ended: false }
    }
}

/// A stream that a component writes.
#[derive(Debug)]
pub enum OutputStream {
    /// The standard output (1) or the standard error (2).
    Standard(u64),
    /// A file, from a position on.
    File {
        /// The file.
        held: Held,
        /// The offset of the next byte.
        position: u64,
    },
    /// The end of a file.
    Append(Held),
}

impl OutputStream {
    /// The inode that it holds.
    pub(super) fn held(&self) -> Option<&HeldInode> {
        match self {
            OutputStream::Standard(_) => None,
            OutputStream::File { held: Held(held), .. } | OutputStream::Append(Held(held)) => {
                Some(held)
            }
        }
    }
}

/// A file that a stream holds.
#[derive(Debug, Clone)]
pub struct Held(pub(super) HeldInode);

/// What a read found.
enum Read {
    Bytes(Vec<u8>),
    /// Nothing yet.
    Later,
    End,
}

/// The number of bytes that one call moves.
pub(super) fn piece(length: u64) -> usize {
    u32::try_from(length).unwrap_or(u32::MAX).min(MAX_STREAM_BYTES) as usize
}

/// The `closed` of a stream has no errno of its own.
const CLOSED: Errno = Errno::Pipe;

impl Wasi {
    /// Reads at most `length` bytes from a stream. Without `wait`, only those that are there.
    fn read_input(
        &mut self,
        stream: &Resource<InputStream>,
        length: u64,
        wait: bool,
    ) -> Result<Read, Failed> {
        let length = piece(length);
        match self.resources.get(stream)? {
            InputStream::Standard { ended: true } => Ok(Read::End),
            InputStream::Standard { ended: false } if length == 0 => Ok(Read::Later),
            InputStream::Standard { ended: false } => {
                let read = self.read_standard(length, wait)?;
                if let (Read::End, InputStream::Standard { ended }) =
                    (&read, self.resources.get_mut(stream)?)
                {
                    *ended = true;
                }
                Ok(read)
            }
            InputStream::File { held, position } => {
                let (held, from) = (held.0.clone(), *position);
                let bytes = self.read_at(&held, from, length)?;
                if bytes.is_empty() {
                    return Ok(if length == 0 { Read::Later } else { Read::End });
                }
                if let InputStream::File { position, .. } = self.resources.get_mut(stream)? {
                    *position = from.saturating_add(bytes.len() as u64);
                }
                Ok(Read::Bytes(bytes))
            }
        }
    }

    fn read_standard(&mut self, length: usize, wait: bool) -> Result<Read, Failed> {
        if !wait && !self.is_ready(0, Interest::Read)? {
            return Ok(Read::Later);
        }
        match self.read_once(0, length) {
            Ok(bytes) if !bytes.is_empty() => Ok(Read::Bytes(bytes)),
            Ok(_) | Err(Errno::Badf) => Ok(Read::End),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Reads at most `length` bytes of a file. Returns none only at its end.
    pub(super) fn read_at(
        &mut self,
        held: &HeldInode,
        offset: u64,
        length: usize,
    ) -> Result<Vec<u8>, Failed> {
        let (files, inode) = self.at(held)?;
        let mut bytes = vec![0; length];
        let read = counted(files.read(inode, offset, &mut bytes)?, length)?;
        bytes.truncate(read);
        Ok(bytes)
    }

    /// Writes all bytes at an offset of a file, or at its end, and returns the offset after them.
    pub(super) fn write_at(
        &mut self,
        held: &HeldInode,
        offset: Option<u64>,
        bytes: &[u8],
    ) -> Result<u64, Failed> {
        self.will_change(held.mount);
        let (files, inode) = self.at(held)?;
        let offset = match offset {
            Some(offset) => offset,
            None => files.attributes(inode)?.size,
        };
        let end = offset.checked_add(bytes.len() as u64);
        let end = end.filter(|end| *end <= i64::MAX as u64).ok_or(Errno::Fbig)?;
        if !bytes.is_empty() {
            files.write(inode, offset, bytes)?;
        }
        Ok(end)
    }

    /// Writes all bytes to a stream. Waits as long as that takes.
    fn write_output(
        &mut self,
        stream: &Resource<OutputStream>,
        bytes: &[u8],
    ) -> Result<(), Failed> {
        match self.resources.get(stream)? {
            OutputStream::Standard(number) => {
                let number = *number;
                self.hand_over();
                let mut rest = bytes;
                while !rest.is_empty() {
                    let most = rest.len().min(MAX_STREAM_BYTES as usize);
                    let (piece, _) = rest.split_at(most);
                    let written = counted(self.system.write(number, piece)?, most)?;
                    rest = rest.get(written..).unwrap_or_default();
                }
                Ok(())
            }
            OutputStream::File { held, position } => {
                let (held, from) = (held.0.clone(), *position);
                let end = self.write_at(&held, Some(from), bytes)?;
                if let OutputStream::File { position, .. } = self.resources.get_mut(stream)? {
                    *position = end;
                }
                Ok(())
            }
            OutputStream::Append(held) => {
                let held = held.0.clone();
                self.write_at(&held, None, bytes)?;
                Ok(())
            }
        }
    }

    /// Returns how many bytes a stream takes now.
    fn room(&mut self, stream: &Resource<OutputStream>) -> Result<u64, Failed> {
        match self.resources.get(stream)? {
            OutputStream::Standard(number) => {
                let number = *number;
                Ok(if self.is_ready(number, Interest::Write)? {
                    MAX_STREAM_BYTES.into()
                } else {
                    0
                })
            }
            OutputStream::File { .. } | OutputStream::Append(_) => Ok(MAX_STREAM_BYTES.into()),
        }
    }

    /// Writes what the component was permitted to write.
    fn write_permitted(
        &mut self,
        stream: &Resource<OutputStream>,
        length: u64,
        bytes: impl FnOnce() -> Vec<u8>,
    ) -> Result<(), Failed> {
        if length > MAX_STREAM_BYTES.into() {
            return Err(Failed::Trap(format_err!(
                "the component writes more bytes at once than `check-write` permits"
            )));
        }
        self.write_output(stream, &bytes())
    }

    fn splice_some(
        &mut self,
        output: &Resource<OutputStream>,
        input: &Resource<InputStream>,
        length: u64,
        wait: bool,
    ) -> Result<u64, Failed> {
        let room = match wait {
            true => MAX_STREAM_BYTES.into(),
            false => self.room(output)?,
        };
        match self.read_input(input, length.min(room), wait)? {
            Read::Bytes(bytes) => {
                self.write_output(output, &bytes)?;
                Ok(bytes.len() as u64)
            }
            Read::Later => Ok(0),
            Read::End => Err(CLOSED.into()),
        }
    }
}

impl Read {
    fn bytes(self) -> Result<Vec<u8>, Failed> {
        match self {
            Read::Bytes(bytes) => Ok(bytes),
            Read::Later => Ok(Vec::new()),
            Read::End => Err(CLOSED.into()),
        }
    }
}

impl error::Host for Wasi {}

impl error::HostError for Wasi {
    fn to_debug_string(&mut self, failure: Resource<Failure>) -> wasmtime::Result<String> {
        let Failure(errno) = *self.resources.get(&failure)?;
        Ok(format!("{errno:?}").to_lowercase())
    }

    fn drop(&mut self, failure: Resource<Failure>) -> wasmtime::Result<()> {
        self.resources.delete(failure)?;
        Ok(())
    }
}

impl Host for Wasi {
    fn convert_stream_error(&mut self, error: Failed) -> wasmtime::Result<StreamError> {
        match error {
            Failed::Errno(CLOSED) => Ok(StreamError::Closed),
            Failed::Errno(errno) => {
                Ok(StreamError::LastOperationFailed(self.give(Failure(errno))?))
            }
            Failed::Trap(error) => Err(error),
        }
    }
}

impl HostInputStream for Wasi {
    fn read(&mut self, stream: Resource<InputStream>, length: u64) -> Result<Vec<u8>, Failed> {
        self.read_input(&stream, length, false)?.bytes()
    }

    fn blocking_read(
        &mut self,
        stream: Resource<InputStream>,
        length: u64,
    ) -> Result<Vec<u8>, Failed> {
        self.read_input(&stream, length, true)?.bytes()
    }

    fn skip(&mut self, stream: Resource<InputStream>, length: u64) -> Result<u64, Failed> {
        Ok(self.read_input(&stream, length, false)?.bytes()?.len() as u64)
    }

    fn blocking_skip(&mut self, stream: Resource<InputStream>, length: u64) -> Result<u64, Failed> {
        Ok(self.read_input(&stream, length, true)?.bytes()?.len() as u64)
    }

    fn subscribe(&mut self, stream: Resource<InputStream>) -> wasmtime::Result<Resource<Pollable>> {
        let pollable = match self.resources.get(&stream)? {
            InputStream::Standard { ended: false } => {
                Pollable::Request { stream: 0, interest: Interest::Read }
            }
            InputStream::Standard { ended: true } | InputStream::File { .. } => Pollable::Ready,
        };
        Ok(self.give(pollable)?)
    }

    fn drop(&mut self, stream: Resource<InputStream>) -> wasmtime::Result<()> {
        if let InputStream::File { held: Held(held), .. } = self.resources.delete(stream)? {
            self.release(&held);
        }
        Ok(())
    }
}

impl HostOutputStream for Wasi {
    fn check_write(&mut self, stream: Resource<OutputStream>) -> Result<u64, Failed> {
        self.room(&stream)
    }

    fn write(&mut self, stream: Resource<OutputStream>, bytes: Vec<u8>) -> Result<(), Failed> {
        let length = bytes.len() as u64;
        self.write_permitted(&stream, length, || bytes)
    }

    fn blocking_write_and_flush(
        &mut self,
        stream: Resource<OutputStream>,
        bytes: Vec<u8>,
    ) -> Result<(), Failed> {
        check_blocking(bytes.len() as u64)?;
        self.write_output(&stream, &bytes)
    }

    fn flush(&mut self, stream: Resource<OutputStream>) -> Result<(), Failed> {
        // Nothing is kept back.
        self.resources.get(&stream)?;
        Ok(())
    }

    fn blocking_flush(&mut self, stream: Resource<OutputStream>) -> Result<(), Failed> {
        HostOutputStream::flush(self, stream)
    }

    fn subscribe(
        &mut self,
        stream: Resource<OutputStream>,
    ) -> wasmtime::Result<Resource<Pollable>> {
        let pollable = match *self.resources.get(&stream)? {
            OutputStream::Standard(stream) => {
                Pollable::Request { stream, interest: Interest::Write }
            }
            OutputStream::File { .. } | OutputStream::Append(_) => Pollable::Ready,
        };
        Ok(self.give(pollable)?)
    }

    fn write_zeroes(&mut self, stream: Resource<OutputStream>, length: u64) -> Result<(), Failed> {
        self.write_permitted(&stream, length, || vec![0; piece(length)])
    }

    fn blocking_write_zeroes_and_flush(
        &mut self,
        stream: Resource<OutputStream>,
        length: u64,
    ) -> Result<(), Failed> {
        check_blocking(length)?;
        self.write_output(&stream, &vec![0; piece(length)])
    }

    fn splice(
        &mut self,
        output: Resource<OutputStream>,
        input: Resource<InputStream>,
        length: u64,
    ) -> Result<u64, Failed> {
        self.splice_some(&output, &input, length, false)
    }

    fn blocking_splice(
        &mut self,
        output: Resource<OutputStream>,
        input: Resource<InputStream>,
        length: u64,
    ) -> Result<u64, Failed> {
        self.splice_some(&output, &input, length, true)
    }

    fn drop(&mut self, stream: Resource<OutputStream>) -> wasmtime::Result<()> {
        if let OutputStream::File { held: Held(held), .. } | OutputStream::Append(Held(held)) =
            self.resources.delete(stream)?
        {
            self.release(&held);
        }
        Ok(())
    }
}

/// Checks the length of a blocking write.
fn check_blocking(length: u64) -> Result<(), Failed> {
    let check = || {
        ensure!(
            length <= MAX_BLOCKING_WRITE as u64,
            "the component writes more than {MAX_BLOCKING_WRITE} bytes with \
             `blocking-write-and-flush`"
        );
        Ok(())
    };
    check().map_err(Failed::Trap)
}
