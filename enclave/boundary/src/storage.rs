//! A file of the host that holds a volume.

use crate::{Boundary, HostSlice, status};
use twine_protocol::calls::{RawCall, stub};
use twine_protocol::wire::{AHEAD, Piece, Status, TRANSFER_BUFFER_LENGTH, Unread};

/// Limit on the size of a mapping, in bytes: half of the user address space.
const MAX_MAPPING: u64 = 1 << 46;

/// The number of bytes of the transfer buffer that a piece uses.
fn size((_, bytes): &(u64, &[u8])) -> usize {
    bytes.len() + Piece::SIZE
}

/// Counts how many of the first pieces fit into the transfer buffer together.
fn fitting(pieces: &[(u64, &[u8])]) -> usize {
    let sizes = pieces.iter().scan(0, |end: &mut usize, piece| {
        *end += size(piece);
        Some(*end)
    });
    sizes.take_while(|end| *end <= TRANSFER_BUFFER_LENGTH).count()
}

/// The enclave asks the host to enter this many times the number of bytes that it has read.
const AHEAD_OF_READS: u64 = 64;

/// A mapping of a file, and the words that tell which part of it could not be read.
#[derive(Debug, Clone, Copy)]
struct Mapping {
    bytes: HostSlice,
    unread: HostSlice,
}

impl Mapping {
    /// The part that could not be read, as the host reports it now. It only decides how bytes are
    /// read.
    fn unread(&self) -> Unread {
        // `map` checked that it has two words.
        self.unread.words().map(Unread::from_words).unwrap_or_default()
    }
}

/// A file of the host, read through a mapping and written by host calls. Its contents are not
/// trusted, and can differ each time they are read.
#[derive(Debug)]
pub struct MappedFile<'a, R: RawCall> {
    boundary: &'a Boundary<R>,
    /// The host's number for it, which only the host uses.
    number: u64,
    /// Whether the host must close it.
    opened: bool,
    mapping: Option<Mapping>,
    /// The number of bytes that were copied from the mapping.
    copied: u64,
    /// The value of `copied` at which to ask the host to enter more of the mapping.
    enter_at: u64,
}

impl<'a, R: RawCall> MappedFile<'a, R> {
    /// The file with this number in the launch request.
    pub fn new(boundary: &'a Boundary<R>, number: u64) -> Self {
        MappedFile::numbered(boundary, number, false)
    }

    /// The file with this number, which the host has just opened for the enclave. The host closes it
    /// when this is dropped.
    pub(crate) fn opened(boundary: &'a Boundary<R>, number: u64) -> Self {
        MappedFile::numbered(boundary, number, true)
    }

    fn numbered(boundary: &'a Boundary<R>, number: u64, opened: bool) -> Self {
        // The host enters the first `AHEAD` bytes without being asked.
        let enter_at = 2 * AHEAD / AHEAD_OF_READS;
        MappedFile { boundary, number, opened, mapping: None, copied: 0, enter_at }
    }

    /// The host's number for it.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns its size in bytes, as the host reports it.
    ///
    /// # Errors
    /// The host's status.
    pub fn size(&mut self) -> Result<u64, Status> {
        let (code, size) = stub::storage_size(&self.boundary.raw, self.number);
        status(code)?;
        Ok(size)
    }

    /// Sets its size in bytes.
    ///
    /// # Errors
    /// The host's status.
    pub fn resize(&mut self, size: u64) -> Result<(), Status> {
        status(stub::storage_resize(&self.boundary.raw, self.number, size).0)
    }

    /// Copies `bytes` from `offset`, a multiple of 8, out of the mapping, without a host call. If
    /// the file has grown beyond the mapping, or pages of the mapping could not be read, the host
    /// reads that range of the file instead.
    ///
    /// # Errors
    /// The host's status: [`Status::Short`] beyond the end of the file; [`Status::Io`] if the bytes
    /// cannot be read, or if the host gives no acceptable mapping.
    pub fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), Status> {
        let length = bytes.len();
        let part = |mapping: &Mapping| mapping.bytes.part(offset, length);
        let mapping = match self.mapping.filter(|mapping| part(mapping).is_some()) {
            Some(mapping) => mapping,
            None => self.map()?,
        };
        let Some(part) = part(&mapping) else { return self.read_by_call(offset, bytes) };
        part.copy_in(bytes);
        self.copied(length as u64);
        // The host updates these words before it resumes a thread that touched such a page.
        match mapping.unread().overlaps(offset, length as u64) {
            true => self.read_by_call(offset, bytes),
            false => Ok(()),
        }
    }

    fn map(&mut self) -> Result<Mapping, Status> {
        let raw = &self.boundary.raw;
        let slice =
            |what, answer, most| self.boundary.slice(what, answer, most).map_err(|_| Status::Io);
        let bytes = slice("a mapping", stub::storage_map(raw, self.number), MAX_MAPPING)?;
        let unread = match self.mapping {
            Some(Mapping { unread, .. }) => unread,
            None => slice("unread pages", stub::storage_unread(raw, self.number), Unread::SIZE)?,
        };
        if (unread.len() as u64) < Unread::SIZE {
            return Err(Status::Io);
        }
        let mapping = Mapping { bytes, unread };
        self.mapping = Some(mapping);
        Ok(mapping)
    }

    /// Has the host read a range of the file into the transfer buffer, and copies it from there.
    fn read_by_call(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Status> {
        let mut offset = offset;
        for piece in bytes.chunks_mut(TRANSFER_BUFFER_LENGTH) {
            let part = self.boundary.transfer_of(piece.len())?;
            if part.len() != piece.len() {
                return Err(Status::Io);
            }
            let (raw, length) = (&self.boundary.raw, piece.len() as u64);
            status(stub::storage_read(raw, self.number, offset, part.address(), length).0)?;
            part.copy_in(piece);
            offset = offset.checked_add(length).ok_or(Status::Invalid)?;
        }
        Ok(())
    }

    /// Counts the copied bytes. Each time that the number has doubled, asks the host to enter more
    /// of the mapping.
    fn copied(&mut self, length: u64) {
        self.copied = self.copied.saturating_add(length);
        if self.copied >= self.enter_at {
            let worth = self.copied.saturating_mul(AHEAD_OF_READS);
            stub::storage_ahead(&self.boundary.raw, self.number, worth);
            self.enter_at = self.copied.saturating_mul(2);
        }
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// The host's status. A part of the bytes may have been written.
    pub fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Status> {
        let mut offset = offset;
        for piece in bytes.chunks(TRANSFER_BUFFER_LENGTH) {
            let part = self.transfer(piece)?;
            let length = piece.len() as u64;
            let raw = &self.boundary.raw;
            status(stub::storage_write(raw, self.number, offset, part.address(), length).0)?;
            offset = offset.checked_add(length).ok_or(Status::Invalid)?;
        }
        Ok(())
    }

    /// Writes all of `bytes` at `offset`, and returns when they are durable. This takes one host
    /// call if they fit into the transfer buffer. Bytes that were written before need not be
    /// durable then.
    ///
    /// # Errors
    /// The host's status. The bytes may not be durable.
    pub fn write_through(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Status> {
        if bytes.len() > TRANSFER_BUFFER_LENGTH {
            self.write(offset, bytes)?;
            return self.sync();
        }
        let part = self.transfer(bytes)?;
        let (raw, length) = (&self.boundary.raw, bytes.len() as u64);
        status(stub::storage_write_through(raw, self.number, offset, part.address(), length).0)
    }

    /// Writes pieces, whose lengths are multiples of 8, each at its offset. Each host call writes
    /// as many pieces as fit into the transfer buffer.
    ///
    /// # Errors
    /// The host's status. Any part may have been written.
    pub fn write_pieces(&mut self, pieces: &[(u64, &[u8])]) -> Result<(), Status> {
        let mut rest = pieces;
        while let Some(&(offset, bytes)) = rest.first() {
            let count = fitting(rest);
            let (now, after) = rest.split_at(count.max(1));
            match count {
                0 | 1 => self.write(offset, bytes)?,
                _ => self.write_together(now)?,
            }
            rest = after;
        }
        Ok(())
    }

    /// Writes pieces that fit into the transfer buffer together.
    fn write_together(&self, pieces: &[(u64, &[u8])]) -> Result<(), Status> {
        let buffer = self.boundary.transfer_of(pieces.iter().map(size).sum())?;
        let put = |at: usize, bytes: &[u8]| {
            buffer.part(at as u64, bytes.len()).map(|part| part.copy_out(bytes)).ok_or(Status::Io)
        };
        let mut at = 0;
        for (_, bytes) in pieces {
            put(at, bytes)?;
            at += bytes.len();
        }
        for (offset, bytes) in pieces {
            let place = Piece { offset: *offset, length: bytes.len() as u64 };
            put(at, &place.to_bytes())?;
            at += Piece::SIZE;
        }
        let (raw, length, count) = (&self.boundary.raw, at as u64, pieces.len() as u64);
        let address = buffer.address();
        status(stub::storage_write_pieces(raw, self.number, address, length, count).0)
    }

    /// Copies a piece to the transfer buffer.
    fn transfer(&self, piece: &[u8]) -> Result<HostSlice, Status> {
        let part = self.boundary.transfer_of(piece.len())?;
        if part.len() != piece.len() {
            return Err(Status::Io);
        }
        part.copy_out(piece);
        Ok(part)
    }

    /// Returns when everything that was written is durable.
    ///
    /// # Errors
    /// The host's status. The bytes may not be durable.
    pub fn sync(&mut self) -> Result<(), Status> {
        status(stub::storage_sync(&self.boundary.raw, self.number).0)
    }
}

impl<R: RawCall> Drop for MappedFile<'_, R> {
    fn drop(&mut self) {
        // The host unmaps the file. Nothing reads the mapping any more: only this had its address.
        if self.opened {
            stub::storage_close(&self.boundary.raw, self.number);
        }
    }
}
