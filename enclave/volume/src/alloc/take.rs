//! Takes blocks, and makes the storage longer for them.

use super::region::{Mark, bit_of, first_block, region_of};
use super::{
    Found, GOOD_RUN, MIN_IN_LEAF, POOL_BLOCKS, REGION_BLOCKS, REGIONS_TRIED, SHORT_RUN, Space,
};
use crate::alloc::Reserved;
use crate::error::{Error, Result};
use crate::format::block::{BlockNo, MAX_BLOCKS, Run};
use crate::format::numbers::to_usize;

impl Space {
    /// Takes up to `want` blocks in long runs, in order. For data, the caller has
    /// [reserved](Self::reserve) them.
    pub(crate) fn take_runs(&mut self, want: u32) -> Result<Vec<Run>> {
        self.enter_freed()?;
        let usable = self.usable();
        if usable < u64::from(want) {
            self.grow(u64::from(want) - usable)?;
        }
        let mut found = Found::default();
        self.search(self.lowest, want, &mut found)?;
        // Scattered blocks cost one write each, and a disk takes ten times as long for them as for
        // adjacent blocks. That is worth some more storage. Earlier additions may still be free at
        // the end.
        let short = |found: &Found| found.longest() < want.min(SHORT_RUN);
        if short(&found) {
            let end = self.end();
            self.search(BlockNo(end.0.saturating_sub(1)), want, &mut found)?;
            if found.is_empty() {
                self.search_last(want, &mut found)?;
            } else if short(&found) && self.wants_spare() && self.grow_for_rows(u64::from(want))? {
                self.search(end, want, &mut found)?;
            }
        }
        let runs = found.best(want);
        if runs.is_empty() {
            return Err(Error::damaged(
                "the allocator found no free run in blocks it had just added",
            ));
        }
        for (at, run) in runs.iter().enumerate() {
            if let Err(error) = self.mark(*run, Mark::Used) {
                runs.iter().take(at).for_each(|run| self.free_unused_run(*run));
                return Err(error);
            }
        }
        Ok(runs)
    }

    /// Takes the first free blocks before `end`, in order: `want` blocks, or as many as are free.
    /// Does not make the storage longer.
    pub(crate) fn take_first(&mut self, want: u32, end: BlockNo) -> Result<Vec<Run>> {
        self.enter_freed()?;
        let mut runs: Vec<Run> = Vec::new();
        let mut rest = want;
        while rest > 0 {
            match self.take_first_run(rest, end) {
                Ok(Some(run)) => {
                    rest -= run.count;
                    runs.push(run);
                }
                Ok(None) => break,
                Err(error) => {
                    runs.into_iter().for_each(|run| self.free_unused_run(run));
                    return Err(error);
                }
            }
        }
        Ok(runs)
    }

    fn take_first_run(&mut self, want: u32, end: BlockNo) -> Result<Option<Run>> {
        let Some(start) = self.first_free()?.filter(|start| *start < end) else { return Ok(None) };
        let number = region_of(start);
        let first = bit_of(start);
        let room = to_usize((end.0 - start.0).min(u64::from(want)));
        let limit = self.end_in(number).min(first + room);
        let count = self.region(number)?.first_taken(first, limit) - first;
        #[expect(clippy::cast_possible_truncation, reason = "at most `want`")]
        let run = Run { start, count: count as u32 };
        self.mark(run, Mark::Used)?;
        Ok(Some(run))
    }

    /// Returns the first block that is free for data.
    pub(crate) fn first_free(&mut self) -> Result<Option<BlockNo>> {
        for number in region_of(self.lowest)..self.region_count() {
            let from = to_usize(self.lowest.0.saturating_sub(first_block(number).0));
            let end = self.end_in(number);
            if let Some(bit) = self.region(number)?.first_free(from, end) {
                self.lowest = first_block(number) + bit as u64;
                return Ok(Some(self.lowest));
            }
        }
        Ok(None)
    }

    /// Returns the block after the volume's last one.
    fn end(&self) -> BlockNo {
        BlockNo(self.blocks())
    }

    /// Returns the number of regions of the volume.
    pub(super) fn region_count(&self) -> u64 {
        self.blocks().div_ceil(REGION_BLOCKS)
    }

    /// Returns how many blocks of a region belong to the volume.
    pub(super) fn end_in(&self, region: u64) -> usize {
        (self.blocks() - first_block(region).0).min(REGION_BLOCKS) as usize
    }

    /// Searches for runs, from the region of `from` on.
    fn search(&mut self, from: BlockNo, want: u32, found: &mut Found) -> Result<()> {
        let mut longest = found.longest();
        let mut tried = 0;
        for number in region_of(from)..self.region_count() {
            if self.full.contains(&number) {
                self.pass(number);
                continue;
            }
            let is_new = self.region(number)?.is_new();
            longest = longest.max(self.search_region(number, want, longest, found)?);
            if longest >= want.min(GOOD_RUN) {
                break;
            }
            // Full regions, and those known to have only short runs, do not count: they cost one
            // search.
            tried += usize::from(is_new && !self.full.contains(&number));
            if tried == REGIONS_TRIED {
                break;
            }
        }
        Ok(())
    }

    /// Moves `lowest` out of a region that has no free block for data.
    fn pass(&mut self, region: u64) {
        if region_of(self.lowest) == region {
            self.lowest = first_block(region + 1);
        }
    }

    /// Searches a region for free runs of up to `want` blocks, if one can be longer than `than`:
    /// until it finds a good run or has seen enough. Returns the length of the longest, or 0.
    fn search_region(
        &mut self,
        number: u64,
        want: u32,
        than: u32,
        found: &mut Found,
    ) -> Result<u32> {
        let base = first_block(number);
        let lowest = self.lowest;
        let from = lowest.0.saturating_sub(base.0).min(REGION_BLOCKS) as usize;
        let bits = from..self.end_in(number);
        let looked = self.region(number)?.look_for_runs(base, bits, want, than, GOOD_RUN);
        let Some(looked) = looked else { return Ok(0) };
        match looked.runs.first() {
            Some(first) if first.start > lowest && base <= lowest => self.lowest = first.start,
            Some(_) => {}
            None => {
                self.full.insert(number);
            }
        }
        found.replace(number, looked.runs);
        Ok(looked.longest)
    }

    /// Searches for runs when no block is free for data: in new storage or, if it cannot grow, in
    /// areas.
    fn search_last(&mut self, want: u32, found: &mut Found) -> Result<()> {
        let end = self.end();
        match self.grow(u64::from(want)) {
            Ok(()) => self.search(end, want, found),
            Err(error) => {
                if self.drop_areas()? {
                    self.search(self.lowest, want, found)?;
                }
                if found.is_empty() { Err(error) } else { Ok(()) }
            }
        }
    }

    /// Makes the storage longer for the sake of adjacent blocks. Returns whether that was possible:
    /// if not, other blocks are free.
    pub(super) fn grow_for_rows(&mut self, least: u64) -> Result<bool> {
        match self.grow(least) {
            Ok(()) => Ok(true),
            Err(error) if error.is_full() => {
                self.no_spare = true;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the storage long enough for `blocks` more blocks. The reservation includes blocks for
    /// nodes, so that files can be removed from a full volume: one pool, and one block for the
    /// bitmap of each region. It also includes blocks for the `ring_blocks` data blocks in the
    /// ring, which must leave it.
    pub(crate) fn reserve(&mut self, blocks: u64, ring_blocks: u64) -> Result<Reserved> {
        self.enter_freed()?;
        let nodes = POOL_BLOCKS as u64 + self.blocks() / REGION_BLOCKS;
        let wanted = blocks + nodes + ring_blocks;
        let usable = self.usable();
        if usable >= wanted {
            return Ok(Reserved::Yes);
        }
        match self.grow(wanted - usable) {
            Ok(()) => Ok(Reserved::Yes),
            Err(error) if error.is_full() => Ok(Reserved::NeedsCommit(error)),
            Err(error) => Err(error),
        }
    }

    /// Returns the number of `blocks` data blocks with their leaves. If the data blocks are far
    /// apart, each has a leaf of its own, up to the number of leaves that can exist.
    pub(crate) fn with_leaves(&self, blocks: u64) -> u64 {
        blocks + blocks.min(self.used / MIN_IN_LEAF + POOL_BLOCKS as u64)
    }

    /// Makes the storage at least `least` blocks longer. The step is small for a small volume, and
    /// below half a percent for a large one.
    pub(super) fn grow(&mut self, least: u64) -> Result<()> {
        let before = self.end();
        let step = (before.0 / 256).clamp(64, 16 << 10).max(least);
        let wanted = before.0 + step;
        if wanted >= MAX_BLOCKS {
            return Err(twine_vfs::Error::NoSpace.into());
        }
        let store = self.tree.store_mut();
        match store.grow(wanted) {
            Err(_) if least < step => store.grow(before.0 + least)?,
            result => result?,
        }
        let last = region_of(before);
        self.full.remove(&last);
        self.lowest = self.lowest.min(before);
        if let Some(region) = self.regions.get_mut(&last) {
            region.grew();
        }
        self.no_spare = false;
        Ok(())
    }

    /// Removes the blocks from `end` on, all free, from the volume. Does not cut the storage.
    pub(crate) fn shrink_to(&mut self, end: BlockNo) -> Result<()> {
        self.drop_areas()?;
        self.tree.store_mut().assume_blocks(end.0);
        self.regions.retain(|number, _| first_block(*number) < end);
        self.full.clear();
        Ok(())
    }
}
