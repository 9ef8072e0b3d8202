//! Blocks between the allocator and the tree: free blocks for nodes, and blocks that nodes have
//! left.
//!
//! A change of the tree takes blocks only from here, so it never causes another change of the tree.
//! An allocator would cause one, because its bitmaps are items of the same tree.

use crate::format::block::BlockNo;
use crate::format::pointer::Pointer;

/// The pool.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// Blocks that are entered as in use and hold nothing yet. The next one to take is last.
    at_hand: Vec<BlockNo>,
    /// Pointers to nodes that were replaced or removed.
    left: Vec<Pointer>,
}

impl Pool {
    /// Returns how many blocks are at hand.
    pub(crate) fn len(&self) -> usize {
        self.at_hand.len()
    }

    /// Returns the blocks at hand.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = BlockNo> {
        self.at_hand.iter().copied()
    }

    /// Takes a block for a node.
    pub(crate) fn take(&mut self) -> Option<BlockNo> {
        self.at_hand.pop()
    }

    /// Gives back a block that holds nothing. It is the next one to be taken.
    pub(crate) fn give_back(&mut self, block: BlockNo) {
        self.at_hand.push(block);
    }

    /// Adds blocks, which will be taken in this order, before all others.
    pub(crate) fn add_before(&mut self, blocks: impl DoubleEndedIterator<Item = BlockNo>) {
        self.at_hand.extend(blocks.rev());
    }

    /// Adds blocks, which will be taken in this order, after all others.
    pub(crate) fn add_after(&mut self, blocks: impl DoubleEndedIterator<Item = BlockNo>) {
        self.at_hand.splice(0..0, blocks.rev());
    }

    /// Takes all blocks out.
    pub(crate) fn drain(&mut self) -> Vec<BlockNo> {
        std::mem::take(&mut self.at_hand)
    }

    /// Adds the block of a node that was replaced or removed.
    pub(crate) fn leave(&mut self, pointer: Pointer) {
        self.left.push(pointer);
    }

    /// Takes the next block that a node has left.
    pub(crate) fn next_left(&mut self) -> Option<Pointer> {
        self.left.pop()
    }
}
