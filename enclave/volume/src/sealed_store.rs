//! A storage with the keys of its contents. This layer counts calls and describes errors.

use crate::crypto::{Seal, Sealer};
use crate::error::{Error, Operation, Result};
use crate::format::block::{BLOCK_BYTES, BlockNo, Bytes, Kind, Run, bytes_of};
use crate::format::pointer::Pointer;
use crate::statistics::Statistics;
use crate::storage::{Piece, Storage, StorageError};

/// Limit on the blocks of one write to the storage.
pub(crate) const BATCH_BLOCKS: usize = 256;

/// Whether a storage may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    ReadOnly,
    Write,
}

/// A storage and the keys of its contents.
pub(crate) struct SealedStore {
    storage: Box<dyn Storage>,
    access: Access,
    sealer: Sealer,
    statistics: Statistics,
    /// Blocks of the storage that belong to the volume.
    blocks: u64,
    /// Number of whole blocks in the storage, once it is known.
    length: Option<u64>,
    /// Blocks written since the last barrier.
    unsynced: u64,
    /// Whether the size of the storage was changed since the last barrier.
    resized: bool,
}

fn failed(operation: Operation, offset: u64, bytes: usize) -> impl Fn(StorageError) -> Error {
    move |error| Error::Storage { operation, offset, bytes: bytes as u64, error }
}

/// Returns the size of a storage in bytes.
pub(crate) fn size(storage: &mut dyn Storage) -> Result<u64> {
    storage.size().map_err(failed(Operation::Size, 0, 0))
}

/// Reads one block of a storage.
pub(crate) fn read(storage: &mut dyn Storage, block: BlockNo, bytes: &mut Bytes) -> Result<()> {
    let offset = block.offset();
    storage.read(offset, bytes).map_err(failed(Operation::Read, offset, bytes.len()))
}

impl SealedStore {
    /// A storage in which no block belongs to a volume yet.
    pub(crate) fn new(storage: Box<dyn Storage>, sealer: Sealer, access: Access) -> Self {
        SealedStore {
            storage,
            access,
            sealer,
            statistics: Statistics::default(),
            blocks: 0,
            length: None,
            unsynced: 0,
            resized: false,
        }
    }

    /// Whether the storage may be written.
    pub(crate) fn access(&self) -> Access {
        self.access
    }

    /// The keys.
    pub(crate) fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// The keys, for sealing and opening.
    pub(crate) fn sealer_mut(&mut self) -> &mut Sealer {
        &mut self.sealer
    }

    /// Returns the counts of this layer. Other layers count cache hits and commits.
    pub(crate) fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// Blocks of the storage that belong to the volume.
    pub(crate) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Sets how many blocks of the storage belong to the volume.
    pub(crate) fn assume_blocks(&mut self, blocks: u64) {
        self.blocks = blocks;
    }

    /// Extends the volume to `blocks` blocks, and the storage too if it is shorter and may be
    /// written. A read-only mount that replays the log takes blocks that it never writes.
    pub(crate) fn grow(&mut self, blocks: u64) -> Result<()> {
        if self.access == Access::Write && self.length()? < blocks {
            self.set_length(blocks)?;
        }
        self.blocks = blocks;
        Ok(())
    }

    /// Removes the blocks after the end of the volume from the storage.
    pub(crate) fn cut_to_volume(&mut self) -> Result<()> {
        let longer = self.length().is_ok_and(|length| length > self.blocks);
        if longer { self.set_length(self.blocks) } else { Ok(()) }
    }

    /// Returns how many whole blocks the storage has.
    fn length(&mut self) -> Result<u64> {
        if let Some(length) = self.length {
            return Ok(length);
        }
        let length = size(&mut *self.storage)? / BLOCK_BYTES as u64;
        self.length = Some(length);
        Ok(length)
    }

    fn set_length(&mut self, blocks: u64) -> Result<()> {
        let size = bytes_of(blocks);
        self.resized = true;
        self.length = None;
        self.storage.set_size(size).map_err(failed(Operation::SetSize, size, 0))?;
        self.length = Some(blocks);
        Ok(())
    }

    /// Reads blocks from `block` on, without opening them.
    pub(crate) fn read(&mut self, block: BlockNo, bytes: &mut [u8]) -> Result<()> {
        let offset = block.offset();
        self.statistics.reads += 1;
        self.statistics.bytes_read += bytes.len() as u64;
        self.storage.read(offset, bytes).map_err(failed(Operation::Read, offset, bytes.len()))
    }

    /// Writes `bytes` unchanged to the blocks from `block` on.
    pub(crate) fn write(&mut self, block: BlockNo, bytes: &[u8]) -> Result<()> {
        let offset = block.offset();
        self.count_unsynced(bytes);
        self.storage.write(offset, bytes).map_err(failed(Operation::Write, offset, bytes.len()))
    }

    /// Writes `bytes` unchanged to `runs`, one after the other.
    pub(crate) fn write_runs(&mut self, runs: &[Run], bytes: &[u8]) -> Result<()> {
        if let [run] = runs {
            return self.write(run.start, bytes);
        }
        let piece = |run: &Run| Piece {
            offset: run.start.offset(),
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

    /// Counts a write that the next barrier must make durable.
    fn count_unsynced(&mut self, bytes: &[u8]) {
        self.count_write(bytes);
        self.unsynced += (bytes.len() / BLOCK_BYTES) as u64;
    }

    /// Writes `bytes` unchanged to the blocks from `block` on, and returns when they are durable.
    /// Earlier writes may not be durable then.
    pub(crate) fn write_through(&mut self, block: BlockNo, bytes: &[u8]) -> Result<()> {
        let offset = block.offset();
        self.count_write(bytes);
        self.statistics.syncs += 1;
        self.storage.write_through(offset, bytes).map_err(failed(
            Operation::Sync,
            offset,
            bytes.len(),
        ))
    }

    /// Returns when everything that was written is durable.
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

    /// Whether the next barrier has something to make durable.
    pub(crate) fn is_unsynced(&self) -> bool {
        self.resized || self.unsynced > 0
    }

    /// Decrypts the contents of a pointer's block in place, or clears them if they are not
    /// authentic.
    pub(crate) fn open(&mut self, kind: Kind, pointer: &Pointer, bytes: &mut [u8]) -> Result<()> {
        let seal = Seal { salt: pointer.salt, counter: pointer.counter, tag: pointer.tag };
        self.statistics.blocks_opened += 1;
        self.sealer
            .open(kind, &seal, &[], bytes)
            .map_err(|_| Error::NotAuthentic { block: pointer.block.0, kind: kind.to_string() })
    }

    /// Reads and opens the block that a pointer names.
    pub(crate) fn load(&mut self, kind: Kind, pointer: &Pointer, bytes: &mut Bytes) -> Result<()> {
        self.read(pointer.block, &mut bytes[..])?;
        self.open(kind, pointer, &mut bytes[..])
    }

    /// Encrypts the bytes for a block in place, and returns the pointer to the block.
    pub(crate) fn seal(&mut self, kind: Kind, block: BlockNo, bytes: &mut [u8]) -> Result<Pointer> {
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
        let mut store = SealedStore::new(Box::new(MemoryStorage::default()), sealer, Access::Write);
        store.grow(8).unwrap();
        assert!(store.is_unsynced());
        store.sync().unwrap();
        let runs = [Run::one(BlockNo(5)), Run { start: BlockNo(1), count: 2 }];
        let bytes: Vec<u8> = (0..3).flat_map(|block| [block + 1; BLOCK_BYTES]).collect();
        store.write_runs(&runs, &bytes).unwrap();
        assert_eq!(store.unsynced(), 3);
        for (block, wanted) in [(5, 1), (1, 2), (2, 3), (3, 0)] {
            let mut read = [0; BLOCK_BYTES];
            store.read(BlockNo(block), &mut read).unwrap();
            assert_eq!(read, [wanted; BLOCK_BYTES]);
        }
        store.sync().unwrap();
        store.write_through(BlockNo(4), &[7; BLOCK_BYTES]).unwrap();
        assert!(!store.is_unsynced());
        store.write(BlockNo(4), &[8; BLOCK_BYTES]).unwrap();
        assert!(store.is_unsynced());
    }
}
