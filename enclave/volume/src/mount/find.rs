//! Finds the newest whole state.

use super::verify::{self, Cut};
use crate::commit::Recovery;
use crate::dropped::Dropped;
use crate::error::{Error, Result};
use crate::format::block::{Kind, MAX_BLOCKS, RESERVED_BLOCKS, bytes_of};
use crate::format::numbers::InodeNo;
use crate::format::pointer::Pointer;
use crate::format::record::State;
use crate::log::{Chain, Entries, Newer, Tolerance};
use crate::sealed_store::SealedStore;

/// The newest whole state.
pub(super) struct Found {
    pub(super) chain: Chain,
    /// Blocks of this state that are not known to be durable.
    unsure: Vec<(Kind, Pointer)>,
    /// The largest sequence number of a commit that is known to have been durable.
    durable: u64,
    newer: Newer,
}

impl Found {
    /// Returns what was dropped, or `None` if nothing was.
    pub(super) fn dropped(&self) -> Option<Dropped> {
        let (found, newer) = (self.chain.last().mark.sequence, &self.newer);
        let dropped = Dropped {
            found,
            commits: newer.commits,
            newest: newer.sequence.max(found),
            durable: (self.durable > found).then_some(self.durable),
            unreadable: newer.unreadable,
        };
        let any = dropped.newest > found || dropped.durable.is_some();
        (any || newer.unreadable > 0).then_some(dropped)
    }

    /// Returns what must be done before the first write. `header`: a copy of the header differs
    /// from the one that the state names.
    pub(super) fn recovery(&self, header: bool) -> Recovery {
        let unsure = self.chain.groups().filter(|group| group.mark.sequence > self.durable);
        Recovery {
            blocks: self.unsure.clone(),
            entries: unsure.flat_map(|group| group.entries.iter().copied()).collect(),
            dropped: self.newer.blocks.clone(),
            header,
        }
    }
}

/// Finds the newest whole state.
pub(super) fn newest(
    store: &mut SealedStore,
    entries: &Entries,
    size: u64,
    tolerance: Tolerance,
) -> Result<Found> {
    let mut needed = 0;
    for root in entries.roots(tolerance)? {
        let mut chain = Chain::read(entries, root, tolerance)?;
        match verify::cut_to_whole(store, &mut chain, size, tolerance)? {
            Cut::Whole(unsure) => {
                let (durable, newer) = (entries.durable_commit(), entries.newer_than(&chain));
                return Ok(Found { chain, unsure, durable, newer });
            }
            Cut::Nothing { blocks } => needed = needed.max(blocks),
        }
    }
    match bytes_of(needed.min(MAX_BLOCKS)) {
        needed if needed > size => Err(Error::Truncated { size, needed }),
        _ => Err(Error::NoState),
    }
}

/// All numbers of entries and roots must be smaller than this, because a mount counts on from them.
const MAX_NUMBERS: u64 = 1 << 62;

pub(super) fn check_numbers(entries: &Entries) -> Result<()> {
    let (sequence, tree) = entries.largest();
    let largest = sequence.max(tree).max(entries.durable_commit());
    match largest < MAX_NUMBERS {
        true => Ok(()),
        false => Err(Error::damaged("the numbers of the log are used up")),
    }
}

pub(super) fn check_state(state: &State, size: u64) -> Result<()> {
    let whole = state.blocks > RESERVED_BLOCKS
        && state.blocks < MAX_BLOCKS
        && state.root.check().is_ok()
        && state.next_inode > InodeNo::ROOT
        && state.used <= state.blocks;
    if !whole {
        return Err(Error::damaged("the state in the log is malformed"));
    }
    let needed = bytes_of(state.blocks);
    if size < needed {
        return Err(Error::Truncated { size, needed });
    }
    Ok(())
}
