//! Which blocks are in use, and which may be given out.
//!
//! A bitmap for each region of the storage is an item of the tree. It is loaded when blocks
//! are taken from the region or given back to it, and put back into the tree by a commit
//! that writes the tree.
//!
//! A block that a durable commit may need is not given out before a commit that does
//! without it is durable: data that a commit in the log has replaced are needed by the
//! commit before, nodes by the last commit that wrote the tree.

use crate::block::{MOST_BLOCKS, RESERVED_BLOCKS};
use crate::error::{Error, Result};
use crate::page::{Key, Subject};
use crate::pointer::Pointer;
use crate::volume::Volume;
use std::collections::{HashMap, HashSet};

/// Blocks of a region.
pub(crate) const REGION_BLOCKS: u64 = 8192;

/// Words of a region's bitmap.
pub(crate) const WORDS: usize = REGION_BLOCKS as usize / 64;

/// Bytes of a region's bitmap.
pub(crate) const BITMAP_BYTES: usize = WORDS * 8;

/// Regions that stay loaded though nothing of them has changed.
const KEPT_REGIONS: usize = 64;

/// Runs that wait; with more, a commit is due.
const MOST_RUNS: usize = 32 << 10;

/// Blocks that are taken in advance for nodes, so that an operation that has begun to
/// change the tree does not fail for want of space.
const READY_BLOCKS: usize = 64;

/// A run that is this long is as good as a longer one.
const GOOD_RUN: u32 = 64;

/// How many regions are looked through for a good run.
const REGIONS_TRIED: u64 = 8;

/// Blocks in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: u64,
    pub(crate) count: u32,
}

/// The bitmaps of a region: a bit is set for a block in use.
struct Region {
    used: Box<[u64; WORDS]>,
    /// Not in use in the state that is being committed, and not to be given out before that
    /// is durable.
    guarded: Box<[u64; WORDS]>,
    guards: u32,
    dirty: bool,
}

impl Region {
    fn is_set(map: &[u64; WORDS], bit: usize) -> bool {
        map[bit / 64] >> (bit % 64) & 1 != 0
    }

    fn flip(map: &mut [u64; WORDS], bit: usize) {
        map[bit / 64] ^= 1 << (bit % 64);
    }

    /// The first free bit from one on, before `end`.
    fn first_free(&self, from: usize, end: usize) -> Option<usize> {
        let mut word = from / 64;
        let mut free = !(self.used[word] | self.guarded[word]) & (u64::MAX << (from % 64));
        loop {
            if free != 0 {
                let bit = word * 64 + free.trailing_zeros() as usize;
                return (bit < end).then_some(bit);
            }
            word += 1;
            if word * 64 >= end {
                return None;
            }
            free = !(self.used[word] | self.guarded[word]);
        }
    }

    /// The first bit from one on that is not free, at most `end`.
    fn first_taken(&self, from: usize, end: usize) -> usize {
        let mut word = from / 64;
        let mut taken = (self.used[word] | self.guarded[word]) & (u64::MAX << (from % 64));
        while taken == 0 {
            word += 1;
            if word * 64 >= end {
                return end;
            }
            taken = self.used[word] | self.guarded[word];
        }
        (word * 64 + taken.trailing_zeros() as usize).min(end)
    }

    fn encode(&self) -> [u8; BITMAP_BYTES] {
        let mut bytes = [0; BITMAP_BYTES];
        for (word, place) in self.used.iter().zip(bytes.as_chunks_mut::<8>().0) {
            *place = word.to_le_bytes();
        }
        bytes
    }
}

/// The blocks of the storage.
pub(crate) struct Space {
    /// Blocks that the storage has.
    pub(crate) blocks: u64,
    /// Blocks whose bits are set.
    pub(crate) used: u64,
    guarded: u64,
    regions: HashMap<u64, Region>,
    /// Regions that are known to have nothing free.
    full: HashSet<u64>,
    /// No block below is free.
    lowest: u64,
    /// May be given out, though their bits are still set.
    free_now: Runs,
    /// Wait for any commit.
    waiting_data: Runs,
    /// Wait for a commit that writes the tree.
    waiting_nodes: Runs,
    guarded_runs: Vec<Run>,
    ready: Vec<u64>,
    /// Blocks that the log refers to while its entries are replayed.
    pub(crate) claimed: HashSet<u64>,
}

/// Freed blocks.
#[derive(Default)]
struct Runs {
    list: Vec<Run>,
    blocks: u64,
}

impl Runs {
    fn len(&self) -> usize {
        self.list.len()
    }

    fn push(&mut self, run: Run) {
        self.blocks += u64::from(run.count);
        self.list.push(run);
    }

    fn pop(&mut self) -> Option<Run> {
        let run = self.list.pop()?;
        self.blocks -= u64::from(run.count);
        Some(run)
    }

    /// Adds a block, to the last run if it borders on it.
    fn push_block(&mut self, block: u64) {
        if let Some(last) = self.list.last_mut()
            && last.count < u32::MAX
        {
            let after = last.start + u64::from(last.count) == block;
            let before = block + 1 == last.start;
            if after || before {
                last.start = last.start.min(block);
                last.count += 1;
                self.blocks += 1;
                return;
            }
        }
        self.push(Run { start: block, count: 1 });
    }

    fn append(&mut self, other: &mut Runs) {
        self.blocks += std::mem::take(&mut other.blocks);
        self.list.append(&mut other.list);
    }
}

impl Space {
    pub(crate) fn new(blocks: u64, used: u64) -> Self {
        Space {
            blocks,
            used,
            guarded: 0,
            regions: HashMap::new(),
            full: HashSet::new(),
            lowest: RESERVED_BLOCKS,
            free_now: Runs::default(),
            waiting_data: Runs::default(),
            waiting_nodes: Runs::default(),
            guarded_runs: Vec::new(),
            ready: Vec::new(),
            claimed: HashSet::new(),
        }
    }

    /// Blocks that hold something of the present state.
    pub(crate) fn in_use(&self) -> u64 {
        let free = self.free_now.blocks + self.waiting() + self.ready.len() as u64;
        self.used.saturating_sub(free)
    }

    /// Blocks that wait for a commit to be given out again.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting_data.blocks + self.waiting_nodes.blocks
    }

    /// Whether so much waits that it is better to commit.
    pub(crate) fn wants_commit(&self) -> bool {
        self.waiting_data.len() + self.waiting_nodes.len() > MOST_RUNS
    }

    /// Whether many freed blocks have not been entered into the bitmaps.
    pub(crate) fn wants_entering(&self) -> bool {
        self.free_now.len() > MOST_RUNS
    }

    /// Gives back a block that was taken and holds nothing.
    pub(crate) fn put_ready(&mut self, block: u64) {
        self.ready.push(block);
    }

    /// Frees a block that no commit has ever referred to.
    pub(crate) fn free_now(&mut self, block: u64) {
        self.free_now.push_block(block);
    }

    pub(crate) fn free_later(&mut self, block: u64, node: bool) {
        let runs = if node { &mut self.waiting_nodes } else { &mut self.waiting_data };
        runs.push_block(block);
    }

    /// A commit is durable. `tree`: it wrote the tree.
    pub(crate) fn durable(&mut self, tree: bool) {
        self.free_now.append(&mut self.waiting_data);
        if !tree {
            return;
        }
        self.free_now.append(&mut self.waiting_nodes);
        for run in std::mem::take(&mut self.guarded_runs) {
            self.guarded -= u64::from(run.count);
            self.lowest = self.lowest.min(run.start);
            let number = run.start / REGION_BLOCKS;
            self.full.remove(&number);
            let region = self.regions.get_mut(&number).expect("a region with guards stays loaded");
            let first = (run.start % REGION_BLOCKS) as usize;
            for bit in first..first + run.count as usize {
                Region::flip(&mut region.guarded, bit);
            }
            region.guards -= run.count;
        }
    }

    fn end_in(&self, region: u64) -> usize {
        (self.blocks - region * REGION_BLOCKS).min(REGION_BLOCKS) as usize
    }

    /// Takes up to `want` free blocks of a loaded region: a good run if it has one, else the
    /// longest among the first ones.
    fn search_region(&mut self, number: u64, want: u32) -> Option<Run> {
        let base = number * REGION_BLOCKS;
        let mut from = self.lowest.saturating_sub(base).min(REGION_BLOCKS) as usize;
        let end = self.end_in(number);
        let region = self.regions.get(&number)?;
        let mut best: Option<Run> = None;
        let mut tried = 0;
        while from < end && tried < 256 {
            let Some(first) = region.first_free(from, end) else { break };
            if tried == 0 && base + first as u64 > self.lowest && base <= self.lowest {
                self.lowest = base + first as u64;
            }
            let limit = end.min(first + want as usize);
            let last = region.first_taken(first, limit);
            let count = (last - first) as u32;
            if best.is_none_or(|best| best.count < count) {
                best = Some(Run { start: base + first as u64, count });
            }
            if count >= want.min(GOOD_RUN) {
                break;
            }
            from = last;
            tried += 1;
        }
        if best.is_none() {
            self.full.insert(number);
        }
        best
    }
}

impl Volume {
    /// Takes blocks for data in a row: as many as wanted, or fewer. Some always remain for
    /// nodes, so that files can be removed when there is no space for more.
    pub(crate) fn take_data_run(&mut self, want: u32) -> Result<Run> {
        self.take_run(want, READY_BLOCKS as u64)
    }

    fn take_run(&mut self, want: u32, remain: u64) -> Result<Run> {
        self.enter_freed()?;
        let Space { blocks, used, guarded, .. } = self.space;
        let usable = blocks.saturating_sub(used).saturating_sub(guarded).saturating_sub(remain);
        if usable < u64::from(want) {
            self.grow(u64::from(want) - usable)?;
        }
        if let Some(run) = self.search(want)? {
            return Ok(run);
        }
        self.grow(u64::from(want))?;
        self.search(want)?.ok_or_else(|| Error::damaged("new blocks are in use"))
    }

    fn search(&mut self, want: u32) -> Result<Option<Run>> {
        let mut best: Option<Run> = None;
        let mut tried = 0;
        let regions = self.space.blocks.div_ceil(REGION_BLOCKS);
        for number in self.space.lowest / REGION_BLOCKS..regions {
            if self.space.full.contains(&number) {
                continue;
            }
            self.load_region(number)?;
            let Some(run) = self.space.search_region(number, want) else { continue };
            if best.is_none_or(|best| best.count < run.count) {
                best = Some(run);
            }
            tried += 1;
            if run.count >= want.min(GOOD_RUN) || tried == REGIONS_TRIED {
                break;
            }
        }
        if let Some(run) = best {
            self.set_bits(run, true)?;
        }
        Ok(best)
    }

    /// Makes the storage so long that this many blocks of data have room.
    pub(crate) fn reserve(&mut self, blocks: u64) -> Result<()> {
        self.enter_freed()?;
        let wanted = blocks + READY_BLOCKS as u64;
        let usable = self.space.blocks.saturating_sub(self.space.used + self.space.guarded);
        if usable < wanted { self.grow(wanted - usable) } else { Ok(()) }
    }

    /// Makes the storage longer: by little for a small volume, by less than half a
    /// percent for a large one.
    fn grow(&mut self, least: u64) -> Result<()> {
        let step = (self.space.blocks / 256).clamp(64, 16 << 10).max(least);
        let wanted = self.space.blocks + step;
        if wanted >= MOST_BLOCKS {
            return Err(twine_files::Error::NoSpace.into());
        }
        let got = match self.store.set_blocks(wanted) {
            Ok(()) => wanted,
            Err(_) if least < step => {
                self.store.set_blocks(self.space.blocks + least)?;
                self.space.blocks + least
            }
            Err(error) => return Err(error),
        };
        self.space.full.remove(&(self.space.blocks / REGION_BLOCKS));
        self.space.blocks = got;
        Ok(())
    }

    /// Fills the supply of blocks for nodes.
    pub(crate) fn fill_ready(&mut self) -> Result<()> {
        while self.space.ready.len() < READY_BLOCKS / 2 {
            let run = self.take_run((READY_BLOCKS - self.space.ready.len()) as u32, 0)?;
            // Backwards, because they are taken from the end.
            self.space.ready.extend((run.start..run.start + u64::from(run.count)).rev());
        }
        Ok(())
    }

    /// A block for a node.
    pub(crate) fn take_ready(&mut self) -> Result<u64> {
        match self.space.ready.pop() {
            Some(block) => Ok(block),
            None => Ok(self.take_run(1, 0)?.start),
        }
    }

    /// Gives the supply back, for a commit that writes the bitmaps.
    pub(crate) fn drain_ready(&mut self) {
        for block in std::mem::take(&mut self.space.ready) {
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
        if self.space.claimed.contains(&pointer.block) {
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

    /// Clears the bits of a run, and guards the blocks if they must wait.
    fn enter(&mut self, run: Run, guard: bool) -> Result<()> {
        let pieces = split(run);
        for piece in &pieces {
            self.load_region(piece.start / REGION_BLOCKS)?;
        }
        for piece in pieces {
            self.set_bits(piece, false)?;
            let number = piece.start / REGION_BLOCKS;
            if guard {
                self.space.guarded += u64::from(piece.count);
                self.space.guarded_runs.push(piece);
                if let Some(region) = self.space.regions.get_mut(&number) {
                    let first = (piece.start % REGION_BLOCKS) as usize;
                    for bit in first..first + piece.count as usize {
                        Region::flip(&mut region.guarded, bit);
                    }
                    region.guards += piece.count;
                }
            } else {
                self.space.lowest = self.space.lowest.min(piece.start);
                self.space.full.remove(&number);
            }
        }
        Ok(())
    }

    /// Sets or clears the bits of a run within one region.
    fn set_bits(&mut self, run: Run, used: bool) -> Result<()> {
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

    fn load_region(&mut self, number: u64) -> Result<()> {
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
            self.space.regions.retain(|_, region| region.dirty || region.guards > 0);
        }
        let guarded = Box::new([0; WORDS]);
        let region = Region { used, guarded, guards: 0, dirty: false };
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
        let length = self.get(&Key::new(0, Subject::Region, number), |value| {
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
            let key = Key::new(0, Subject::Region, number);
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

    /// One more than the last block in use.
    pub(crate) fn used_end(&mut self) -> Result<u64> {
        for number in (0..self.space.blocks.div_ceil(REGION_BLOCKS)).rev() {
            self.load_region(number)?;
            let Some(region) = self.space.regions.get(&number) else { continue };
            let last = region.used.iter().rposition(|word| *word != 0);
            if let Some(word) = last {
                let bits = 64 - u64::from(region.used[word].leading_zeros());
                return Ok(number * REGION_BLOCKS + word as u64 * 64 + bits);
            }
        }
        Ok(RESERVED_BLOCKS)
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
