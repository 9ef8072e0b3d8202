//! Areas: parts of the storage that are kept for nodes.

use super::region::WORDS;
use crate::format::block::BlockNo;
use crate::format::numbers::to_usize;

/// Blocks of an area: those of a word of a bitmap.
pub(super) const AREA_BLOCKS: u64 = 64;

/// Free blocks that make an area worth while, and how long their runs are in a good one, on average.
const MIN_AREA: u32 = 16;
const GOOD_RUNS: u32 = 3;

/// The areas, by number, in the order in which they were chosen.
#[derive(Default)]
pub(super) struct Areas {
    pub(super) list: Vec<u64>,
    /// Which of them is looked at next.
    pub(super) next: usize,
}

/// The free blocks of a word.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Free(pub(super) u64);

impl Free {
    pub(super) fn count(self) -> u32 {
        self.0.count_ones()
    }

    pub(super) fn is_worth_while(self) -> bool {
        self.count() >= MIN_AREA
    }

    /// Whether they are in few runs.
    pub(super) fn is_good(self) -> bool {
        let runs = (self.0 & !(self.0 << 1)).count_ones();
        self.is_worth_while() && self.count() >= GOOD_RUNS * runs
    }

    /// The first of them, at most so many.
    pub(super) fn first(self, most: usize) -> Vec<u64> {
        (0..AREA_BLOCKS).filter(|bit| self.0 >> bit & 1 != 0).take(most).collect()
    }
}

/// The region of an area, and its word there.
pub(super) fn region_and_word(area: u64) -> (u64, usize) {
    (area / WORDS as u64, to_usize(area % WORDS as u64))
}

/// The first block of an area.
pub(super) fn first_of(area: u64) -> BlockNo {
    BlockNo(area * AREA_BLOCKS)
}
