//! Blocks between the allocator and the tree: those at hand for nodes, and those that nodes have left.
//!
//! A change of the tree takes blocks from here and from nowhere else. So it never leads to another
//! change of the tree, as an allocator's would whose bitmaps are items of that tree.

use crate::format::block::BlockNo;
use crate::format::pointer::Pointer;

/// The pool.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    /// Entered as in use, and hold nothing yet. The next one is last.
    at_hand: Vec<BlockNo>,
    /// Pointers to nodes that were replaced or given up.
    left: Vec<Pointer>,
}

impl Pool {
    /// How many blocks are at hand.
    pub(crate) fn len(&self) -> usize {
        self.at_hand.len()
    }

    /// The blocks at hand.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = BlockNo> {
        self.at_hand.iter().copied()
    }

    /// Takes a block for a node.
    pub(crate) fn take(&mut self) -> Option<BlockNo> {
        self.at_hand.pop()
    }

    /// Gives a block back that holds nothing: it is the next one to be taken.
    pub(crate) fn give_back(&mut self, block: BlockNo) {
        self.at_hand.push(block);
    }

    /// Adds blocks, which are taken in this order, before all others.
    pub(crate) fn add_before(&mut self, blocks: impl DoubleEndedIterator<Item = BlockNo>) {
        self.at_hand.extend(blocks.rev());
    }

    /// Adds blocks, which are taken in this order, after all others.
    pub(crate) fn add_after(&mut self, blocks: impl DoubleEndedIterator<Item = BlockNo>) {
        self.at_hand.splice(0..0, blocks.rev());
    }

    /// Takes all blocks out.
    pub(crate) fn drain(&mut self) -> Vec<BlockNo> {
        std::mem::take(&mut self.at_hand)
    }

    /// A node has left its block.
    pub(crate) fn leave(&mut self, pointer: Pointer) {
        self.left.push(pointer);
    }

    /// A block that a node has left, until there is no more.
    pub(crate) fn next_left(&mut self) -> Option<Pointer> {
        self.left.pop()
    }
}
