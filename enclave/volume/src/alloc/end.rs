//! Finds the last blocks in use.

use super::region::{bit_of, first_block, region_of};
use super::{REGION_BLOCKS, Space};
use crate::error::Result;
use crate::format::block::{BlockNo, FIRST_FREE};
use crate::format::item::{Key, Subject};
use crate::format::numbers::InodeNo;
use crate::tree::Step;

use std::collections::BTreeSet;

/// Number of regions at the end of the storage that are searched first for the last block in use.
const REGIONS_AT_END: u64 = 16;

impl Space {
    /// Returns how many blocks are in use from `block` on.
    pub(crate) fn used_from(&mut self, block: BlockNo) -> Result<u64> {
        let mut count = 0;
        for number in self.entered_regions()?.range(region_of(block)..) {
            let used = self.region_bits(*number)?;
            let first = if region_of(block) == *number { bit_of(block) } else { 0 };
            let used = used.get(first / 64..).unwrap_or_default();
            let all: u64 = used.iter().map(|word| u64::from(word.count_ones())).sum();
            let before = used.first().map_or(0, |word| word & !(u64::MAX << (first % 64)));
            count += all - u64::from(before.count_ones());
        }
        Ok(count)
    }

    /// Returns the block after the last one in use.
    pub(crate) fn used_end(&mut self) -> Result<BlockNo> {
        let regions = self.blocks().div_ceil(REGION_BLOCKS);
        let near = regions.saturating_sub(REGIONS_AT_END);
        for number in (near..regions).rev() {
            if let Some(end) = self.used_end_of(number)? {
                return Ok(end);
            }
        }
        for number in self.entered_regions()?.range(..near).rev() {
            if let Some(end) = self.used_end_of(*number)? {
                return Ok(end);
            }
        }
        Ok(FIRST_FREE)
    }

    /// Returns the block after the last one in use in a region, or `None` if none is in use.
    fn used_end_of(&mut self, number: u64) -> Result<Option<BlockNo>> {
        let last = self.region(number)?.last_used();
        Ok(last.map(|bit| first_block(number) + bit as u64 + 1))
    }

    /// Returns the regions that have a bitmap. All others have no block in use: a storage may be
    /// much longer than its contents.
    fn entered_regions(&mut self) -> Result<BTreeSet<u64>> {
        let end = self.region_count();
        let mut numbers: BTreeSet<u64> = self.loaded_regions().collect();
        self.scan(&Key::region(0), |key, _| {
            if key.inode != InodeNo::NONE || key.subject != Subject::Region || key.offset >= end {
                return Ok(Step::Stop);
            }
            numbers.insert(key.offset);
            Ok(Step::On)
        })?;
        Ok(numbers)
    }
}
