//! Makes room for changes: writes what exceeds the limits, and reserves blocks. A commit may happen
//! here, between changes, but never in the middle of one.

use super::Engine;
use crate::alloc::Reserved;
use crate::error::Result;

impl Engine {
    /// Makes room for a change. No frame of the cache may be in use, because this invalidates them.
    pub(crate) fn make_room(&mut self) -> Result<()> {
        self.keep_bounds()?;
        match self.space_mut().reserve_for_nodes()? {
            Reserved::Yes => Ok(()),
            Reserved::NeedsCommit(_) => {
                // Nodes that were replaced wait for a tree commit.
                self.log.need_tree();
                self.commit()?;
                self.space_mut().fill_pool()
            }
        }
    }

    /// Like [`make_room`](Self::make_room), but does not reserve blocks for nodes.
    pub(crate) fn keep_bounds(&mut self) -> Result<()> {
        self.check_writable()?;
        self.recover()?;
        if self.data.cache().dirty_data() > self.most_dirty_data() {
            self.data.flush()?;
        }
        if self.inodes().wants_writing() {
            self.inodes_mut().write()?;
        }
        if self.space().wants_commit() {
            self.commit()?;
        }
        if self.data.cache().dirty_nodes() > self.most_dirty_nodes() {
            self.space_mut().tree_mut().write_nodes()?;
        }
        if self.space().wants_entering() {
            self.space_mut().enter_freed()?;
        }
        self.data.cache_mut().trim();
        self.has_uncommitted = true;
        Ok(())
    }

    /// Like [`make_room`](Self::make_room), for changes that take space in the tree for good. They
    /// may not use the space that is reserved for data, and for removing things.
    pub(crate) fn make_room_for_names(&mut self) -> Result<()> {
        self.make_room()?;
        self.reserve_for_dirty(1)
    }

    /// Ensures that `more` blocks can become dirty and be written later. So a lack of space is
    /// reported to the write that causes it, not to a later sync.
    pub(crate) fn reserve_for_dirty(&mut self, more: u64) -> Result<()> {
        let dirty = self.data.cache().dirty_data() as u64;
        if let Reserved::Yes = self.reserve_with_leaves(dirty + more)? {
            return Ok(());
        }
        // The commit may free enough blocks.
        self.commit()?;
        match self.reserve_with_leaves(more)? {
            Reserved::Yes => self.space_mut().fill_pool(),
            Reserved::NeedsCommit(full) => Err(full),
        }
    }

    /// Ensures that there is room for `blocks` more blocks now.
    pub(crate) fn reserve(&mut self, blocks: u64) -> Result<()> {
        let ring_blocks = self.log.ring_blocks();
        match self.space_mut().reserve(blocks, ring_blocks)? {
            Reserved::Yes => Ok(()),
            Reserved::NeedsCommit(full) => Err(full),
        }
    }

    fn reserve_with_leaves(&mut self, blocks: u64) -> Result<Reserved> {
        let ring_blocks = self.log.ring_blocks();
        let blocks = self.space().with_leaves(blocks);
        self.space_mut().reserve(blocks, ring_blocks)
    }

    fn most_dirty_data(&self) -> usize {
        self.data.cache().budget() / 4
    }
}
