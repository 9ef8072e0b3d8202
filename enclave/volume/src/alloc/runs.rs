//! Lists of runs: freed blocks, and free blocks that a search found.

use super::region::region_of;
use crate::format::block::{BlockNo, Run};
use std::cmp::Reverse;

/// Freed blocks.
#[derive(Default)]
pub(super) struct Runs {
    list: Vec<Run>,
    blocks: u64,
}

impl Runs {
    /// Returns the number of blocks.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Returns the number of runs.
    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn push(&mut self, run: Run) {
        self.blocks += u64::from(run.count);
        self.list.push(run);
    }

    pub(super) fn pop(&mut self) -> Option<Run> {
        let run = self.list.pop()?;
        self.blocks -= u64::from(run.count);
        Some(run)
    }

    /// Adds a block. If it is adjacent to the last run, it extends that run.
    pub(super) fn push_block(&mut self, block: BlockNo) {
        if let Some(last) = self.list.last_mut()
            && last.count < u32::MAX
        {
            let after = last.end() == block;
            let before = block + 1 == last.start;
            if after || before {
                last.start = last.start.min(block);
                last.count += 1;
                self.blocks += 1;
                return;
            }
        }
        self.push(Run::one(block));
    }

    pub(super) fn append(&mut self, other: &mut Runs) {
        self.blocks += std::mem::take(&mut other.blocks);
        self.list.append(&mut other.list);
    }
}

/// Free runs that a search found.
#[derive(Default)]
pub(super) struct Found(Vec<Run>);

impl Found {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Replaces the runs that were found in a region.
    pub(super) fn replace(&mut self, region: u64, runs: Vec<Run>) {
        self.0.retain(|run| region_of(run.start) != region);
        self.0.extend(runs);
    }

    /// Returns the length of the longest run in blocks.
    pub(super) fn longest(&self) -> u32 {
        self.0.iter().map(|run| run.count).max().unwrap_or(0)
    }

    /// Returns the best runs, in the order of their blocks, with at most `want` blocks together.
    /// These are the longest, and others of at least half their length.
    pub(super) fn best(mut self, want: u32) -> Vec<Run> {
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
