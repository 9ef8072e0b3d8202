//! The bitmaps of a region of the storage.

use crate::error::Result;
use crate::format::block::{BlockNo, Run};
use crate::format::numbers::to_usize;

/// Blocks of a region.
pub(crate) const REGION_BLOCKS: u64 = 8192;

/// How many runs of a region are looked at for a good one.
const MAX_TRIED: usize = 256;

/// Words of a region's bitmap.
pub(crate) const WORDS: usize = to_usize(REGION_BLOCKS) / 64;

/// Bytes of a region's bitmap.
pub(super) const BITMAP_BYTES: usize = WORDS * 8;

/// The number of the region that a block is in.
pub(super) fn region_of(block: BlockNo) -> u64 {
    block.0 / REGION_BLOCKS
}

/// The first block of a region.
pub(super) fn first_block(region: u64) -> BlockNo {
    BlockNo(region * REGION_BLOCKS)
}

/// Which bit of its region's bitmap a block has.
pub(super) fn bit_of(block: BlockNo) -> usize {
    (block.0 % REGION_BLOCKS) as usize
}

/// Whether blocks become used or free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Used,
    Free,
}

/// The bitmaps of a region: a bit is set for a block in use.
pub(super) struct Region {
    used: Box<[u64; WORDS]>,
    /// Not in use in the state that is being committed, and not to be given out before that
    /// is durable.
    pending_free: Box<[u64; WORDS]>,
    /// How many those are.
    pending: usize,
    /// A bit for each word that is kept for nodes.
    kept: [u64; WORDS / 64],
    dirty: bool,
    /// No run that a search would look at is longer, until blocks become free.
    longest: u32,
}

/// What a look through a region has found.
pub(super) struct Looked {
    /// Free runs, in order.
    pub(super) runs: Vec<Run>,
    /// Blocks of the longest, 0 for none.
    pub(super) longest: u32,
}

#[expect(
    clippy::indexing_slicing,
    reason = "bits are those of `bit_of`, and words theirs: a region has both for all its blocks"
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

    /// Whether it differs from what the tree has, or has something that the tree does not have.
    pub(super) fn is_needed(&self) -> bool {
        self.dirty || self.pending > 0 || self.kept != [0; WORDS / 64]
    }

    pub(super) fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Whether nobody has looked through it since blocks became free.
    pub(super) fn is_new(&self) -> bool {
        self.longest == u32::MAX
    }

    /// The bitmap as it is now.
    pub(super) fn bits(&self) -> &[u64; WORDS] {
        &self.used
    }

    pub(super) fn is_used(&self, bit: usize) -> bool {
        self.used[bit / 64] >> (bit % 64) & 1 != 0
    }

    /// Sets or clears bits.
    ///
    /// # Errors
    /// The first bit that is as it should become; those before it are changed.
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

    /// Keeps free blocks back until a commit is durable.
    pub(super) fn hold_back(&mut self, bits: std::ops::Range<usize>) {
        self.pending += bits.len();
        bits.for_each(|bit| self.pending_free[bit / 64] ^= 1 << (bit % 64));
    }

    /// Lets blocks be given out that were [held back](Self::hold_back).
    pub(super) fn let_go(&mut self, bits: std::ops::Range<usize>) {
        self.pending -= bits.len();
        bits.for_each(|bit| self.pending_free[bit / 64] ^= 1 << (bit % 64));
        self.longest = u32::MAX;
    }

    fn is_kept(&self, word: usize) -> bool {
        self.kept[word / 64] >> (word % 64) & 1 != 0
    }

    /// Keeps data out of a word.
    pub(super) fn keep_for_nodes(&mut self, word: usize) {
        self.kept[word / 64] |= 1 << (word % 64);
        self.longest = u32::MAX;
    }

    /// Lets data into a word that was [kept for nodes](Self::keep_for_nodes).
    pub(super) fn open_to_data(&mut self, word: usize) {
        self.kept[word / 64] &= !(1 << (word % 64));
        self.longest = u32::MAX;
    }

    /// More blocks belong to it.
    pub(super) fn grew(&mut self) {
        self.longest = u32::MAX;
    }

    /// The free blocks of a word, whoever may have them.
    pub(super) fn free_in(&self, word: usize) -> u64 {
        !(self.used[word] | self.pending_free[word])
    }

    /// The words before `end` that are not kept for nodes, and the free blocks of each, from the last
    /// one on.
    pub(super) fn words_for_data(&self, end: usize) -> impl Iterator<Item = (usize, u64)> {
        (0..end).rev().filter(|word| !self.is_kept(*word)).map(|word| (word, self.free_in(word)))
    }

    /// What data may not have of a word.
    fn taken(&self, word: usize) -> u64 {
        if self.is_kept(word) { u64::MAX } else { !self.free_in(word) }
    }

    /// The first free bit from one on, before `end`.
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

    /// The first bit from one on that is not free, at most `end`.
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

    /// Looks for free runs of up to `want` blocks within some bits, where one may be longer than
    /// `than`: up to one of `good` blocks, or through the first ones. Nothing if there can't be any.
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
            // All of it was looked at.
            self.longest = looked.longest;
        }
        Some(looked)
    }

    /// The last bit that is set.
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

    /// The tree has a bitmap of it. It remains dirty if it was changed meanwhile.
    pub(super) fn was_put(&mut self, bytes: &[u8; BITMAP_BYTES]) {
        self.dirty = self.encode() != *bytes;
    }
}
