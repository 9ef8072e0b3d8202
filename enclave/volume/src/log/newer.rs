//! Finds everything in the log that is newer than a state.

use super::chain::Chain;
use super::entries::{Entries, Held};
use super::sealed_entry::Opened;
use crate::format::block::{BlockNo, ROOT_COPIES_START, ROOT_SLOTS, ROOTS_START};
use crate::format::entry::LAST;
use crate::format::pointer::Salt;
use crate::format::ring::RingPlace;

/// If a salt shares this many bytes with another one, it is the same salt, partly damaged.
const SAME_SALT_BYTES: usize = 8;

/// What the log holds that is newer than a state.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Newer {
    /// Blocks of authentic entries with larger sequence numbers, and blocks of malformed entries.
    pub(crate) blocks: Vec<BlockNo>,
    /// Number of commits whose last entry is in one of these blocks.
    pub(crate) commits: u64,
    /// The largest sequence number among them.
    pub(crate) sequence: u64,
    /// Number of entries that cannot be read and may be newer.
    pub(crate) unreadable: u64,
}

impl Entries {
    /// Whether the block at a place looks like an entry under this salt, but does not open: it was
    /// not completely written, or it is damaged.
    fn is_unreadable(&self, place: RingPlace, salt: &Salt) -> bool {
        let (Held::Other(held) | Held::Malformed(held)) = self.held(place.block()) else {
            return false;
        };
        let same = held.iter().zip(salt).filter(|(one, other)| one == other).count();
        same >= SAME_SALT_BYTES
    }

    /// Returns what is newer than the last commit of a chain.
    pub(crate) fn newer_than(&self, chain: &Chain) -> Newer {
        let last = chain.last();
        let (sequence, tree) = (last.mark.sequence, last.tree);
        let mut newer = Newer::default();
        let mut next = vec![chain.end(), chain.end().next_lap()];
        next.dedup_by_key(|place| place.block());
        next.retain(|place| self.is_unreadable(*place, &last.salt));
        newer.unreadable += next.len() as u64;
        for (block, opened) in self.all().filter(|(_, opened)| opened.entry.sequence > sequence) {
            let second_copy = block >= ROOT_COPIES_START
                && self.held(first_copy(block)).entry().map(Opened::mark) == Some(opened.mark());
            newer.blocks.push(block);
            newer.commits += u64::from(opened.entry.flags & LAST != 0 && !second_copy);
            newer.sequence = newer.sequence.max(opened.entry.sequence);
        }
        // Every later mount would refuse malformed entries, so a repair must overwrite them.
        let malformed = self.all_held().filter(|(_, held)| matches!(held, Held::Malformed(_)));
        newer.blocks.extend(malformed.map(|(block, _)| block));
        for slot in 0..ROOT_SLOTS {
            let copies = [ROOTS_START + slot, ROOT_COPIES_START + slot];
            let is_newest = |block: &BlockNo| {
                self.root(*block, slot).is_some_and(|opened| opened.entry.tree >= tree)
            };
            let other =
                |block: &BlockNo| matches!(self.held(*block), Held::Other(_) | Held::Malformed(_));
            if copies.iter().any(other) && !copies.iter().any(is_newest) {
                newer.unreadable += 1;
            }
        }
        newer
    }
}

/// Returns the block of the first copy of a root, given the block of the second.
fn first_copy(second: BlockNo) -> BlockNo {
    ROOTS_START + (second.0 - ROOT_COPIES_START.0)
}
