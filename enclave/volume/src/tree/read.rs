//! Reading the tree.

use super::{Range, Tree};
use crate::cache::NodeFrame;
use crate::error::{Error, Result};
use crate::format::block::{Kind, may_hold_node, zeroed};
use crate::format::item::Key;
use crate::format::node::Node;
use crate::format::pointer::Pointer;

/// What to do after an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    On,
    Stop,
}

impl Tree {
    /// The node of a pointer, read and checked if it is not in the cache.
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
        // A node that is replaced gives its block back, which must be no part of the log.
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

    /// The leaf that a key belongs into, and the least key of the next leaf.
    fn leaf(&mut self, key: &Key) -> Result<(NodeFrame, Option<Key>)> {
        let (frame, next) = self.path_to(key, |_| ());
        Ok((frame?, next))
    }

    /// As [`leaf`](Self::leaf), with a look at the pointers of all nodes on the path, and of the
    /// leaf. Where one of them can't be read, the key is the least one after all that it leads to.
    ///
    /// The keys of each node on the path must lie between those that the nodes above give it. So
    /// whoever goes from leaf to leaf gets each item once, whatever the pointers lead to.
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

    /// A node whose keys lie where they should.
    fn node_in(&mut self, pointer: &Pointer, level: u8, range: &Range) -> Result<NodeFrame> {
        let frame = self.node(pointer, level)?;
        range.check(self.cache.node(frame))?;
        Ok(frame)
    }

    /// Looks at all pointers on the path to the leaf of a key, and then at the leaf. Also gives the
    /// least key of what comes after it: after the leaf, or after all that is below a node that
    /// can't be read.
    pub(crate) fn visit_leaf<T>(
        &mut self,
        key: &Key,
        pointers: impl FnMut(&Pointer),
        leaf: impl FnOnce(&Node) -> T,
    ) -> (Result<T>, Option<Key>) {
        let (frame, next) = self.path_to(key, pointers);
        (frame.map(|frame| leaf(self.cache.node(frame))), next)
    }

    /// Looks at an item's value, if there is one. There is one path to where it belongs, so what keys
    /// lie elsewhere does not matter.
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

    /// Whether there is such an item.
    pub(crate) fn has(&mut self, key: &Key) -> Result<bool> {
        Ok(self.get(key, |_| ())?.is_some())
    }

    /// Looks at the items from a key on, in order, until `each` has enough.
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

    /// A node as it is in the storage, or in the cache if it was not written yet.
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
