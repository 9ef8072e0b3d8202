//! Reads the commits in the log that form a state.

use super::entries::Entries;
use super::group::Group;
use super::tolerance::Tolerance;
use crate::error::{Error, Result};
use crate::format::bytes::Short;
use crate::format::entry::{Entry, FIRST, LAST};
use crate::format::item::KEY_BYTES;
use crate::format::mark::Mark;
use crate::format::pointer::Pointer;
use crate::format::record::Record;
use crate::format::ring::RingPlace;

use std::collections::HashMap;

/// A tree commit and the change commits that build on it.
pub(crate) struct Chain {
    pub(crate) tree: Group,
    pub(crate) changes: Vec<Group>,
}

impl Chain {
    /// Follows the change commits after a tree commit.
    pub(crate) fn read(entries: &Entries, tree: Group, tolerance: Tolerance) -> Result<Self> {
        let mut chain = Chain { tree, changes: Vec::new() };
        let end = chain.tree.state.log.after_lap();
        loop {
            let last = chain.last();
            let mut next = read_group(entries, last.end..end, last);
            // A commit that would cross the end of the ring starts the next lap.
            if let Ok(None) = next
                && last.end.next_lap() < end
            {
                next = read_group(entries, last.end.next_lap()..end, last);
            }
            let Some(group) = tolerance.or(next, None)? else { return Ok(chain) };
            chain.changes.push(group);
        }
    }

    /// Returns the last commit.
    pub(crate) fn last(&self) -> &Group {
        self.changes.last().unwrap_or(&self.tree)
    }

    /// Returns all commits, in order.
    pub(crate) fn groups(&self) -> impl Iterator<Item = &Group> {
        std::iter::once(&self.tree).chain(&self.changes)
    }

    /// Returns the place in the ring where the next commit may begin.
    pub(crate) fn end(&self) -> RingPlace {
        self.last().end
    }

    /// Whether the chain contains the commit of this mark, or its tree commit names it as durable.
    pub(crate) fn knows(&self, mark: &Mark) -> bool {
        self.groups().map(|group| group.mark).any(|passed| passed == *mark)
            || self.tree.durable_commit == *mark
    }
}

/// Returns the commit at the start of a range of the ring, if it is complete and follows `after`.
fn read_group(
    entries: &Entries,
    range: std::ops::Range<RingPlace>,
    after: &Group,
) -> Result<Option<Group>> {
    let mut mark = after.mark;
    let mut bytes = Vec::new();
    let mut blocks = Vec::new();
    let mut first: Option<&Entry> = None;
    let mut at = range.start;
    while at < range.end {
        let Some(opened) = entries.at(at) else { return Ok(None) };
        let entry = &opened.entry;
        let follows = mark.sequence.checked_add(1) == Some(entry.sequence)
            && entry.previous == mark.tag
            && entry.tree == after.tree
            && (entry.flags & FIRST != 0) == first.is_none();
        if !follows {
            return Ok(None);
        }
        bytes.extend_from_slice(&entry.payload);
        blocks.push((at.block(), opened.tag));
        mark = opened.mark();
        at = at + 1 + u64::from(entry.data);
        let first = *first.get_or_insert(entry);
        if entry.flags & LAST != 0 {
            let whole = at <= range.end;
            let group = Group::new(first, opened, &bytes, blocks, Some(at))?;
            return Ok(Some(group).filter(|_| whole));
        }
    }
    Ok(None)
}

/// The combined effect of a chain's changes.
pub(crate) struct Net<'a> {
    /// The last pointer at each position in extents.
    pub(crate) pointers: HashMap<([u8; KEY_BYTES], usize), Option<Pointer>>,
    /// The last value of each other item; `None` if it was removed.
    pub(crate) items: HashMap<[u8; KEY_BYTES], Option<&'a [u8]>>,
    /// All keys, in order.
    pub(crate) keys: Vec<[u8; KEY_BYTES]>,
}

impl<'a> Net<'a> {
    /// Combines the changes of a chain.
    ///
    /// # Errors
    /// Fails if records of the chain are malformed.
    pub(crate) fn of(chain: &'a Chain) -> Result<Self> {
        let mut net = Net { pointers: HashMap::new(), items: HashMap::new(), keys: Vec::new() };
        let malformed = |_: Short| Error::damaged("records of the log are malformed");
        for group in &chain.changes {
            group.records().map_err(malformed)?.iter().for_each(|record| net.add(record));
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
