//! Reads the tree.

use super::{Range, Tree};
use crate::cache::NodeFrame;
use crate::error::{Error, Result};
use crate::format::block::{Kind, may_hold_node, zeroed};
use crate::format::item::Key;
use crate::format::node::Node;
use crate::format::pointer::Pointer;

/// Whether a scan continues after an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    On,
    Stop,
}

impl Tree {
    /// Returns the node of a pointer. Reads and checks it if it is not in the cache.
    pub(super) fn node(&mut self, pointer: &Pointer, level: u8) -> Result<NodeFrame> {
        if let Some(frame) = self.cache.find_node(pointer.block) {
            if self.cache.node(frame).level() != level {
                return Err(Error::damaged("a tree node is its own ancestor"));
            }
            return Ok(frame);
        }
        if !pointer.is_sealed() {
            return Err(Error::damaged("a tree node that was never written is gone"));
        }
        // A replaced node gives its block back, so the block must not be part of the log.
        if !may_hold_node(pointer.block, self.store.blocks()) {
            let what = format!("a pointer leads to block {}, where no tree node is", pointer.block);
            return Err(Error::damaged(what));
        }
        let mut bytes = self.cache.spare();
        if let Err(error) = self.store.load(Kind::Node, pointer, &mut bytes) {
            self.cache.give_back(bytes);
            return Err(error);
        }
        match Node::validate(bytes, level) {
            Ok(node) => Ok(self.cache.put_node(pointer.block, node)),
            Err((bytes, what)) => {
                self.cache.give_back(bytes);
                Err(Error::damaged(format!("{what} (block {})", pointer.block)))
            }
        }
    }

    /// Returns the leaf for a key, and the least key of the next leaf.
    fn leaf(&mut self, key: &Key) -> Result<(NodeFrame, Option<Key>)> {
        let (frame, next) = self.path_to(key, |_| ());
        Ok((frame?, next))
    }

    /// Finds a leaf like [`leaf`](Self::leaf), and calls `look` with the pointers to all nodes on
    /// the path. If a node cannot be read, the returned key is the least key after all keys below
    /// that node.
    ///
    /// The keys of each node on the path must lie in the range that the nodes above give it. So a
    /// walk from leaf to leaf visits each item once, wherever the pointers lead.
    fn path_to(
        &mut self,
        key: &Key,
        mut look: impl FnMut(&Pointer),
    ) -> (Result<NodeFrame>, Option<Key>) {
        let mut pointer = self.root.pointer;
        let mut range = Range::default();
        for level in (1..self.root.levels).rev() {
            look(&pointer);
            let frame = match self.node_in(&pointer, level, &range) {
                Ok(frame) => frame,
                error => return (error, range.end),
            };
            let node = self.cache.node(frame);
            let index = node.child_index(key);
            range = range.of_child(node, index);
            pointer = node.child(index);
        }
        look(&pointer);
        (self.node_in(&pointer, 0, &range), range.end)
    }

    /// Returns a node, and checks that its keys lie in `range`.
    fn node_in(&mut self, pointer: &Pointer, level: u8, range: &Range) -> Result<NodeFrame> {
        let frame = self.node(pointer, level)?;
        range.check(self.cache.node(frame))?;
        Ok(frame)
    }

    /// Calls `pointers` with all pointers on the path to the leaf of a key, and then `leaf` with
    /// the leaf. Also returns the least key after the leaf or, if a node cannot be read, after all
    /// keys below that node.
    pub(crate) fn visit_leaf<T>(
        &mut self,
        key: &Key,
        pointers: impl FnMut(&Pointer),
        leaf: impl FnOnce(&Node) -> T,
    ) -> (Result<T>, Option<Key>) {
        let (frame, next) = self.path_to(key, pointers);
        (frame.map(|frame| leaf(self.cache.node(frame))), next)
    }

    /// Calls `look` with the value of an item, if the item exists. Ranges are not checked: only one
    /// path leads to the place of a key, so keys in other places do not matter.
    pub(crate) fn get<T>(&mut self, key: &Key, look: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        let mut pointer = self.root.pointer;
        for level in (1..self.root.levels).rev() {
            let frame = self.node(&pointer, level)?;
            let node = self.cache.node(frame);
            pointer = node.child(node.child_index(key));
        }
        let frame = self.node(&pointer, 0)?;
        let node = self.cache.node(frame);
        Ok(node.search(key).ok().map(|index| look(node.value(index))))
    }

    /// Whether an item exists.
    pub(crate) fn has(&mut self, key: &Key) -> Result<bool> {
        Ok(self.get(key, |_| ())?.is_some())
    }

    /// Calls `each` with the items from a key on, in order, until it returns [`Step::Stop`].
    pub(crate) fn scan(
        &mut self,
        from: &Key,
        mut each: impl FnMut(&Key, &[u8]) -> Result<Step>,
    ) -> Result<()> {
        let mut from = *from;
        loop {
            let (frame, next) = self.leaf(&from)?;
            let node = self.cache.node(frame);
            let start = node.search(&from).unwrap_or_else(|index| index);
            for index in start..node.count() {
                if each(&node.key(index), node.value(index))? == Step::Stop {
                    return Ok(());
                }
            }
            match next {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }

    /// Returns a copy of a node from the storage or, if it was not written yet, from the cache.
    pub(crate) fn load_node(&mut self, pointer: &Pointer, level: u8) -> Result<Node> {
        if !pointer.is_sealed() {
            let frame = self.cache.find_node(pointer.block);
            let frame = frame.ok_or_else(|| Error::damaged("a tree node is gone"))?;
            return Ok(self.cache.node(frame).clone());
        }
        let mut bytes = zeroed();
        self.store.load(Kind::Node, pointer, &mut bytes)?;
        Node::validate(bytes, level).map_err(|(_, what)| Error::damaged(what))
    }
}
