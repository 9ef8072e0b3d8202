//! A volume's storage as the enclave has it: a write is a host call, a read copies from a mapping.
#![allow(unsafe_code, reason = "this module maps a file")]

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use std::fs::File;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use twine_host::VolumeFile;
use twine_volume::{BLOCK_BYTES, Piece, Storage, StorageError};

pub(crate) struct Mapped {
    file: VolumeFile,
    map: Option<Map>,
    /// The counterpart of the enclave's transfer buffer. It begins at the start of a page.
    transfer: Vec<u8>,
    calls: Arc<AtomicU64>,
}

/// A readable mapping.
struct Map {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: this value owns the mapping, and any thread may read it.
unsafe impl Send for Map {}

impl Map {
    fn new(file: &File) -> Result<Self, StorageError> {
        let length = file.metadata()?.len() as usize;
        // This maps all pages at once: otherwise the first read of each page would be a fault.
        // SAFETY: a new mapping at an address of the system's choice touches nothing that exists.
        // No reference to its contents is ever made.
        let start = unsafe {
            mmap(
                ptr::null_mut(),
                length,
                ProtFlags::READ,
                MapFlags::SHARED | MapFlags::POPULATE,
                file,
                0,
            )
        };
        let start = start.map_err(|_| StorageError::Io)?;
        let start = NonNull::new(start.cast()).ok_or(StorageError::Io)?;
        Ok(Map { start, length })
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that `new` made, and nothing points into it. The call cannot
        // fail for such a range.
        let _ = unsafe { munmap(self.start.as_ptr().cast(), self.length) };
    }
}

impl Mapped {
    pub(crate) fn new(file: File) -> Self {
        let file = VolumeFile::new(file);
        Mapped { file, map: None, transfer: Vec::new(), calls: Arc::default() }
    }

    /// Returns the counter of the host calls that an enclave would make. It continues to count.
    pub(crate) fn calls(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.calls)
    }

    fn count(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    fn map(&mut self) -> Result<&Map, StorageError> {
        if self.map.is_none() {
            self.count();
            self.map = Some(Map::new(self.file.file())?);
        }
        self.map.as_ref().ok_or(StorageError::Io)
    }
}

impl Storage for Mapped {
    fn size(&mut self) -> Result<u64, StorageError> {
        Ok(self.file.file().metadata()?.len())
    }

    fn set_size(&mut self, size: u64) -> Result<(), StorageError> {
        self.count();
        // The next read maps the added bytes, as in the host.
        self.map = self.map.take().filter(|map| map.length as u64 <= size);
        Ok(self.file.file().set_len(size)?)
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        let start = usize::try_from(offset).map_err(|_| StorageError::Short)?;
        let end = start.checked_add(bytes.len()).ok_or(StorageError::Short)?;
        self.map = self.map.take().filter(|map| end <= map.length);
        let map = self.map()?;
        if end > map.length {
            return Err(StorageError::Short);
        }
        // SAFETY: the range lies in the mapping, as was just checked. The file has not become
        // shorter since: only this process writes to it, and `set_size` drops the mapping when it
        // shortens the file. `bytes` is the program's own memory.
        unsafe {
            let from = map.start.as_ptr().add(start);
            ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len());
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.count();
        Ok(self.file.write(offset, bytes)?)
    }

    fn write_pieces(&mut self, pieces: &[Piece], bytes: &[u8]) -> Result<(), StorageError> {
        self.count();
        for (offset, bytes) in Piece::split(pieces, bytes)? {
            self.file.write(offset, bytes)?;
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.count();
        Ok(self.file.sync()?)
    }

    fn write_through(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.count();
        self.transfer.resize(bytes.len() + BLOCK_BYTES, 0);
        let start = self.transfer.as_ptr().align_offset(BLOCK_BYTES);
        let transfer = &mut self.transfer[start..start + bytes.len()];
        transfer.copy_from_slice(bytes);
        Ok(self.file.write_through(offset, transfer)?)
    }
}
