//! A node: its sealed bytes, its contents, and for a tree node the keys and tags in them.

use graviola::aead::AesGcm;
use std::hint::black_box;

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

/// The tag does not fit.
#[derive(Debug)]
pub(crate) struct NotAuthentic;

/// A key is used once, so one nonce does for all.
const NONCE: [u8; 12] = [0; 12];

impl Node {
    pub(crate) fn new(place: u64) -> Self {
        Node {
            place,
            changed: false,
            written: false,
            sealed: Box::new([0; NODE]),
            plain: Box::new([0; NODE]),
        }
    }

    /// Makes the memory of a node that is no longer used another's.
    pub(crate) fn take_for(&mut self, place: u64) {
        (self.place, self.changed, self.written) = (place, false, false);
    }

    /// Clears all of it; compilers must not see that nobody reads the zeros.
    pub(crate) fn clear(&mut self) {
        self.sealed.fill(0);
        black_box(&mut self.sealed);
        self.clear_plain();
    }

    pub(crate) fn clear_plain(&mut self) {
        self.plain.fill(0);
        black_box(&mut self.plain);
    }

    /// Opens it. The library opens in place, so this copies once more than one would that doesn't.
    pub(crate) fn open(&mut self, entry: Entry) -> Result<(), NotAuthentic> {
        self.plain.copy_from_slice(&*self.sealed);
        AesGcm::new(&entry.key)
            .decrypt(&NONCE, &[], &mut *self.plain, &entry.tag)
            .map_err(|_| NotAuthentic)
    }

    pub(crate) fn seal(&mut self, key: [u8; 16]) -> Entry {
        self.sealed.copy_from_slice(&*self.plain);
        let mut tag = [0; 16];
        AesGcm::new(&key).encrypt(&NONCE, &[], &mut *self.sealed, &mut tag);
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
