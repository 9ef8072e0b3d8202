//! Reading the log: the commits that make a state.

use super::entry::{Entry, FIRST, LAST, Opened, TREE};
use super::record::{self, Record, State};
use crate::anchor::Mark;
use crate::block::{BLOCK_BYTES, ROOT_SLOTS, ROOTS_START, zeroed};
use crate::bytes::{Reader, Short};
use crate::error::Result;
use crate::pointer::{Pointer, Salt};
use crate::space::Run;
use crate::store::Store;
use crate::volume::VolumeId;
use std::collections::HashMap;

/// A commit that was found in the log.
pub(crate) struct Group {
    /// Its last entry.
    pub(crate) mark: Mark,
    pub(super) tree: u64,
    /// What its last entry was sealed with.
    pub(crate) salt: Salt,
    /// See [`Entry::durable`].
    pub(crate) durable: u64,
    pub(crate) state: State,
    stream: Vec<u8>,
    /// The blocks of its entries.
    pub(crate) entries: Vec<u64>,
    /// The block behind its last one.
    end: u64,
}

impl Group {
    fn new(
        first: &Entry,
        last: &Opened,
        bytes: &[u8],
        entries: Vec<u64>,
        end: u64,
    ) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let state = State::read(&mut reader).ok()?;
        Some(Group {
            mark: Mark { sequence: last.entry.sequence, tag: last.tag },
            tree: first.tree,
            salt: last.salt,
            durable: first.durable,
            state,
            stream: reader.rest().to_vec(),
            entries,
            end,
        })
    }

    /// What the commit lists.
    fn records(&self) -> Result<Vec<Record<'_>>, Short> {
        record::records(&self.stream)
    }
}

/// The commits that wrote the tree and are still there, the newest first.
pub(crate) fn roots(store: &mut Store, volume: &VolumeId) -> Result<Vec<Group>> {
    let mut roots = Vec::new();
    let mut block = zeroed();
    for slot in 0..ROOT_SLOTS {
        store.read(ROOTS_START + slot, &mut block[..])?;
        let Some(opened) = Entry::open(&mut store.sealer, volume, &block) else { continue };
        let entry = &opened.entry;
        if entry.flags != FIRST | LAST | TREE || entry.tree % ROOT_SLOTS != slot {
            continue;
        }
        roots.extend(Group::new(entry, &opened, &entry.payload, Vec::new(), 0));
    }
    roots.sort_unstable_by_key(|root| std::cmp::Reverse(root.tree));
    Ok(roots)
}

/// A commit that wrote the tree, and those after it.
pub(crate) struct Chain {
    pub(crate) tree: Group,
    pub(crate) changes: Vec<Group>,
}

impl Chain {
    /// Follows a commit that wrote the tree in a storage of `size` bytes.
    pub(crate) fn read(
        store: &mut Store,
        volume: &VolumeId,
        tree: Group,
        size: u64,
    ) -> Result<Self> {
        let mut chain = Chain { tree, changes: Vec::new() };
        let Run { start, count } = chain.tree.state.log;
        let end = start.saturating_add(count.into()).min(size / BLOCK_BYTES as u64);
        loop {
            let at = chain.rest().start;
            let last = chain.last();
            let Some(group) = read_group(store, volume, at..end, last)? else { return Ok(chain) };
            chain.changes.push(group);
        }
    }

    /// The last commit.
    pub(crate) fn last(&self) -> &Group {
        self.changes.last().unwrap_or(&self.tree)
    }

    /// Where the next commit goes.
    pub(crate) fn rest(&self) -> Run {
        let Run { start, count } = self.tree.state.log;
        match self.changes.last() {
            // Behind its start, and before its end, or it would not have been read.
            Some(last) => Run { start: last.end, count: count - (last.end - start) as u32 },
            None => Run { start, count },
        }
    }

    /// Whether the chain passes through a state, or goes on from it.
    pub(crate) fn knows(&self, mark: &Mark) -> bool {
        let groups = std::iter::once(&self.tree).chain(&self.changes);
        groups.map(|group| group.mark).any(|passed| passed == *mark)
            || self.tree.state.durable == *mark
    }
}

/// The group at the start of a range of blocks that follows another one.
fn read_group(
    store: &mut Store,
    volume: &VolumeId,
    range: std::ops::Range<u64>,
    after: &Group,
) -> Result<Option<Group>> {
    let mut block = zeroed();
    let mut mark = after.mark;
    let mut bytes = Vec::new();
    let mut entries = Vec::new();
    let mut first: Option<Entry> = None;
    let mut at = range.start;
    while at < range.end {
        store.read(at, &mut block[..])?;
        let Some(opened) = Entry::open(&mut store.sealer, volume, &block) else { return Ok(None) };
        let entry = &opened.entry;
        let follows = mark.sequence.checked_add(1) == Some(entry.sequence)
            && entry.previous == mark.tag
            && entry.tree == after.tree
            && entry.flags & TREE == 0
            && (entry.flags & FIRST != 0) == first.is_none();
        if !follows {
            return Ok(None);
        }
        entries.push(at);
        bytes.extend_from_slice(&entry.payload);
        mark = Mark { sequence: entry.sequence, tag: opened.tag };
        at += 1 + u64::from(entry.data);
        let first = first.get_or_insert_with(|| entry.clone());
        if entry.flags & LAST != 0 {
            let whole = at <= range.end;
            return Ok(Group::new(first, &opened, &bytes, entries, at).filter(|_| whole));
        }
    }
    Ok(None)
}

/// What changes come to, one after the other.
pub(crate) struct Net<'a> {
    /// The last pointer of each place in extents.
    pub(crate) pointers: HashMap<([u8; 17], usize), Option<Pointer>>,
    /// The last value of each other item.
    pub(crate) items: HashMap<[u8; 17], Option<&'a [u8]>>,
    /// All keys, in order.
    pub(crate) keys: Vec<[u8; 17]>,
}

impl<'a> Net<'a> {
    /// What the changes of a chain come to.
    pub(crate) fn of(chain: &'a Chain) -> Result<Self, Short> {
        let mut net = Net { pointers: HashMap::new(), items: HashMap::new(), keys: Vec::new() };
        for group in &chain.changes {
            group.records()?.iter().for_each(|record| net.add(record));
        }
        net.keys.sort_unstable();
        net.keys.dedup();
        Ok(net)
    }

    fn add(&mut self, record: &Record<'a>) {
        match record {
            Record::Put { key, value } => {
                self.items.insert(*key, Some(*value));
                self.keys.push(*key);
            }
            Record::Take { key } => {
                self.items.insert(*key, None);
                self.keys.push(*key);
                (0..32).for_each(|place| {
                    self.pointers.insert((*key, place), None);
                });
            }
            Record::Pointers { key, changed, present, pointers } => {
                let mut pointers = pointers.iter();
                for place in 0..32 {
                    let there = present >> place & 1 != 0;
                    let pointer = if there { pointers.next().copied() } else { None };
                    if changed >> place & 1 != 0 {
                        self.pointers.insert((*key, place), pointer);
                    }
                }
                self.items.remove(key);
                self.keys.push(*key);
            }
        }
    }
}
