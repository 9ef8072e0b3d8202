//! Commits that a mount found in the log.

use super::sealed_entry::Opened;
use crate::error::{Error, Result};
use crate::format::block::{BlockNo, ROOT_COPIES_START, ROOT_SLOTS, ROOTS_START};
use crate::format::bytes::{Reader, Short};
use crate::format::entry::Entry;
use crate::format::mark::Mark;
use crate::format::pointer::{Salt, Tag};
use crate::format::record;
use crate::format::record::{Record, State};
use crate::format::ring::RingPlace;

/// A commit that a mount found in the log.
pub(crate) struct Group {
    /// The mark of its last entry.
    pub(crate) mark: Mark,
    pub(crate) tree: u64,
    /// The salt of its last entry.
    pub(crate) salt: Salt,
    /// See [`Entry::durable`].
    pub(crate) durable: u64,
    /// See [`Entry::durable_commit`].
    pub(crate) durable_commit: Mark,
    pub(crate) state: State,
    /// The blocks of its entries, and the tags of the entries in them.
    pub(crate) entries: Vec<(BlockNo, Tag)>,
    stream: Vec<u8>,
    /// The place in the ring where the next commit may begin.
    pub(super) end: RingPlace,
}

impl Group {
    /// The tree commit of an entry.
    pub(super) fn of_tree(opened: &Opened) -> Result<Self> {
        let tree = opened.entry.tree;
        let entries = root_blocks(tree).map(|block| (block, opened.tag)).to_vec();
        Self::new(&opened.entry, opened, &opened.entry.payload, entries, None)
    }

    pub(super) fn new(
        first: &Entry,
        last: &Opened,
        bytes: &[u8],
        entries: Vec<(BlockNo, Tag)>,
        end: Option<RingPlace>,
    ) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let malformed = |_: Short| Error::damaged("the state of a commit is malformed");
        let state = State::read(&mut reader).map_err(malformed)?;
        if state.log >= RingPlace::MAX {
            return Err(malformed(Short));
        }
        Ok(Group {
            mark: last.mark(),
            tree: first.tree,
            salt: last.salt,
            durable: first.durable,
            durable_commit: first.durable_commit,
            stream: reader.rest().to_vec(),
            end: end.unwrap_or(state.log),
            entries,
            state,
        })
    }

    /// Decodes the records of the commit.
    pub(super) fn records(&self) -> Result<Vec<Record<'_>>, Short> {
        record::records(&self.stream)
    }
}

/// Returns the blocks of the two copies of a root.
pub(crate) fn root_blocks(tree: u64) -> [BlockNo; 2] {
    [ROOTS_START + tree % ROOT_SLOTS, ROOT_COPIES_START + tree % ROOT_SLOTS]
}
