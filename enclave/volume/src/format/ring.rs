//! Places in the log's ring.

use crate::format::block::{BlockNo, RING_BLOCKS, RING_START};
use std::ops::Add;

/// A place in the ring. Places grow from lap to lap, so that each place is unique.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct RingPlace(pub(crate) u64);

impl RingPlace {
    /// All places are smaller than this. No volume lives long enough to reach it.
    pub(crate) const MAX: RingPlace = RingPlace(1 << 62);

    /// Returns the block of the place.
    pub(crate) fn block(self) -> BlockNo {
        RING_START + self.0 % RING_BLOCKS
    }

    /// Returns the first place of the next lap.
    pub(crate) fn next_lap(self) -> RingPlace {
        RingPlace((self.0 / RING_BLOCKS + 1) * RING_BLOCKS)
    }

    /// Whether `blocks` blocks from here on fit into this lap.
    pub(crate) fn has_in_lap(self, blocks: u64) -> bool {
        self.0 % RING_BLOCKS + blocks <= RING_BLOCKS
    }

    /// Returns the place one lap later.
    pub(crate) fn after_lap(self) -> RingPlace {
        RingPlace(self.0.saturating_add(RING_BLOCKS))
    }
}

impl Add<u64> for RingPlace {
    type Output = RingPlace;

    fn add(self, blocks: u64) -> RingPlace {
        RingPlace(self.0 + blocks)
    }
}
