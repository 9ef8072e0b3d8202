//! The log: entries, each in a block of its own, that chain to each other.
//!
//! A commit is a group of entries. It either names the root of a tree that was written, or
//! lists what has changed since the commit before. The former lie in blocks of their own,
//! which they take in turn; the latter follow each other in a ring, each with the few
//! blocks of data that it is about, so that a small commit is one write, to blocks that were
//! written before. Data stay there until the tree is written, which moves them. A mount
//! takes the newest tree commit and the groups that follow it.
//!
//! The first commit of each mount writes the tree, with numbers that no entry of the storage can
//! have: so whatever of an earlier mount was not found, or was dropped, is never followed again.

mod chain;
mod entries;
#[cfg(feature = "fuzzing")]
#[expect(clippy::indexing_slicing, reason = "a panic of what only fuzz targets call is a find")]
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

/// Most entries of a group.
pub(crate) const MAX_GROUP: u64 = 8;

/// Most blocks of data that lie among the entries.
pub(crate) const MAX_STAGED: usize = 16;

const _: () = assert!(MAX_STAGED <= u8::MAX as usize);

/// Entries that room is left for when data are staged. Few commits have more; those that have, and
/// don't fit, write the tree.
const STAGED_ENTRIES: u64 = 2;

/// Blocks that a mount may have to read to see whether a commit is whole: with more that
/// were not synced, a barrier comes before the commit's entries.
const MAX_UNSYNCED: u64 = 16 << 10;

/// A mount leaves out so many numbers of entries: more than there can be of entries that it did not
/// find, which are at most those of the ring, over again for each root.
const SKIPPED_ENTRIES: u64 = 4096;

const _: () = assert!(SKIPPED_ENTRIES > RING_BLOCKS * ROOT_SLOTS);

/// Where the log stands.
pub(crate) struct Log {
    /// The last commit.
    last: Mark,
    /// The last that is known to be durable.
    durable: Mark,
    /// The number of the last commit that wrote the tree, and of the last durable one.
    tree: u64,
    durable_tree: u64,
    /// The place behind the last commit in the ring; that where the commits began that
    /// build on the last tree commit; and on the last durable one, from which on they are
    /// kept.
    end: RingPlace,
    tree_start: RingPlace,
    kept_start: RingPlace,
    /// The tree that the log's entries build on, and the copies of the entry that names it.
    base: Root,
    root_entry: Vec<(BlockNo, Tag)>,
    /// The next commit as it will be written: room for its first entry, and sealed data
    /// behind that. Empty if no data were staged. And the place of that entry.
    group: Vec<u8>,
    staged_at: RingPlace,
    /// The last seal before those of what was staged.
    before_staged: (Salt, u64),
    /// Blocks of files that are in the ring.
    ring_blocks: BTreeSet<FileBlock>,
    /// The last seal before the last barrier.
    durable_seal: (Salt, u64),
    /// The next commit must write the tree, also if nothing else has changed.
    tree_due: bool,
    /// No commit of this mount was written. The first one writes the tree.
    is_first: bool,
    /// No entry that this mount writes has a smaller number.
    least_sequence: u64,
}

impl Log {
    /// The log of a new volume, whose tree is this one.
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

    /// The log after a mount found a state among these entries.
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

    /// Whether the next commit must write the tree, if there is one.
    pub(crate) fn wants_tree(&self) -> bool {
        self.tree_due || self.is_first
    }

    /// The last commit that is known to be durable.
    pub(crate) fn durable(&self) -> Mark {
        self.durable
    }

    /// Where in the ring commits begin that build on a tree commit to come.
    pub(crate) fn end(&self) -> RingPlace {
        self.end
    }

    /// The tree that the log's entries build on.
    pub(crate) fn base(&self) -> Root {
        self.base
    }

    /// The copies of the entry that names the newest root: their blocks, and their tags.
    pub(crate) fn root_entry(&self) -> &[(BlockNo, Tag)] {
        &self.root_entry
    }

    /// The next commit must write the tree, also if nothing else has changed.
    pub(crate) fn need_tree(&mut self) {
        self.tree_due = true;
    }

    /// Whether there must be a commit though nothing has changed.
    pub(crate) fn is_tree_due(&self) -> bool {
        self.tree_due
    }

    /// All that was written is durable. What is staged was sealed and not written yet.
    pub(crate) fn synced(&mut self, sealer: &Sealer) {
        self.durable_seal = if self.group.is_empty() { sealer.now() } else { self.before_staged };
    }

    /// Whether there must be a barrier before the next commit is written: it could not say
    /// what is durable, or a mount would have to read too much to see that it is whole.
    pub(crate) fn needs_barrier(&self, store: &SealedStore) -> bool {
        self.durable_seal.0 != store.sealer().now().0 || store.unsynced() > MAX_UNSYNCED
    }

    /// Whether a commit was written that is not known to be durable.
    pub(crate) fn is_behind(&self) -> bool {
        self.last != self.durable
    }

    /// Whether so many commits in turn wrote the tree without a barrier that the next one
    /// needs one, or a later one would overwrite the last durable one.
    pub(crate) fn needs_durable_tree(&self) -> bool {
        self.tree - self.durable_tree + 2 >= ROOT_SLOTS
    }

    /// All commits are durable; which ones that were not yet.
    pub(crate) fn now_durable(&mut self) -> MadeDurable {
        self.durable = self.last;
        self.kept_start = self.tree_start;
        let before = std::mem::replace(&mut self.durable_tree, self.tree);
        if before == self.tree { MadeDurable::Log } else { MadeDurable::Tree }
    }

    /// The next place in the ring with so many blocks in a row.
    fn next_place(&self, blocks: u64) -> RingPlace {
        if self.end.has_in_lap(blocks) { self.end } else { self.end.next_lap() }
    }

    /// Whether so many blocks have room at a place: before the lap's end, and none of them is
    /// needed by the last durable state.
    fn fits(&self, place: RingPlace, blocks: u64) -> bool {
        place.has_in_lap(blocks) && (place + blocks).0 - self.kept_start.0 <= RING_BLOCKS
    }

    /// The next place, if so many blocks have room there.
    fn place(&self, blocks: u64) -> Option<RingPlace> {
        Some(self.next_place(blocks)).filter(|place| self.fits(*place, blocks))
    }

    /// Whether so many blocks of data can be written with the next commit.
    pub(crate) fn can_stage(&self, blocks: usize) -> bool {
        blocks <= MAX_STAGED && self.place(blocks as u64 + STAGED_ENTRIES).is_some()
    }

    /// Takes blocks of data that will be written with the next commit, and seals them; the
    /// pointers to them. [`can_stage`](Self::can_stage) was asked.
    pub(crate) fn stage<'a>(
        &mut self,
        store: &mut SealedStore,
        blocks: impl Iterator<Item = &'a Bytes>,
    ) -> Result<Vec<Pointer>> {
        // A new salt must not come between what is staged and its entry: the entry names one salt.
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

    /// Gives up what was staged.
    pub(crate) fn forget_staged(&mut self) {
        self.group.clear();
    }

    /// How many blocks of files are in the ring, or were since the tree was written. Each will
    /// need a place of its own.
    pub(crate) fn ring_blocks(&self) -> u64 {
        self.ring_blocks.len() as u64
    }

    /// Gives up which they are.
    pub(crate) fn take_ring_blocks(&mut self) -> BTreeSet<FileBlock> {
        std::mem::take(&mut self.ring_blocks)
    }

    /// Blocks of files are in the ring.
    pub(crate) fn add_ring_blocks(&mut self, blocks: impl IntoIterator<Item = FileBlock>) {
        self.ring_blocks.extend(blocks);
    }

    fn staged_blocks(&self) -> u64 {
        (self.group.len() / BLOCK_BYTES).saturating_sub(1) as u64
    }

    /// Where a commit of this many bytes can be written.
    fn place_of(&self, bytes: usize) -> Option<RingPlace> {
        let entries = bytes.div_ceil(PAYLOAD_BYTES) as u64;
        match entries {
            _ if entries > MAX_GROUP => None,
            // The pointers to what was staged say where it goes.
            _ if !self.group.is_empty() => {
                let blocks = entries + self.staged_blocks();
                Some(self.staged_at).filter(|place| self.fits(*place, blocks))
            }
            _ => self.place(entries),
        }
    }

    /// Whether a commit of this many bytes can be added before the tree must be written.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        self.place_of(bytes).is_some()
    }

    /// Writes a commit that names the root of the tree; it is not durable yet.
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

    /// Writes a commit that lists changes, and the blocks that were staged. Written [through](Write::Through)
    /// it is durable then, as all before it is; else not yet. If that fails, nobody knows how much
    /// of it is there, so the next commit is one that nothing of it can follow, and that
    /// relies on nothing of it.
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

    /// An entry that follows another one, with nothing in it.
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

/// The number before that of a mount's first tree commit, which builds on root `found`, where the
/// largest number that was seen is `largest`. It takes the slot after the found root's, which keeps
/// that root as long as it is needed, and is larger than the number of any root that was not seen.
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
