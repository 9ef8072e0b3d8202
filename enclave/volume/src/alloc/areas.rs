//! Blocks for nodes of the tree.
//!
//! A commit of the tree writes some nodes of many places, and soon writes them again
//! elsewhere. So that these are few writes of blocks in a row whatever else was
//! written, nodes have *areas* of their own: 64 blocks each, a word of a region's bitmap,
//! that data stay out of while there is other space. Which they are is forgotten with the mount.

use super::{REGION_BLOCKS, REGIONS_TRIED, RESERVE_BLOCKS, Region, WORDS};
use crate::error::{Error, Result};
use crate::format::block::{RESERVED_BLOCKS, Run};
use crate::volume::Volume;

/// Blocks of an area: those of a word of a bitmap.
const AREA_BLOCKS: u64 = 64;

/// Areas may be this part of all blocks: three times what the nodes of large files take.
const AREAS_SHARE: u64 = 32;

/// Most areas: enough for many commits, also of the largest volume.
const MAX_AREAS: usize = 256;

/// Free blocks that make an area worth while, and how long their runs are in a good one, on average.
const MIN_AREA: u32 = 16;
const GOOD_RUNS: u32 = 3;

/// The areas, and where the search goes on.
#[derive(Default)]
pub(super) struct Areas {
    list: Vec<u64>,
    next: usize,
}

/// The free blocks of a word.
#[derive(Debug, Clone, Copy, Default)]
struct Free(u64);

impl Free {
    fn count(self) -> u32 {
        self.0.count_ones()
    }

    fn is_worth_while(self) -> bool {
        self.count() >= MIN_AREA
    }

    /// Whether they are in few runs.
    fn is_good(self) -> bool {
        let runs = (self.0 & !(self.0 << 1)).count_ones();
        self.is_worth_while() && self.count() >= GOOD_RUNS * runs
    }

    /// The first of them, at most so many.
    fn first(self, most: usize) -> Vec<u64> {
        (0..AREA_BLOCKS).filter(|bit| self.0 >> bit & 1 != 0).take(most).collect()
    }
}

impl Region {
    fn free(&self, word: usize) -> Free {
        Free(!(self.used[word] | self.pending_free[word]))
    }

    /// The word with most free blocks that is no area, within the first `end` blocks of a region.
    fn best_word(&self, end: usize) -> Option<(usize, Free)> {
        (0..end / AREA_BLOCKS as usize)
            .filter(|word| !self.is_kept(*word))
            .map(|word| (word, self.free(word)))
            .rev()
            .max_by_key(|(_, free)| free.count())
    }
}

impl Volume {
    /// Fills the supply of blocks for nodes.
    pub(crate) fn fill_reserve(&mut self) -> Result<()> {
        if self.space.reserved.len() >= RESERVE_BLOCKS / 2 {
            return Ok(());
        }
        self.enter_freed()?;
        while self.space.reserved.len() < RESERVE_BLOCKS / 2 {
            match self.good_area()? {
                Some(area) => self.take_area(area)?,
                None => {
                    let supply = self.space.reserved.len();
                    // All that fits, or what is needed, if there is no more.
                    let need = (RESERVE_BLOCKS / 2 - supply) as u64;
                    let want = self.space.usable().clamp(need, (RESERVE_BLOCKS - supply) as u64);
                    let runs = self.take_runs(want as u32)?;
                    // Backwards, because they are taken from the end.
                    self.space.reserved.extend(runs.into_iter().flat_map(Run::blocks).rev());
                }
            }
        }
        Ok(())
    }

    /// The first block that is free for data.
    pub(crate) fn first_free(&mut self) -> Result<Option<u64>> {
        for number in self.space.lowest / REGION_BLOCKS..self.space.blocks.div_ceil(REGION_BLOCKS) {
            self.load_region(number)?;
            let base = number * REGION_BLOCKS;
            let from = self.space.lowest.saturating_sub(base) as usize;
            let end = self.space.end_in(number);
            let region = self.space.regions.get(&number);
            if let Some(bit) = region.and_then(|region| region.first_free(from, end)) {
                self.space.lowest = base + bit as u64;
                return Ok(Some(self.space.lowest));
            }
        }
        Ok(None)
    }

    /// A block for a node.
    pub(crate) fn take_reserved(&mut self) -> Result<u64> {
        if let Some(block) = self.space.reserved.pop() {
            return Ok(block);
        }
        // While bitmaps are written there is no supply.
        self.enter_freed()?;
        let free = |(area, free): (u64, Free)| Some(area * AREA_BLOCKS + *free.first(1).first()?);
        let Some(start) = self.next_area()?.and_then(free) else {
            let run = self.take_runs(1)?.pop();
            return run.map(|run| run.start).ok_or_else(|| Error::damaged("no block is free"));
        };
        self.set_bits(Run { start, count: 1 }, true)?;
        Ok(start)
    }

    /// An area to take blocks of; nothing where no part of the storage is good for that.
    fn good_area(&mut self) -> Result<Option<u64>> {
        let best = self.next_area()?;
        if let Some((area, free)) = best
            && free.is_good()
        {
            return Ok(Some(area));
        }
        let areas = self.space.areas.list.len();
        let most = ((self.space.blocks / AREAS_SHARE / AREA_BLOCKS) as usize).clamp(2, MAX_AREAS);
        if areas < most
            && let Some(area) = self.new_area()?
        {
            return Ok(Some(area));
        }
        Ok(best.filter(|(_, free)| free.is_worth_while()).map(|(area, _)| area))
    }

    /// The next area in turn that is good, or else the one with most free blocks.
    fn next_area(&mut self) -> Result<Option<(u64, Free)>> {
        let count = self.space.areas.list.len();
        let mut best: Option<(u64, Free)> = None;
        for _ in 0..count {
            let at = self.space.areas.next % count;
            self.space.areas.next = at;
            let area = self.space.areas.list[at];
            let free = self.free_of(area)?;
            if free.is_good() {
                return Ok(Some((area, free)));
            }
            if best.is_none_or(|(_, most)| most.count() < free.count()) {
                best = Some((area, free));
            }
            self.space.areas.next = at + 1;
        }
        Ok(best)
    }

    /// The free blocks of an area.
    fn free_of(&mut self, area: u64) -> Result<Free> {
        let (number, word) = place(area);
        self.load_region(number)?;
        let region = self.space.regions.get(&number);
        Ok(region.map_or(Free::default(), |region| region.free(word)))
    }

    /// Makes a word of a bitmap an area: one with much free, or one of new storage.
    fn new_area(&mut self) -> Result<Option<u64>> {
        let mut best: Option<(u64, Free)> = None;
        let regions = self.space.blocks.div_ceil(REGION_BLOCKS);
        let first = self.space.lowest / REGION_BLOCKS;
        let full = &self.space.full;
        let tried: Vec<u64> = (first..regions)
            .filter(|number| !full.contains(number))
            .take(REGIONS_TRIED as usize)
            .collect();
        for number in tried {
            self.load_region(number)?;
            let end = self.space.end_in(number);
            let found = self.space.regions.get(&number).and_then(|region| region.best_word(end));
            if let Some((word, free)) = found
                && best.is_none_or(|(_, most)| most.count() < free.count())
            {
                best = Some((number * WORDS as u64 + word as u64, free));
            }
        }
        if !best.is_some_and(|(_, free)| free.is_good()) && self.space.wants_spare() {
            let area = self.space.blocks.div_ceil(AREA_BLOCKS);
            let end = (area + 1) * AREA_BLOCKS;
            if self.grow_for_rows(end - self.space.blocks)? {
                best = Some((area, Free(u64::MAX)));
            }
        }
        let Some((area, _)) = best.filter(|(_, free)| free.is_worth_while()) else {
            return Ok(None);
        };
        self.keep(area, true)?;
        self.space.areas.list.push(area);
        Ok(Some(area))
    }

    /// Keeps data out of an area, or lets them in.
    fn keep(&mut self, area: u64, kept: bool) -> Result<()> {
        let (number, word) = place(area);
        self.load_region(number)?;
        if let Some(region) = self.space.regions.get_mut(&number) {
            region.set_kept(word, kept);
            region.longest = u32::MAX;
        }
        self.space.full.remove(&number);
        Ok(())
    }

    /// Gives all areas to data; whether there were any.
    pub(crate) fn drop_areas(&mut self) -> Result<bool> {
        let areas = std::mem::take(&mut self.space.areas).list;
        for &area in &areas {
            self.keep(area, false)?;
        }
        self.space.lowest = RESERVED_BLOCKS;
        Ok(!areas.is_empty())
    }

    /// Takes what is free of an area into the supply, as far as there is room.
    fn take_area(&mut self, area: u64) -> Result<()> {
        let room = RESERVE_BLOCKS.saturating_sub(self.space.reserved.len());
        let bits = self.free_of(area)?.first(room);
        let blocks: Vec<u64> = bits.iter().map(|bit| area * AREA_BLOCKS + bit).collect();
        for &start in &blocks {
            self.set_bits(Run { start, count: 1 }, true)?;
        }
        // Backwards, because they are taken from the end.
        self.space.reserved.splice(0..0, blocks.into_iter().rev());
        Ok(())
    }
}

/// The region of an area, and its word there.
fn place(area: u64) -> (u64, usize) {
    (area / WORDS as u64, (area % WORDS as u64) as usize)
}
