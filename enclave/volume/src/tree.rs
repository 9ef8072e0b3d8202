//! Reading the tree.

use crate::block::Kind;
use crate::cache::{Frame, Name};
use crate::error::{Error, Result};
use crate::page::{self, Key};
use crate::pointer::Pointer;
use crate::volume::Volume;

/// What to do after an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    On,
    Stop,
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
        let mut pointer = self.root;
        let mut behind = None;
        for level in (1..self.levels).rev() {
            let frame = self.node(&pointer, level)?;
            let bytes = self.cache.bytes(frame);
            let index = page::child_index(bytes, key);
            if index + 1 < page::count(bytes) {
                behind = Some(page::key(bytes, index + 1));
            }
            pointer = page::child(bytes, index);
        }
        Ok((self.node(&pointer, 0)?, behind))
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
