//! The untrusted storage of a volume.

#[cfg(unix)]
use std::fs::File;
#[cfg(unix)]
use std::io;
#[cfg(unix)]
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

/// The reason why the storage failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The storage is full, or a quota is exhausted.
    #[error("no space is left")]
    NoSpace,
    /// The storage may not grow, although there is room: a limit of the process or of the file
    /// system.
    #[error("its file may not become so large")]
    TooBig,
    /// The storage cannot be written.
    #[error("it is read-only")]
    ReadOnly,
    /// The storage ends before the bytes to be read.
    #[error("it is shorter than it should be")]
    Short,
    /// Any other error.
    #[error("input/output error")]
    Io,
}

#[cfg(unix)]
impl From<io::Error> for StorageError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageError::NoSpace,
            io::ErrorKind::FileTooLarge => StorageError::TooBig,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                StorageError::ReadOnly
            }
            io::ErrorKind::UnexpectedEof => StorageError::Short,
            _ => StorageError::Io,
        }
    }
}

/// The place of some of the bytes of one write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Offset of the first byte in the storage.
    pub offset: u64,
    /// Number of bytes.
    pub length: usize,
}

impl Piece {
    /// Splits `bytes`, which holds the pieces one after the other, into an offset and bytes for
    /// each piece.
    ///
    /// # Errors
    /// [`StorageError::Io`] if the lengths of the pieces do not add up to the length of `bytes`.
    pub fn split<'a>(
        pieces: &[Piece],
        bytes: &'a [u8],
    ) -> Result<Vec<(u64, &'a [u8])>, StorageError> {
        let mut rest = bytes;
        let mut parts = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let (now, after) = rest.split_at_checked(piece.length).ok_or(StorageError::Io)?;
            parts.push((piece.offset, now));
            rest = after;
        }
        if rest.is_empty() { Ok(parts) } else { Err(StorageError::Io) }
    }
}

/// The bytes that hold a volume. Everything that a storage returns is untrusted: any call may fail,
/// and a read may return bytes that were never written.
///
/// A volume reads and writes one or several adjacent blocks of [`BLOCK_BYTES`](crate::BLOCK_BYTES),
/// at multiples of the size of a block.
pub trait Storage: Send {
    /// Returns the size in bytes.
    ///
    /// # Errors
    /// Fails if the size cannot be found out.
    fn size(&mut self) -> Result<u64, StorageError>;

    /// Sets the size in bytes. Added bytes may have any values. The volume relies on room for what
    /// it added, so an implementation should reserve that room where it can.
    ///
    /// # Errors
    /// Fails if this size is not possible. The size is then unchanged.
    fn set_size(&mut self, size: u64) -> Result<(), StorageError>;

    /// Copies the bytes at `offset` into `bytes`. After an error `bytes` may hold anything. An
    /// implementation must read each byte of untrusted memory only once.
    ///
    /// # Errors
    /// Fails if not all of the bytes can be read, for example beyond the end.
    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// Fails if not all bytes could be written. Any of them may have been written.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError>;

    /// Writes `bytes`, which holds the pieces one after the other, each piece to its place. An
    /// implementation may do so at less cost than with one write for each piece.
    ///
    /// # Errors
    /// Fails if not all bytes could be written. Any of them may have been written.
    fn write_pieces(&mut self, pieces: &[Piece], bytes: &[u8]) -> Result<(), StorageError> {
        let parts = Piece::split(pieces, bytes)?;
        parts.into_iter().try_for_each(|(offset, bytes)| self.write(offset, bytes))
    }

    /// Returns when all earlier writes are durable (`fdatasync`).
    ///
    /// # Errors
    /// Fails if that is not certain. The volume is then not written again until it is opened again.
    fn sync(&mut self) -> Result<(), StorageError>;

    /// Writes all of `bytes` at `offset`, and returns when they are durable. The volume calls this
    /// only if no other change since the last [`sync`](Self::sync) must become durable with these
    /// bytes, so an implementation may do it in one step (`RWF_DSYNC`).
    ///
    /// # Errors
    /// Fails if that is not certain. The volume then does not rely on these bytes.
    fn write_through(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.write(offset, bytes)?;
        self.sync()
    }
}

/// A storage in memory, for tests and short-lived trees. Clones share their contents.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage(Arc<Mutex<Vec<u8>>>);

impl MemoryStorage {
    /// A storage that holds `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        MemoryStorage(Arc::new(Mutex::new(bytes)))
    }

    /// Gives access to the bytes, also to change them without the volume's knowledge.
    pub fn with<T>(&self, look: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Returns the range of `length` bytes from `offset`, or `None` on overflow.
fn range(offset: u64, length: usize) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    Some(start..start.checked_add(length)?)
}

impl Storage for MemoryStorage {
    fn size(&mut self) -> Result<u64, StorageError> {
        Ok(self.with(|held| held.len() as u64))
    }

    fn set_size(&mut self, size: u64) -> Result<(), StorageError> {
        let size = usize::try_from(size).map_err(|_| StorageError::NoSpace)?;
        self.with(|held| {
            held.try_reserve(size.saturating_sub(held.len())).map_err(|_| StorageError::NoSpace)?;
            held.resize(size, 0);
            Ok(())
        })
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        self.with(|held| {
            let held = range(offset, bytes.len()).and_then(|range| held.get(range));
            bytes.copy_from_slice(held.ok_or(StorageError::Short)?);
            Ok(())
        })
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.with(|held| {
            let held = range(offset, bytes.len()).and_then(|range| held.get_mut(range));
            held.ok_or(StorageError::Short)?.copy_from_slice(bytes);
            Ok(())
        })
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}

/// A storage in a file of the operating system. It does not lock the file.
#[cfg(unix)]
#[derive(Debug)]
pub struct FileStorage(File);

#[cfg(unix)]
impl FileStorage {
    /// Keeps a volume in `file`. The file must be open for reading and, unless the volume will be
    /// opened read-only, for writing.
    pub fn new(file: File) -> Self {
        FileStorage(file)
    }
}

#[cfg(unix)]
impl Storage for FileStorage {
    fn size(&mut self) -> Result<u64, StorageError> {
        Ok(self.0.metadata()?.len())
    }

    fn set_size(&mut self, size: u64) -> Result<(), StorageError> {
        Ok(self.0.set_len(size)?)
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        Ok(self.0.read_exact_at(bytes, offset)?)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        Ok(self.0.write_all_at(bytes, offset)?)
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        Ok(self.0.sync_data()?)
    }
}
