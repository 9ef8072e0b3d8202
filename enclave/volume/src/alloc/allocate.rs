//! Taking blocks, giving them back, and keeping the bitmaps in the tree.

use super::{
    BITMAP_BYTES, Found, GOOD_RUN, KEPT_REGIONS, MIN_IN_LEAF, REGION_BLOCKS, REGIONS_TRIED,
    RESERVE_BLOCKS, Region, Run, SHORT_RUN, Space, WORDS,
};
use crate::error::{Error, Result};
use crate::format::block::{MAX_BLOCKS, RESERVED_BLOCKS, is_in_ring};
use crate::format::item::{Key, Subject};
use crate::format::pointer::Pointer;
use crate::tree::Step;
use crate::volume::Volume;
use std::collections::BTreeSet;

/// Regions at the end of the storage that are looked at first for the last block in use.
const REGIONS_AT_END: u64 = 16;

impl Volume {
    /// Takes blocks, as many as wanted or fewer, in long runs, which are in order. For data they
    /// were [reserved](Self::reserve) before.
    pub(crate) fn take_runs(&mut self, want: u32) -> Result<Vec<Run>> {
        self.enter_freed()?;
        let usable = self.space.usable();
        if usable < u64::from(want) {
            self.grow(u64::from(want) - usable)?;
        }
        let mut found = Found::default();
        self.search(self.space.lowest, want, &mut found)?;
        // Blocks here and there cost a write each, and a disk ten times the time of as many in a
        // row: some more storage is worth that. What it was made longer by before is at its end.
        let short = |found: &Found| found.longest() < want.min(SHORT_RUN);
        if short(&found) {
            let end = self.space.blocks;
            self.search(end.saturating_sub(1), want, &mut found)?;
            if found.0.is_empty() {
                self.search_last(want, &mut found)?;
            } else if short(&found)
                && self.space.wants_spare()
                && self.grow_for_rows(u64::from(want))?
            {
                self.search(end, want, &mut found)?;
            }
        }
        let runs = found.best(want);
        if runs.is_empty() {
            return Err(Error::damaged("new blocks are in use"));
        }
        for (at, run) in runs.iter().enumerate() {
            if let Err(error) = self.set_bits(*run, true) {
                runs[..at].iter().for_each(|run| self.space.free_run(*run));
                return Err(error);
            }
        }
        Ok(runs)
    }

    /// Takes the first free blocks before `end`, in order: as many as wanted, or all that there are.
    /// The storage stays as long as it is.
    pub(crate) fn take_first(&mut self, want: u32, end: u64) -> Result<Vec<Run>> {
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
                    runs.into_iter().for_each(|run| self.space.free_run(run));
                    return Err(error);
                }
            }
        }
        Ok(runs)
    }

    fn take_first_run(&mut self, want: u32, end: u64) -> Result<Option<Run>> {
        let Some(start) = self.first_free()?.filter(|start| *start < end) else { return Ok(None) };
        let number = start / REGION_BLOCKS;
        let first = (start % REGION_BLOCKS) as usize;
        let room = (end - start).min(u64::from(want)) as usize;
        let limit = self.space.end_in(number).min(first + room);
        let Some(region) = self.space.regions.get(&number) else {
            return Err(Error::damaged("a region is not loaded"));
        };
        let run = Run { start, count: (region.first_taken(first, limit) - first) as u32 };
        self.set_bits(run, true)?;
        Ok(Some(run))
    }

    /// Looks for runs where all that is free for data is taken: in new storage, or else in what is
    /// kept for nodes.
    fn search_last(&mut self, want: u32, found: &mut Found) -> Result<()> {
        let end = self.space.blocks;
        match self.grow(u64::from(want)) {
            Ok(()) => self.search(end, want, found),
            Err(error) => {
                if self.drop_areas()? {
                    self.search(self.space.lowest, want, found)?;
                }
                if found.0.is_empty() { Err(error) } else { Ok(()) }
            }
        }
    }

    /// Makes the storage longer so that blocks in a row are at hand; whether that could be.
    /// There are others.
    pub(super) fn grow_for_rows(&mut self, least: u64) -> Result<bool> {
        match self.grow(least) {
            Ok(()) => Ok(true),
            Err(error) if error.is_full() => {
                self.space.no_spare = true;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Looks for runs from the region of a block on.
    fn search(&mut self, from: u64, want: u32, found: &mut Found) -> Result<()> {
        let mut longest = found.longest();
        let mut tried = 0;
        let regions = self.space.blocks.div_ceil(REGION_BLOCKS);
        for number in from / REGION_BLOCKS..regions {
            if self.space.full.contains(&number) {
                self.space.pass(number);
                continue;
            }
            self.load_region(number)?;
            let looked =
                self.space.regions.get(&number).is_none_or(|region| region.longest == u32::MAX);
            longest = longest.max(self.space.search_region(number, want, longest, found));
            if longest >= want.min(GOOD_RUN) {
                break;
            }
            // One without anything free, or with short runs only, costs a look, once.
            tried += u64::from(looked && !self.space.full.contains(&number));
            if tried == REGIONS_TRIED {
                break;
            }
        }
        Ok(())
    }

    /// Makes the storage so long that this many blocks have room. Some remain for nodes, so that
    /// files can be removed when there is no space for more: a supply, and what the bitmaps of
    /// all regions take when they change. And some for what is in the log's ring and must
    /// leave it.
    pub(crate) fn reserve(&mut self, blocks: u64) -> Result<()> {
        self.enter_freed()?;
        let nodes = RESERVE_BLOCKS as u64 + self.space.blocks / REGION_BLOCKS;
        let wanted = blocks + nodes + self.log.ring_blocks() as u64;
        let usable = self.space.usable();
        if usable < wanted { self.grow(wanted - usable) } else { Ok(()) }
    }

    /// Sees to it that so many more blocks can be dirty and written later, so that want of
    /// space is told to who writes, and not to who syncs.
    pub(crate) fn reserve_for_dirty(&mut self, more: u64) -> Result<()> {
        match self.reserve(self.with_leaves(self.cache.dirty_data() as u64 + more)) {
            Err(error) if error.is_full() => {
                // What waits for a commit may be enough.
                self.commit()?;
                self.reserve(self.with_leaves(more))?;
                self.fill_reserve()
            }
            result => result,
        }
    }

    /// Blocks of data, and of the leaves that lead to them: one for each, if they are far from each
    /// other, but not more than there can be.
    fn with_leaves(&self, blocks: u64) -> u64 {
        blocks + blocks.min(self.space.used / MIN_IN_LEAF + RESERVE_BLOCKS as u64)
    }

    /// Makes the storage longer: by little for a small volume, by less than half a
    /// percent for a large one.
    fn grow(&mut self, least: u64) -> Result<()> {
        let step = (self.space.blocks / 256).clamp(64, 16 << 10).max(least);
        let wanted = self.space.blocks + step;
        if wanted >= MAX_BLOCKS {
            return Err(twine_files::Error::NoSpace.into());
        }
        // Replaying the log of a read-only mount takes blocks that are never written.
        let grown = if self.read_only { Ok(()) } else { self.store.set_blocks(wanted) };
        let got = match grown {
            Ok(()) => wanted,
            Err(_) if least < step => {
                self.store.set_blocks(self.space.blocks + least)?;
                self.space.blocks + least
            }
            Err(error) => return Err(error),
        };
        let last = self.space.blocks / REGION_BLOCKS;
        self.space.full.remove(&last);
        self.space.lowest = self.space.lowest.min(self.space.blocks);
        if let Some(region) = self.space.regions.get_mut(&last) {
            region.longest = u32::MAX;
        }
        self.space.blocks = got;
        self.space.no_spare = false;
        Ok(())
    }

    /// Gives the supply back, for a commit that writes the bitmaps.
    pub(crate) fn drain_reserve(&mut self) {
        for block in std::mem::take(&mut self.space.reserved) {
            self.space.free_now(block);
        }
    }

    /// Frees the block of a node that was replaced.
    pub(crate) fn free_node(&mut self, pointer: &Pointer) {
        if !pointer.is_sealed() || self.log.is_after_tree(&self.store.sealer, pointer) {
            self.space.free_now(pointer.block);
        } else {
            self.space.free_later(pointer.block, true);
        }
    }

    /// Frees a block of data that was replaced or removed.
    pub(crate) fn free_data(&mut self, pointer: &Pointer) {
        if self.space.claimed.contains(&pointer.block) || is_in_ring(pointer.block) {
            return;
        }
        if self.log.is_after_commit(&self.store.sealer, pointer) {
            self.space.free_now(pointer.block);
        } else {
            self.space.free_later(pointer.block, false);
        }
    }

    /// Enters freed blocks that may be given out into the bitmaps.
    pub(crate) fn enter_freed(&mut self) -> Result<()> {
        while let Some(run) = self.space.free_now.pop() {
            if let Err(error) = self.enter(run, false) {
                self.space.free_now.push(run);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Enters freed blocks that must wait, for a commit that writes the bitmaps.
    pub(crate) fn enter_waiting(&mut self) -> Result<()> {
        for node in [false, true] {
            loop {
                let Space { waiting_data, waiting_nodes, .. } = &mut self.space;
                let runs = if node { waiting_nodes } else { waiting_data };
                let Some(run) = runs.pop() else { break };
                if let Err(error) = self.enter(run, true) {
                    let Space { waiting_data, waiting_nodes, .. } = &mut self.space;
                    if node { waiting_nodes } else { waiting_data }.push(run);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Clears the bits of a run, and keeps its blocks back if they must wait.
    fn enter(&mut self, run: Run, guard: bool) -> Result<()> {
        let pieces = split(run);
        for piece in &pieces {
            self.load_region(piece.start / REGION_BLOCKS)?;
        }
        for piece in pieces {
            self.set_bits(piece, false)?;
            let number = piece.start / REGION_BLOCKS;
            if guard {
                self.space.pending_free += u64::from(piece.count);
                self.space.pending_runs.push(piece);
                if let Some(region) = self.space.regions.get_mut(&number) {
                    let first = (piece.start % REGION_BLOCKS) as usize;
                    for bit in first..first + piece.count as usize {
                        Region::flip(&mut region.pending_free, bit);
                    }
                    region.pending += piece.count;
                }
            } else {
                self.space.lowest = self.space.lowest.min(piece.start);
                self.space.full.remove(&number);
            }
        }
        Ok(())
    }

    /// Sets or clears the bits of a run within one region.
    pub(super) fn set_bits(&mut self, run: Run, used: bool) -> Result<()> {
        let number = run.start / REGION_BLOCKS;
        self.load_region(number)?;
        let Some(region) = self.space.regions.get_mut(&number) else {
            return Err(Error::damaged("a region is not loaded"));
        };
        let first = (run.start % REGION_BLOCKS) as usize;
        for bit in first..first + run.count as usize {
            if Region::is_set(&region.used, bit) == used {
                let block = number * REGION_BLOCKS + bit as u64;
                let what = if used { "taken" } else { "freed" };
                return Err(Error::damaged(format!("block {block} is {what} twice")));
            }
            Region::flip(&mut region.used, bit);
        }
        region.dirty = true;
        if used {
            self.space.used += u64::from(run.count);
        } else {
            region.longest = u32::MAX;
            self.space.used = self.space.used.saturating_sub(u64::from(run.count));
        }
        Ok(())
    }

    /// Marks a block as in use that something refers to already.
    pub(crate) fn claim(&mut self, block: u64) -> Result<()> {
        if block < RESERVED_BLOCKS || block >= self.space.blocks {
            return Err(Error::damaged("a pointer leads out of the volume"));
        }
        if !self.space.claimed.insert(block) {
            return Err(Error::damaged("two pointers lead to one block"));
        }
        let number = block / REGION_BLOCKS;
        self.load_region(number)?;
        let bit = (block % REGION_BLOCKS) as usize;
        let set = |region: &Region| Region::is_set(&region.used, bit);
        if self.space.regions.get(&number).is_some_and(set) {
            return Ok(());
        }
        self.set_bits(Run { start: block, count: 1 }, true)
    }

    pub(super) fn load_region(&mut self, number: u64) -> Result<()> {
        if self.space.regions.contains_key(&number) {
            return Ok(());
        }
        let mut used = self.read_region(number)?;
        if number == 0 {
            for bit in 0..RESERVED_BLOCKS as usize {
                used[bit / 64] |= 1 << (bit % 64);
            }
        }
        if self.space.regions.len() >= KEPT_REGIONS {
            self.space.regions.retain(|_, region| {
                region.dirty || region.pending > 0 || region.kept != [0; WORDS / 64]
            });
        }
        let pending_free = Box::new([0; WORDS]);
        let region = Region {
            used,
            pending_free,
            pending: 0,
            kept: [0; WORDS / 64],
            dirty: false,
            longest: u32::MAX,
        };
        self.space.regions.insert(number, region);
        Ok(())
    }

    /// A region's bitmap as it is now.
    pub(crate) fn region_bits(&mut self, number: u64) -> Result<[u64; WORDS]> {
        self.load_region(number)?;
        let region = self.space.regions.get(&number);
        region.map(|region| *region.used).ok_or_else(|| Error::damaged("a region is not loaded"))
    }

    /// A region's bitmap as the tree has it.
    fn read_region(&mut self, number: u64) -> Result<Box<[u64; WORDS]>> {
        let mut used = Box::new([0; WORDS]);
        let length = self.get(&Key::region(number), |value| {
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

    /// Puts all changed bitmaps into the tree; whether there were any. Doing so may change
    /// bitmaps again.
    pub(crate) fn put_regions(&mut self) -> Result<bool> {
        let mut dirty: Vec<u64> = self
            .space
            .regions
            .iter()
            .filter(|(_, region)| region.dirty)
            .map(|(number, _)| *number)
            .collect();
        dirty.sort_unstable();
        for &number in &dirty {
            let key = Key::region(number);
            // The path first: it takes blocks, which may be of this very region.
            self.prepare(&key)?;
            let Some(region) = self.space.regions.get(&number) else { continue };
            let bytes = region.encode();
            self.put(&key, &bytes)?;
            // A split on the way may have taken blocks of this region.
            if let Some(region) = self.space.regions.get_mut(&number) {
                region.dirty = region.encode() != bytes;
            }
        }
        Ok(!dirty.is_empty())
    }

    /// Blocks in use from one on.
    pub(crate) fn used_from(&mut self, block: u64) -> Result<u64> {
        let mut count = 0;
        for number in self.entered_regions()?.range(block / REGION_BLOCKS..) {
            let used = self.region_bits(*number)?;
            let first = block.saturating_sub(number * REGION_BLOCKS);
            let (word, bit) = ((first / 64) as usize, first % 64);
            let all: u64 = used[word..].iter().map(|word| u64::from(word.count_ones())).sum();
            let before = used[word] & !(u64::MAX << bit);
            count += all - u64::from(before.count_ones());
        }
        Ok(count)
    }

    /// The regions that have a bitmap, and so those that have a block in use: a storage may be far
    /// longer than what is in it.
    fn entered_regions(&mut self) -> Result<BTreeSet<u64>> {
        let end = self.space.blocks.div_ceil(REGION_BLOCKS);
        let mut numbers: BTreeSet<u64> = self.space.loaded_regions().collect();
        self.scan(&Key::region(0), |key, _| {
            if key.inode != 0 || key.subject != Subject::Region || key.offset >= end {
                return Ok(Step::Stop);
            }
            numbers.insert(key.offset);
            Ok(Step::On)
        })?;
        Ok(numbers)
    }

    /// One more than the last block in use.
    pub(crate) fn used_end(&mut self) -> Result<u64> {
        let regions = self.space.blocks.div_ceil(REGION_BLOCKS);
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
        Ok(RESERVED_BLOCKS)
    }

    /// One more than the last block in use of a region, if there is one.
    fn used_end_of(&mut self, number: u64) -> Result<Option<u64>> {
        self.load_region(number)?;
        let Some(region) = self.space.regions.get(&number) else { return Ok(None) };
        let last = region.used.iter().rposition(|word| *word != 0);
        Ok(last.map(|word| {
            let bits = 64 - u64::from(region.used[word].leading_zeros());
            number * REGION_BLOCKS + word as u64 * 64 + bits
        }))
    }
}

/// A run as runs that each lie in one region.
fn split(run: Run) -> Vec<Run> {
    let mut pieces = Vec::with_capacity(1);
    let Run { mut start, mut count } = run;
    while count > 0 {
        let room = REGION_BLOCKS - start % REGION_BLOCKS;
        let piece = u64::from(count).min(room) as u32;
        pieces.push(Run { start, count: piece });
        start += u64::from(piece);
        count -= piece;
    }
    pieces
}
