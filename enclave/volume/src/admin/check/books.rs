//! Compares the blocks in use with the bitmaps.

use super::Check;
use crate::alloc::{REGION_BLOCKS, WORDS};
use crate::format::block::{BlockNo, RESERVED_BLOCKS};
use crate::format::numbers::to_usize;
use std::collections::BTreeMap;

/// Number of words in a chunk.
const CHUNK_WORDS: usize = 8;

/// Number of blocks in a chunk.
const CHUNK_BLOCKS: u64 = 64 * CHUNK_WORDS as u64;

/// A set of blocks. Its memory depends on its contents, not on the claimed length of the storage.
#[derive(Default)]
pub(super) struct Blocks(BTreeMap<u64, [u64; CHUNK_WORDS]>);

impl Blocks {
    /// Adds a block. Returns whether it is new.
    #[expect(clippy::indexing_slicing, reason = "a chunk has a word for each 64 of its blocks")]
    pub(super) fn insert(&mut self, block: BlockNo) -> bool {
        let chunk = self.0.entry(block.0 / CHUNK_BLOCKS).or_default();
        let word = &mut chunk[to_usize(block.0 % CHUNK_BLOCKS / 64)];
        let bit = 1 << (block.0 % 64);
        let there = *word & bit != 0;
        *word |= bit;
        !there
    }

    /// Returns the regions with blocks in the set, some more than once.
    fn regions(&self) -> impl Iterator<Item = u64> {
        self.0.keys().map(|chunk| chunk / (REGION_BLOCKS / CHUNK_BLOCKS))
    }

    /// Returns the bits of a region.
    fn region(&self, number: u64) -> [u64; WORDS] {
        let mut words = [0; WORDS];
        let first = number * (REGION_BLOCKS / CHUNK_BLOCKS);
        for (chunk, place) in (first..).zip(words.chunks_mut(CHUNK_WORDS)) {
            if let Some(chunk) = self.0.get(&chunk) {
                place.copy_from_slice(chunk);
            }
        }
        words
    }
}

impl Check<'_> {
    /// Compares the bitmaps with the blocks that were seen.
    pub(super) fn books(&mut self) {
        let space = self.engine.space_mut();
        let entered = space.enter_freed().and_then(|()| space.enter_waiting());
        if let Err(error) = entered {
            self.find(None, false, format!("free space: {error}"));
        }
        let space = self.engine.space();
        for block in (0..RESERVED_BLOCKS).map(BlockNo).chain(space.tree().pool().blocks()) {
            self.seen.insert(block);
        }
        let mut regions = std::mem::take(&mut self.regions);
        regions.extend(space.loaded_regions());
        regions.extend(self.seen.regions());
        let (mut entered, mut leaked, mut unguarded) = (0_u64, 0_u64, 0_u64);
        let mut whole = true;
        for number in regions {
            // The blocks of a region with a larger number have no valid block numbers.
            let bits = match number < u64::MAX / REGION_BLOCKS {
                true => {
                    self.engine.space_mut().region_bits(number).map_err(|error| error.to_string())
                }
                false => Err("it can't be".into()),
            };
            let used = match bits {
                Ok(used) => used,
                Err(error) => {
                    whole = false;
                    self.find(None, false, format!("free space of region {number}: {error}"));
                    continue;
                }
            };
            for (used, seen) in used.iter().zip(&self.seen.region(number)) {
                entered += u64::from(used.count_ones());
                leaked += u64::from((used & !seen).count_ones());
                unguarded += u64::from((seen & !used).count_ones());
            }
        }
        if unguarded > 0 {
            self.find(None, true, format!("{unguarded} blocks in use are entered as free"));
        }
        if leaked > 0 && !self.torn {
            let what = format!("{leaked} blocks are entered as in use, and nothing refers to them");
            self.find(None, false, what);
        }
        let counted = self.engine.space().used();
        if whole && !self.torn && entered != counted {
            let what = format!("{counted} blocks are counted as in use, and {entered} are");
            self.find(None, false, what);
        }
    }
}
