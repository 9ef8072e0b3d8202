//! Taking blocks, and making the storage longer for them.

use super::region::{Mark, bit_of, first_block, region_of};
use super::{
    Found, GOOD_RUN, MIN_IN_LEAF, POOL_BLOCKS, REGION_BLOCKS, REGIONS_TRIED, SHORT_RUN, Space,
};
use crate::alloc::Reserved;
use crate::error::{Error, Result};
use crate::format::block::{BlockNo, MAX_BLOCKS, Run};
use crate::format::numbers::to_usize;

impl Space {
    /// Takes blocks, as many as wanted or fewer, in long runs, which are in order. For data they
    /// were [reserved](Self::reserve) before.
    pub(crate) fn take_runs(&mut self, want: u32) -> Result<Vec<Run>> {
        self.enter_freed()?;
        let usable = self.usable();
        if usable < u64::from(want) {
            self.grow(u64::from(want) - usable)?;
        }
        let mut found = Found::default();
        self.search(self.lowest, want, &mut found)?;
        // Blocks here and there cost a write each, and a disk ten times the time of as many in a
        // row: some more storage is worth that. What it was made longer by before is at its end.
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

    /// Takes the first free blocks before `end`, in order: as many as wanted, or all that there are.
    /// The storage stays as long as it is.
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

    /// The first block that is free for data.
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

    /// The block after the volume's last one.
    fn end(&self) -> BlockNo {
        BlockNo(self.blocks())
    }

    /// How many regions the volume has.
    pub(super) fn region_count(&self) -> u64 {
        self.blocks().div_ceil(REGION_BLOCKS)
    }

    /// How many blocks of a region the volume has.
    pub(super) fn end_in(&self, region: u64) -> usize {
        (self.blocks() - first_block(region).0).min(REGION_BLOCKS) as usize
    }

    /// Looks for runs from the region of a block on.
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
            // One without anything free, or with short runs only, costs a look, once.
            tried += usize::from(is_new && !self.full.contains(&number));
            if tried == REGIONS_TRIED {
                break;
            }
        }
        Ok(())
    }

    /// A region has nothing free for data: what has lies behind it, if all before it has none.
    fn pass(&mut self, region: u64) {
        if region_of(self.lowest) == region {
            self.lowest = first_block(region + 1);
        }
    }

    /// Looks through a region for runs of up to `want` free blocks, where one may be longer
    /// than `than`: up to a good one, or through the first ones. Blocks of the longest, 0 for none.
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

    /// Looks for runs where all that is free for data is taken: in new storage, or else in what is
    /// kept for nodes.
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

    /// Makes the storage longer so that blocks in a row are at hand; whether that could be.
    /// There are others.
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

    /// Makes the storage so long that this many blocks have room. Some remain for nodes, so that
    /// files can be removed when there is no space for more: a supply, and what the bitmaps of
    /// all regions take when they change. And some for the `ring_blocks` blocks of data that are in
    /// the log's ring and must leave it.
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

    /// Blocks of data, and of the leaves that lead to them: one for each, if they are far from each
    /// other, but not more than there can be.
    pub(crate) fn with_leaves(&self, blocks: u64) -> u64 {
        blocks + blocks.min(self.used / MIN_IN_LEAF + POOL_BLOCKS as u64)
    }

    /// Makes the storage longer: by little for a small volume, by less than half a
    /// percent for a large one.
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

    /// Gives the blocks from `end` on up, none of which is in use. The storage stays as long as it is.
    pub(crate) fn shrink_to(&mut self, end: BlockNo) -> Result<()> {
        self.drop_areas()?;
        self.tree.store_mut().assume_blocks(end.0);
        self.regions.retain(|number, _| first_block(*number) < end);
        self.full.clear();
        Ok(())
    }
}
