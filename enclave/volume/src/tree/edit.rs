//! Changing the tree: copy on write, one node after the other from the root down.
//!
//! A node that is changed for the first time since it was written gets another block at
//! once, and its parent, changed likewise, an unsealed pointer to it. So every node on the
//! path of a change is dirty and stays in the cache; they are sealed and written together
//! (see `flush`).

use crate::cache::{Frame, Name};
use crate::error::{Error, Result};
use crate::format::block::zeroed;
use crate::format::item::{Key, Subject};
use crate::format::node as page;
use crate::format::node::{MAX_LEVELS, MAX_VALUE_BYTES};
use crate::format::pointer::Pointer;
use crate::volume::Volume;

/// Below this, a node is merged with a neighbour if both fit into one.
const SPARSE: usize = 1024;

/// The way to a leaf: dirty nodes, and the index of the child that was taken in each.
type Path = Vec<(Frame, usize)>;

impl Volume {
    /// Makes an empty tree, whose root will lie in a block that is not in use yet.
    pub(crate) fn init_root(&mut self, block: u64) -> Result<()> {
        let mut bytes = zeroed();
        page::clear(&mut bytes, 0);
        let frame = self.cache.put(Name::Node(block), bytes, true);
        self.cache.dirty(frame);
        self.root = Pointer::unsealed(block);
        self.levels = 1;
        self.claim(block)?;
        self.space.claimed.clear();
        Ok(())
    }

    /// Makes sure that a change of this item needs nothing from the storage any more, so
    /// that it can't fail in the middle of an operation.
    pub(crate) fn prepare(&mut self, key: &Key) -> Result<()> {
        self.path(key).map(drop)
    }

    /// Puts an item, or gives it another value. Which pointers of extents differ, the caller
    /// [says](crate::change_set::Redo::pointers).
    pub(crate) fn put(&mut self, key: &Key, value: &[u8]) -> Result<()> {
        if value.len() > MAX_VALUE_BYTES {
            return Err(Error::damaged("an item is too large for the tree"));
        }
        if key.subject != Subject::Extents {
            self.redo.changed(key);
        }
        let (mut path, leaf) = self.path(key)?;
        let bytes = self.cache.bytes_mut(leaf);
        match page::search(bytes, key) {
            Ok(index) => {
                if page::replace(bytes, index, key, value) {
                    return Ok(());
                }
                let result = self.insert(&mut path, leaf, index, key, value);
                self.poison_on_error(result)
            }
            Err(index) => {
                let result = self.insert(&mut path, leaf, index, key, value);
                self.poison_on_error(result)
            }
        }
    }

    /// Takes an item away; whether there was one.
    pub(crate) fn remove(&mut self, key: &Key) -> Result<bool> {
        let (mut path, leaf) = self.path(key)?;
        let bytes = self.cache.bytes_mut(leaf);
        let Ok(index) = page::search(bytes, key) else { return Ok(false) };
        self.redo.changed(key);
        page::remove(bytes, index);
        let result = self.shrink(&mut path, leaf);
        self.poison_on_error(result)?;
        Ok(true)
    }

    /// The way to the leaf of a key, all of it dirty.
    fn path(&mut self, key: &Key) -> Result<(Path, Frame)> {
        let root = self.root;
        let (mut frame, moved) = self.make_writable(&root, self.levels - 1)?;
        if let Some(moved) = moved {
            self.root = moved;
        }
        let mut path = Path::with_capacity(usize::from(self.levels));
        for level in (0..self.levels - 1).rev() {
            let index = page::child_index(self.cache.bytes(frame), key);
            path.push((frame, index));
            frame = self.make_child_writable(frame, index, level)?;
        }
        Ok((path, frame))
    }

    /// A child of a dirty node, made dirty.
    fn make_child_writable(&mut self, parent: Frame, index: usize, level: u8) -> Result<Frame> {
        let pointer = page::child(self.cache.bytes(parent), index);
        let (frame, moved) = self.make_writable(&pointer, level)?;
        if let Some(moved) = moved {
            page::set_child(self.cache.bytes_mut(parent), index, &moved);
        }
        Ok(frame)
    }

    /// Makes a node dirty. If it was clean, it moves to another block, and the pointer that
    /// its parent must have from now on is given too.
    fn make_writable(&mut self, pointer: &Pointer, level: u8) -> Result<(Frame, Option<Pointer>)> {
        if !pointer.is_sealed() {
            return Ok((self.node(pointer, level)?, None));
        }
        // Taking a block may read nodes, and so must come before a clean frame is held.
        let block = self.take_reserved()?;
        let frame = match self.node(pointer, level) {
            Ok(frame) => frame,
            Err(error) => {
                self.space.put_reserved(block);
                return Err(error);
            }
        };
        self.cache.rename(frame, Name::Node(block));
        self.cache.dirty(frame);
        self.free_node(pointer);
        Ok((frame, Some(Pointer::unsealed(block))))
    }

    /// Inserts into a dirty node, and splits it if there is no room.
    fn insert(
        &mut self,
        path: &mut Path,
        frame: Frame,
        index: usize,
        key: &Key,
        value: &[u8],
    ) -> Result<()> {
        if page::insert(self.cache.bytes_mut(frame), index, key, value) {
            return Ok(());
        }
        let block = self.take_reserved()?;
        let mut right = self.cache.spare();
        page::split(self.cache.bytes_mut(frame), &mut right, index, key, value);
        let separator = page::key(&right, 0);
        let right_frame = self.cache.put(Name::Node(block), right, true);
        self.cache.dirty(right_frame);
        let pointer = Pointer::unsealed(block);
        match path.pop() {
            Some((parent, at)) => self.insert(path, parent, at + 1, &separator, &pointer.encode()),
            None => self.grow_root(&separator, &pointer),
        }
    }

    /// Puts a new root above the old one and its new neighbour.
    fn grow_root(&mut self, separator: &Key, right: &Pointer) -> Result<()> {
        if self.levels == MAX_LEVELS {
            return Err(Error::damaged("the tree has too many levels"));
        }
        let block = self.take_reserved()?;
        let mut bytes = self.cache.spare();
        page::clear(&mut bytes, self.levels);
        page::insert(&mut bytes, 0, &Key::MIN, &self.root.encode());
        page::insert(&mut bytes, 1, separator, &right.encode());
        let frame = self.cache.put(Name::Node(block), bytes, true);
        self.cache.dirty(frame);
        self.root = Pointer::unsealed(block);
        self.levels += 1;
        Ok(())
    }

    /// After a removal: gives up an empty node, merges a sparse one.
    fn shrink(&mut self, path: &mut Path, frame: Frame) -> Result<()> {
        let bytes = self.cache.bytes(frame);
        let Some((parent, index)) = path.pop() else {
            return self.lower_root();
        };
        if page::count(bytes) == 0 {
            self.drop_child(parent, index);
            return self.shrink(path, parent);
        }
        if page::used(bytes) < SPARSE && self.merge(parent, index, page::level(bytes)) {
            return self.shrink(path, parent);
        }
        Ok(())
    }

    /// Removes a dirty child that is not needed any more.
    fn drop_child(&mut self, parent: Frame, index: usize) {
        let pointer = page::child(self.cache.bytes(parent), index);
        page::remove(self.cache.bytes_mut(parent), index);
        self.cache.forget(Name::Node(pointer.block));
        self.free_node(&pointer);
    }

    /// Merges a child with a neighbour, if that is easy: a neighbour that can't be read or
    /// does not fit is left alone.
    fn merge(&mut self, parent: Frame, index: usize, level: u8) -> bool {
        let children = page::count(self.cache.bytes(parent));
        let pairs = [index.checked_sub(1).map(|left| (left, index)), Some((index, index + 1))];
        for (left, right) in pairs.into_iter().flatten() {
            if right >= children {
                continue;
            }
            let other = if left == index { right } else { left };
            let pointer = page::child(self.cache.bytes(parent), other);
            let Ok(frame) = self.node(&pointer, level) else { continue };
            let room = page::free(self.cache.bytes(frame));
            let mine = page::child(self.cache.bytes(parent), index);
            let Ok(own) = self.node(&mine, level) else { continue };
            if page::used(self.cache.bytes(own)) > room {
                continue;
            }
            let Ok(left_frame) = self.make_child_writable(parent, left, level) else { continue };
            let Ok(right_frame) = self.make_child_writable(parent, right, level) else { continue };
            if left_frame == right_frame {
                continue;
            }
            let first = page::key(self.cache.bytes(parent), right);
            let (into, from) = self.cache.pair(left_frame, right_frame);
            if page::merge(into, from, &first) {
                self.drop_child(parent, right);
                return true;
            }
        }
        false
    }

    /// Takes away roots that have one child only.
    fn lower_root(&mut self) -> Result<()> {
        while self.levels > 1 {
            let root = self.root;
            let frame = self.node(&root, self.levels - 1)?;
            let bytes = self.cache.bytes_mut(frame);
            match page::count(bytes) {
                0 => {
                    page::clear(bytes, 0);
                    self.levels = 1;
                }
                1 => {
                    self.root = page::child(bytes, 0);
                    self.levels -= 1;
                    self.cache.forget(Name::Node(root.block));
                    self.free_node(&root);
                }
                _ => break,
            }
        }
        Ok(())
    }
}
