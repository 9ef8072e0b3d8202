//! Storages with a quota.

use std::collections::HashMap;
use twine_volume::{BLOCK_BYTES, MemoryStorage, Storage, StorageError};

/// A storage with a quota.
#[derive(Clone)]
pub struct Bounded(pub MemoryStorage, pub u64);

impl Storage for Bounded {
    fn size(&mut self) -> Result<u64, StorageError> {
        self.0.size()
    }

    fn set_size(&mut self, size: u64) -> Result<(), StorageError> {
        if size > self.1 {
            return Err(StorageError::NoSpace);
        }
        self.0.set_size(size)
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        self.0.read(offset, bytes)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.0.write(offset, bytes)
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.0.sync()
    }
}

/// A storage with a quota that reports a file that may not grow, instead of a full disk.
#[derive(Clone)]
pub struct Limited(pub Bounded);

impl Storage for Limited {
    fn size(&mut self) -> Result<u64, StorageError> {
        self.0.size()
    }

    fn set_size(&mut self, size: u64) -> Result<(), StorageError> {
        self.0.set_size(size).map_err(|_| StorageError::TooBig)
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        self.0.read(offset, bytes)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.0.write(offset, bytes)
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.0.sync()
    }
}

/// A large storage with a quota, in little memory. It drops long writes, which are data that the
/// test never reads.
#[derive(Default)]
pub struct Forgetful {
    blocks: HashMap<u64, Box<[u8]>>,
    size: u64,
    quota: u64,
}

/// Writes of at least this many bytes are dropped.
const DROPPED: usize = 200 * BLOCK_BYTES;

impl Forgetful {
    pub fn new(quota: u64) -> Self {
        Forgetful { quota, ..Forgetful::default() }
    }
}

fn blocks_of(offset: u64) -> impl Iterator<Item = u64> {
    offset / BLOCK_BYTES as u64..
}

impl Storage for Forgetful {
    fn size(&mut self) -> Result<u64, StorageError> {
        Ok(self.size)
    }

    fn set_size(&mut self, size: u64) -> Result<(), StorageError> {
        if size > self.quota {
            return Err(StorageError::NoSpace);
        }
        self.size = size;
        Ok(())
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        for (number, block) in blocks_of(offset).zip(bytes.chunks_mut(BLOCK_BYTES)) {
            match self.blocks.get(&number) {
                Some(held) => block.copy_from_slice(held),
                None => block.fill(0),
            }
        }
        Ok(())
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        if bytes.len() < DROPPED {
            let blocks = bytes.chunks(BLOCK_BYTES);
            self.blocks.extend(blocks_of(offset).zip(blocks.map(Box::from)));
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}
