//! The bitmaps of one region of the storage.

use crate::error::Result;
use crate::format::block::{BlockNo, Run};
use crate::format::numbers::to_usize;

/// Number of blocks in a region.
pub(crate) const REGION_BLOCKS: u64 = 8192;

/// Limit on the runs of a region that a search for a good one looks at.
const MAX_TRIED: usize = 256;

/// Number of words in a region's bitmap.
pub(crate) const WORDS: usize = to_usize(REGION_BLOCKS) / 64;

/// Size of a region's bitmap in bytes.
pub(super) const BITMAP_BYTES: usize = WORDS * 8;

/// Returns the number of the region that contains a block.
pub(super) fn region_of(block: BlockNo) -> u64 {
    block.0 / REGION_BLOCKS
}

/// Returns the first block of a region.
pub(super) fn first_block(region: u64) -> BlockNo {
    BlockNo(region * REGION_BLOCKS)
}

/// Returns the bit of a block in its region's bitmap.
pub(super) fn bit_of(block: BlockNo) -> usize {
    (block.0 % REGION_BLOCKS) as usize
}

/// The change of a block: it becomes used or free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Used,
    Free,
}

/// The bitmaps of a region: a bit is set for a block in use.
pub(super) struct Region {
    used: Box<[u64; WORDS]>,
    /// Blocks that the state being committed does not use. They may be given out only after that
    /// commit is durable.
    pending_free: Box<[u64; WORDS]>,
    /// Number of these blocks.
    pending: usize,
    /// A bit for each word whose blocks are kept for nodes.
    kept: [u64; WORDS / 64],
    dirty: bool,
    /// Upper bound on the runs that a search can find. It is reset when blocks become free.
    longest: u32,
}

/// The result of a search in a region.
pub(super) struct Looked {
    /// Free runs, in order.
    pub(super) runs: Vec<Run>,
    /// Length of the longest run in blocks, or 0.
    pub(super) longest: u32,
}

#[expect(
    clippy::indexing_slicing,
    reason = "bits come from `bit_of`, and words from bits: a region has both for all its blocks"
)]
impl Region {
    pub(super) fn new(used: Box<[u64; WORDS]>) -> Self {
        Region {
            used,
            pending_free: Box::new([0; WORDS]),
            pending: 0,
            kept: [0; WORDS / 64],
            dirty: false,
            longest: u32::MAX,
        }
    }

    /// Whether it differs from the bitmap in the tree, or has state that the tree does not keep.
    pub(super) fn is_needed(&self) -> bool {
        self.dirty || self.pending > 0 || self.kept != [0; WORDS / 64]
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether blocks became free since the last search.
    pub(super) fn is_new(&self) -> bool {
        self.longest == u32::MAX
    }

    /// The bitmap in its present state.
    pub(super) fn bits(&self) -> &[u64; WORDS] {
        &self.used
    }

    pub(super) fn is_used(&self, bit: usize) -> bool {
        self.used[bit / 64] >> (bit % 64) & 1 != 0
    }

    /// Sets or clears bits.
    ///
    /// # Errors
    /// The first bit that already has the new value. The bits before it were changed.
    pub(super) fn mark(&mut self, bits: std::ops::Range<usize>, mark: Mark) -> Result<(), usize> {
        for bit in bits {
            if self.is_used(bit) == (mark == Mark::Used) {
                return Err(bit);
            }
            self.used[bit / 64] ^= 1 << (bit % 64);
        }
        self.dirty = true;
        if mark == Mark::Free {
            self.longest = u32::MAX;
        }
        Ok(())
    }

    /// Holds free blocks back until a commit is durable.
    pub(super) fn hold_back(&mut self, bits: std::ops::Range<usize>) {
        self.pending += bits.len();
        bits.for_each(|bit| self.pending_free[bit / 64] ^= 1 << (bit % 64));
    }

    /// Allows blocks that were [held back](Self::hold_back) to be given out.
    pub(super) fn let_go(&mut self, bits: std::ops::Range<usize>) {
        self.pending -= bits.len();
        bits.for_each(|bit| self.pending_free[bit / 64] ^= 1 << (bit % 64));
        self.longest = u32::MAX;
    }

    fn is_kept(&self, word: usize) -> bool {
        self.kept[word / 64] >> (word % 64) & 1 != 0
    }

    /// Keeps a word's blocks for nodes.
    pub(super) fn keep_for_nodes(&mut self, word: usize) {
        self.kept[word / 64] |= 1 << (word % 64);
        self.longest = u32::MAX;
    }

    /// Gives data access to a word that was [kept for nodes](Self::keep_for_nodes).
    pub(super) fn open_to_data(&mut self, word: usize) {
        self.kept[word / 64] &= !(1 << (word % 64));
        self.longest = u32::MAX;
    }

    /// Notes that the volume got more blocks of this region.
    pub(super) fn grew(&mut self) {
        self.longest = u32::MAX;
    }

    /// Returns the free blocks of a word, kept for nodes or not.
    pub(super) fn free_in(&self, word: usize) -> u64 {
        !(self.used[word] | self.pending_free[word])
    }

    /// Returns the words before `end` that are not kept for nodes, with their free blocks, last
    /// word first.
    pub(super) fn words_for_data(&self, end: usize) -> impl Iterator<Item = (usize, u64)> {
        (0..end).rev().filter(|word| !self.is_kept(*word)).map(|word| (word, self.free_in(word)))
    }

    /// Returns the blocks of a word that data cannot take.
    fn taken(&self, word: usize) -> u64 {
        if self.is_kept(word) { u64::MAX } else { !self.free_in(word) }
    }

    /// Returns the first bit in `from..end` that is free for data.
    pub(super) fn first_free(&self, from: usize, end: usize) -> Option<usize> {
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

    /// Returns the first bit in `from..end` that is not free for data, or `end`.
    pub(super) fn first_taken(&self, from: usize, end: usize) -> usize {
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

    /// Searches `bits` for free runs of up to `want` blocks, until it finds one of `good` blocks or
    /// has seen enough runs. Returns `None` if no run can be longer than `than`.
    pub(super) fn look_for_runs(
        &mut self,
        base: BlockNo,
        bits: std::ops::Range<usize>,
        want: u32,
        than: u32,
        good: u32,
    ) -> Option<Looked> {
        if self.longest <= than {
            return None;
        }
        let enough = want.min(good).min(self.longest);
        let mut looked = Looked { runs: Vec::new(), longest: 0 };
        let mut from = bits.start;
        while from < bits.end && looked.runs.len() < MAX_TRIED {
            let Some(first) = self.first_free(from, bits.end) else { break };
            let last = self.first_taken(first, bits.end.min(first + want as usize));
            #[expect(clippy::cast_possible_truncation, reason = "at most `want`")]
            let count = (last - first) as u32;
            looked.runs.push(Run { start: base + first as u64, count });
            looked.longest = looked.longest.max(count);
            if count >= enough {
                break;
            }
            from = last;
        }
        if (1..enough).contains(&looked.longest) && looked.runs.len() < MAX_TRIED {
            // The search reached the end of the bits.
            self.longest = looked.longest;
        }
        Some(looked)
    }

    /// Returns the last bit that is set.
    pub(super) fn last_used(&self) -> Option<usize> {
        let (at, word) = self.used.iter().enumerate().rfind(|(_, word)| **word != 0)?;
        Some(at * 64 + 63 - word.leading_zeros() as usize)
    }

    pub(super) fn encode(&self) -> [u8; BITMAP_BYTES] {
        let mut bytes = [0; BITMAP_BYTES];
        for (word, place) in self.used.iter().zip(bytes.as_chunks_mut::<8>().0) {
            *place = word.to_le_bytes();
        }
        bytes
    }

    /// Notes that the tree has this bitmap. The region stays dirty if it has changed since.
    pub(super) fn was_put(&mut self, bytes: &[u8; BITMAP_BYTES]) {
        self.dirty = self.encode() != *bytes;
    }
}
