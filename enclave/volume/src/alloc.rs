//! Which blocks are in use, and which may be given out.
//!
//! A bitmap for each region of the storage is an item of the tree. It is loaded when blocks
//! are taken from the region or given back to it, and put back into the tree by a commit
//! that writes the tree.
//!
//! A block that a durable commit may need is not given out before a commit that does
//! without it is durable: data that a commit in the log has replaced are needed by the
//! commit before, nodes by the last commit that wrote the tree.

mod allocate;
mod areas;

use crate::fast_map::{FastMap, FastSet};
use crate::format::block::{RESERVED_BLOCKS, Run};
use areas::Areas;
use std::cmp::Reverse;

/// Blocks of a region.
pub(crate) const REGION_BLOCKS: u64 = 8192;

/// Words of a region's bitmap.
pub(crate) const WORDS: usize = REGION_BLOCKS as usize / 64;

/// Bytes of a region's bitmap.
pub(crate) const BITMAP_BYTES: usize = WORDS * 8;

/// Regions that stay loaded though nothing of them has changed.
const KEPT_REGIONS: usize = 64;

/// Runs that wait; with more, a commit is due.
const MAX_RUNS: usize = 32 << 10;

/// Blocks that are taken in advance for nodes, so that an operation that has begun to
/// change the tree does not fail for want of space.
const RESERVE_BLOCKS: usize = 64;

/// A run that is this long is as good as a longer one.
const GOOD_RUN: u32 = 64;

/// A run that is shorter is not taken while there is little free, in such: the storage is made
/// longer instead.
const SHORT_RUN: u32 = 16;

/// What is little: less than this part of all blocks.
const SPARE_SHARE: u64 = 32;

/// How many runs of a region are looked at for a good one.
const MAX_TRIED: u32 = 256;

/// A leaf of a large file has pointers to so many blocks at least.
const MIN_IN_LEAF: u64 = 48;

/// How many regions are looked through for a good run.
const REGIONS_TRIED: u64 = 8;

/// The bitmaps of a region: a bit is set for a block in use.
struct Region {
    used: Box<[u64; WORDS]>,
    /// Not in use in the state that is being committed, and not to be given out before that
    /// is durable.
    pending_free: Box<[u64; WORDS]>,
    pending: u32,
    /// A bit for each word that is kept for nodes.
    kept: [u64; WORDS / 64],
    dirty: bool,
    /// No run that a search would look at is longer, until blocks become free.
    longest: u32,
}

impl Region {
    fn is_set(map: &[u64; WORDS], bit: usize) -> bool {
        map[bit / 64] >> (bit % 64) & 1 != 0
    }

    fn flip(map: &mut [u64; WORDS], bit: usize) {
        map[bit / 64] ^= 1 << (bit % 64);
    }

    fn is_kept(&self, word: usize) -> bool {
        self.kept[word / 64] >> (word % 64) & 1 != 0
    }

    fn set_kept(&mut self, word: usize, kept: bool) {
        let bit = 1 << (word % 64);
        if kept {
            self.kept[word / 64] |= bit;
        } else {
            self.kept[word / 64] &= !bit;
        }
    }

    /// What data may not have of a word.
    fn taken(&self, word: usize) -> u64 {
        if self.is_kept(word) { u64::MAX } else { self.used[word] | self.pending_free[word] }
    }

    /// The first free bit from one on, before `end`.
    fn first_free(&self, from: usize, end: usize) -> Option<usize> {
        let mut word = from / 64;
        let mut free = !self.taken(word) & (u64::MAX << (from % 64));
        loop {
            if free != 0 {
                let bit = word * 64 + free.trailing_zeros() as usize;
                return (bit < end).then_some(bit);
            }
            word += 1;
            if word * 64 >= end {
                return None;
            }
            free = !self.taken(word);
        }
    }

    /// The first bit from one on that is not free, at most `end`.
    fn first_taken(&self, from: usize, end: usize) -> usize {
        let mut word = from / 64;
        let mut taken = self.taken(word) & (u64::MAX << (from % 64));
        while taken == 0 {
            word += 1;
            if word * 64 >= end {
                return end;
            }
            taken = self.taken(word);
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
    pending_free: u64,
    regions: FastMap<u64, Region>,
    /// Regions that are known to have nothing free for data.
    full: FastSet<u64>,
    /// No block below is free for data.
    lowest: u64,
    /// May be given out, though their bits are still set.
    free_now: Runs,
    /// Wait for any commit.
    waiting_data: Runs,
    /// Wait for a commit that writes the tree.
    waiting_nodes: Runs,
    pending_runs: Vec<Run>,
    reserved: Vec<u64>,
    areas: Areas,
    /// The storage could not be made longer for the sake of blocks in a row.
    no_spare: bool,
    /// Blocks that the log refers to while its entries are replayed.
    pub(crate) claimed: FastSet<u64>,
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
            pending_free: 0,
            regions: FastMap::default(),
            full: FastSet::default(),
            lowest: RESERVED_BLOCKS,
            free_now: Runs::default(),
            waiting_data: Runs::default(),
            waiting_nodes: Runs::default(),
            pending_runs: Vec::new(),
            reserved: Vec::new(),
            areas: Areas::default(),
            no_spare: false,
            claimed: FastSet::default(),
        }
    }

    /// Blocks that hold something of the present state.
    pub(crate) fn in_use(&self) -> u64 {
        let free = self.free_now.blocks + self.waiting() + self.reserved.len() as u64;
        self.used.saturating_sub(free)
    }

    /// Blocks that may be given out.
    pub(crate) fn usable(&self) -> u64 {
        self.blocks.saturating_sub(self.used).saturating_sub(self.pending_free)
    }

    /// Whether so little is free that the storage is rather made longer than short runs taken.
    fn wants_spare(&self) -> bool {
        !self.no_spare && self.usable() < self.blocks / SPARE_SHARE
    }

    /// Blocks that wait for a commit to be given out again.
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting_data.blocks + self.waiting_nodes.blocks
    }

    /// Whether so much waits that it is better to commit.
    pub(crate) fn wants_commit(&self) -> bool {
        self.waiting_data.len() + self.waiting_nodes.len() > MAX_RUNS
    }

    /// Whether many freed blocks have not been entered into the bitmaps.
    pub(crate) fn wants_entering(&self) -> bool {
        self.free_now.len() > MAX_RUNS
    }

    /// Regions whose bitmaps are in memory.
    pub(crate) fn loaded_regions(&self) -> impl Iterator<Item = u64> {
        self.regions.keys().copied()
    }

    /// Blocks that are taken and hold nothing yet.
    pub(crate) fn reserved(&self) -> impl Iterator<Item = u64> {
        self.reserved.iter().copied()
    }

    /// Gives back a block that was taken and holds nothing.
    pub(crate) fn put_reserved(&mut self, block: u64) {
        self.reserved.push(block);
    }

    /// Frees a block that no commit has ever referred to.
    pub(crate) fn free_now(&mut self, block: u64) {
        self.free_now.push_block(block);
    }

    /// As [`free_now`](Self::free_now), for all blocks of a run.
    pub(crate) fn free_run(&mut self, run: Run) {
        run.blocks().for_each(|block| self.free_now(block));
    }

    pub(crate) fn free_later(&mut self, block: u64, node: bool) {
        let runs = if node { &mut self.waiting_nodes } else { &mut self.waiting_data };
        runs.push_block(block);
    }

    /// The last commit is durable. `tree`: so is one that wrote the tree, which was not yet.
    pub(crate) fn durable(&mut self, tree: bool) {
        self.free_now.append(&mut self.waiting_data);
        if !tree {
            return;
        }
        for run in std::mem::take(&mut self.pending_runs) {
            self.pending_free -= u64::from(run.count);
            self.lowest = self.lowest.min(run.start);
            let number = run.start / REGION_BLOCKS;
            self.full.remove(&number);
            let region = self
                .regions
                .get_mut(&number)
                .expect("a region with blocks that are pending stays loaded");
            let first = (run.start % REGION_BLOCKS) as usize;
            for bit in first..first + run.count as usize {
                Region::flip(&mut region.pending_free, bit);
            }
            region.pending -= run.count;
            region.longest = u32::MAX;
        }
    }

    /// A region has nothing free for data: what has lies behind it, if all before it has none.
    fn pass(&mut self, region: u64) {
        if self.lowest / REGION_BLOCKS == region {
            self.lowest = (region + 1) * REGION_BLOCKS;
        }
    }

    fn end_in(&self, region: u64) -> usize {
        (self.blocks - region * REGION_BLOCKS).min(REGION_BLOCKS) as usize
    }

    /// Looks through a loaded region for runs of up to `want` free blocks, where one may be longer
    /// than `than`: up to a good one, or through the first ones. Blocks of the longest, 0 for none.
    fn search_region(&mut self, number: u64, want: u32, than: u32, found: &mut Found) -> u32 {
        let base = number * REGION_BLOCKS;
        let mut from = self.lowest.saturating_sub(base).min(REGION_BLOCKS) as usize;
        let end = self.end_in(number);
        let Some(region) = self.regions.get_mut(&number).filter(|region| region.longest > than)
        else {
            return 0;
        };
        let enough = want.min(GOOD_RUN).min(region.longest);
        found.0.retain(|run| run.start / REGION_BLOCKS != number);
        let mut longest = 0;
        let mut tried = 0;
        while from < end && tried < MAX_TRIED {
            let Some(first) = region.first_free(from, end) else { break };
            if tried == 0 && base + first as u64 > self.lowest && base <= self.lowest {
                self.lowest = base + first as u64;
            }
            let limit = end.min(first + want as usize);
            let last = region.first_taken(first, limit);
            let count = (last - first) as u32;
            found.0.push(Run { start: base + first as u64, count });
            longest = longest.max(count);
            if count >= enough {
                break;
            }
            from = last;
            tried += 1;
        }
        if longest == 0 {
            self.full.insert(number);
        } else if longest < enough && tried < MAX_TRIED {
            // All of it was looked at.
            region.longest = longest;
        }
        longest
    }
}

/// Free runs that a search has seen.
#[derive(Default)]
struct Found(Vec<Run>);

impl Found {
    /// Blocks of the longest.
    fn longest(&self) -> u32 {
        self.0.iter().map(|run| run.count).max().unwrap_or(0)
    }

    /// The best of them, `want` blocks at most, in the order of their blocks: the first of the
    /// longest, and those that are not much shorter.
    fn best(mut self, want: u32) -> Vec<Run> {
        let least = self.longest().div_ceil(2);
        self.0.retain(|run| run.count >= least);
        self.0.sort_by_key(|run| Reverse(run.count));
        let mut rest = want;
        for run in &mut self.0 {
            run.count = run.count.min(rest);
            rest -= run.count;
        }
        self.0.retain(|run| run.count > 0);
        self.0.sort_unstable_by_key(|run| run.start);
        self.0
    }
}
