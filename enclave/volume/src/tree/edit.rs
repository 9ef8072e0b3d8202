//! Changes the tree: copy on write, from the root down.
//!
//! When a clean node is changed, it moves to another block at once, and its parent, changed
//! likewise, gets an unsealed pointer to it. So every node on the path of a change is dirty and
//! stays in the cache. Dirty nodes are sealed and written together (see `write`).
//!
//! If a node on its path cannot be read, a change fails before it has changed anything. After that
//! it needs only blocks from the pool. [`Tree::blocks_needed`] counts them beforehand.

use super::{Root, Tree};
use crate::cache::NodeFrame;
use crate::error::{Error, Result};
use crate::format::block::BlockNo;
use crate::format::item::{KEY_BYTES, Key, Subject};
use crate::format::node::{MAX_LEVELS, MAX_VALUE_BYTES, Node, SLOT_BYTES};
use crate::format::pointer::{POINTER_BYTES, Pointer};

/// A node that uses fewer bytes is merged with a neighbour if both fit into one node.
const SPARSE: usize = 1024;

/// Bytes that another child takes in a node.
const CHILD_BYTES: usize = SLOT_BYTES + KEY_BYTES + POINTER_BYTES;

/// The path to a leaf: dirty nodes, and for each the index of the child on the path.
type Path = Vec<(NodeFrame, usize)>;

impl Tree {
    /// Upper bound on the blocks that any change of an item takes from the pool. These are two for
    /// each level, for the node on the path and for the node split off from it, and one for a new
    /// root.
    pub(crate) fn most_blocks_needed(&self) -> usize {
        2 * usize::from(self.root.levels) + 1
    }

    /// Returns the maximum number of blocks that it takes from the pool to make an item writable
    /// and, with `length`, to put a value of that many bytes.
    pub(crate) fn blocks_needed(&mut self, key: &Key, length: Option<usize>) -> Result<usize> {
        let mut pointer = self.root.pointer;
        let mut clean = usize::from(pointer.is_sealed());
        // Number of adjacent levels, from the present one up, whose node has no room for another
        // child.
        let mut full = 0;
        for level in (1..self.root.levels).rev() {
            let frame = self.node(&pointer, level)?;
            let node = self.cache.node(frame);
            full = if node.free() < CHILD_BYTES { full + 1 } else { 0 };
            pointer = node.child(node.child_index(key));
            clean += usize::from(pointer.is_sealed());
        }
        let Some(length) = length else { return Ok(clean) };
        let frame = self.node(&pointer, 0)?;
        let leaf = self.cache.node(frame);
        let old =
            leaf.search(key).map_or(0, |index| SLOT_BYTES + KEY_BYTES + leaf.value(index).len());
        if leaf.free() + old >= SLOT_BYTES + KEY_BYTES + length {
            return Ok(clean);
        }
        let new_root = usize::from(full + 1 == usize::from(self.root.levels));
        Ok(clean + 1 + full + new_root)
    }

    /// Makes the path to an item writable. A change of the item then needs nothing from the
    /// storage, so it cannot fail in the middle of an operation.
    pub(crate) fn prepare(&mut self, key: &Key) -> Result<()> {
        self.writable_path(key).map(drop)
    }

    /// Inserts an item, or replaces its value.
    pub(crate) fn put(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        debug_assert!(key.subject != Subject::Extents, "`put_extents` takes the changed pointers");
        self.changes.add(key);
        self.put_value(key, value)
    }

    /// Puts an item of extents. `mask` says which of its pointers have changed.
    pub(crate) fn put_extents(&mut self, key: &Key, value: &[u8], mask: u32) -> Result<()> {
        self.changes.add_pointers(key, mask);
        self.put_value(key, value)
    }

    fn put_value(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        if value.len() > MAX_VALUE_BYTES {
            return Err(Error::damaged("an item is too large for the tree"));
        }
        let (mut path, leaf) = self.writable_path(key)?;
        let node = self.cache.node_mut(leaf);
        let index = match node.search(key) {
            Ok(index) if node.replace(index, key, value) => return Ok(()),
            Ok(index) | Err(index) => index,
        };
        let result = self.insert(&mut path, leaf, index, key, value);
        self.health.poison_on_error(result)
    }

    /// Removes an item. Returns whether it existed.
    pub(crate) fn remove(&mut self, key: &Key) -> Result<bool> {
        let (mut path, leaf) = self.writable_path(key)?;
        let node = self.cache.node_mut(leaf);
        let Ok(index) = node.search(key) else { return Ok(false) };
        self.changes.add(key);
        node.remove(index);
        let result = self.shrink(&mut path, leaf);
        self.health.poison_on_error(result)?;
        Ok(true)
    }

    /// Makes all nodes on the path to the leaf of a key dirty, and returns the path and the leaf.
    fn writable_path(&mut self, key: &Key) -> Result<(Path, NodeFrame)> {
        let root = self.root.pointer;
        let (mut frame, moved) = self.make_writable(&root, self.root.levels - 1)?;
        if let Some(moved) = moved {
            self.root.pointer = moved;
        }
        let mut path = Path::with_capacity(usize::from(self.root.levels));
        for level in (0..self.root.levels - 1).rev() {
            let index = self.cache.node(frame).child_index(key);
            path.push((frame, index));
            frame = self.make_child_writable(frame, index, level)?;
        }
        Ok((path, frame))
    }

    /// Makes a child of a dirty node dirty.
    fn make_child_writable(
        &mut self,
        parent: NodeFrame,
        index: usize,
        level: u8,
    ) -> Result<NodeFrame> {
        let pointer = self.cache.node(parent).child(index);
        let (frame, moved) = self.make_writable(&pointer, level)?;
        if let Some(moved) = moved {
            self.cache.node_mut(parent).set_child(index, &moved);
        }
        Ok(frame)
    }

    /// Makes a node dirty. If it was clean, it moves to another block, and the result includes the
    /// new pointer for its parent.
    fn make_writable(
        &mut self,
        pointer: &Pointer,
        level: u8,
    ) -> Result<(NodeFrame, Option<Pointer>)> {
        let frame = self.node(pointer, level)?;
        if !pointer.is_sealed() {
            return Ok((frame, None));
        }
        let block = self.take_block()?;
        self.cache.move_node(frame, block);
        self.cache.mark_node_dirty(frame);
        self.pool.leave(*pointer);
        Ok((frame, Some(Pointer::unsealed(block))))
    }

    fn take_block(&mut self) -> Result<BlockNo> {
        self.pool.take().ok_or_else(|| Error::damaged("no block is at hand for a tree node"))
    }

    /// Adds a new, dirty node to the cache, and returns the pointer to it.
    fn add_node(&mut self, block: BlockNo, node: Node) -> Pointer {
        let frame = self.cache.put_node(block, node);
        self.cache.mark_node_dirty(frame);
        Pointer::unsealed(block)
    }

    /// Inserts into a dirty node, and splits the node if it has no room.
    fn insert(
        &mut self,
        path: &mut Path,
        frame: NodeFrame,
        index: usize,
        key: &Key,
        value: &[u8],
    ) -> Result<()> {
        if self.cache.node_mut(frame).insert(index, key, value) {
            return Ok(());
        }
        let block = self.take_block()?;
        let spare = self.cache.spare();
        let left = self.cache.node_mut(frame);
        let mut right = Node::empty(spare, left.level());
        left.split(&mut right, index, key, value);
        let separator = right.key(0);
        let pointer = self.add_node(block, right);
        match path.pop() {
            Some((parent, at)) => self.insert(path, parent, at + 1, &separator, &pointer.encode()),
            None => self.grow_root(&separator, &pointer),
        }
    }

    /// Adds a root above the old one and the node split off from it.
    fn grow_root(&mut self, separator: &Key, right: &Pointer) -> Result<()> {
        if self.root.levels == MAX_LEVELS {
            return Err(Error::damaged("the tree has too many levels"));
        }
        let block = self.take_block()?;
        let mut node = Node::empty(self.cache.spare(), self.root.levels);
        node.insert(0, &Key::MIN, &self.root.pointer.encode());
        node.insert(1, separator, &right.encode());
        self.root.pointer = self.add_node(block, node);
        self.root.levels += 1;
        Ok(())
    }

    /// Removes an empty node or merges a sparse one, after a removal.
    fn shrink(&mut self, path: &mut Path, frame: NodeFrame) -> Result<()> {
        let Some((parent, index)) = path.pop() else {
            return self.lower_root();
        };
        let node = self.cache.node(frame);
        let (level, used) = (node.level(), node.used());
        if node.count() == 0 {
            self.drop_child(parent, index);
            return self.shrink(path, parent);
        }
        if used < SPARSE && self.merge(parent, index, level) {
            return self.shrink(path, parent);
        }
        Ok(())
    }

    /// Removes a dirty child.
    fn drop_child(&mut self, parent: NodeFrame, index: usize) {
        let node = self.cache.node_mut(parent);
        let pointer = node.child(index);
        node.remove(index);
        self.cache.forget_node(pointer.block);
        self.pool.leave(pointer);
    }

    /// Merges a child with a neighbour, if that is easy. Does nothing if the neighbour cannot be
    /// read, both do not fit into one node, or the pool has no block.
    fn merge(&mut self, parent: NodeFrame, index: usize, level: u8) -> bool {
        let children = self.cache.node(parent).count();
        let pairs = [index.checked_sub(1).map(|left| (left, index)), Some((index, index + 1))];
        for (left, right) in pairs.into_iter().flatten() {
            if right >= children {
                continue;
            }
            let other = if left == index { right } else { left };
            let [other, own] = [other, index].map(|at| self.cache.node(parent).child(at));
            let Ok(frame) = self.node(&other, level) else { continue };
            let room = self.cache.node(frame).free();
            let Ok(frame) = self.node(&own, level) else { continue };
            if self.cache.node(frame).used() > room {
                continue;
            }
            let Ok(left_frame) = self.make_child_writable(parent, left, level) else { continue };
            let Ok(right_frame) = self.make_child_writable(parent, right, level) else { continue };
            if left_frame == right_frame {
                continue;
            }
            let first = self.cache.node(parent).key(right);
            let (into, from) = self.cache.two_nodes(left_frame, right_frame);
            if into.merge(from, &first) {
                self.drop_child(parent, right);
                return true;
            }
        }
        false
    }

    /// Removes roots that have only one child.
    fn lower_root(&mut self) -> Result<()> {
        while self.root.levels > 1 {
            let root = self.root;
            let frame = self.node(&root.pointer, root.levels - 1)?;
            let node = self.cache.node_mut(frame);
            match node.count() {
                0 => {
                    node.clear(0);
                    self.root.levels = 1;
                }
                1 => {
                    self.root = Root { pointer: node.child(0), levels: root.levels - 1 };
                    self.cache.forget_node(root.pointer.block);
                    self.pool.leave(root.pointer);
                }
                _ => break,
            }
        }
        Ok(())
    }
}
