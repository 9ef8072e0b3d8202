//! Reading the tree.

mod edit;
pub(crate) mod flush;

use crate::cache::{Frame, Name};
use crate::error::{Error, Result};
use crate::format::block::{Bytes, Kind, RESERVED_BLOCKS};
use crate::format::item::Key;
use crate::format::node as page;
use crate::format::pointer::Pointer;
use crate::volume::Volume;

/// What to do after an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    On,
    Stop,
}

/// Where the keys of a node lie; those of the root lie anywhere.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Range {
    /// None is less than this.
    pub(crate) least: Option<Key>,
    /// All are less than this.
    pub(crate) behind: Option<Key>,
}

impl Range {
    /// Whether a key of a node lies in it. The first key of a node that is no leaf says nothing:
    /// its child has all that is before the second one.
    pub(crate) fn has(&self, key: &Key, level: u8, index: usize) -> bool {
        let first = level > 0 && index == 0;
        self.behind.is_none_or(|behind| *key < behind)
            && (first || self.least.is_none_or(|least| least <= *key))
    }

    /// Where the keys of a child lie of a node that these are the bounds of.
    pub(crate) fn of_child(&self, bytes: &Bytes, index: usize) -> Range {
        let next = (index + 1 < page::count(bytes)).then(|| page::key(bytes, index + 1));
        let own = (index > 0).then(|| page::key(bytes, index));
        Range { least: own.or(self.least), behind: next.or(self.behind) }
    }

    /// Refuses a node with keys that belong elsewhere. They ascend, so the outer ones are enough.
    fn check(&self, bytes: &Bytes, level: u8) -> Result<()> {
        let items = page::count(bytes);
        let first = usize::from(level > 0);
        let lies_in = |index: usize| self.has(&page::key(bytes, index), level, index);
        let whole = (first >= items || lies_in(first)) && (items == 0 || lies_in(items - 1));
        if whole { Ok(()) } else { Err(Error::damaged("an item is in the wrong part of the tree")) }
    }
}

impl Volume {
    /// The node of a pointer, read and checked if it is not in the cache.
    pub(crate) fn node(&mut self, pointer: &Pointer, level: u8) -> Result<Frame> {
        let name = Name::Node(pointer.block);
        if let Some(frame) = self.cache.find(name) {
            if page::level(self.cache.bytes(frame)) != level {
                return Err(Error::damaged("a tree node is its own ancestor"));
            }
            return Ok(frame);
        }
        if !pointer.is_sealed() {
            return Err(Error::damaged("a tree node that was never written is gone"));
        }
        // A node that is replaced gives its block back, which must be no part of the log.
        if !(RESERVED_BLOCKS..self.space.blocks).contains(&pointer.block) {
            let what = format!("a pointer leads to block {}, where no tree node is", pointer.block);
            return Err(Error::damaged(what));
        }
        let mut bytes = self.cache.spare();
        let loaded = self.store.load(Kind::Node, pointer, &mut bytes).and_then(|()| {
            page::validate(&bytes, level)
                .map_err(|what| Error::damaged(format!("{what} (block {})", pointer.block)))
        });
        match loaded {
            Ok(()) => Ok(self.cache.put(name, bytes, true)),
            Err(error) => {
                self.cache.give_back(bytes);
                Err(error)
            }
        }
    }

    /// The leaf that a key belongs into, and the least key of the leaf behind it.
    fn leaf(&mut self, key: &Key) -> Result<(Frame, Option<Key>)> {
        let (frame, behind) = self.path_to(key, |_| ());
        Ok((frame?, behind))
    }

    /// As [`leaf`](Self::leaf), with a look at the pointers of all nodes on the way, and of it. Where
    /// one of them can't be read, the key is the least one behind all that it leads to.
    ///
    /// The keys of each node on the way must lie between those that the nodes above give it. So
    /// whoever goes from leaf to leaf gets each item once, whatever the pointers lead to.
    pub(crate) fn path_to(
        &mut self,
        key: &Key,
        mut look: impl FnMut(&Pointer),
    ) -> (Result<Frame>, Option<Key>) {
        let mut pointer = self.root;
        let mut range = Range::default();
        for level in (1..self.levels).rev() {
            look(&pointer);
            let frame = match self.node_in(&pointer, level, &range) {
                Ok(frame) => frame,
                error => return (error, range.behind),
            };
            let bytes = self.cache.bytes(frame);
            let index = page::child_index(bytes, key);
            range = range.of_child(bytes, index);
            pointer = page::child(bytes, index);
        }
        look(&pointer);
        (self.node_in(&pointer, 0, &range), range.behind)
    }

    /// A node whose keys lie where they should.
    fn node_in(&mut self, pointer: &Pointer, level: u8, range: &Range) -> Result<Frame> {
        let frame = self.node(pointer, level)?;
        range.check(self.cache.bytes(frame), level)?;
        Ok(frame)
    }

    /// Looks at an item's value, if there is one.
    pub(crate) fn get<T>(&mut self, key: &Key, look: impl FnOnce(&[u8]) -> T) -> Result<Option<T>> {
        let (frame, _) = self.leaf(key)?;
        let bytes = self.cache.bytes(frame);
        Ok(page::search(bytes, key).ok().map(|index| look(page::value(bytes, index))))
    }

    /// Whether there is such an item.
    pub(crate) fn has(&mut self, key: &Key) -> Result<bool> {
        Ok(self.get(key, |_| ())?.is_some())
    }

    /// Looks at the items from a key on, in order, until `each` has enough.
    pub(crate) fn scan(
        &mut self,
        from: &Key,
        mut each: impl FnMut(&Key, &[u8]) -> Result<Step>,
    ) -> Result<()> {
        let mut from = *from;
        loop {
            let (frame, behind) = self.leaf(&from)?;
            let bytes = self.cache.bytes(frame);
            let start = page::search(bytes, &from).unwrap_or_else(|index| index);
            for index in start..page::count(bytes) {
                let key = page::key(bytes, index);
                if each(&key, page::value(bytes, index))? == Step::Stop {
                    return Ok(());
                }
            }
            match behind {
                Some(next) => from = next,
                None => return Ok(()),
            }
        }
    }
}
