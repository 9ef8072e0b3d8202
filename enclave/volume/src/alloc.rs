//! Which blocks are in use, and which may be given out.
//!
//! A bitmap for each region of the storage is an item of the tree. It is loaded when blocks
//! are taken from the region or given back to it, and put back into the tree by a commit
//! that writes the tree.
//!
//! A block that a durable commit may need is not given out before a commit that does
//! without it is durable: data that a commit in the log has replaced are needed by the
//! commit before, nodes by the last commit that wrote the tree.
//!
//! Nothing here commits. Where only a commit could give blocks, [`Space::reserve`] says so.

mod area_list;
mod areas;
mod bitmaps;
mod end;
mod items;
mod region;
mod runs;
mod take;

pub(crate) use region::{REGION_BLOCKS, WORDS};

use crate::durability::{CommitKind, MadeDurable};
use crate::error::Error;
use crate::fast_map::{FastMap, FastSet};
use crate::format::block::{BlockNo, FIRST_FREE, Run, is_in_ring};
use crate::format::pointer::{Pointer, Salt};
use crate::health::Health;
use crate::tree::Tree;
use area_list::Areas;
use region::{Region, bit_of, region_of};
use runs::{Found, Runs};

/// Regions that stay loaded though nothing of them has changed.
const KEPT_REGIONS: usize = 64;

/// Runs that wait; with more, a commit is due.
const MAX_RUNS: usize = 32 << 10;

/// Blocks that are taken in advance for nodes, so that an operation that has begun to
/// change the tree does not fail for want of space.
const POOL_BLOCKS: usize = 64;

/// A run that is this long is as good as a longer one.
const GOOD_RUN: u32 = 64;

/// A run that is shorter is not taken while there is little free, in such: the storage is made
/// longer instead.
const SHORT_RUN: u32 = 16;

/// What is little: less than this part of all blocks.
const SPARE_SHARE: u64 = 32;

/// A leaf of a large file has pointers to so many blocks at least.
const MIN_IN_LEAF: u64 = 48;

/// How many regions are looked through for a good run.
const REGIONS_TRIED: usize = 8;

/// Many blocks wait for a commit if they are more than this, and a sixteenth of all.
const MANY_WAITING: u64 = 4096;

/// A moment of a mount: the last seal before it.
type Moment = (Salt, u64);

/// How the pool is filled before a change of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Supply {
    /// With what many changes take, in areas for nodes.
    Ahead,
    /// With what the next change takes, of the first free blocks: while bitmaps are put into the tree,
    /// and while all is moved together.
    Exact,
}

/// Whether blocks were reserved.
#[derive(Debug)]
#[must_use]
pub(crate) enum Reserved {
    Yes,
    /// The storage can't be made longer, and a commit may give blocks. If it does not, this is why
    /// there are none.
    NeedsCommit(Error),
}

/// The tree with the blocks of the storage.
pub(crate) struct Space {
    tree: Tree,
    /// Blocks whose bits are set.
    used: u64,
    /// Blocks that regions hold back.
    pending: u64,
    regions: FastMap<u64, Region>,
    /// Regions that are known to have nothing free for data.
    full: FastSet<u64>,
    /// No block before it is free for data.
    lowest: BlockNo,
    /// May be given out, though their bits are still set.
    free_now: Runs,
    /// Wait for any commit.
    waiting_data: Runs,
    /// Wait for a commit that writes the tree.
    waiting_nodes: Runs,
    /// What regions hold back.
    pending_runs: Vec<Run>,
    areas: Areas,
    supply: Supply,
    /// The storage could not be made longer for the sake of blocks in a row.
    no_spare: bool,
    /// Blocks that the log refers to while its entries are replayed.
    claimed: FastSet<BlockNo>,
    /// Before the last commit was begun, and before the last that wrote the tree.
    last_commit: Moment,
    last_tree_commit: Moment,
}

impl Space {
    /// The blocks that a tree's state says are in use.
    pub(crate) fn new(tree: Tree, used: u64) -> Self {
        let now = tree.store().sealer().now();
        Space {
            tree,
            used,
            pending: 0,
            regions: FastMap::default(),
            full: FastSet::default(),
            lowest: FIRST_FREE,
            free_now: Runs::default(),
            waiting_data: Runs::default(),
            waiting_nodes: Runs::default(),
            pending_runs: Vec::new(),
            areas: Areas::default(),
            supply: Supply::Ahead,
            no_spare: false,
            claimed: FastSet::default(),
            last_commit: now,
            last_tree_commit: now,
        }
    }

    /// What is below: the tree, its cache and the storage.
    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Items are changed by the methods of this type only.
    pub(crate) fn tree_mut(&mut self) -> &mut Tree {
        &mut self.tree
    }

    pub(crate) fn health_mut(&mut self) -> &mut Health {
        self.tree.health_mut()
    }

    /// From now on the pool is filled like this; how it was before.
    pub(crate) fn set_supply(&mut self, supply: Supply) -> Supply {
        std::mem::replace(&mut self.supply, supply)
    }

    /// Blocks that the volume has.
    pub(crate) fn blocks(&self) -> u64 {
        self.tree.store().blocks()
    }

    /// Blocks that are entered as in use.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// Blocks that hold something of the present state.
    pub(crate) fn in_use(&self) -> u64 {
        let free = self.free_now.blocks() + self.waiting() + self.tree.pool().len() as u64;
        self.used.saturating_sub(free)
    }

    /// Blocks that may be given out.
    pub(crate) fn usable(&self) -> u64 {
        self.blocks().saturating_sub(self.used).saturating_sub(self.pending)
    }

    /// Whether so little is free that the storage is rather made longer than short runs taken.
    fn wants_spare(&self) -> bool {
        !self.no_spare && self.usable() < self.blocks() / SPARE_SHARE
    }

    /// Blocks that wait for a commit to be given out again.
    fn waiting(&self) -> u64 {
        self.waiting_data.blocks() + self.waiting_nodes.blocks()
    }

    /// Whether so much waits that it is better to commit.
    pub(crate) fn wants_commit(&self) -> bool {
        let waiting = self.waiting();
        self.waiting_data.len() + self.waiting_nodes.len() > MAX_RUNS
            || waiting > MANY_WAITING && waiting > self.blocks() / 16
    }

    /// Whether many freed blocks have not been entered into the bitmaps.
    pub(crate) fn wants_entering(&self) -> bool {
        self.free_now.len() > MAX_RUNS
    }

    /// Frees a block that no commit has ever referred to.
    pub(crate) fn free_unused(&mut self, block: BlockNo) {
        self.free_now.push_block(block);
    }

    /// As [`free_unused`](Self::free_unused), for all blocks of a run.
    pub(crate) fn free_unused_run(&mut self, run: Run) {
        run.blocks().for_each(|block| self.free_unused(block));
    }

    /// Frees the blocks that nodes have left.
    fn free_left_nodes(&mut self) {
        while let Some(pointer) = self.tree.pool_mut().next_left() {
            if !pointer.is_sealed() || self.is_after(&pointer, &self.last_tree_commit) {
                self.free_now.push_block(pointer.block);
            } else {
                self.waiting_nodes.push_block(pointer.block);
            }
        }
    }

    /// Frees a block of data that was replaced or removed.
    pub(crate) fn free_data(&mut self, pointer: &Pointer) {
        if self.claimed.contains(&pointer.block) || is_in_ring(pointer.block) {
            return;
        }
        if self.is_after(pointer, &self.last_commit) {
            self.free_now.push_block(pointer.block);
        } else {
            self.waiting_data.push_block(pointer.block);
        }
    }

    /// Whether a block was sealed after a moment of this mount.
    fn is_after(&self, pointer: &Pointer, moment: &Moment) -> bool {
        self.tree.store().sealer().is_after(&pointer.salt, pointer.counter, moment)
    }

    /// A commit begins to be written: what is sealed from now on is of none before.
    pub(crate) fn begin_commit(&mut self, kind: CommitKind) {
        self.last_commit = self.tree.store().sealer().now();
        if kind == CommitKind::Tree {
            self.last_tree_commit = self.last_commit;
        }
    }

    /// The last commit is durable: blocks that only earlier ones need may be given out.
    pub(crate) fn made_durable(&mut self, what: MadeDurable) {
        self.free_now.append(&mut self.waiting_data);
        if what == MadeDurable::Log {
            return;
        }
        for run in std::mem::take(&mut self.pending_runs) {
            self.pending -= u64::from(run.count);
            self.lowest = self.lowest.min(run.start);
            let number = region_of(run.start);
            self.full.remove(&number);
            let region = self.regions.get_mut(&number).expect("a region that is needed is loaded");
            let first = bit_of(run.start);
            region.let_go(first..first + run.count as usize);
        }
    }
}

#[cfg(test)]
impl Space {
    /// Counts blocks as in use that are not.
    pub(crate) fn add_used(&mut self, blocks: u64) {
        self.used += blocks;
    }
}
