//! What the log holds that is newer than a state.

use super::chain::Chain;
use super::entries::{Entries, Held};
use super::sealed_entry::Opened;
use crate::format::block::{BlockNo, ROOT_COPIES_START, ROOT_SLOTS, ROOTS_START};
use crate::format::entry::LAST;
use crate::format::pointer::Salt;
use crate::format::ring::RingPlace;

/// A salt that shares so many bytes with another one is the same, with some of it damaged.
const SAME_SALT_BYTES: usize = 8;

/// What is newer than a state that was chosen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Newer {
    /// Blocks of authentic entries with a larger number, or that are malformed.
    pub(crate) blocks: Vec<BlockNo>,
    /// How many commits end in one of them.
    pub(crate) commits: u64,
    /// The largest number.
    pub(crate) sequence: u64,
    /// Entries that can't be read, and may be newer.
    pub(crate) unreadable: u64,
}

impl Entries {
    /// Whether the block of a place looks like an entry that this salt sealed, and does not open: it
    /// was not written whole, or it is damaged.
    fn is_unreadable(&self, place: RingPlace, salt: &Salt) -> bool {
        let (Held::Other(held) | Held::Malformed(held)) = self.held(place.block()) else {
            return false;
        };
        let same = held.iter().zip(salt).filter(|(one, other)| one == other).count();
        same >= SAME_SALT_BYTES
    }

    /// What is newer than a chain's last commit.
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
        // Nothing else passes over them, so a repair must not leave them.
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

/// The first copy of a root whose second copy a block holds.
fn first_copy(second: BlockNo) -> BlockNo {
    ROOTS_START + (second.0 - ROOT_COPIES_START.0)
}
