//! Commits that were found in the log.

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

/// A commit that was found in the log.
pub(crate) struct Group {
    /// Its last entry.
    pub(crate) mark: Mark,
    pub(crate) tree: u64,
    /// What its last entry was sealed with.
    pub(crate) salt: Salt,
    /// See [`Entry::durable`].
    pub(crate) durable: u64,
    /// See [`Entry::durable_commit`].
    pub(crate) durable_commit: Mark,
    pub(crate) state: State,
    /// Where its entries lie: a block, and the tag of the entry there.
    pub(crate) entries: Vec<(BlockNo, Tag)>,
    stream: Vec<u8>,
    /// Where in the ring the next commit may be.
    pub(super) end: RingPlace,
}

impl Group {
    /// The commit of a tree that an entry names.
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

    /// What the commit lists.
    pub(super) fn records(&self) -> Result<Vec<Record<'_>>, Short> {
        record::records(&self.stream)
    }
}

/// The blocks of the two copies of a root.
pub(crate) fn root_blocks(tree: u64) -> [BlockNo; 2] {
    [ROOTS_START + tree % ROOT_SLOTS, ROOT_COPIES_START + tree % ROOT_SLOTS]
}
