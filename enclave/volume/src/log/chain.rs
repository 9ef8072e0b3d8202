//! Reading the log: the commits that make a state.

use super::entry::{Entry, FIRST, LAST, Opened, TREE};
use super::record::{self, Record, State};
use super::{ring_block, ring_start};
use crate::anchor::Mark;
use crate::block::{RING_BLOCKS, ROOT_SLOTS, ROOTS_START, zeroed};
use crate::bytes::{Reader, Short};
use crate::error::Result;
use crate::pointer::{Pointer, Salt};
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
    /// Where in the ring the next commit may be.
    end: u64,
}

impl Group {
    fn new(first: &Entry, last: &Opened, bytes: &[u8], end: Option<u64>) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let state = State::read(&mut reader).ok()?;
        Some(Group {
            mark: Mark { sequence: last.entry.sequence, tag: last.tag },
            tree: first.tree,
            salt: last.salt,
            durable: first.durable,
            stream: reader.rest().to_vec(),
            end: end.unwrap_or(state.log),
            state,
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
        roots.extend(Group::new(entry, &opened, &entry.payload, None));
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
    /// Follows a commit that wrote the tree.
    pub(crate) fn read(store: &mut Store, volume: &VolumeId, tree: Group) -> Result<Self> {
        let mut chain = Chain { tree, changes: Vec::new() };
        let end = chain.tree.state.log.saturating_add(RING_BLOCKS);
        loop {
            let last = chain.last();
            // What does not fit before the ring's end is at its start.
            let mut next = read_group(store, volume, last.end..end, last)?;
            if next.is_none() && ring_start(last.end) < end {
                next = read_group(store, volume, ring_start(last.end)..end, last)?;
            }
            let Some(group) = next else { return Ok(chain) };
            chain.changes.push(group);
        }
    }

    /// The last commit.
    pub(crate) fn last(&self) -> &Group {
        self.changes.last().unwrap_or(&self.tree)
    }

    /// Where in the ring the next commit may be.
    pub(crate) fn end(&self) -> u64 {
        self.last().end
    }

    /// Whether the chain passes through a state, or goes on from it.
    pub(crate) fn knows(&self, mark: &Mark) -> bool {
        let groups = std::iter::once(&self.tree).chain(&self.changes);
        groups.map(|group| group.mark).any(|passed| passed == *mark)
            || self.tree.state.durable == *mark
    }
}

/// The group at the start of a range of the ring that follows another one.
fn read_group(
    store: &mut Store,
    volume: &VolumeId,
    range: std::ops::Range<u64>,
    after: &Group,
) -> Result<Option<Group>> {
    let mut block = zeroed();
    let mut mark = after.mark;
    let mut bytes = Vec::new();
    let mut first: Option<Entry> = None;
    let mut at = range.start;
    while at < range.end {
        store.read(ring_block(at), &mut block[..])?;
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
        bytes.extend_from_slice(&entry.payload);
        mark = Mark { sequence: entry.sequence, tag: opened.tag };
        at += 1 + u64::from(entry.data);
        let first = first.get_or_insert_with(|| entry.clone());
        if entry.flags & LAST != 0 {
            let whole = at <= range.end;
            return Ok(Group::new(first, &opened, &bytes, Some(at)).filter(|_| whole));
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
