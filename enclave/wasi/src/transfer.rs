//! Moves bytes between the program's memory and files, streams and sockets.

use crate::types::Result;
use crate::types::{CiovecArray, Errno, IovecArray};
use twine_vfs::{FileSystem, Inode};
use wiggle::{GuestMemory, GuestPtr};

/// Limit on the size of one read or write of a file, in bytes: counts have 32 bits. A call with
/// more returns a short count.
pub(crate) const MAX_FILE_BYTES: u32 = u32::MAX;
/// Limit on the size of one [`System`](crate::System) call that reads or writes a stream or a
/// socket, in bytes. A program's call with more can return a short count.
pub const MAX_STREAM_BYTES: u32 = 256 << 10;
/// Limit on the bytes that one call writes to a stream or socket, in pieces, as on Linux.
pub(crate) const MAX_WRITTEN_BYTES: u32 = 0x7fff_f000;
/// Limit on the number of buffers in one call (`IOV_MAX`), as on Linux.
const MAX_BUFFERS: usize = 1024;
/// Size, in bytes, of the pieces that are copied through a buffer if threads share the memory.
const PIECE: u32 = 64 << 10;

/// Returns the length of `bytes`, or the largest that a program can count.
pub(crate) fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// Checks a count from outside: `most` is the number of bytes that were passed.
pub(crate) fn counted(count: usize, most: usize) -> Result<usize, Errno> {
    if count > most { Err(Errno::Io) } else { Ok(count) }
}

/// Buffers of a program. They are not empty, and are within its memory.
#[derive(Debug)]
pub(crate) struct Buffers {
    pub list: Vec<GuestPtr<[u8]>>,
    /// Size of all buffers together, in bytes.
    pub total: u32,
}

impl Buffers {
    fn collect(
        memory: &GuestMemory<'_>,
        buffers: impl Iterator<Item = Result<(GuestPtr<u8>, u32)>>,
        most: u32,
    ) -> Result<Self> {
        let mut list = Vec::new();
        let mut total = 0;
        for buffer in buffers {
            let (pointer, length) = buffer?;
            let length = length.min(most - total);
            if length > 0 {
                let buffer = pointer.as_array(length);
                // A buffer out of bounds traps before any read or write.
                memory.as_slice(buffer)?;
                list.push(buffer);
                total += length;
            }
            if total == most || list.len() == MAX_BUFFERS {
                break;
            }
        }
        Ok(Buffers { list, total })
    }

    /// Collects the buffers to read into.
    pub(crate) fn targets(
        memory: &GuestMemory<'_>,
        vectors: IovecArray,
        most: u32,
    ) -> Result<Self> {
        let buffers = vectors.iter().map(|pointer| {
            let vector = memory.read(pointer?)?;
            Ok((vector.buf, vector.buf_len))
        });
        Buffers::collect(memory, buffers, most)
    }

    /// Collects the buffers to write.
    pub(crate) fn sources(
        memory: &GuestMemory<'_>,
        vectors: CiovecArray,
        most: u32,
    ) -> Result<Self> {
        let buffers = vectors.iter().map(|pointer| {
            let vector = memory.read(pointer?)?;
            Ok((vector.buf, vector.buf_len))
        });
        Buffers::collect(memory, buffers, most)
    }

    /// Copies the bytes after the first `done` into one piece, of at most the size of one host
    /// call.
    fn gather(&self, memory: &GuestMemory<'_>, done: u32) -> Result<Vec<u8>> {
        let length = MAX_STREAM_BYTES.min(self.total - done);
        let mut bytes = Vec::with_capacity(length as usize);
        let (mut skip, mut left) = (done, length);
        for buffer in &self.list {
            let skipped = skip.min(buffer.len());
            let length = left.min(buffer.len() - skipped);
            if length > 0 {
                let start = buffer.as_ptr().add(skipped)?;
                bytes.extend_from_slice(&memory.as_cow(start.as_array(length))?);
            }
            skip -= skipped;
            left -= length;
            if left == 0 {
                break;
            }
        }
        Ok(bytes)
    }

    /// Passes the bytes to `write` in pieces, until `write` takes fewer than it was given. If it
    /// may not `wait`, passes only one piece. Returns how many bytes `write` took. An error after
    /// some of them is a short count.
    pub(crate) fn hand_on(
        &self,
        memory: &GuestMemory<'_>,
        wait: bool,
        mut write: impl FnMut(&[u8]) -> Result<usize, Errno>,
    ) -> Result<u32> {
        let mut done = 0;
        while done < self.total {
            let bytes = self.gather(memory, done)?;
            match write(&bytes).and_then(|written| counted(written, bytes.len())) {
                Ok(written) => {
                    #[expect(
                        clippy::cast_possible_truncation,
                        reason = "at most the rest of `total`"
                    )]
                    let counted = written as u32;
                    done += counted;
                    if written < bytes.len() || !wait {
                        break;
                    }
                }
                Err(errno) if done == 0 => return Err(errno.into()),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Fills the buffers in order with `bytes`, which must fit, and returns their number.
    pub(crate) fn scatter(&self, memory: &mut GuestMemory<'_>, mut bytes: &[u8]) -> Result<u32> {
        let mut done = 0;
        for buffer in &self.list {
            let length = length_of(bytes).min(buffer.len());
            let (part, rest) = bytes.split_at(length as usize);
            memory.copy_from_slice(part, buffer.as_ptr().as_array(length))?;
            bytes = rest;
            done += length;
        }
        Ok(done)
    }

    /// Returns the buffers; if the memory is shared, divided into pieces that fit through a buffer.
    fn pieces(&self, shared: bool) -> impl Iterator<Item = GuestPtr<[u8]>> {
        let most = if shared { PIECE } else { u32::MAX };
        self.list.iter().flat_map(move |buffer| {
            let (start, length) = (buffer.offset_base(), buffer.len());
            (0..length).step_by(most as usize).map(move |at| {
                // The buffer is in the memory, so the sum fits into 32 bits.
                GuestPtr::new((start + at, most.min(length - at)))
            })
        })
    }

    /// Reads from a file at `offset`, and returns the number of bytes. An error after some of them
    /// is a short count.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::indexing_slicing,
        reason = "`counted` accepts at most the length of the piece, which has 32 bits"
    )]
    pub(crate) fn read(
        &self,
        memory: &mut GuestMemory<'_>,
        files: &mut dyn FileSystem,
        inode: Inode,
        offset: u64,
    ) -> Result<u32> {
        let mut done = 0;
        for piece in self.pieces(memory.is_shared_memory()) {
            let offset = offset.saturating_add(u64::from(done));
            let most = piece.len() as usize;
            let mut read = |bytes: &mut [u8]| counted(files.read(inode, offset, bytes)?, most);
            let read = match memory.as_slice_mut(piece)? {
                Some(bytes) => read(bytes),
                None => {
                    let mut bytes = vec![0; most];
                    let read = read(&mut bytes);
                    if let Ok(read) = read {
                        let target = piece.as_ptr().as_array(read as u32);
                        memory.copy_from_slice(&bytes[..read], target)?;
                    }
                    read
                }
            };
            match read {
                Ok(read) => {
                    done += read as u32;
                    if read < most {
                        break;
                    }
                }
                Err(errno) if done == 0 => return Err(errno.into()),
                Err(_) => break,
            }
        }
        Ok(done)
    }

    /// Writes to a file at `offset`, and returns the number of bytes. An error after some of them
    /// is a short count.
    pub(crate) fn write(
        &self,
        memory: &GuestMemory<'_>,
        files: &mut dyn FileSystem,
        inode: Inode,
        offset: u64,
    ) -> Result<u32> {
        let mut done = 0;
        for piece in self.pieces(memory.is_shared_memory()) {
            let offset = offset.saturating_add(u64::from(done));
            let bytes = memory.as_cow(piece)?;
            let written = files.write(inode, offset, &bytes).map_err(Errno::from);
            match written.and_then(|written| counted(written, bytes.len())) {
                Ok(written) => {
                    #[expect(
                        clippy::cast_possible_truncation,
                        reason = "at most the rest of `total`"
                    )]
                    let counted = written as u32;
                    done += counted;
                    if written < bytes.len() {
                        break;
                    }
                }
                Err(errno) if done == 0 => return Err(errno.into()),
                Err(_) => break,
            }
        }
        Ok(done)
    }
}
