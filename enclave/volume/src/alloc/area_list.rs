//! Areas: parts of the storage that are kept for nodes.

use super::region::WORDS;
use crate::format::block::BlockNo;
use crate::format::numbers::to_usize;

/// Blocks of an area. They share one word of a bitmap.
pub(super) const AREA_BLOCKS: u64 = 64;

/// Minimum of free blocks in a useful area, and minimum average length of their runs in a good one.
const MIN_AREA: u32 = 16;
const GOOD_RUNS: u32 = 3;

/// The numbers of the areas, in the order in which they were chosen.
#[derive(Default)]
pub(super) struct Areas {
    pub(super) list: Vec<u64>,
    /// The index in `list` of the next area to look at.
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

    /// Whether the area is useful and its free blocks form few runs.
    pub(super) fn is_good(self) -> bool {
        let runs = (self.0 & !(self.0 << 1)).count_ones();
        self.is_worth_while() && self.count() >= GOOD_RUNS * runs
    }

    /// Returns the first free bits, at most `most`.
    pub(super) fn first(self, most: usize) -> Vec<u64> {
        (0..AREA_BLOCKS).filter(|bit| self.0 >> bit & 1 != 0).take(most).collect()
    }
}

/// Returns the region of an area, and the area's word in that region.
pub(super) fn region_and_word(area: u64) -> (u64, usize) {
    (area / WORDS as u64, to_usize(area % WORDS as u64))
}

/// Returns the first block of an area.
pub(super) fn first_of(area: u64) -> BlockNo {
    BlockNo(area * AREA_BLOCKS)
}
