//! Getting ready for changes: what is over the bounds is written, and blocks are at hand. Between
//! changes a commit may take place; in the middle of one there is none.

use super::Engine;
use crate::alloc::Reserved;
use crate::error::Result;

impl Engine {
    /// Gets ready for a change: of what is in the cache nothing may be in use.
    pub(crate) fn make_room(&mut self) -> Result<()> {
        self.keep_bounds()?;
        match self.space_mut().reserve_for_nodes()? {
            Reserved::Yes => Ok(()),
            Reserved::NeedsCommit(_) => {
                // Nodes that were replaced wait for a commit that writes the tree.
                self.log.need_tree();
                self.commit()?;
                self.space_mut().fill_pool()
            }
        }
    }

    /// As [`make_room`](Self::make_room), without a supply of blocks for nodes.
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

    /// As [`make_room`](Self::make_room), for changes that take space in the tree for good: what was
    /// promised to data, and what it takes to remove something, is left alone.
    pub(crate) fn make_room_for_names(&mut self) -> Result<()> {
        self.make_room()?;
        self.reserve_for_dirty(1)
    }

    /// Sees to it that so many more blocks can be dirty and written later, so that want of
    /// space is told to who writes, and not to who syncs.
    pub(crate) fn reserve_for_dirty(&mut self, more: u64) -> Result<()> {
        let dirty = self.data.cache().dirty_data() as u64;
        if let Reserved::Yes = self.reserve_with_leaves(dirty + more)? {
            return Ok(());
        }
        // What waits for a commit may be enough.
        self.commit()?;
        match self.reserve_with_leaves(more)? {
            Reserved::Yes => self.space_mut().fill_pool(),
            Reserved::NeedsCommit(full) => Err(full),
        }
    }

    /// Sees to it that so many more blocks have room now.
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
