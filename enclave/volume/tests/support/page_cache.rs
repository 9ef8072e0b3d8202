//! A storage that behaves like a file on Linux. Writes go into a cache, and a flush writes dirty
//! blocks to the disk. Blocks that a failed flush did not write are no longer dirty. They stay
//! readable in the cache, and are lost when the power fails.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use twine_volume::{BLOCK_BYTES, MemoryStorage, Storage, StorageError};

#[derive(Debug, Default)]
struct Pages {
    cache: Vec<u8>,
    disk: Vec<u8>,
    /// Blocks that the next flush writes.
    dirty: Vec<usize>,
    fail_flush: bool,
}

/// A storage with a page cache. Clones share everything.
#[derive(Debug, Clone, Default)]
pub struct PageCache(Arc<Mutex<Pages>>);

impl PageCache {
    /// A machine that has just started, with these bytes on its disk.
    pub fn new(disk: MemoryStorage) -> Self {
        let disk = disk.with(|bytes| bytes.clone());
        let pages = Pages { cache: disk.clone(), disk, ..Pages::default() };
        PageCache(Arc::new(Mutex::new(pages)))
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the next flush write nothing and fail.
    pub fn fail_flush(&self) {
        self.pages().fail_flush = true;
    }

    /// Makes the next flush succeed again.
    pub fn heal(&self) {
        self.pages().fail_flush = false;
    }

    /// Simulates a flush by the kernel that fails, and whose error nobody receives.
    pub fn lose_dirty(&self) {
        self.pages().dirty.clear();
    }

    /// Returns the contents of the disk after a power cut.
    pub fn disk(&self) -> MemoryStorage {
        MemoryStorage::new(self.pages().disk.clone())
    }
}

impl Storage for PageCache {
    fn size(&mut self) -> Result<u64, StorageError> {
        Ok(self.pages().cache.len() as u64)
    }

    fn set_size(&mut self, size: u64) -> Result<(), StorageError> {
        let mut pages = self.pages();
        pages.cache.resize(size as usize, 0);
        pages.disk.resize(size as usize, 0);
        let blocks = size as usize / BLOCK_BYTES;
        pages.dirty.retain(|block| *block < blocks);
        Ok(())
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        let pages = self.pages();
        let start = offset as usize;
        let held = pages.cache.get(start..start + bytes.len()).ok_or(StorageError::Short)?;
        bytes.copy_from_slice(held);
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        let mut pages = self.pages();
        let start = offset as usize;
        let held = pages.cache.get_mut(start..start + bytes.len()).ok_or(StorageError::Short)?;
        held.copy_from_slice(bytes);
        let first = start / BLOCK_BYTES;
        pages.dirty.extend(first..first + bytes.len() / BLOCK_BYTES);
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        let mut pages = self.pages();
        let dirty = std::mem::take(&mut pages.dirty);
        if std::mem::take(&mut pages.fail_flush) {
            return Err(StorageError::Io);
        }
        for block in dirty {
            let range = block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES;
            let Pages { cache, disk, .. } = &mut *pages;
            disk[range.clone()].copy_from_slice(&cache[range]);
        }
        Ok(())
    }
}
