//! The log: a ring of entries, each in a block of its own, that chain to each other.
//!
//! A commit is a group of entries. It either names the root of a tree that was written, or
//! lists what has changed since the commit before. A mount takes the newest group that
//! names a root and the groups that follow it.

mod record;

pub(crate) use record::{Record, STATE_BYTES, State};

use crate::block::{BLOCK_BYTES, Bytes, Kind, LOG_BLOCKS, LOG_START};
use crate::bytes::{Reader, Short};
use crate::crypto::{Seal, Sealer};
use crate::error::Result;
use crate::pointer::{Pointer, SALT_BYTES, Salt, TAG_BYTES, Tag};
use crate::store::Store;
use crate::volume::VolumeId;
use std::collections::HashMap;

/// Most entries of a group.
pub(crate) const MOST_GROUP: u64 = 8;

/// Bytes in the clear: salt, counter, tag.
const CLEAR_BYTES: usize = SALT_BYTES + 6 + TAG_BYTES;

/// Bytes before the payload of an entry.
const HEAD_BYTES: usize = 8 + TAG_BYTES + 8 + 4;

/// Most bytes of an entry's payload.
pub(crate) const PAYLOAD_BYTES: usize = BLOCK_BYTES - CLEAR_BYTES - HEAD_BYTES;

const FIRST: u8 = 1;
const LAST: u8 = 2;
const TREE: u8 = 4;

/// Blocks that can be listed for a mount to check, instead of a barrier before the entry.
pub(crate) const MOST_CHECKS: usize = 256;

/// An entry that is authentic.
struct Entry {
    sequence: u64,
    previous: Tag,
    tag: Tag,
    /// The first entry of the last group, until this one, that names a root.
    tree_start: u64,
    flags: u8,
    payload: Vec<u8>,
}

impl Entry {
    /// The entry as a block.
    fn seal(&self, sealer: &mut Sealer, volume: &VolumeId) -> Result<(Box<Bytes>, Tag)> {
        let mut block = crate::block::zeroed();
        let sealed = &mut block[CLEAR_BYTES..];
        sealed[..8].copy_from_slice(&self.sequence.to_le_bytes());
        sealed[8..24].copy_from_slice(&self.previous);
        sealed[24..32].copy_from_slice(&self.tree_start.to_le_bytes());
        sealed[32] = self.flags;
        // At most PAYLOAD_BYTES, by `group_entries`.
        sealed[34..36].copy_from_slice(&(self.payload.len() as u16).to_le_bytes());
        sealed[HEAD_BYTES..HEAD_BYTES + self.payload.len()].copy_from_slice(&self.payload);
        let extra = extra(volume, self.sequence % LOG_BLOCKS);
        let seal = sealer.seal(Kind::Log, &extra, sealed)?;
        block[..12].copy_from_slice(&seal.salt);
        block[12..18].copy_from_slice(&seal.counter.to_le_bytes()[..6]);
        block[18..34].copy_from_slice(&seal.tag);
        Ok((block, seal.tag))
    }

    /// Opens the block of a place in the ring; nothing if it is not authentic.
    fn open(sealer: &mut Sealer, volume: &VolumeId, place: u64, block: &Bytes) -> Option<Self> {
        let mut reader = Reader::new(block);
        let salt = reader.array().ok()?;
        let mut counter = [0; 8];
        counter[..6].copy_from_slice(reader.bytes(6).ok()?);
        let tag = reader.array().ok()?;
        let seal = Seal { salt, counter: u64::from_le_bytes(counter), tag };
        let mut sealed = reader.rest().to_vec();
        sealer.open(Kind::Log, &seal, &extra(volume, place), &mut sealed).ok()?;
        Self::decode(place, tag, &sealed)
    }

    fn decode(place: u64, tag: Tag, opened: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(opened);
        let sequence = reader.u64().ok()?;
        let previous = reader.array().ok()?;
        let tree_start = reader.u64().ok()?;
        let flags = reader.u8().ok()?;
        reader.u8().ok()?;
        let length = usize::from(reader.u16().ok()?);
        let payload = reader.bytes(length).ok()?.to_vec();
        (sequence % LOG_BLOCKS == place).then_some(Entry {
            sequence,
            previous,
            tag,
            tree_start,
            flags,
            payload,
        })
    }
}

fn extra(volume: &VolumeId, place: u64) -> [u8; 24] {
    let mut extra = [0; 24];
    extra[..16].copy_from_slice(&volume.0);
    extra[16..].copy_from_slice(&place.to_le_bytes());
    extra
}

/// A commit that was found in the log.
pub(crate) struct Group {
    first: u64,
    pub(crate) last: u64,
    pub(crate) tag: Tag,
    tree: bool,
    tree_start: u64,
    pub(crate) state: State,
    stream: Vec<u8>,
}

impl Group {
    /// What the commit lists.
    pub(crate) fn records(&self) -> Result<Vec<Record<'_>>, Short> {
        record::records(&self.stream)
    }
}

/// The commits that make a state: one that names a root, and those after it.
pub(crate) struct Chain(pub(crate) Vec<Group>);

/// All entries of a log that are authentic.
pub(crate) struct Entries(HashMap<u64, Entry>);

impl Entries {
    pub(crate) fn read(store: &mut Store, volume: &VolumeId) -> Result<Self> {
        let mut entries = HashMap::new();
        let mut block = crate::block::zeroed();
        for place in 0..LOG_BLOCKS {
            store.read(LOG_START + place, &mut block[..])?;
            if let Some(entry) = Entry::open(&mut store.sealer, volume, place, &block) {
                entries.insert(entry.sequence, entry);
            }
        }
        Ok(Entries(entries))
    }

    /// The tag of an entry that is still there.
    pub(crate) fn tag(&self, sequence: u64) -> Option<Tag> {
        self.0.get(&sequence).map(|entry| entry.tag)
    }

    /// The group that begins at an entry, and follows one with the tag `previous`.
    fn group(&self, first: u64, previous: Option<&Tag>) -> Option<Group> {
        let mut entry = self.0.get(&first)?;
        if entry.flags & FIRST == 0 || previous.is_some_and(|tag| *tag != entry.previous) {
            return None;
        }
        let tree = entry.flags & TREE != 0;
        let tree_start = entry.tree_start;
        let mut bytes = entry.payload.clone();
        while entry.flags & LAST == 0 {
            let next = self.0.get(&entry.sequence.checked_add(1)?)?;
            let goes_on = next.previous == entry.tag
                && next.flags & FIRST == 0
                && (next.flags & TREE != 0) == tree
                && next.tree_start == tree_start
                && next.sequence - first < LOG_BLOCKS;
            if !goes_on {
                return None;
            }
            bytes.extend_from_slice(&next.payload);
            entry = next;
        }
        let mut reader = Reader::new(&bytes);
        let state = State::read(&mut reader).ok()?;
        let stream = reader.rest().to_vec();
        let Entry { sequence: last, tag, .. } = *entry;
        Some(Group { first, last, tag, tree, tree_start, state, stream })
    }

    /// The newest state that is whole. `holds` says whether the blocks that a commit relies
    /// on are as it wrote them: only asked of the last commit, since each of the others was
    /// durable before the next one was begun.
    pub(crate) fn newest(&self, mut holds: impl FnMut(&Group) -> bool) -> Option<Chain> {
        let is_start = |entry: &&Entry| {
            entry.flags & (FIRST | TREE) == FIRST | TREE && entry.tree_start == entry.sequence
        };
        let mut starts: Vec<u64> =
            self.0.values().filter(is_start).map(|entry| entry.sequence).collect();
        starts.sort_unstable_by(|a, b| b.cmp(a));
        for start in starts {
            let Some(tree) = self.group(start, None) else { continue };
            let mut chain = vec![tree];
            while let Some(last) = chain.last()
                && let Some(after) = last.last.checked_add(1)
                && let Some(next) = self.group(after, Some(&last.tag))
                && !next.tree
                && next.tree_start == start
            {
                chain.push(next);
            }
            if !chain.last().is_some_and(&mut holds) {
                chain.pop();
            }
            if !chain.is_empty() {
                return Some(Chain(chain));
            }
        }
        None
    }
}

/// Where the log stands.
pub(crate) struct Log {
    /// The number of the next entry.
    next: u64,
    /// The tag of the last one.
    previous: Tag,
    tree_start: u64,
    /// The last seal before the last commit was begun, and before the last that wrote the
    /// tree.
    commit_mark: (Salt, u64),
    tree_mark: (Salt, u64),
    /// What was last written to each block since the last sync; nothing if too much was.
    unsynced: Option<HashMap<u64, (Kind, Pointer)>>,
    /// The next commit must write the tree.
    pub(crate) tree_due: bool,
}

impl Log {
    /// The log of a new volume.
    pub(crate) fn new(sealer: &Sealer) -> Self {
        let now = sealer.now();
        Log {
            next: 1,
            previous: Tag::default(),
            tree_start: 1,
            commit_mark: now,
            tree_mark: now,
            unsynced: Some(HashMap::new()),
            tree_due: true,
        }
    }

    /// The log after a mount found a state.
    pub(crate) fn resume(sealer: &Sealer, chain: &Chain) -> Option<Self> {
        let tree = chain.0.first()?;
        let last = chain.0.last()?;
        Some(Log {
            next: last.last.checked_add(1)?,
            previous: last.tag,
            tree_start: tree.first,
            tree_due: false,
            ..Log::new(sealer)
        })
    }

    /// The last commit.
    pub(crate) fn mark(&self) -> crate::anchor::Mark {
        crate::anchor::Mark { sequence: self.next - 1, tag: self.previous }
    }

    /// Whether a block was sealed since the last commit was begun: none refers to it.
    pub(crate) fn is_after_commit(&self, sealer: &Sealer, pointer: &Pointer) -> bool {
        sealer.is_after(&pointer.salt, pointer.counter, &self.commit_mark)
    }

    /// Whether a block was sealed since the last commit that wrote the tree was begun.
    pub(crate) fn is_after_tree(&self, sealer: &Sealer, pointer: &Pointer) -> bool {
        sealer.is_after(&pointer.salt, pointer.counter, &self.tree_mark)
    }

    /// A block was written.
    pub(crate) fn wrote(&mut self, kind: Kind, pointer: &Pointer) {
        if let Some(unsynced) = &mut self.unsynced {
            unsynced.insert(pointer.block, (kind, *pointer));
            if unsynced.len() > MOST_CHECKS {
                self.unsynced = None;
            }
        }
    }

    /// All that was written is durable.
    pub(crate) fn synced(&mut self) {
        self.unsynced = Some(HashMap::new());
    }

    /// The blocks written since the last sync, if they are few.
    pub(crate) fn checks(&self) -> Option<Vec<Record<'static>>> {
        let unsynced = self.unsynced.as_ref()?;
        let check = |&(kind, pointer): &(Kind, Pointer)| Record::Check { kind, pointer };
        Some(unsynced.values().map(check).collect())
    }

    /// Whether a commit of this many bytes can be added before the tree must be written.
    pub(crate) fn has_room(&self, bytes: usize) -> bool {
        let entries = bytes.div_ceil(PAYLOAD_BYTES) as u64;
        entries <= MOST_GROUP && self.next - self.tree_start + entries + MOST_GROUP <= LOG_BLOCKS
    }

    /// Writes a commit; it is not durable yet. If that fails, the next commit is written to
    /// the same places, but blocks that this one refers to are not given out before.
    pub(crate) fn write(
        &mut self,
        store: &mut Store,
        volume: &VolumeId,
        tree: bool,
        bytes: &[u8],
    ) -> Result<Written> {
        let now = store.sealer.now();
        self.commit_mark = now;
        if tree {
            self.tree_mark = now;
        }
        let tree_start = if tree { self.next } else { self.tree_start };
        let mut sequence = self.next;
        let mut previous = self.previous;
        let mut sealed: Vec<u8> = Vec::new();
        let pieces = bytes.chunks(PAYLOAD_BYTES);
        let count = pieces.len();
        for (at, piece) in pieces.enumerate() {
            let mut flags = if tree { TREE } else { 0 };
            if at == 0 {
                flags |= FIRST;
            }
            if at + 1 == count {
                flags |= LAST;
            }
            let payload = piece.to_vec();
            let entry =
                Entry { sequence, previous, tag: Tag::default(), tree_start, flags, payload };
            let (block, tag) = entry.seal(&mut store.sealer, volume)?;
            sealed.extend_from_slice(&block[..]);
            previous = tag;
            sequence += 1;
        }
        let start = self.next % LOG_BLOCKS;
        let before_end = ((LOG_BLOCKS - start) as usize * BLOCK_BYTES).min(sealed.len());
        store.write(LOG_START + start, &sealed[..before_end])?;
        if before_end < sealed.len() {
            store.write(LOG_START, &sealed[before_end..])?;
        }
        Ok(Written { next: sequence, previous, tree_start })
    }

    /// What was written is durable.
    pub(crate) fn advance(&mut self, written: Written) {
        self.next = written.next;
        self.previous = written.previous;
        self.tree_start = written.tree_start;
    }
}

/// A commit that was written and is not known to be durable.
pub(crate) struct Written {
    next: u64,
    previous: Tag,
    tree_start: u64,
}

#[cfg(test)]
mod tests {
    use super::record::records;
    use super::*;

    #[test]
    fn no_mutation_of_an_entry_makes_its_decoders_panic() {
        let mut stream = Vec::new();
        let pointer = Pointer { block: 1000, counter: 7, salt: [1; 12], tag: [2; 16] };
        Record::Put { key: [3; 17], value: &[9; 100] }.encode(&mut stream);
        Record::Pointers { key: [5; 17], changed: 7, present: 5, pointers: vec![pointer; 2] }
            .encode(&mut stream);
        Record::Check { kind: Kind::Node, pointer }.encode(&mut stream);
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as usize
        };
        let mut whole = 0;
        for _ in 0..100_000 {
            let mut mutant = stream.clone();
            for _ in 0..1 + random() % 3 {
                let at = random() % mutant.len();
                mutant[at] = random() as u8;
            }
            mutant.truncate(random() % (mutant.len() + 20));
            whole += usize::from(records(&mutant).is_ok());
            let place = random() as u64 % LOG_BLOCKS;
            let _ = Entry::decode(place, [0; 16], &mutant);
        }
        println!("100000 mutated streams of records, {whole} of them whole");
    }
}
