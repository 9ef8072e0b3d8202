//! Gives the layers above access to items of the tree. Before each change, it fills the pool with
//! the blocks that the change takes.

use super::{Reserved, Space, Supply};
use crate::error::Result;
use crate::format::item::Key;
use crate::format::node::Node;
use crate::format::pointer::Pointer;
use crate::tree::Step;

impl Space {
    /// Calls `look` with the value of an item, if the item exists.
    pub(crate) fn get<T>(&mut self, key: &Key, look: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        self.tree.get(key, look)
    }

    /// Whether an item exists.
    pub(crate) fn has(&mut self, key: &Key) -> Result<bool> {
        self.tree.has(key)
    }

    /// Calls `each` with the items from a key on, in order, until it returns [`Step::Stop`].
    pub(crate) fn scan(
        &mut self,
        from: &Key,
        each: impl FnMut(&Key, &[u8]) -> Result<Step>,
    ) -> Result<()> {
        self.tree.scan(from, each)
    }

    /// Visits the leaf of a key: see [`Tree::visit_leaf`](crate::tree::Tree::visit_leaf).
    pub(crate) fn visit_leaf<T>(
        &mut self,
        key: &Key,
        pointers: impl FnMut(&Pointer),
        leaf: impl FnOnce(&Node) -> T,
    ) -> (Result<T>, Option<Key>) {
        self.tree.visit_leaf(key, pointers, leaf)
    }

    /// Makes the path to an item writable. A change of the item then needs nothing from the
    /// storage, so it cannot fail in the middle of an operation.
    pub(crate) fn prepare(&mut self, key: &Key) -> Result<()> {
        self.fill_pool_for(key, None)?;
        let result = self.tree.prepare(key);
        self.free_left_nodes();
        result
    }

    /// Inserts an item, or replaces its value.
    pub(crate) fn put(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        self.fill_pool_for(key, Some(value.len()))?;
        let result = self.tree.put(key, value);
        self.free_left_nodes();
        result
    }

    /// Puts an item of extents. `mask` says which of its pointers have changed.
    pub(crate) fn put_extents(&mut self, key: &Key, value: &[u8], mask: u32) -> Result<()> {
        self.fill_pool_for(key, Some(value.len()))?;
        let result = self.tree.put_extents(key, value, mask);
        self.free_left_nodes();
        result
    }

    /// Removes an item. Returns whether it existed.
    pub(crate) fn remove(&mut self, key: &Key) -> Result<bool> {
        self.fill_pool_for(key, None)?;
        self.fill_pool_for_merges()?;
        let result = self.tree.remove(key);
        self.free_left_nodes();
        result
    }

    /// Fills the pool for merging sparse nodes. If there is no space, the nodes are not merged.
    fn fill_pool_for_merges(&mut self) -> Result<()> {
        match self.fill_pool_to(self.tree.most_blocks_needed()) {
            Err(error) if error.is_full() => Ok(()),
            result => result,
        }
    }

    /// Fills the pool for one change of an item.
    fn fill_pool_for(&mut self, key: &Key, length: Option<usize>) -> Result<()> {
        let most = self.tree.most_blocks_needed();
        if self.tree.pool().len() >= most {
            return Ok(());
        }
        if self.supply == Supply::Ahead
            && let Reserved::Yes = self.reserve_for_nodes()?
            && self.tree.pool().len() >= most
        {
            return Ok(());
        }
        let needed = self.tree.blocks_needed(key, length)?;
        self.fill_pool_to(needed)
    }

    /// Takes single blocks until the pool has `count` blocks.
    fn fill_pool_to(&mut self, count: usize) -> Result<()> {
        while self.tree.pool().len() < count {
            let block = self.take_for_node()?;
            self.tree.pool_mut().give_back(block);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Supply;
    use crate::format::item::{Key, Subject};
    use crate::format::node::MAX_VALUE_BYTES;
    use crate::format::numbers::InodeNo;
    use crate::pseudorandom;
    use crate::{MemoryStorage, NewSlot, Options, Volume};

    /// Each change takes all blocks that were counted for it. Otherwise blocks would be left in the
    /// pool after a commit has written the bitmaps.
    #[test]
    fn a_change_takes_exactly_the_blocks_that_were_counted_before() {
        let slots = [NewSlot::key_file(&[1; 32]).unwrap()];
        let storage = Box::new(MemoryStorage::default());
        let mut volume = Volume::create(storage, &slots, Options::default()).unwrap();
        let engine = volume.engine_mut();
        let mut random = pseudorandom::numbers();
        let mut levels = 0;
        for step in 0..30_000 {
            if step % 500 == 499 {
                engine.keep_bounds().unwrap();
                engine.space_mut().tree_mut().write_nodes().unwrap();
            }
            let space = engine.space_mut();
            space.drain_pool();
            space.supply = Supply::Exact;
            let key = Key::new(InodeNo(1 << 40), Subject::Target, random() as u64 % 4000);
            let length = match random() % 4 {
                0 => random() % 30,
                1 => MAX_VALUE_BYTES - random() % 30,
                _ => random() % (MAX_VALUE_BYTES + 1),
            };
            match random() % 8 {
                0 => drop(space.tree.remove(&key)),
                1 => space.prepare(&key).unwrap(),
                _ => space.put(&key, &vec![step as u8; length]).unwrap(),
            }
            space.free_left_nodes();
            assert_eq!(space.tree.pool().len(), 0, "step {step}: {key:?}, {length} bytes");
            levels = levels.max(space.tree.root().levels);
        }
        assert!(levels >= 3, "{levels}");
    }
}
