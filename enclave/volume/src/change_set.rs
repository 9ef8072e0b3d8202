//! Keeps which items have changed since the last commit, but not how.

use crate::format::item::{Key, Subject};
use std::collections::BTreeMap;

/// Limit on changed items that a commit writes into the log.
const MAX_ITEMS: usize = 2048;

/// The items that have changed since the last commit, unless they are too many.
#[derive(Debug, Default)]
pub(crate) struct ChangeSet {
    /// For each item, the mask of changed pointers. It is meaningful only for extents.
    items: BTreeMap<Key, u32>,
    too_many: bool,
}

impl ChangeSet {
    /// Adds an item that was put or removed. Ignores regions, because the pointers determine which
    /// blocks are in use. For extents, call this only when they are removed, and
    /// [`add_pointers`](Self::add_pointers) when pointers are put.
    pub(crate) fn add(&mut self, key: &Key) {
        if key.subject != Subject::Region {
            self.add_pointers(key, u32::MAX);
        }
    }

    /// Adds pointers of extents that were set or removed.
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

    /// Returns the changed items, or `None` if they are too many.
    pub(crate) fn items(&self) -> Option<impl Iterator<Item = (&Key, u32)>> {
        (!self.too_many).then(|| self.items.iter().map(|(key, mask)| (key, *mask)))
    }

    /// Forgets all changes, because they are committed.
    pub(crate) fn clear(&mut self) {
        self.items.clear();
        self.too_many = false;
    }
}
