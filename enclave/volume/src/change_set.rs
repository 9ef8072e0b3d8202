//! What has changed since the last commit: which items, not how.

use crate::format::item::{Key, Subject};
use std::collections::BTreeMap;

/// More changed items than this are never written into the log.
const MAX_ITEMS: usize = 2048;

/// The items that differ from the last commit's, if they are few.
#[derive(Debug, Default)]
pub(crate) struct ChangeSet {
    /// For extents: which of the pointers.
    items: BTreeMap<Key, u32>,
    too_many: bool,
}

impl ChangeSet {
    /// An item was put or taken away. Regions don't count: what is in use follows from the
    /// pointers. Extents that are put count by [`add_pointers`](Self::add_pointers), and only here
    /// when they are taken away.
    pub(crate) fn add(&mut self, key: &Key) {
        if key.subject != Subject::Region {
            self.add_pointers(key, u32::MAX);
        }
    }

    /// Some pointers of extents were set or taken away.
    pub(crate) fn add_pointers(&mut self, key: &Key, mask: u32) {
        if self.too_many {
            return;
        }
        *self.items.entry(*key).or_default() |= mask;
        if self.items.len() > MAX_ITEMS {
            self.items.clear();
            self.too_many = true;
        }
    }

    /// Whether nothing has changed.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.is_empty() && !self.too_many
    }

    /// The changed items, if they are few.
    pub(crate) fn items(&self) -> Option<impl Iterator<Item = (&Key, u32)>> {
        (!self.too_many).then(|| self.items.iter().map(|(key, mask)| (key, *mask)))
    }

    /// All that has changed is committed.
    pub(crate) fn clear(&mut self) {
        self.items.clear();
        self.too_many = false;
    }
}
