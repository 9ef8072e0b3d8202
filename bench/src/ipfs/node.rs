//! A node: its sealed bytes, its contents and, in a tree node, the keys and tags.

use super::library::{Manner, NotAuthentic};

/// The size of a node, in bytes.
pub(crate) const NODE: usize = 4096;

/// The numbers of data nodes that belong to a tree node, and of tree nodes below it.
pub(crate) const GROUP: u64 = 96;
pub(crate) const CHILDREN: u64 = 32;

/// The size of a key and a tag, in bytes.
const ENTRY: usize = 32;

/// The key that seals a node, and the resulting tag.
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

/// Returns the place of a tree node in the file, counted in nodes.
pub(crate) fn place_of_tree(number: u64) -> u64 {
    1 + number * (GROUP + 1)
}

/// Returns the place of a data node.
pub(crate) fn place_of_data(number: u64) -> u64 {
    place_of_tree(number / GROUP) + 1 + number % GROUP
}

/// A node in its own allocation, which is freed with it, as the library does with `new` and
/// `delete`.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) place: u64,
    /// Whether its contents differ from those in the file.
    pub(crate) changed: bool,
    /// Whether it is in the file, as `sealed`.
    pub(crate) written: bool,
    pub(crate) sealed: Box<[u8; NODE]>,
    pub(crate) plain: Box<[u8; NODE]>,
}

/// The nonce. Each key is used once, so all keys can share a nonce.
const NONCE: [u8; 12] = [0; 12];

impl Node {
    /// Makes a node for use, and clears all of it if the library does. In all manners, Rust's own
    /// zeroing is added, which takes a hundredth of the time of clearing by single bytes.
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

    /// Ends the node's use, and clears its plain contents if the library does.
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
