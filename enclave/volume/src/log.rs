//! The log: a sequence of entries, one in each block. Each entry names the one before.
//!
//! A commit is a group of entries. A tree commit names the root of a tree that was written. A
//! change commit lists the changes since the commit before. Tree commits take turns in blocks of
//! their own. Change commits follow each other in a ring, each with its few blocks of data, so that
//! a small commit is one write to blocks that were written before. The data stay there until a tree
//! commit moves them. A mount takes the newest tree commit and the change commits that follow it.
//!
//! The first commit of each mount is a tree commit, with numbers that no entry in the storage can
//! have. So entries of an earlier mount that were dropped or not found are never followed again.

mod chain;
mod entries;
#[cfg(feature = "fuzzing")]
#[expect(clippy::indexing_slicing, reason = "only fuzz targets call this: a panic is a finding")]
pub(crate) mod fuzzing;
mod group;
mod newer;
mod sealed_entry;
mod tolerance;

pub(crate) use chain::{Chain, Net};
pub(crate) use entries::{Entries, copies_of};
pub(crate) use newer::Newer;
pub(crate) use sealed_entry::is_entry;
pub(crate) use tolerance::Tolerance;

use crate::crypto::Sealer;
use crate::durability::{MadeDurable, Write};
use crate::error::{Error, Result};
use crate::format::block::{
    BLOCK_BYTES, BlockNo, Bytes, Kind, RING_BLOCKS, ROOT_SLOTS, Run, zeroed,
};
use crate::format::entry::{Entry, FIRST, LAST, PAYLOAD_BYTES, TREE};
use crate::format::identity::VolumeId;
use crate::format::mark::Mark;
use crate::format::numbers::{FileBlock, to_usize};
use crate::format::pointer::{Pointer, Salt, Tag};
use crate::format::record::{STATE_BYTES, State};
use crate::format::ring::RingPlace;
use crate::format::root::Root;
use crate::sealed_store::SealedStore;
use group::root_blocks;
use std::collections::BTreeSet;

/// Limit on the entries of a commit.
pub(crate) const MAX_GROUP: u64 = 8;

/// Limit on the data blocks among the entries of a commit.
pub(crate) const MAX_STAGED: usize = 16;

const _: () = assert!(MAX_STAGED <= u8::MAX as usize);

/// Number of entries for which room is left when data are staged. A commit that has more, and does
/// not fit, becomes a tree commit.
const STAGED_ENTRIES: u64 = 2;

/// Limit on the blocks that a mount must read to see whether a commit is complete. With more
/// unsynced blocks, a barrier comes before the commit's entries.
const MAX_UNSYNCED: u64 = 16 << 10;

/// Sequence numbers that a mount skips. They are more than there can be entries that the mount did
/// not find: at most all entries of the ring, once for each root.
const SKIPPED_ENTRIES: u64 = 4096;

const _: () = assert!(SKIPPED_ENTRIES > RING_BLOCKS * ROOT_SLOTS);

/// The state of the log.
pub(crate) struct Log {
    /// The last commit.
    last: Mark,
    /// The last commit that is known to be durable.
    durable: Mark,
    /// The tree numbers of the last tree commit and of the last durable one.
    tree: u64,
    durable_tree: u64,
    /// Three places in the ring: after the last commit; where the change commits on the last tree
    /// commit begin; and the same for the last durable tree commit, whose change commits must be
    /// kept.
    end: RingPlace,
    tree_start: RingPlace,
    kept_start: RingPlace,
    /// The tree on which the log builds, and the copies of the entry that names it.
    base: Root,
    root_entry: Vec<(BlockNo, Tag)>,
    /// The next commit as it will be written: room for its first entry, then the staged blocks,
    /// sealed. Empty if no blocks are staged. `staged_at` is the place of that entry.
    group: Vec<u8>,
    staged_at: RingPlace,
    /// The last seal before the staged blocks were sealed.
    before_staged: (Salt, u64),
    /// Blocks of files that lie in the ring.
    ring_blocks: BTreeSet<FileBlock>,
    /// The last seal before the last barrier.
    durable_seal: (Salt, u64),
    /// Whether the next commit must be a tree commit, even if nothing else has changed.
    tree_due: bool,
    /// Whether this mount has not committed yet. Its first commit is a tree commit.
    is_first: bool,
    /// Lower bound on the sequence numbers of the entries that this mount writes.
    least_sequence: u64,
}

impl Log {
    /// The log of a new volume with the tree `base`.
    pub(crate) fn new(sealer: &Sealer, base: Root) -> Self {
        let now = sealer.now();
        let none = Mark::default();
        Log {
            last: none,
            durable: none,
            tree: 0,
            durable_tree: 0,
            end: RingPlace::default(),
            tree_start: RingPlace::default(),
            kept_start: RingPlace::default(),
            base,
            root_entry: Vec::new(),
            group: Vec::new(),
            staged_at: RingPlace::default(),
            before_staged: now,
            ring_blocks: BTreeSet::new(),
            durable_seal: now,
            tree_due: true,
            is_first: true,
            least_sequence: 1,
        }
    }

    /// The log after a mount found the chain among these entries.
    pub(crate) fn resume(sealer: &Sealer, chain: &Chain, entries: &Entries) -> Self {
        let last = chain.last().mark;
        let (sequence, tree) = entries.largest();
        let tree = tree_before_next(chain.tree.tree, tree);
        Log {
            last,
            durable: last,
            tree,
            durable_tree: tree,
            end: chain.end(),
            tree_start: chain.tree.state.log,
            kept_start: chain.tree.state.log,
            tree_due: false,
            root_entry: chain.tree.entries.clone(),
            least_sequence: sequence.max(entries.durable_commit()).saturating_add(SKIPPED_ENTRIES),
            ..Log::new(sealer, chain.tree.state.root)
        }
    }

    /// Whether the next commit must be a tree commit, if there is one.
    pub(crate) fn wants_tree(&self) -> bool {
        self.tree_due || self.is_first
    }

    /// Returns the last commit that is known to be durable.
    pub(crate) fn durable(&self) -> Mark {
        self.durable
    }

    /// Returns the place where the change commits on the next tree commit will begin.
    pub(crate) fn end(&self) -> RingPlace {
        self.end
    }

    /// Returns the tree on which the log builds.
    pub(crate) fn base(&self) -> Root {
        self.base
    }

    /// Returns the blocks and tags of the copies of the entry that names the newest root.
    pub(crate) fn root_entry(&self) -> &[(BlockNo, Tag)] {
        &self.root_entry
    }

    /// Makes the next commit a tree commit, even if nothing else has changed.
    pub(crate) fn need_tree(&mut self) {
        self.tree_due = true;
    }

    /// Whether a tree commit is due even if nothing has changed.
    pub(crate) fn is_tree_due(&self) -> bool {
        self.tree_due
    }

    /// Notes that all writes are durable. Staged blocks are sealed, but not written yet.
    pub(crate) fn synced(&mut self, sealer: &Sealer) {
        self.durable_seal = if self.group.is_empty() { sealer.now() } else { self.before_staged };
    }

    /// Whether a barrier must come before the next commit's entries. Without it, the entries could
    /// not say what is durable, or a mount would have to read too much to see that the commit is
    /// complete.
    pub(crate) fn needs_barrier(&self, store: &SealedStore) -> bool {
        self.durable_seal.0 != store.sealer().now().0 || store.unsynced() > MAX_UNSYNCED
    }

    /// Whether the last commit is not known to be durable.
    pub(crate) fn is_behind(&self) -> bool {
        self.last != self.durable
    }

    /// Whether so many tree commits in a row had no barrier that the next one needs a barrier.
    /// Otherwise a later one would overwrite the last durable one.
    pub(crate) fn needs_durable_tree(&self) -> bool {
        self.tree - self.durable_tree + 2 >= ROOT_SLOTS
    }

    /// Notes that all commits are durable, and returns which of them became so.
    pub(crate) fn now_durable(&mut self) -> MadeDurable {
        self.durable = self.last;
        self.kept_start = self.tree_start;
        let before = std::mem::replace(&mut self.durable_tree, self.tree);
        if before == self.tree { MadeDurable::Log } else { MadeDurable::Tree }
    }

    /// Returns the next place in the ring with `blocks` adjacent blocks.
    fn next_place(&self, blocks: u64) -> RingPlace {
        if self.end.has_in_lap(blocks) { self.end } else { self.end.next_lap() }
    }

    /// Whether `blocks` blocks fit at a place: before the end of the lap, and without overwriting a
    /// block that the last durable state needs.
    fn fits(&self, place: RingPlace, blocks: u64) -> bool {
        place.has_in_lap(blocks) && (place + blocks).0 - self.kept_start.0 <= RING_BLOCKS
    }

    /// Returns the next place for `blocks` blocks, or `None` if they do not fit.
    fn place(&self, blocks: u64) -> Option<RingPlace> {
        Some(self.next_place(blocks)).filter(|place| self.fits(*place, blocks))
    }

    /// Whether `blocks` data blocks can be written with the next commit.
    pub(crate) fn can_stage(&self, blocks: usize) -> bool {
        blocks <= MAX_STAGED && self.place(blocks as u64 + STAGED_ENTRIES).is_some()
    }

    /// Seals data blocks to be written with the next commit, and returns the pointers to them. The
    /// caller has asked [`can_stage`](Self::can_stage).
    pub(crate) fn stage<'a>(
        &mut self,
        store: &mut SealedStore,
        blocks: impl Iterator<Item = &'a Bytes>,
    ) -> Result<Vec<Pointer>> {
        // The staged blocks and their entry must have the same salt, because the entry names only
        // one.
        store.sealer_mut().reserve_seals(MAX_STAGED as u64 + MAX_GROUP)?;
        self.before_staged = store.sealer().now();
        self.group.clear();
        self.group.resize(BLOCK_BYTES, 0);
        blocks.for_each(|block| self.group.extend_from_slice(block));
        self.staged_at = self.next_place(self.staged_blocks() + STAGED_ENTRIES);
        let staged = self.group.as_chunks_mut::<BLOCK_BYTES>().0.iter_mut().skip(1);
        let pointers: Result<Vec<Pointer>> = (1..)
            .zip(staged)
            .map(|(at, bytes)| store.seal(Kind::Data, self.staged_at.block() + at, bytes))
            .collect();
        if pointers.is_err() {
            self.forget_staged();
        }
        pointers
    }

    /// Forgets the staged blocks.
    pub(crate) fn forget_staged(&mut self) {
        self.group.clear();
    }

    /// Returns how many blocks of files lie in the ring, or did so since the last tree commit. Each
    /// will need a block outside it.
    pub(crate) fn ring_blocks(&self) -> u64 {
        self.ring_blocks.len() as u64
    }

    /// Forgets and returns the blocks of files in the ring.
    pub(crate) fn take_ring_blocks(&mut self) -> BTreeSet<FileBlock> {
        std::mem::take(&mut self.ring_blocks)
    }

    /// Adds blocks of files that lie in the ring.
    pub(crate) fn add_ring_blocks(&mut self, blocks: impl IntoIterator<Item = FileBlock>) {
        self.ring_blocks.extend(blocks);
    }

    fn staged_blocks(&self) -> u64 {
        (self.group.len() / BLOCK_BYTES).saturating_sub(1) as u64
    }

    /// Returns the place for a commit of `bytes` bytes, or `None` if there is no room.
    fn place_of(&self, bytes: usize) -> Option<RingPlace> {
        let entries = bytes.div_ceil(PAYLOAD_BYTES) as u64;
        match entries {
            _ if entries > MAX_GROUP => None,
            // The pointers to the staged blocks determine the place.
            _ if !self.group.is_empty() => {
                let blocks = entries + self.staged_blocks();
                Some(self.staged_at).filter(|place| self.fits(*place, blocks))
            }
            _ => self.place(entries),
        }
    }

    /// Whether a change commit of `bytes` bytes fits before a tree commit is necessary.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.place_of(bytes).is_some()
    }

    /// Writes a tree commit, without making it durable.
    pub(crate) fn write_tree(
        &mut self,
        store: &mut SealedStore,
        volume: &VolumeId,
        state: &State,
    ) -> Result<()> {
        let mut payload = Vec::with_capacity(STATE_BYTES);
        state.encode(&mut payload);
        let tree = self.tree + 1;
        let entry =
            Entry { tree, flags: FIRST | LAST | TREE, payload, ..self.next_entry(self.last) };
        let mut block = zeroed();
        let tag = sealed_entry::seal(&entry, store.sealer_mut(), volume, &mut block)?;
        let copies = root_blocks(tree).map(Run::one);
        store.write_runs(&copies, &[&block[..], &block[..]].concat())?;
        self.is_first = false;
        self.last = Mark { sequence: entry.sequence, tag };
        self.tree = tree;
        self.tree_start = state.log;
        self.base = state.root;
        self.root_entry = root_blocks(tree).map(|block| (block, tag)).to_vec();
        self.tree_due = false;
        Ok(())
    }

    /// Writes a change commit with the staged blocks. If written [through](Write::Through), it is
    /// durable afterwards, since everything before it is. If the write fails, nobody knows which
    /// blocks were written. The next commit is then a tree commit, which relies on none of them and
    /// which they cannot follow.
    pub(crate) fn write_changes(
        &mut self,
        store: &mut SealedStore,
        volume: &VolumeId,
        bytes: &[u8],
        write: Write,
    ) -> Result<()> {
        let Some(place) = self.place_of(bytes.len()) else {
            return Err(Error::damaged("the log has no room"));
        };
        let data = to_usize(self.staged_blocks());
        if data == 0 {
            self.group.clear();
            self.group.resize(BLOCK_BYTES, 0);
        }
        let mut last = self.last;
        let pieces = bytes.chunks(PAYLOAD_BYTES);
        let count = pieces.len();
        let mut at_place = place;
        for (at, piece) in pieces.enumerate() {
            let mut entry =
                Entry { payload: piece.to_vec(), place: at_place, ..self.next_entry(last) };
            at_place = at_place + 1 + if at == 0 { data as u64 } else { 0 };
            if at == 0 {
                entry.flags |= FIRST;
                #[expect(clippy::cast_possible_truncation, reason = "at most `MAX_STAGED`")]
                let staged = data as u8;
                entry.data = staged;
            }
            if at + 1 == count {
                entry.flags |= LAST;
            }
            if at > 0 {
                self.group.resize(self.group.len() + BLOCK_BYTES, 0);
            }
            let blocks = self.group.as_chunks_mut::<BLOCK_BYTES>().0;
            let block = if at == 0 { blocks.first_mut() } else { blocks.last_mut() };
            let block = block.ok_or_else(|| Error::damaged("a commit has no entry"))?;
            let tag = sealed_entry::seal(&entry, store.sealer_mut(), volume, block)?;
            last = Mark { sequence: entry.sequence, tag };
        }
        let block = place.block();
        let written = match write {
            Write::Through => store.write_through(block, &self.group),
            Write::Back => store.write(block, &self.group),
        };
        if let Err(error) = written {
            self.tree_due = true;
            return Err(error);
        }
        let blocks = self.group.len() / BLOCK_BYTES;
        self.group.clear();
        self.end = place + blocks as u64;
        self.last = last;
        Ok(())
    }

    /// Returns an empty entry that follows another one.
    fn next_entry(&self, after: Mark) -> Entry {
        Entry {
            sequence: (after.sequence + 1).max(self.least_sequence),
            previous: after.tag,
            tree: self.tree,
            durable: self.durable_seal.1,
            durable_commit: self.durable,
            ..Entry::default()
        }
    }
}

/// Returns the number before that of a mount's first tree commit, if the mount found root `found`
/// and saw no number larger than `largest`. This commit takes the slot after the found root's, so
/// that the root stays as long as it is needed. Its number is larger than that of any root that was
/// not seen.
fn tree_before_next(found: u64, largest: u64) -> u64 {
    let unseen = largest.max(found).saturating_add(ROOT_SLOTS);
    found + (unseen - found).div_ceil(ROOT_SLOTS) * ROOT_SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::block::BlockNo;
    use crate::format::record::{Record, records};
    use crate::pseudorandom;

    #[test]
    fn the_first_tree_commit_of_a_mount_keeps_the_found_root_and_outnumbers_all_others() {
        for found in 0..20 {
            for largest in found..found + 12 {
                let next = tree_before_next(found, largest) + 1;
                assert_eq!(next % ROOT_SLOTS, (found + 1) % ROOT_SLOTS);
                assert!(next > largest + ROOT_SLOTS - 1, "{found}, {largest}: {next}");
            }
        }
    }

    #[test]
    fn no_mutation_of_an_entry_makes_its_decoders_panic() {
        let mut stream = Vec::new();
        let pointer = Pointer { block: BlockNo(1000), counter: 7, salt: [1; 12], tag: [2; 16] };
        Record::Put { key: [3; 17], value: &[9; 100] }.encode(&mut stream);
        Record::Pointers { key: [5; 17], changed: 7, present: 5, pointers: vec![pointer; 2] }
            .encode(&mut stream);
        Record::Take { key: [6; 17] }.encode(&mut stream);
        let mut random = pseudorandom::numbers();
        let mut whole = 0;
        for _ in 0..100_000 {
            let mut mutant = stream.clone();
            for _ in 0..1 + random() % 3 {
                let at = random() % mutant.len();
                mutant[at] = random() as u8;
            }
            mutant.truncate(random() % (mutant.len() + 20));
            whole += usize::from(records(&mutant).is_ok());
            let _ = Entry::decode(&mutant);
        }
        println!("100000 mutated streams of records, {whole} of them whole");
    }
}
