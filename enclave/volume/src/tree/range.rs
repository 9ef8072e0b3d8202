//! Ranges of keys that belong into a node.

use crate::error::{Error, Result};
use crate::format::item::Key;
use crate::format::node::Node;

/// The range of a node's keys. The root's range is unbounded.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Range {
    /// No key is less than this.
    pub(crate) least: Option<Key>,
    /// All keys are less than this.
    pub(crate) end: Option<Key>,
}

impl Range {
    /// Whether a key of a node lies in the range. The first key of a node above the leaves does not
    /// matter: its child also holds all smaller keys.
    pub(crate) fn has(&self, key: &Key, level: u8, index: usize) -> bool {
        let first = level > 0 && index == 0;
        self.end.is_none_or(|end| *key < end)
            && (first || self.least.is_none_or(|least| least <= *key))
    }

    /// Returns the range of a child of `node`, if this is the range of `node`.
    pub(crate) fn of_child(&self, node: &Node, index: usize) -> Range {
        let next = (index + 1 < node.count()).then(|| node.key(index + 1));
        let own = (index > 0).then(|| node.key(index));
        Range { least: own.or(self.least), end: next.or(self.end) }
    }

    /// Returns an error if a key lies outside. Keys ascend, so it checks only the first and the
    /// last.
    pub(super) fn check(&self, node: &Node) -> Result<()> {
        let (level, items) = (node.level(), node.count());
        let first = usize::from(level > 0);
        let lies_in = |index: usize| self.has(&node.key(index), level, index);
        let whole = (first >= items || lies_in(first)) && (items == 0 || lies_in(items - 1));
        if whole { Ok(()) } else { Err(Error::damaged("an item is in the wrong part of the tree")) }
    }
}
