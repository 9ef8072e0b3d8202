//! A node: its sealed bytes, its contents, and for a tree node the keys and tags in them.

use super::library::{Manner, NotAuthentic};

/// Bytes of a node.
pub(crate) const NODE: usize = 4096;

/// Data nodes that belong to a tree node, and tree nodes below it.
pub(crate) const GROUP: u64 = 96;
pub(crate) const CHILDREN: u64 = 32;

/// Bytes of a key and a tag.
const ENTRY: usize = 32;

/// The key that a node is sealed with, and the tag of that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry {
    key: [u8; 16],
    tag: [u8; 16],
}

impl Entry {
    pub(crate) fn read(bytes: &[u8; NODE], at: usize) -> Self {
        let field = |start: usize| std::array::from_fn(|byte| bytes[start + byte]);
        Entry { key: field(at), tag: field(at + 16) }
    }

    pub(crate) fn write(self, bytes: &mut [u8; NODE], at: usize) {
        bytes[at..at + 16].copy_from_slice(&self.key);
        bytes[at + 16..at + ENTRY].copy_from_slice(&self.tag);
    }
}

/// Where a tree node is in the file, counted in nodes.
pub(crate) fn place_of_tree(number: u64) -> u64 {
    1 + number * (GROUP + 1)
}

/// Where a data node is.
pub(crate) fn place_of_data(number: u64) -> u64 {
    place_of_tree(number / GROUP) + 1 + number % GROUP
}

/// A node in memory that is allocated for it and freed with it, as the library does with `new` and
/// `delete`.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: u64,
    /// Its contents are others than those in the file.
    pub(crate) changed: bool,
    /// It is in the file, as `sealed` says.
    pub(crate) written: bool,
    pub(crate) sealed: Box<[u8; NODE]>,
    pub(crate) plain: Box<[u8; NODE]>,
}

/// A key is used once, so one nonce does for all.
const NONCE: [u8; 12] = [0; 12];

impl Node {
    /// A node that is about to be used: cleared as a whole, where the library does that. Rust's own
    /// zeros come on top in all manners, at a hundredth of what clearing takes by single bytes.
    pub(crate) fn new(place: u64, manner: Manner) -> Self {
        let mut node = Node {
            place,
            changed: false,
            written: false,
            sealed: Box::new([0; NODE]),
            plain: Box::new([0; NODE]),
        };
        if manner.clears_nodes() {
            manner.clear(&mut *node.sealed);
            manner.clear(&mut *node.plain);
        }
        node
    }

    /// Ends its use: what was readable is cleared, where the library does that.
    pub(crate) fn delete(mut self, manner: Manner) {
        if manner.clears_nodes() {
            manner.clear(&mut *self.plain);
        }
    }

    pub(crate) fn open(&mut self, entry: Entry, manner: Manner) -> Result<(), NotAuthentic> {
        let (sealed, plain) = (&*self.sealed, &mut *self.plain);
        manner.open(&entry.key, &NONCE, sealed, plain, &entry.tag)
    }

    pub(crate) fn seal(&mut self, key: [u8; 16], manner: Manner) -> Entry {
        let tag = manner.seal(&key, &NONCE, &*self.plain, &mut *self.sealed);
        Entry { key, tag }
    }

    pub(crate) fn entry_of_data(&self, number: u64) -> Entry {
        Entry::read(&self.plain, number as usize * ENTRY)
    }

    pub(crate) fn set_entry_of_data(&mut self, number: u64, entry: Entry) {
        entry.write(&mut self.plain, number as usize * ENTRY);
    }

    pub(crate) fn entry_of_child(&self, number: u64) -> Entry {
        Entry::read(&self.plain, (GROUP + number) as usize * ENTRY)
    }

    pub(crate) fn set_entry_of_child(&mut self, number: u64, entry: Entry) {
        entry.write(&mut self.plain, (GROUP + number) as usize * ENTRY);
    }
}
