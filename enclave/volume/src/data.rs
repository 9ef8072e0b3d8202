//! The blocks of files, between cache and storage.

mod pointers;
mod read;
mod ring;
mod write;

use crate::alloc::Space;
use crate::cache::Cache;
use crate::error::Result;
use crate::format::item::{GROUP, Key};
use crate::format::numbers::{FileBlock, InodeNo};
use crate::format::pointer::Pointer;
use crate::health::Health;
use crate::inode_table::Inodes;
use crate::sealed_store::SealedStore;

/// The contents of files.
pub(crate) struct Data {
    inodes: Inodes,
    /// Buffer for ciphertext that was read or is about to be written.
    scratch: Vec<u8>,
}

impl Data {
    pub(crate) fn new(inodes: Inodes) -> Self {
        Data { inodes, scratch: Vec::new() }
    }

    pub(crate) fn inodes(&self) -> &Inodes {
        &self.inodes
    }

    pub(crate) fn inodes_mut(&mut self) -> &mut Inodes {
        &mut self.inodes
    }

    pub(crate) fn space(&self) -> &Space {
        self.inodes.space()
    }

    pub(crate) fn space_mut(&mut self) -> &mut Space {
        self.inodes.space_mut()
    }

    pub(crate) fn cache(&self) -> &Cache {
        self.space().tree().cache()
    }

    pub(crate) fn cache_mut(&mut self) -> &mut Cache {
        self.space_mut().tree_mut().cache_mut()
    }

    pub(crate) fn store_mut(&mut self) -> &mut SealedStore {
        self.space_mut().tree_mut().store_mut()
    }

    pub(crate) fn health_mut(&mut self) -> &mut Health {
        self.space_mut().health_mut()
    }

    /// Whether the start of a file is stored as an inline item.
    pub(crate) fn is_inline(&mut self, inode: InodeNo) -> Result<bool> {
        self.space_mut().has(&Key::inline(inode))
    }
}

/// Returns the length of the run of adjacent blocks with which `pointers` begins.
fn in_a_row(pointers: &[Option<Pointer>]) -> usize {
    let Some(Some(first)) = pointers.first() else { return 0 };
    pointers
        .iter()
        .zip(first.block.0..)
        .take_while(|(pointer, block)| pointer.is_some_and(|pointer| pointer.block.0 == *block))
        .count()
}

fn same_group(a: &FileBlock, b: &FileBlock) -> bool {
    a.inode == b.inode && a.index / GROUP == b.index / GROUP
}
