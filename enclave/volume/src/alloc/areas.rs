//! Gives out blocks for nodes of the tree.
//!
//! A tree commit writes some nodes from many places in the tree, and later commits soon write them
//! again elsewhere. To make these few writes of adjacent blocks, nodes have *areas* of their own:
//! 64 blocks each, one word of a region's bitmap. Data use them only if no other space is left.
//! Areas are not persisted; each mount chooses them anew.

use super::area_list::{AREA_BLOCKS, Free, first_of, region_and_word};
use super::region::{Mark, Region, region_of};
use super::{POOL_BLOCKS, REGIONS_TRIED, Reserved, Space, WORDS};
use crate::error::{Error, Result};
use crate::format::block::{BlockNo, FIRST_FREE, Run};
use crate::format::numbers::to_usize;

/// Areas may take up to this fraction of all blocks: three times the share of nodes in large files.
const AREAS_SHARE: u64 = 32;

/// Limit on the number of areas: enough for many commits, even in the largest volume.
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
                    // Take as many as fit if they are free, and in any case as many as are needed.
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

    /// Fills the pool like [`fill_pool`](Self::fill_pool). If the storage is full, so that only a
    /// commit may free blocks, returns [`Reserved::NeedsCommit`].
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

    /// Returns an area to take blocks from, or `None` if no part of the storage suits.
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

    /// Returns the next good area in turn, or else the area with the most free blocks.
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

    /// Returns the free blocks of an area.
    fn free_of(&mut self, area: u64) -> Result<Free> {
        let (number, word) = region_and_word(area);
        Ok(Free(self.region(number)?.free_in(word)))
    }

    /// Makes an area of a word with many free blocks, or of new storage.
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

    /// Changes whether data may take the blocks of an area.
    fn change_word(&mut self, area: u64, change: fn(&mut Region, usize)) -> Result<()> {
        let (number, word) = region_and_word(area);
        change(self.region(number)?, word);
        self.full.remove(&number);
        Ok(())
    }

    /// Gives all areas to data. Returns whether there were any.
    pub(crate) fn drop_areas(&mut self) -> Result<bool> {
        let areas = std::mem::take(&mut self.areas).list;
        for &area in &areas {
            self.change_word(area, Region::open_to_data)?;
        }
        self.lowest = FIRST_FREE;
        Ok(!areas.is_empty())
    }

    /// Takes the free blocks of an area into the pool, as far as they fit.
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
