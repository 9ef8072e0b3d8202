//! Nodes of the tree: a node is a block with items in order, which is searched without decoding it.
//!
//! A node begins with its level, the number of items, the offset where the items begin, and the
//! number of unused bytes among them. After that comes a slot for each item, in the order of the
//! keys, with the offset and length of the item. The items are stacked from the end of the block.
//!
//! Only `Node::empty` and [`Node::validate`] make a [`Node`], so all code here relies on their
//! checks.

use crate::format::block::{BLOCK_BYTES, Block, Bytes, MAX_BLOCKS};
use crate::format::item::{KEY_BYTES, Key, parts};
use crate::format::pointer::{POINTER_BYTES, Pointer};
use std::cmp::Ordering;

/// Number of bytes before the slots.
pub(crate) const HEAD_BYTES: usize = 8;

/// Size of a slot in bytes.
pub(crate) const SLOT_BYTES: usize = 4;

const _: () = assert!(BLOCK_BYTES <= u16::MAX as usize);

/// Number of bytes for slots and items.
const ROOM: usize = BLOCK_BYTES - HEAD_BYTES;

/// Limit on the bytes of an item's value. Three of the largest items fit into a node, so a node can
/// always be split around a new item.
pub(crate) const MAX_VALUE_BYTES: usize = ROOM / 3 - SLOT_BYTES - KEY_BYTES;

/// More levels than a tree can have with [`MAX_BLOCKS`] blocks.
pub(crate) const MAX_LEVELS: u8 = 16;

/// A node whose bytes are valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Node(Block);

#[expect(
    clippy::indexing_slicing,
    reason = "`validate` checked that slots and items lie in the block, and every change keeps that"
)]
impl Node {
    /// Makes a node without items in a block, which may have any contents.
    pub(crate) fn empty(mut block: Block, level: u8) -> Self {
        block[..HEAD_BYTES].fill(0);
        let mut node = Node(block);
        node.clear(level);
        node
    }

    /// Checks that a block holds a node of this level.
    ///
    /// # Errors
    /// The defect, with the block.
    pub(crate) fn validate(block: Block, level: u8) -> Result<Self, (Block, &'static str)> {
        let node = Node(block);
        match node.check(level) {
            Ok(()) => Ok(node),
            Err(what) => Err((node.0, what)),
        }
    }

    /// Returns the bytes of the node, as they are sealed.
    pub(crate) fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// Returns the block of the node.
    pub(crate) fn into_block(self) -> Block {
        self.0
    }

    fn field(&self, at: usize) -> usize {
        usize::from(u16::from_le_bytes([self.0[at], self.0[at + 1]]))
    }

    #[expect(clippy::cast_possible_truncation, reason = "an offset or length within a block")]
    fn set_field(&mut self, at: usize, value: usize) {
        self.0[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes());
    }

    /// Removes all items.
    pub(crate) fn clear(&mut self, level: u8) {
        self.0[..HEAD_BYTES].fill(0);
        self.0[0] = level;
        self.set_field(4, BLOCK_BYTES);
    }

    /// Returns the level: 0 for a leaf. The children of a node are one level lower.
    pub(crate) fn level(&self) -> u8 {
        self.0[0]
    }

    /// Returns the number of items.
    pub(crate) fn count(&self) -> usize {
        self.field(2)
    }

    /// Returns the offset where the items begin.
    pub(crate) fn heap_start(&self) -> usize {
        self.field(4)
    }

    fn unused(&self) -> usize {
        self.field(6)
    }

    fn slot(&self, index: usize) -> (usize, usize) {
        let at = HEAD_BYTES + index * SLOT_BYTES;
        (self.field(at), self.field(at + 2))
    }

    fn key_bytes(&self, index: usize) -> &[u8; KEY_BYTES] {
        let (start, _) = self.slot(index);
        self.0[start..].first_chunk().expect("`validate` checked that items lie in the block")
    }

    /// Returns the key of an item.
    ///
    /// # Panics
    /// If the node has fewer items.
    pub(crate) fn key(&self, index: usize) -> Key {
        Key::decode(self.key_bytes(index)).expect("`validate` checked the keys")
    }

    /// Returns the value of an item.
    pub(crate) fn value(&self, index: usize) -> &[u8] {
        let (start, length) = self.slot(index);
        &self.0[start + KEY_BYTES..start + length]
    }

    /// Returns the child at an index. The node must not be a leaf.
    pub(crate) fn child(&self, index: usize) -> Pointer {
        let bytes = self.value(index).first_chunk().expect("`validate` checked the length");
        Pointer::decode(bytes)
    }

    /// Replaces the pointer to the child at an index.
    pub(crate) fn set_child(&mut self, index: usize, pointer: &Pointer) {
        let (start, _) = self.slot(index);
        self.0[start + KEY_BYTES..start + KEY_BYTES + POINTER_BYTES]
            .copy_from_slice(&pointer.encode());
    }

    /// Returns the index of a key, or the index where it would be inserted.
    pub(crate) fn search(&self, key: &Key) -> Result<usize, usize> {
        let wanted = key.parts();
        let (mut low, mut high) = (0, self.count());
        while low < high {
            let middle = (low + high) / 2;
            match parts(self.key_bytes(middle)).cmp(&wanted) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Ok(middle),
            }
        }
        Err(low)
    }

    /// Returns the index of the child whose subtree has the key, if any has it. The first child
    /// also holds all keys before its own.
    pub(crate) fn child_index(&self, key: &Key) -> usize {
        match self.search(key) {
            Ok(index) => index,
            Err(index) => index.saturating_sub(1),
        }
    }

    /// Returns the number of free bytes, adjacent or not.
    pub(crate) fn free(&self) -> usize {
        self.heap_start() - HEAD_BYTES - self.count() * SLOT_BYTES + self.unused()
    }

    /// Returns the number of bytes that slots and items take.
    pub(crate) fn used(&self) -> usize {
        ROOM - self.free()
    }

    /// Inserts an item at the index where its key belongs. Returns `false` if there is no room.
    pub(crate) fn insert(&mut self, index: usize, key: &Key, value: &[u8]) -> bool {
        let length = KEY_BYTES + value.len();
        if self.free() < SLOT_BYTES + length {
            return false;
        }
        let items = self.count();
        let slots_end = HEAD_BYTES + items * SLOT_BYTES;
        if self.heap_start() - slots_end < SLOT_BYTES + length {
            self.compact();
        }
        let start = self.heap_start() - length;
        let at = HEAD_BYTES + index * SLOT_BYTES;
        self.0.copy_within(at..slots_end, at + SLOT_BYTES);
        self.set_field(at, start);
        self.set_field(at + 2, length);
        self.0[start..start + KEY_BYTES].copy_from_slice(&key.encode());
        self.0[start + KEY_BYTES..start + length].copy_from_slice(value);
        self.set_field(2, items + 1);
        self.set_field(4, start);
        true
    }

    /// Removes an item.
    pub(crate) fn remove(&mut self, index: usize) {
        let (start, length) = self.slot(index);
        let items = self.count();
        let at = HEAD_BYTES + index * SLOT_BYTES;
        self.0.copy_within(at + SLOT_BYTES..HEAD_BYTES + items * SLOT_BYTES, at);
        self.set_field(2, items - 1);
        if start == self.heap_start() {
            self.set_field(4, start + length);
        } else {
            self.set_field(6, self.unused() + length);
        }
        if items == 1 {
            self.clear(self.level());
        }
    }

    /// Replaces an item's value. Returns `false` if there is no room: the item is then removed.
    pub(crate) fn replace(&mut self, index: usize, key: &Key, value: &[u8]) -> bool {
        let (start, length) = self.slot(index);
        if length == KEY_BYTES + value.len() {
            self.0[start + KEY_BYTES..start + length].copy_from_slice(value);
            return true;
        }
        self.remove(index);
        self.insert(index, key, value)
    }

    /// Moves the items together, so that all free bytes are adjacent.
    fn compact(&mut self) {
        let old = self.clone();
        self.clear(old.level());
        for index in 0..old.count() {
            self.append_item(&old, index);
        }
    }

    /// Appends an item of another node, for which there is room.
    fn append_item(&mut self, from: &Node, index: usize) {
        let (start, length) = from.slot(index);
        let items = self.count();
        let to = self.heap_start() - length;
        self.0[to..to + length].copy_from_slice(&from.0[start..start + length]);
        let at = HEAD_BYTES + items * SLOT_BYTES;
        self.set_field(at, to);
        self.set_field(at + 2, length);
        self.set_field(2, items + 1);
        self.set_field(4, to);
    }

    /// Splits a node around a new item that does not fit. `right`, which is empty, gets the upper
    /// part. If items come in order, as those of a file that is written from start to end, the left
    /// node stays full.
    pub(crate) fn split(&mut self, right: &mut Node, index: usize, key: &Key, value: &[u8]) {
        let old = self.clone();
        let at = old.split_point(index, key, KEY_BYTES + value.len());
        self.clear(old.level());
        right.clear(old.level());
        let place = |node: &mut Node, from: usize, to: usize| {
            for position in from..to {
                match position.cmp(&index) {
                    Ordering::Less => node.append_item(&old, position),
                    Ordering::Equal => {
                        let placed = node.insert(node.count(), key, value);
                        debug_assert!(placed);
                    }
                    Ordering::Greater => node.append_item(&old, position - 1),
                }
            }
        };
        place(self, 0, at);
        place(right, at, old.count() + 1);
    }

    /// Returns how many of the items, including the new one, stay in the left node.
    fn split_point(&self, index: usize, new: &Key, length: usize) -> usize {
        let items = self.count() + 1;
        let size = |position: usize| {
            SLOT_BYTES
                + match position.cmp(&index) {
                    Ordering::Less => self.slot(position).1,
                    Ordering::Equal => length,
                    Ordering::Greater => self.slot(position - 1).1,
                }
        };
        let total: usize = (0..items).map(size).sum();
        let same = |other: usize| {
            let other = self.key(other);
            other.inode == new.inode && other.subject == new.subject
        };
        // Whether the new item continues a sequence of items, and no item of that sequence follows.
        let appends = index > 0 && same(index - 1) && (index == items - 1 || !same(index));
        let mut left = 0;
        let mut best = (usize::MAX, 1);
        for position in 0..items - 1 {
            left += size(position);
            let right = total - left;
            if left > ROOM || right > ROOM {
                continue;
            }
            let at = position + 1;
            if appends && at == index {
                return at;
            }
            let uneven = left.abs_diff(right);
            if uneven < best.0 {
                best = (uneven, at);
            }
        }
        best.1
    }

    /// Appends all items of `right`, if they fit. `first` becomes the key of the first of them.
    /// Above the leaves, it is the key that the parent has for `right`, which may be less than the
    /// key that `right` has for its first child.
    pub(crate) fn merge(&mut self, right: &Node, first: &Key) -> bool {
        if self.free() < right.used() {
            return false;
        }
        self.compact();
        let start = self.count();
        for index in 0..right.count() {
            self.append_item(right, index);
        }
        if self.level() > 0 {
            let (at, _) = self.slot(start);
            self.0[at..at + KEY_BYTES].copy_from_slice(&first.encode());
        }
        true
    }

    /// Whether no two items share a byte. All items lie in the block.
    fn items_are_apart(&self) -> bool {
        let mut taken = Taken([0; BLOCK_BYTES / 64]);
        (0..self.count()).all(|index| {
            let (start, length) = self.slot(index);
            taken.take(start, start + length)
        })
    }

    /// Checks that the bytes are a valid node. All other methods rely on this.
    fn check(&self, wanted_level: u8) -> Result<(), &'static str> {
        if self.level() != wanted_level || self.0[1] != 0 {
            return Err("a tree node has the wrong level");
        }
        let items = self.count();
        let heap = self.heap_start();
        if heap > BLOCK_BYTES || HEAD_BYTES + items * SLOT_BYTES > heap {
            return Err("a tree node has more items than room");
        }
        if wanted_level > 0 && items == 0 {
            return Err("a tree node has no children");
        }
        let mut total = 0;
        // Items that were inserted in the order of their keys are stacked downwards, without
        // overlap.
        let (mut stacked, mut lowest) = (true, BLOCK_BYTES);
        let mut before = None;
        for index in 0..items {
            let (start, length) = self.slot(index);
            if start < heap || start + length > BLOCK_BYTES || length < KEY_BYTES {
                return Err("an item of a tree node lies outside of it");
            }
            stacked &= start + length <= lowest;
            lowest = start;
            total += length;
            let key = Key::decode(self.key_bytes(index)).ok_or("a key is not valid")?;
            if before.is_some_and(|before| key <= before) {
                return Err("the keys of a tree node are not in order");
            }
            before = Some(key);
            if wanted_level == 0 {
                if length > KEY_BYTES + MAX_VALUE_BYTES {
                    return Err("an item of a tree node is too large");
                }
            } else {
                if length != KEY_BYTES + POINTER_BYTES {
                    return Err("a child of a tree node is no pointer");
                }
                let child = self.child(index);
                if !child.is_sealed() || child.block.0 >= MAX_BLOCKS {
                    return Err("a child of a tree node was never written");
                }
            }
        }
        if total + self.unused() != BLOCK_BYTES - heap {
            return Err("the items of a tree node don't fill their room");
        }
        // If two items shared bytes, a change of one would change the other.
        if !stacked && !self.items_are_apart() {
            return Err("items of a tree node share bytes");
        }
        Ok(())
    }
}

/// A bit for each byte of a block, which is set if the byte belongs to an item.
struct Taken([u64; BLOCK_BYTES / 64]);

impl Taken {
    /// Takes a range of bytes. Returns whether all of them were free.
    #[expect(clippy::indexing_slicing, reason = "there is a word for each 64 bytes of a block")]
    fn take(&mut self, start: usize, end: usize) -> bool {
        let mut free = true;
        let mut at = start;
        while at < end {
            let (word, first) = (at / 64, at % 64);
            let count = (64 - first).min(end - at);
            let bits = u64::MAX >> (64 - count) << first;
            free &= self.0[word] & bits == 0;
            self.0[word] |= bits;
            at += count;
        }
        free
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::block::zeroed;
    use crate::format::item::Subject;
    use crate::format::numbers::InodeNo;
    use crate::pseudorandom;

    fn numbered(offset: u64) -> Key {
        Key::new(InodeNo(5), Subject::Extents, offset)
    }

    fn keys(page: &Node) -> Vec<Key> {
        (0..page.count()).map(|index| page.key(index)).collect()
    }

    #[test]
    fn a_page_gives_back_what_was_put_in_through_removals_and_growth() {
        let mut page = Node::empty(Box::new([0xa5; BLOCK_BYTES]), 0);
        for offset in 0..40 {
            let at = page.search(&numbered(offset * 7 % 40)).unwrap_err();
            assert!(page.insert(at, &numbered(offset * 7 % 40), &[offset as u8; 30]));
        }
        for offset in (0..40).step_by(2) {
            let at = page.search(&numbered(offset)).unwrap();
            page.remove(at);
        }
        for offset in (1..40).step_by(2) {
            let at = page.search(&numbered(offset)).unwrap();
            assert!(page.replace(at, &numbered(offset), &[offset as u8; 150]));
            page.check(0).unwrap();
        }
        for offset in 0..40 {
            match page.search(&numbered(offset)) {
                Ok(at) => assert_eq!(page.value(at), [offset as u8; 150]),
                Err(_) => assert_eq!(offset % 2, 0),
            }
        }
    }

    #[test]
    fn a_split_keeps_every_item_and_leaves_full_pages_behind_appends() {
        for items in 3..130_u64 {
            let size = (ROOM / items as usize).min(MAX_VALUE_BYTES + 21).saturating_sub(21);
            for new in 0..=items {
                let mut page = Node::empty(Box::new([0; BLOCK_BYTES]), 0);
                for offset in 0..items {
                    let end = page.count();
                    assert!(page.insert(end, &numbered(offset * 2 + 1), &vec![1; size]));
                }
                let key = numbered(new * 2);
                let index = page.search(&key).unwrap_err();
                let large = vec![2; MAX_VALUE_BYTES];
                if page.insert(index, &key, &large) {
                    continue;
                }
                let mut right = Node::empty(zeroed(), 0);
                let before = page.count();
                page.split(&mut right, index, &key, &large);
                page.check(0).unwrap();
                right.check(0).unwrap();
                let mut all = keys(&page);
                all.extend(keys(&right));
                assert_eq!(all.len(), before + 1);
                assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
                if new == items {
                    assert_eq!(page.count(), before);
                }
            }
        }
    }

    #[test]
    fn a_page_whose_items_share_bytes_is_refused_though_its_sums_fit() {
        // The value of the first item contains the bytes of the second one.
        let mut value = vec![0xff; 100];
        value[40..40 + KEY_BYTES].copy_from_slice(&numbered(2).encode());
        let mut page = Node::empty(Box::new([0; BLOCK_BYTES]), 0);
        assert!(page.insert(0, &numbered(1), &value));
        assert!(page.insert(1, &numbered(2), &[3; 10]));
        page.check(0).unwrap();
        let (start, _) = page.slot(0);
        let (second, length) = page.slot(1);
        page.set_field(HEAD_BYTES + SLOT_BYTES, start + KEY_BYTES + 40);
        assert_eq!(page.key(1), numbered(2));
        assert_eq!(page.check(0), Err("items of a tree node share bytes"));
        page.set_field(HEAD_BYTES + SLOT_BYTES, second);
        page.check(0).unwrap();
        // Ranges that touch each other, with and without whole words.
        for (start, end) in [(0, 64), (64, 65), (65, 129), (191, 193), (193, 320), (4095, 4096)] {
            let mut taken = Taken([0; BLOCK_BYTES / 64]);
            assert!(taken.take(start, end));
            assert!(start == 0 || taken.take(start - 1, start));
            assert!(end == BLOCK_BYTES || taken.take(end, end + 1));
            assert!(!taken.take(start, start + 1) && !taken.take(end - 1, end));
        }
        assert_eq!(length, KEY_BYTES + 10);
    }

    #[test]
    fn no_mutation_of_a_page_makes_it_panic() {
        let mut page = Node::empty(Box::new([0; BLOCK_BYTES]), 0);
        for offset in 0..20 {
            assert!(page.insert(offset as usize, &numbered(offset), &[7; 100]));
        }
        let mut random = pseudorandom::numbers();
        let mut valid = 0;
        for _ in 0..100_000 {
            let mut mutant = page.clone();
            for _ in 0..1 + random() % 4 {
                let start = random().is_multiple_of(2);
                let at = random() % if start { 96 } else { BLOCK_BYTES };
                mutant.0[at] = random() as u8;
            }
            if mutant.check(0).is_ok() {
                valid += 1;
                for index in 0..mutant.count() {
                    mutant.key(index);
                    mutant.value(index);
                }
                let _ = mutant.search(&numbered(3));
                if mutant.count() > 0 {
                    mutant.remove(0);
                }
                mutant.insert(0, &Key::MIN, &[1; 40]);
                let _ = mutant.check(0);
            }
        }
        println!("100000 mutated pages, {valid} of them valid");
        assert!(valid > 0 && valid < 100_000);
    }
}
