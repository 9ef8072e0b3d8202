//! Which keys a node may have.

use crate::error::{Error, Result};
use crate::format::item::Key;
use crate::format::node::Node;

/// Where the keys of a node lie; those of the root lie anywhere.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Range {
    /// None is less than this.
    pub(crate) least: Option<Key>,
    /// All are less than this.
    pub(crate) end: Option<Key>,
}

impl Range {
    /// Whether a key of a node lies in it. The first key of a node that is no leaf says nothing:
    /// its child has all that is before the second one.
    pub(crate) fn has(&self, key: &Key, level: u8, index: usize) -> bool {
        let first = level > 0 && index == 0;
        self.end.is_none_or(|end| *key < end)
            && (first || self.least.is_none_or(|least| least <= *key))
    }

    /// Where the keys of a child lie of a node that these are the bounds of.
    pub(crate) fn of_child(&self, node: &Node, index: usize) -> Range {
        let next = (index + 1 < node.count()).then(|| node.key(index + 1));
        let own = (index > 0).then(|| node.key(index));
        Range { least: own.or(self.least), end: next.or(self.end) }
    }

    /// Refuses a node with keys that belong elsewhere. They ascend, so the outer ones are enough.
    pub(super) fn check(&self, node: &Node) -> Result<()> {
        let (level, items) = (node.level(), node.count());
        let first = usize::from(level > 0);
        let lies_in = |index: usize| self.has(&node.key(index), level, index);
        let whole = (first >= items || lies_in(first)) && (items == 0 || lies_in(items - 1));
        if whole { Ok(()) } else { Err(Error::damaged("an item is in the wrong part of the tree")) }
    }
}
