//! Where a volume is kept: bytes that nobody needs to trust.

#[cfg(unix)]
use std::fs::File;
#[cfg(unix)]
use std::io;
#[cfg(unix)]
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

/// Why the storage failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// It is full, or a quota is used up.
    #[error("no space is left")]
    NoSpace,
    /// It may not grow, though there is room: a limit of the process's or of the file system's.
    #[error("its file may not become so large")]
    TooBig,
    /// It can't be written.
    #[error("it is read-only")]
    ReadOnly,
    /// It ends before what was to be read.
    #[error("it is shorter than it should be")]
    Short,
    /// Anything else.
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

/// Where bytes go that are written together with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// The first byte in the storage.
    pub offset: u64,
    /// How many bytes.
    pub length: usize,
}

impl Piece {
    /// Which part of `bytes`, where pieces lie one after the other, goes to which offset.
    ///
    /// # Errors
    /// [`StorageError::Io`] when the pieces have more or fewer bytes than these.
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

/// The bytes that hold a volume. All that it answers is untrusted: it may fail at any call,
/// and give bytes that were never written.
///
/// A volume reads and writes whole blocks of [`BLOCK_BYTES`](crate::BLOCK_BYTES), or several
/// that follow each other, at multiples of a block's size.
pub trait Storage: Send {
    /// How long it is, in bytes.
    ///
    /// # Errors
    /// When that can't be found out.
    fn size(&mut self) -> Result<u64, StorageError>;

    /// Makes it this long, in bytes. What is added may hold anything. The volume counts on
    /// room for what it added; an implementation should reserve it where it can.
    ///
    /// # Errors
    /// When it can't be made so long; its length is then as before.
    fn set_size(&mut self, size: u64) -> Result<(), StorageError>;

    /// Copies bytes at `offset` into `bytes`, all of them or none that matter: after an
    /// error `bytes` may hold anything. Each byte of the outside is read once.
    ///
    /// # Errors
    /// When they can't be read, also beyond the end.
    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// When not all could be written; any part of them may have been.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError>;

    /// Writes all of `bytes`: the pieces, one after the other, each to its place. An
    /// implementation may do it at less cost than so many writes.
    ///
    /// # Errors
    /// When not all could be written; any part of them may have been.
    fn write_pieces(&mut self, pieces: &[Piece], bytes: &[u8]) -> Result<(), StorageError> {
        let parts = Piece::split(pieces, bytes)?;
        parts.into_iter().try_for_each(|(offset, bytes)| self.write(offset, bytes))
    }

    /// Returns when all that was written before is durable (`fdatasync`).
    ///
    /// # Errors
    /// When that is not sure. The volume is then not written again until it is opened anew.
    fn sync(&mut self) -> Result<(), StorageError>;

    /// Writes all of `bytes` at `offset`, and returns when they are durable. The volume calls
    /// it when nothing else that it wrote or changed since the last [`sync`](Self::sync) has to
    /// become durable with them, so that an implementation may do it in one step (`RWF_DSYNC`).
    ///
    /// # Errors
    /// When that is not sure. The volume then does without what it wrote here.
    fn write_through(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.write(offset, bytes)?;
        self.sync()
    }
}

/// A storage in memory, for tests and short-lived trees. Clones share their bytes.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage(Arc<Mutex<Vec<u8>>>);

impl MemoryStorage {
    /// A storage that holds `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        MemoryStorage(Arc::new(Mutex::new(bytes)))
    }

    /// Looks at the bytes, or changes them behind the volume's back.
    pub fn with<T>(&self, look: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The range of `length` bytes from `offset`.
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

/// A storage in a file of the operating system's. It takes no lock.
#[cfg(unix)]
#[derive(Debug)]
pub struct FileStorage(File);

#[cfg(unix)]
impl FileStorage {
    /// Keeps a volume in `file`, which is open for reading, and for writing unless the
    /// volume will be opened read-only.
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
