//! Blocks for nodes of the tree.
//!
//! A commit of the tree writes some nodes of many places, and soon writes them again
//! elsewhere. So that these are few writes of blocks in a row whatever else was
//! written, nodes have *areas* of their own: 64 blocks each, a word of a region's bitmap,
//! that data stay out of while there is other space. Areas are not persisted; each mount chooses them
//! anew.

use super::area_list::{AREA_BLOCKS, Free, first_of, region_and_word};
use super::region::{Mark, Region, region_of};
use super::{POOL_BLOCKS, REGIONS_TRIED, Reserved, Space, WORDS};
use crate::error::{Error, Result};
use crate::format::block::{BlockNo, FIRST_FREE, Run};
use crate::format::numbers::to_usize;

/// Areas may be this part of all blocks: three times what the nodes of large files take.
const AREAS_SHARE: u64 = 32;

/// Most areas: enough for many commits, also of the largest volume.
const MAX_AREAS: usize = 256;

impl Space {
    /// Fills the pool of blocks for nodes.
    pub(crate) fn fill_pool(&mut self) -> Result<()> {
        if self.tree.pool().len() >= POOL_BLOCKS / 2 {
            return Ok(());
        }
        self.enter_freed()?;
        while self.tree.pool().len() < POOL_BLOCKS / 2 {
            match self.good_area()? {
                Some(area) => self.take_area(area)?,
                None => {
                    let supply = self.tree.pool().len();
                    // All that fits, or what is needed, if there is no more.
                    let need = (POOL_BLOCKS / 2 - supply) as u64;
                    let want = self.usable().clamp(need, (POOL_BLOCKS - supply) as u64);
                    #[expect(clippy::cast_possible_truncation, reason = "at most `POOL_BLOCKS`")]
                    let runs = self.take_runs(want as u32)?;
                    let blocks: Vec<BlockNo> = runs.into_iter().flat_map(Run::blocks).collect();
                    self.tree.pool_mut().add_before(blocks.into_iter());
                }
            }
        }
        Ok(())
    }

    /// As [`fill_pool`](Self::fill_pool), where only a commit may give blocks: what may be given out
    /// then is told.
    pub(crate) fn reserve_for_nodes(&mut self) -> Result<Reserved> {
        match self.fill_pool() {
            Ok(()) => Ok(Reserved::Yes),
            Err(error) if error.is_full() => Ok(Reserved::NeedsCommit(error)),
            Err(error) => Err(error),
        }
    }

    /// Takes one block for a node.
    pub(super) fn take_for_node(&mut self) -> Result<BlockNo> {
        self.enter_freed()?;
        let free = |(area, free): (u64, Free)| Some(first_of(area) + *free.first(1).first()?);
        let Some(start) = self.next_area()?.and_then(free) else {
            let run = self.take_runs(1)?.pop();
            return run.map(|run| run.start).ok_or_else(|| Error::damaged("no block is free"));
        };
        self.mark(Run::one(start), Mark::Used)?;
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
        let areas = self.areas.list.len();
        let most = ((self.blocks() / AREAS_SHARE / AREA_BLOCKS) as usize).clamp(2, MAX_AREAS);
        if areas < most
            && let Some(area) = self.new_area()?
        {
            return Ok(Some(area));
        }
        Ok(best.filter(|(_, free)| free.is_worth_while()).map(|(area, _)| area))
    }

    /// The next area in turn that is good, or else the one with most free blocks.
    fn next_area(&mut self) -> Result<Option<(u64, Free)>> {
        let count = self.areas.list.len();
        let mut best: Option<(u64, Free)> = None;
        for _ in 0..count {
            let at = self.areas.next % count;
            self.areas.next = at;
            let Some(&area) = self.areas.list.get(at) else { break };
            let free = self.free_of(area)?;
            if free.is_good() {
                return Ok(Some((area, free)));
            }
            if best.is_none_or(|(_, most)| most.count() < free.count()) {
                best = Some((area, free));
            }
            self.areas.next = at + 1;
        }
        Ok(best)
    }

    /// The free blocks of an area.
    fn free_of(&mut self, area: u64) -> Result<Free> {
        let (number, word) = region_and_word(area);
        Ok(Free(self.region(number)?.free_in(word)))
    }

    /// Makes a word of a bitmap an area: one with much free, or one of new storage.
    fn new_area(&mut self) -> Result<Option<u64>> {
        let mut best: Option<(u64, Free)> = None;
        let full = &self.full;
        let tried: Vec<u64> = (region_of(self.lowest)..self.region_count())
            .filter(|number| !full.contains(number))
            .take(REGIONS_TRIED)
            .collect();
        for number in tried {
            let end = self.end_in(number) / to_usize(AREA_BLOCKS);
            let words = self.region(number)?.words_for_data(end);
            let found =
                words.map(|(word, free)| (word, Free(free))).max_by_key(|(_, free)| free.count());
            if let Some((word, free)) = found
                && best.is_none_or(|(_, most)| most.count() < free.count())
            {
                best = Some((number * WORDS as u64 + word as u64, free));
            }
        }
        if !best.is_some_and(|(_, free)| free.is_good()) && self.wants_spare() {
            let area = self.blocks().div_ceil(AREA_BLOCKS);
            let end = (area + 1) * AREA_BLOCKS;
            if self.grow_for_rows(end - self.blocks())? {
                best = Some((area, Free(u64::MAX)));
            }
        }
        let Some((area, _)) = best.filter(|(_, free)| free.is_worth_while()) else {
            return Ok(None);
        };
        self.change_word(area, Region::keep_for_nodes)?;
        self.areas.list.push(area);
        Ok(Some(area))
    }

    /// Changes who may have the blocks of an area.
    fn change_word(&mut self, area: u64, change: fn(&mut Region, usize)) -> Result<()> {
        let (number, word) = region_and_word(area);
        change(self.region(number)?, word);
        self.full.remove(&number);
        Ok(())
    }

    /// Gives all areas to data; whether there were any.
    pub(crate) fn drop_areas(&mut self) -> Result<bool> {
        let areas = std::mem::take(&mut self.areas).list;
        for &area in &areas {
            self.change_word(area, Region::open_to_data)?;
        }
        self.lowest = FIRST_FREE;
        Ok(!areas.is_empty())
    }

    /// Takes what is free of an area into the supply, as far as there is room.
    fn take_area(&mut self, area: u64) -> Result<()> {
        let room = POOL_BLOCKS.saturating_sub(self.tree.pool().len());
        let bits = self.free_of(area)?.first(room);
        let blocks: Vec<BlockNo> = bits.iter().map(|bit| first_of(area) + *bit).collect();
        for block in &blocks {
            self.mark(Run::one(*block), Mark::Used)?;
        }
        self.tree.pool_mut().add_after(blocks.into_iter());
        Ok(())
    }
}
