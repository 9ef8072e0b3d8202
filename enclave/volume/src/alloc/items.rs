//! Items of the tree, for all who are above the allocator: each change finds the blocks that it takes
//! in the pool.

use super::Space;
use crate::error::Result;
use crate::format::item::Key;
use crate::format::node::Node;
use crate::format::pointer::Pointer;
use crate::tree::Step;

impl Space {
    /// Looks at an item's value, if there is one.
    pub(crate) fn get<T>(&mut self, key: &Key, look: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        self.tree.get(key, look)
    }

    /// Whether there is such an item.
    pub(crate) fn has(&mut self, key: &Key) -> Result<bool> {
        self.tree.has(key)
    }

    /// Looks at the items from a key on, in order, until `each` has enough.
    pub(crate) fn scan(
        &mut self,
        from: &Key,
        each: impl FnMut(&Key, &[u8]) -> Result<Step>,
    ) -> Result<()> {
        self.tree.scan(from, each)
    }

    /// See [`Tree::visit_leaf`](crate::tree::Tree::visit_leaf).
    pub(crate) fn visit_leaf<T>(
        &mut self,
        key: &Key,
        pointers: impl FnMut(&Pointer),
        leaf: impl FnOnce(&Node) -> T,
    ) -> (Result<T>, Option<Key>) {
        self.tree.visit_leaf(key, pointers, leaf)
    }

    /// Makes sure that a change of this item needs nothing from the storage any more, so
    /// that it can't fail in the middle of an operation.
    pub(crate) fn prepare(&mut self, key: &Key) -> Result<()> {
        self.supply(key, None)?;
        let result = self.tree.prepare(key);
        self.free_left_nodes();
        result
    }

    /// Puts an item, or gives it another value.
    pub(crate) fn put(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        self.supply(key, Some(value.len()))?;
        let result = self.tree.put(key, value);
        self.free_left_nodes();
        result
    }

    /// Puts an item of extents whose pointers of a mask differ from what they were.
    pub(crate) fn put_extents(&mut self, key: &Key, value: &[u8], mask: u32) -> Result<()> {
        self.supply(key, Some(value.len()))?;
        let result = self.tree.put_extents(key, value, mask);
        self.free_left_nodes();
        result
    }

    /// Takes an item away; whether there was one.
    pub(crate) fn remove(&mut self, key: &Key) -> Result<bool> {
        self.supply(key, None)?;
        let result = self.tree.remove(key);
        self.free_left_nodes();
        result
    }

    /// Sees to it that the pool has what a change of an item takes. While bitmaps are put into the tree
    /// there is no supply, and exactly that is taken.
    fn supply(&mut self, key: &Key, length: Option<usize>) -> Result<()> {
        if self.tree.pool().len() >= self.tree.most_blocks_needed() {
            return Ok(());
        }
        let needed = self.tree.blocks_needed(key, length)?;
        while self.tree.pool().len() < needed {
            let block = self.take_for_node()?;
            self.tree.pool_mut().give_back(block);
        }
        Ok(())
    }
}
