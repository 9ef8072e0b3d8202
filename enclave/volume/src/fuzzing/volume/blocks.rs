//! A storage for volumes that are opened thousands of times per second.

use crate::format::block::{BLOCK_BYTES, Bytes};
use crate::storage::{Storage, StorageError};
use std::sync::{Arc, Mutex, PoisonError};

/// Limit on the number of blocks.
pub(super) const MAX_STORAGE_BLOCKS: u64 = 4096;

/// Limit on the reads by one mount and everything that is done with it. The volumes have some
/// hundreds of blocks.
const MAX_READS: u64 = 20_000;

/// A storage that takes little memory. Clones share their contents. It counts reads.
#[derive(Clone, Default)]
pub(super) struct Blocks(Arc<Mutex<Held>>);

#[derive(Clone, Default)]
struct Held {
    size: u64,
    /// The blocks up to the last one that was written; `None` for a block of zeros.
    blocks: Vec<Option<Arc<Bytes>>>,
    reads: u64,
}

impl Held {
    fn get(&self, block: u64) -> Bytes {
        let held = self.blocks.get(block as usize).and_then(Option::as_ref);
        held.map_or([0; BLOCK_BYTES], |bytes| **bytes)
    }

    fn put(&mut self, block: u64, bytes: &Bytes) {
        let at = block as usize;
        if self.blocks.len() <= at {
            self.blocks.resize(at + 1, None);
        }
        self.blocks[at] = (*bytes != [0; BLOCK_BYTES]).then(|| Arc::new(*bytes));
    }

    /// Returns the first block of a range of bytes, which must lie within the storage.
    fn first(&self, offset: u64, bytes: &[u8]) -> Result<u64, StorageError> {
        match offset.checked_add(bytes.len() as u64) {
            Some(end) if end <= self.size => Ok(offset / BLOCK_BYTES as u64),
            _ => Err(StorageError::Short),
        }
    }
}

impl Blocks {
    fn with<T>(&self, look: impl FnOnce(&mut Held) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns a separate storage with the same bytes.
    pub(super) fn copy(&self) -> Self {
        let held = self.with(|held| Held { reads: 0, ..held.clone() });
        Blocks(Arc::new(Mutex::new(held)))
    }

    /// Returns the contents of a block.
    pub(super) fn block(&self, block: u64) -> Bytes {
        self.with(|held| held.get(block))
    }

    /// Sets the contents of a block.
    pub(super) fn set_block(&self, block: u64, bytes: &Bytes) {
        self.with(|held| held.put(block, bytes));
    }

    /// Returns the blocks that are not zero.
    pub(super) fn used(&self) -> Vec<u64> {
        self.with(|held| {
            let used = (0..).zip(&held.blocks).filter(|(_, bytes)| bytes.is_some());
            used.map(|(block, _)| block).collect()
        })
    }
}

impl Storage for Blocks {
    fn size(&mut self) -> Result<u64, StorageError> {
        Ok(self.with(|held| held.size))
    }

    fn set_size(&mut self, size: u64) -> Result<(), StorageError> {
        if size > MAX_STORAGE_BLOCKS * BLOCK_BYTES as u64 {
            return Err(StorageError::NoSpace);
        }
        self.with(|held| {
            held.size = size;
            held.blocks.truncate(size.div_ceil(BLOCK_BYTES as u64) as usize);
        });
        Ok(())
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        self.with(|held| {
            held.reads += 1;
            assert!(held.reads <= MAX_READS, "a volume of {} bytes is read for ever", held.size);
            let first = held.first(offset, bytes)?;
            for (block, bytes) in (first..).zip(bytes.as_chunks_mut::<BLOCK_BYTES>().0) {
                match held.blocks.get(block as usize).and_then(Option::as_ref) {
                    Some(held) => *bytes = **held,
                    None => bytes.fill(0),
                }
            }
            Ok(())
        })
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.with(|held| {
            let first = held.first(offset, bytes)?;
            for (block, bytes) in (first..).zip(bytes.as_chunks::<BLOCK_BYTES>().0) {
                held.put(block, bytes);
            }
            Ok(())
        })
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}
