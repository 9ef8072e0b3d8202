//! Bitmaps in memory and in the tree.

use super::region::{BITMAP_BYTES, Mark, Region, bit_of, first_block, region_of};
use super::{KEPT_REGIONS, REGION_BLOCKS, Space, Supply, WORDS};
use crate::error::{Error, Result};
use crate::format::block::{BlockNo, RESERVED_BLOCKS, Run, may_hold_node};
use crate::format::item::Key;
use crate::format::numbers::to_usize;

const _: () = assert!(RESERVED_BLOCKS <= REGION_BLOCKS);

/// When freed blocks may be given out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Release {
    Now,
    WithTheCommit,
}

impl Space {
    /// Clears the bits of freed blocks that may be given out.
    pub(crate) fn enter_freed(&mut self) -> Result<()> {
        while let Some(run) = self.free_now.pop() {
            if let Err(error) = self.enter(run, Release::Now) {
                self.free_now.push(run);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Clears the bits of freed blocks that must wait for this tree commit, which writes the
    /// bitmaps.
    pub(crate) fn enter_waiting(&mut self) -> Result<()> {
        while let Some(run) = self.waiting_data.pop() {
            if let Err(error) = self.enter(run, Release::WithTheCommit) {
                self.waiting_data.push(run);
                return Err(error);
            }
        }
        while let Some(run) = self.waiting_nodes.pop() {
            if let Err(error) = self.enter(run, Release::WithTheCommit) {
                self.waiting_nodes.push(run);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Clears the bits of a run, and holds its blocks back if they must wait.
    fn enter(&mut self, run: Run, release: Release) -> Result<()> {
        let parts = split(run);
        for part in &parts {
            self.load_region(region_of(part.start))?;
        }
        for part in parts {
            self.mark(part, Mark::Free)?;
            let number = region_of(part.start);
            match release {
                Release::WithTheCommit => {
                    self.pending += u64::from(part.count);
                    self.pending_runs.push(part);
                    let first = bit_of(part.start);
                    self.region(number)?.hold_back(first..first + part.count as usize);
                }
                Release::Now => {
                    self.lowest = self.lowest.min(part.start);
                    self.full.remove(&number);
                }
            }
        }
        Ok(())
    }

    /// Sets or clears the bits of a run within one region.
    pub(super) fn mark(&mut self, run: Run, mark: Mark) -> Result<()> {
        let number = region_of(run.start);
        let first = bit_of(run.start);
        let bits = first..first + run.count as usize;
        if let Err(bit) = self.region(number)?.mark(bits, mark) {
            let block = first_block(number) + bit as u64;
            let what = if mark == Mark::Used { "taken" } else { "freed" };
            return Err(Error::damaged(format!("block {block} is {what} twice")));
        }
        let count = u64::from(run.count);
        self.used = match mark {
            Mark::Used => self.used + count,
            Mark::Free => self.used.saturating_sub(count),
        };
        Ok(())
    }

    /// Marks a block to which the log refers as in use.
    pub(crate) fn claim(&mut self, block: BlockNo) -> Result<()> {
        if !may_hold_node(block, self.blocks()) {
            return Err(Error::damaged("a pointer leads out of the volume"));
        }
        if !self.claimed.insert(block) {
            return Err(Error::damaged("two pointers lead to one block"));
        }
        if self.region(region_of(block))?.is_used(bit_of(block)) {
            return Ok(());
        }
        self.mark(Run::one(block), Mark::Used)
    }

    /// Ends the replay of the log: blocks to which it refers can be freed like all others.
    pub(crate) fn end_claims(&mut self) {
        self.claimed.clear();
    }

    /// Returns a region, and loads it first if necessary.
    pub(super) fn region(&mut self, number: u64) -> Result<&mut Region> {
        self.load_region(number)?;
        self.regions.get_mut(&number).ok_or_else(|| Error::damaged("a region is not loaded"))
    }

    #[expect(clippy::indexing_slicing, reason = "the first region contains all reserved blocks")]
    fn load_region(&mut self, number: u64) -> Result<()> {
        if self.regions.contains_key(&number) {
            return Ok(());
        }
        let mut used = self.read_region(number)?;
        if number == 0 {
            for bit in 0..to_usize(RESERVED_BLOCKS) {
                used[bit / 64] |= 1 << (bit % 64);
            }
        }
        if self.regions.len() >= KEPT_REGIONS {
            self.regions.retain(|_, region| region.is_needed());
        }
        self.regions.insert(number, Region::new(used));
        Ok(())
    }

    /// Returns a region's bitmap from the tree.
    fn read_region(&mut self, number: u64) -> Result<Box<[u64; WORDS]>> {
        let mut used = Box::new([0; WORDS]);
        let length = self.tree.get(&Key::region(number), |value| {
            for (word, bytes) in used.iter_mut().zip(value.as_chunks::<8>().0) {
                *word = u64::from_le_bytes(*bytes);
            }
            value.len()
        })?;
        if length.is_some_and(|length| length != BITMAP_BYTES) {
            return Err(Error::damaged(format!("the bitmap of region {number} is cut off")));
        }
        Ok(used)
    }

    /// Returns the present bitmap of a region.
    pub(crate) fn region_bits(&mut self, number: u64) -> Result<[u64; WORDS]> {
        Ok(*self.region(number)?.bits())
    }

    /// Returns the regions whose bitmaps are in memory.
    pub(crate) fn loaded_regions(&self) -> impl Iterator<Item = u64> {
        self.regions.keys().copied()
    }

    /// Puts all bitmaps into the tree, for a tree commit. This may change bitmaps, which are put
    /// again. Afterwards the pool is empty: after a crash, blocks in it would stay in use for good.
    pub(crate) fn put_bitmaps(&mut self) -> Result<()> {
        let before = self.set_supply(Supply::Exact);
        let result = self.put_all_bitmaps();
        self.set_supply(before);
        result
    }

    fn put_all_bitmaps(&mut self) -> Result<()> {
        loop {
            self.drain_pool();
            self.enter_freed()?;
            self.enter_waiting()?;
            if !self.put_dirty_bitmaps()? {
                return Ok(());
            }
        }
    }

    /// Frees the blocks in the pool.
    pub(super) fn drain_pool(&mut self) {
        for block in self.tree.pool_mut().drain() {
            self.free_unused(block);
        }
    }

    /// Puts all changed bitmaps into the tree. Returns whether there were any.
    fn put_dirty_bitmaps(&mut self) -> Result<bool> {
        let dirty = self.regions.iter().filter(|(_, region)| region.is_dirty());
        let mut dirty: Vec<u64> = dirty.map(|(number, _)| *number).collect();
        dirty.sort_unstable();
        for &number in &dirty {
            let key = Key::region(number);
            // First prepare the path: it takes blocks, possibly of this region.
            self.prepare(&key)?;
            let Some(region) = self.regions.get(&number) else { continue };
            let bytes = region.encode();
            self.put(&key, &bytes)?;
            // A split in `put` may have taken blocks of this region.
            if let Some(region) = self.regions.get_mut(&number) {
                region.was_put(&bytes);
            }
        }
        Ok(!dirty.is_empty())
    }
}

/// Splits a run at the borders of regions.
fn split(run: Run) -> Vec<Run> {
    let mut parts = Vec::with_capacity(1);
    let Run { mut start, mut count } = run;
    while count > 0 {
        let room = REGION_BLOCKS - start.0 % REGION_BLOCKS;
        let part = count.min(u32::try_from(room).unwrap_or(u32::MAX));
        parts.push(Run { start, count: part });
        start = start + u64::from(part);
        count -= part;
    }
    parts
}
