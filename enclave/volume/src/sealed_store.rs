//! The storage with its errors in words and its calls counted, and the keys.

use crate::crypto::{Seal, Sealer};
use crate::error::{Error, Operation, Result};
use crate::format::block;
use crate::format::block::{BLOCK_BYTES, Bytes, Kind, Run};
use crate::format::pointer::Pointer;
use crate::statistics::Statistics;
use crate::storage::{Piece, Storage, StorageError};

/// A storage and the keys of what it holds.
pub(crate) struct Store {
    storage: Box<dyn Storage>,
    pub(crate) sealer: Sealer,
    pub(crate) statistics: Statistics,
    /// Blocks written since the last barrier.
    unsynced: u64,
    /// The storage was made longer or shorter since then.
    resized: bool,
}

fn failed(operation: Operation, offset: u64, bytes: usize) -> impl Fn(StorageError) -> Error {
    move |error| Error::Storage { operation, offset, bytes: bytes as u64, error }
}

/// How long a storage is, in bytes.
pub(crate) fn size(storage: &mut dyn Storage) -> Result<u64> {
    storage.size().map_err(failed(Operation::Size, 0, 0))
}

/// Reads a block of a storage.
pub(crate) fn read(storage: &mut dyn Storage, block: u64, bytes: &mut Bytes) -> Result<()> {
    let offset = block::offset(block);
    storage.read(offset, bytes).map_err(failed(Operation::Read, offset, bytes.len()))
}

impl Store {
    pub(crate) fn new(storage: Box<dyn Storage>, sealer: Sealer) -> Self {
        Store { storage, sealer, statistics: Statistics::default(), unsynced: 0, resized: false }
    }

    /// How many whole blocks the storage has.
    pub(crate) fn blocks(&mut self) -> Result<u64> {
        Ok(size(&mut *self.storage)? / BLOCK_BYTES as u64)
    }

    /// Makes the storage this many blocks long.
    pub(crate) fn set_blocks(&mut self, blocks: u64) -> Result<()> {
        let size = block::offset(blocks);
        self.resized = true;
        self.storage.set_size(size).map_err(failed(Operation::SetSize, size, 0))
    }

    /// Reads blocks as they are, from one on.
    pub(crate) fn read(&mut self, block: u64, bytes: &mut [u8]) -> Result<()> {
        let offset = block::offset(block);
        self.statistics.reads += 1;
        self.statistics.bytes_read += bytes.len() as u64;
        self.storage.read(offset, bytes).map_err(failed(Operation::Read, offset, bytes.len()))
    }

    /// Writes blocks as they are, from one on.
    pub(crate) fn write(&mut self, block: u64, bytes: &[u8]) -> Result<()> {
        let offset = block::offset(block);
        self.count_unsynced(bytes);
        self.storage.write(offset, bytes).map_err(failed(Operation::Write, offset, bytes.len()))
    }

    /// Writes blocks as they are, one after the other, to runs.
    pub(crate) fn write_runs(&mut self, runs: &[Run], bytes: &[u8]) -> Result<()> {
        if let [run] = runs {
            return self.write(run.start, bytes);
        }
        let piece = |run: &Run| Piece {
            offset: block::offset(run.start),
            length: run.count as usize * BLOCK_BYTES,
        };
        let pieces: Vec<Piece> = runs.iter().map(piece).collect();
        let Some(first) = pieces.first() else { return Ok(()) };
        self.count_unsynced(bytes);
        self.storage.write_pieces(&pieces, bytes).map_err(failed(
            Operation::Write,
            first.offset,
            bytes.len(),
        ))
    }

    fn count_write(&mut self, bytes: &[u8]) {
        self.statistics.writes += 1;
        self.statistics.bytes_written += bytes.len() as u64;
    }

    /// Counts a write that the next barrier has to make durable.
    fn count_unsynced(&mut self, bytes: &[u8]) {
        self.count_write(bytes);
        self.unsynced += (bytes.len() / BLOCK_BYTES) as u64;
    }

    /// Writes blocks as they are, from one on, and returns when they are durable; what was
    /// written before may not be.
    pub(crate) fn write_through(&mut self, block: u64, bytes: &[u8]) -> Result<()> {
        let offset = block::offset(block);
        self.count_write(bytes);
        self.statistics.syncs += 1;
        self.storage.write_through(offset, bytes).map_err(failed(
            Operation::Sync,
            offset,
            bytes.len(),
        ))
    }

    /// Returns when all that was written is durable.
    pub(crate) fn sync(&mut self) -> Result<()> {
        self.statistics.syncs += 1;
        self.storage.sync().map_err(failed(Operation::Sync, 0, 0))?;
        self.unsynced = 0;
        self.resized = false;
        Ok(())
    }

    /// Blocks written since the last barrier.
    pub(crate) fn unsynced(&self) -> u64 {
        self.unsynced
    }

    /// Whether there is something that the next barrier has to make durable.
    pub(crate) fn is_unsynced(&self) -> bool {
        self.resized || self.unsynced > 0
    }

    /// Decrypts what was read from a pointer's block, in place; clears it if it is not
    /// authentic.
    pub(crate) fn open(&mut self, kind: Kind, pointer: &Pointer, bytes: &mut [u8]) -> Result<()> {
        let seal = Seal { salt: pointer.salt, counter: pointer.counter, tag: pointer.tag };
        self.statistics.blocks_opened += 1;
        self.sealer
            .open(kind, &seal, &[], bytes)
            .map_err(|_| Error::NotAuthentic { block: pointer.block, kind: kind.to_string() })
    }

    /// Reads and opens the block of a pointer.
    pub(crate) fn load(&mut self, kind: Kind, pointer: &Pointer, bytes: &mut Bytes) -> Result<()> {
        self.read(pointer.block, &mut bytes[..])?;
        self.open(kind, pointer, &mut bytes[..])
    }

    /// Encrypts what will be written to a block, in place.
    pub(crate) fn seal(&mut self, kind: Kind, block: u64, bytes: &mut [u8]) -> Result<Pointer> {
        self.statistics.blocks_sealed += 1;
        let seal = self.sealer.seal(kind, &[], bytes)?;
        Ok(Pointer { block, counter: seal.counter, salt: seal.salt, tag: seal.tag })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::random_key;
    use crate::storage::MemoryStorage;

    #[test]
    fn all_that_is_written_and_not_synced_waits_for_a_barrier() {
        let sealer = Sealer::new(random_key().unwrap()).unwrap();
        let mut store = Store::new(Box::new(MemoryStorage::default()), sealer);
        store.set_blocks(8).unwrap();
        assert!(store.is_unsynced());
        store.sync().unwrap();
        let runs = [Run { start: 5, count: 1 }, Run { start: 1, count: 2 }];
        let bytes: Vec<u8> = (0..3).flat_map(|block| [block + 1; BLOCK_BYTES]).collect();
        store.write_runs(&runs, &bytes).unwrap();
        assert_eq!(store.unsynced(), 3);
        for (block, wanted) in [(5, 1), (1, 2), (2, 3), (3, 0)] {
            let mut read = [0; BLOCK_BYTES];
            store.read(block, &mut read).unwrap();
            assert_eq!(read, [wanted; BLOCK_BYTES]);
        }
        store.sync().unwrap();
        store.write_through(4, &[7; BLOCK_BYTES]).unwrap();
        assert!(!store.is_unsynced());
        store.write(4, &[8; BLOCK_BYTES]).unwrap();
        assert!(store.is_unsynced());
    }
}
