//! Storages with one block that cannot be read.

mod support;

use std::ops::Range;
use support::{create, file, options, try_open};
use twine_vfs::{Error, FileSystem};
use twine_volume::{BLOCK_BYTES, MemoryStorage, Options, Storage, StorageError};

const BLOCKS: u64 = 200;

/// A storage in which one block cannot be read, in reads of any length.
#[derive(Debug, Clone)]
struct Unread {
    memory: MemoryStorage,
    bytes: Range<u64>,
}

impl Storage for Unread {
    fn size(&mut self) -> Result<u64, StorageError> {
        self.memory.size()
    }

    fn set_size(&mut self, size: u64) -> Result<(), StorageError> {
        self.memory.set_size(size)
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        let end = offset + bytes.len() as u64;
        if offset < self.bytes.end && end > self.bytes.start {
            return Err(StorageError::Io);
        }
        self.memory.read(offset, bytes)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.memory.write(offset, bytes)
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}

/// Reads the file in order, and returns the blocks that cannot be read. Returns `None` if the
/// volume does not open or the file is not found.
fn lost(storage: Unread) -> Option<Vec<u64>> {
    let read_only = Options { read_only: true, ..options(1 << 20) };
    let mut volume = try_open(storage, read_only).ok()?;
    let root = volume.root();
    let inode = volume.lookup(root, "g").ok()?;
    let mut bytes = [0; BLOCK_BYTES];
    let mut lost = Vec::new();
    for block in 0..BLOCKS {
        match volume.read(inode, block * BLOCK_BYTES as u64, &mut bytes) {
            Ok(_) => assert_eq!(bytes, [block as u8; BLOCK_BYTES]),
            Err(error) => {
                assert_eq!(error, Error::Io);
                lost.push(block);
            }
        }
    }
    Some(lost)
}

#[test]
fn a_block_that_can_not_be_read_costs_a_file_that_is_read_in_order_this_block_alone() {
    let memory = MemoryStorage::default();
    let mut volume = create(memory.clone(), 1 << 20);
    let inode = file(&mut volume, "g");
    for block in 0..BLOCKS {
        let bytes = [block as u8; BLOCK_BYTES];
        assert_eq!(volume.write(inode, block * BLOCK_BYTES as u64, &bytes), Ok(BLOCK_BYTES));
    }
    volume.release(inode);
    volume.close().unwrap();
    let blocks = memory.with(|bytes| bytes.len() / BLOCK_BYTES) as u64;
    let mut alone = Vec::new();
    for block in 0..blocks {
        let start = block * BLOCK_BYTES as u64;
        let bytes = start..start + BLOCK_BYTES as u64;
        match lost(Unread { memory: memory.clone(), bytes }).as_deref() {
            Some([one]) => alone.push(*one),
            // Reading does not need the block, or it is a node with many pointers.
            Some([]) | None => {}
            Some(many) => assert!(many.len() > 32, "block {block} costs {many:?}"),
        }
    }
    alone.sort_unstable();
    assert_eq!(alone, Vec::from_iter(0..BLOCKS));
}
