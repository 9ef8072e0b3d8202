//! Records which blocks are in use, and gives out free ones.
//!
//! The bitmap of each region of the storage is an item of the tree. It is loaded when blocks of the
//! region are taken or freed. A tree commit puts it back into the tree.
//!
//! A block that a durable commit may need is not given out before a commit without it is durable.
//! The previous commit needs the data that a change commit replaced. The last tree commit needs the
//! nodes that were replaced since.
//!
//! Nothing in this module commits. If only a commit could free blocks, [`Space::reserve`] returns
//! [`Reserved::NeedsCommit`].

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

/// Limit on loaded regions. Beyond it, only regions with state that is not in the tree stay loaded.
const KEPT_REGIONS: usize = 64;

/// Limit on the runs that wait for a commit, and on those that wait to be entered into bitmaps.
const MAX_RUNS: usize = 32 << 10;

/// Number of blocks taken in advance for nodes, so that an operation that has begun to change the
/// tree does not fail for lack of space.
const POOL_BLOCKS: usize = 64;

/// A run of this many blocks is as good as a longer one.
const GOOD_RUN: u32 = 64;

/// While few blocks are free, runs shorter than this are not taken: the storage is made longer
/// instead.
const SHORT_RUN: u32 = 16;

/// Few blocks are free if they are less than this fraction of all blocks.
const SPARE_SHARE: u64 = 32;

/// Minimum number of pointers in a leaf of a large file.
const MIN_IN_LEAF: u64 = 48;

/// Number of regions that a search for a good run looks through.
const REGIONS_TRIED: usize = 8;

/// Many blocks wait for a commit if they are more than this and more than a sixteenth of all.
const MANY_WAITING: u64 = 4096;

/// A time in this mount, given by the last seal before it.
type Moment = (Salt, u64);

/// How the pool is filled before a change of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Supply {
    /// With enough blocks for many changes, from areas.
    Ahead,
    /// With the blocks for the next change, from the first free blocks. Used while bitmaps are put
    /// into the tree, and while blocks are compacted.
    Exact,
}

/// Whether blocks were reserved.
#[derive(Debug)]
#[must_use]
pub(crate) enum Reserved {
    Yes,
    /// The storage cannot grow, but a commit may free blocks. If it does not, the operation fails
    /// with this error.
    NeedsCommit(Error),
}

/// The tree, and the allocator for the blocks of the storage.
pub(crate) struct Space {
    tree: Tree,
    /// Number of blocks whose bits are set.
    used: u64,
    /// Number of blocks that regions hold back.
    pending: u64,
    regions: FastMap<u64, Region>,
    /// Regions that have no free block for data.
    full: FastSet<u64>,
    /// No block before this one is free for data.
    lowest: BlockNo,
    /// Blocks that may be given out, although their bits are still set.
    free_now: Runs,
    /// Blocks that wait for any commit.
    waiting_data: Runs,
    /// Blocks that wait for a tree commit.
    waiting_nodes: Runs,
    /// The blocks that regions hold back.
    pending_runs: Vec<Run>,
    areas: Areas,
    supply: Supply,
    /// Whether the last attempt to extend the storage for the sake of long runs failed.
    no_spare: bool,
    /// Blocks that the log refers to while its entries are replayed.
    claimed: FastSet<BlockNo>,
    /// The times when the last commit began, and the last tree commit.
    last_commit: Moment,
    last_tree_commit: Moment,
}

impl Space {
    /// An allocator above `tree`. `used` is the number of blocks in use, from the tree's state.
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

    /// The layers below: the tree, its cache and the storage.
    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Gives mutable access to the layers below. Only methods of this type may change items.
    pub(crate) fn tree_mut(&mut self) -> &mut Tree {
        &mut self.tree
    }

    pub(crate) fn health_mut(&mut self) -> &mut Health {
        self.tree.health_mut()
    }

    /// Sets how the pool is filled, and returns the previous setting.
    pub(crate) fn set_supply(&mut self, supply: Supply) -> Supply {
        std::mem::replace(&mut self.supply, supply)
    }

    /// Returns the number of blocks of the volume.
    pub(crate) fn blocks(&self) -> u64 {
        self.tree.store().blocks()
    }

    /// Returns the number of blocks that are entered as in use.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// Returns the number of blocks that the present state uses.
    pub(crate) fn in_use(&self) -> u64 {
        let free = self.free_now.blocks() + self.waiting() + self.tree.pool().len() as u64;
        self.used.saturating_sub(free)
    }

    /// Returns the number of blocks that may be given out.
    pub(crate) fn usable(&self) -> u64 {
        self.blocks().saturating_sub(self.used).saturating_sub(self.pending)
    }

    /// Whether so few blocks are free that the storage should grow before short runs are taken.
    fn wants_spare(&self) -> bool {
        !self.no_spare && self.usable() < self.blocks() / SPARE_SHARE
    }

    /// Returns the number of blocks that a commit will free.
    fn waiting(&self) -> u64 {
        self.waiting_data.blocks() + self.waiting_nodes.blocks()
    }

    /// Whether so many blocks wait that a commit is due.
    pub(crate) fn wants_commit(&self) -> bool {
        let waiting = self.waiting();
        self.waiting_data.len() + self.waiting_nodes.len() > MAX_RUNS
            || waiting > MANY_WAITING && waiting > self.blocks() / 16
    }

    /// Whether many freed blocks are not yet entered into the bitmaps.
    pub(crate) fn wants_entering(&self) -> bool {
        self.free_now.len() > MAX_RUNS
    }

    /// Frees a block that no commit ever referred to.
    pub(crate) fn free_unused(&mut self, block: BlockNo) {
        self.free_now.push_block(block);
    }

    /// Frees all blocks of a run like [`free_unused`](Self::free_unused).
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

    /// Frees a data block that was replaced or removed.
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

    /// Whether a block was sealed after `moment`.
    fn is_after(&self, pointer: &Pointer, moment: &Moment) -> bool {
        self.tree.store().sealer().is_after(&pointer.salt, pointer.counter, moment)
    }

    /// Notes that a commit begins. Blocks that are sealed from now on belong to no earlier commit.
    pub(crate) fn begin_commit(&mut self, kind: CommitKind) {
        self.last_commit = self.tree.store().sealer().now();
        if kind == CommitKind::Tree {
            self.last_tree_commit = self.last_commit;
        }
    }

    /// Notes that the last commit is durable, and frees blocks that only earlier commits need.
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
    /// Counts more blocks as in use than there are.
    pub(crate) fn add_used(&mut self, blocks: u64) {
        self.used += blocks;
    }
}
