//! Inodes: their attributes, which are in memory while in use, and holds on them.

use crate::alloc::Space;
use crate::error::{Error, Result};
use crate::fast_map::FastMap;
use crate::format::attributes::Attributes;
use crate::format::item::Key;
use crate::format::numbers::InodeNo;
use crate::tree::Step;
use std::collections::BTreeSet;
use twine_vfs::{Error as FileError, FileKind, Mode, Stamp};

/// Number of inodes in memory from which on unused ones are forgotten.
const KEPT: usize = 4096;

/// Limit on inodes in memory with changed attributes.
const MAX_DIRTY: usize = 1024;

/// Returns the time in nanoseconds since 1970.
pub(crate) type Clock = Box<dyn Fn() -> u64 + Send>;

/// An inode in memory.
struct Known {
    attributes: Attributes,
    dirty: bool,
    /// Times that will be set when the clock is next read.
    stale: Times,
    /// Offsets at which a sequential reader and a sequential writer would continue.
    next_read: u64,
    next_write: u64,
}

/// A subset of an inode's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Times {
    accessed: bool,
    modified: bool,
    changed: bool,
}

impl Times {
    /// After a change of contents.
    pub(crate) const CONTENTS: Times = Times { accessed: false, modified: true, changed: true };
    /// After a change of attributes or names.
    pub(crate) const CHANGED: Times = Times { accessed: false, modified: false, changed: true };
    /// For a new inode.
    pub(crate) const ALL: Times = Times { accessed: true, modified: true, changed: true };
}

/// The inode layer: inodes in memory, and below them the items of all inodes.
pub(crate) struct Inodes {
    space: Space,
    clock: Clock,
    /// The number of the next new inode.
    next: InodeNo,
    known: FastMap<InodeNo, Known>,
    dirty: BTreeSet<InodeNo>,
    stale: Vec<InodeNo>,
    holds: FastMap<InodeNo, u64>,
    /// If this many inodes are known, the unused ones are forgotten.
    most_known: usize,
    /// Whether it was checked that no inode has the next number or a larger one.
    next_is_new: bool,
}

impl Inodes {
    /// The inodes of a volume. `next` is the number of its next inode.
    pub(crate) fn new(space: Space, next: InodeNo, clock: Clock) -> Self {
        Inodes {
            space,
            clock,
            next,
            known: FastMap::default(),
            dirty: BTreeSet::new(),
            stale: Vec::new(),
            holds: FastMap::default(),
            most_known: KEPT,
            next_is_new: false,
        }
    }

    pub(crate) fn space(&self) -> &Space {
        &self.space
    }

    pub(crate) fn space_mut(&mut self) -> &mut Space {
        &mut self.space
    }

    /// Returns the number of the next new inode.
    pub(crate) fn next(&self) -> InodeNo {
        self.next
    }

    /// Adds a hold, which keeps an inode even if it has no name.
    pub(crate) fn hold(&mut self, inode: InodeNo) {
        if inode != InodeNo::ROOT {
            *self.holds.entry(inode).or_default() += 1;
        }
    }

    /// Removes a hold. Returns whether it was the last one.
    pub(crate) fn release(&mut self, inode: InodeNo) -> bool {
        let Some(holds) = self.holds.get_mut(&inode) else { return false };
        *holds -= 1;
        let last = *holds == 0;
        if last {
            self.holds.remove(&inode);
        }
        last
    }

    pub(crate) fn is_held(&self, inode: InodeNo) -> bool {
        self.holds.contains_key(&inode)
    }

    /// Whether many changed inodes wait to be written.
    pub(crate) fn wants_writing(&self) -> bool {
        self.dirty.len() > MAX_DIRTY
    }

    fn forget(&mut self, inode: InodeNo) {
        self.known.remove(&inode);
        self.dirty.remove(&inode);
    }

    fn keep(&mut self, inode: InodeNo, attributes: Attributes) -> &mut Known {
        if self.known.len() >= self.most_known && !self.known.contains_key(&inode) {
            let holds = &self.holds;
            self.known.retain(|inode, known| known.dirty || holds.contains_key(inode));
            self.most_known = KEPT.max(2 * self.known.len());
        }
        self.known.entry(inode).or_insert(Known {
            attributes,
            dirty: false,
            stale: Times::default(),
            next_read: 0,
            next_write: 0,
        })
    }

    fn mark_dirty(&mut self, inode: InodeNo) {
        if let Some(known) = self.known.get_mut(&inode)
            && !known.dirty
        {
            known.dirty = true;
            self.dirty.insert(inode);
        }
    }

    /// Marks times to be set later.
    fn touch(&mut self, inode: InodeNo, times: Times) {
        if let Some(known) = self.known.get_mut(&inode) {
            if known.stale == Times::default() {
                self.stale.push(inode);
            }
            known.stale.accessed |= times.accessed;
            known.stale.modified |= times.modified;
            known.stale.changed |= times.changed;
        }
    }

    /// Sets all marked times to the present time.
    fn set_stale_times(&mut self) {
        if !self.stale.is_empty() {
            let now = (self.clock)();
            self.set_stale_times_to(now);
        }
    }

    fn set_stale_times_to(&mut self, now: u64) {
        for inode in std::mem::take(&mut self.stale) {
            let Some(known) = self.known.get_mut(&inode) else { continue };
            let stale = std::mem::take(&mut known.stale);
            if stale.accessed {
                known.attributes.accessed = now;
            }
            if stale.modified {
                known.attributes.modified = now;
            }
            if stale.changed {
                known.attributes.changed = now;
            }
        }
    }

    /// Sets where a sequential reader of this inode will continue, and returns the old value.
    pub(crate) fn read_position(&mut self, inode: InodeNo, next: u64) -> u64 {
        match self.known.get_mut(&inode) {
            Some(known) => std::mem::replace(&mut known.next_read, next),
            None => 0,
        }
    }

    /// Sets where a sequential writer of this inode will continue, and returns the old value.
    pub(crate) fn write_position(&mut self, inode: InodeNo, next: u64) -> u64 {
        match self.known.get_mut(&inode) {
            Some(known) => std::mem::replace(&mut known.next_write, next),
            None => 0,
        }
    }

    /// Returns the attributes of an inode. Marked times are not set yet.
    pub(crate) fn get(&mut self, inode: InodeNo) -> Result<Attributes> {
        if let Some(known) = self.known.get(&inode) {
            return Ok(known.attributes);
        }
        let found = self.space.get(&Key::attributes(inode), Attributes::decode)?;
        let attributes = found.ok_or(FileError::NotFound)??;
        Ok(self.keep(inode, attributes).attributes)
    }

    /// Returns the attributes of a directory.
    pub(crate) fn directory(&mut self, inode: InodeNo) -> Result<Attributes> {
        let attributes = self.get(inode)?;
        match attributes.kind {
            FileKind::Directory => Ok(attributes),
            _ => Err(FileError::NotDirectory.into()),
        }
    }

    /// Returns the attributes of a regular file.
    pub(crate) fn file(&mut self, inode: InodeNo) -> Result<Attributes> {
        let attributes = self.get(inode)?;
        match attributes.kind {
            FileKind::File => Ok(attributes),
            FileKind::Directory => Err(FileError::IsDirectory.into()),
            FileKind::SymbolicLink => Err(FileError::Invalid.into()),
        }
    }

    /// Returns the attributes with all times set.
    pub(crate) fn with_times(&mut self, inode: InodeNo) -> Result<Attributes> {
        self.get(inode)?;
        self.set_stale_times();
        self.get(inode)
    }

    /// Ensures that changing and writing an inode's attributes cannot fail.
    pub(crate) fn prepare(&mut self, inode: InodeNo) -> Result<()> {
        self.get(inode)?;
        self.space.prepare(&Key::attributes(inode))
    }

    /// Ensures that writing the attributes of the next new inode cannot fail.
    pub(crate) fn prepare_next(&mut self) -> Result<()> {
        self.space.prepare(&Key::attributes(self.next))
    }

    /// Checks once that no inode has the next number or a larger one. A volume that somebody made
    /// by hand may claim anything. Numbers that this mount gives out are new.
    pub(crate) fn check_next(&mut self) -> Result<()> {
        let next = self.next;
        if next <= InodeNo::ROOT || next.0 == u64::MAX {
            return Err(Error::damaged(format!("the number of the next inode is {next}")));
        }
        if self.next_is_new {
            return Ok(());
        }
        let mut taken = None;
        self.space.scan(&Key::attributes(next), |key, _| {
            taken = Some(key.inode);
            Ok(Step::Stop)
        })?;
        if let Some(inode) = taken {
            let what =
                format!("the number of the next inode is {next}, and inode {inode} is there");
            return Err(Error::damaged(what));
        }
        self.next_is_new = true;
        Ok(())
    }

    /// Creates an inode, and returns its number. The caller has [checked](Self::check_next) that
    /// the number is free.
    pub(crate) fn create(&mut self, kind: FileKind, size: u64, parent: InodeNo) -> Result<InodeNo> {
        let inode = self.next;
        let next = inode.0.checked_add(1);
        let next = next.ok_or_else(|| Error::damaged("there is no number for another inode"))?;
        self.next = InodeNo(next);
        let attributes = Attributes {
            kind,
            mode: None,
            links: 1,
            size,
            accessed: 0,
            modified: 0,
            changed: 0,
            parent,
        };
        self.space.put(&Key::attributes(inode), &attributes.encode())?;
        self.keep(inode, attributes);
        self.mark_dirty(inode);
        self.touch(inode, Times::ALL);
        Ok(inode)
    }

    /// Changes attributes that an earlier [`get`](Self::get) returned.
    pub(crate) fn change(
        &mut self,
        inode: InodeNo,
        times: Times,
        change: impl FnOnce(&mut Attributes),
    ) -> Result<()> {
        let attributes = self.get(inode)?;
        change(&mut self.keep(inode, attributes).attributes);
        self.mark_dirty(inode);
        self.touch(inode, times);
        Ok(())
    }

    /// Sets the times of access and modification.
    pub(crate) fn set_times(
        &mut self,
        inode: InodeNo,
        accessed: Stamp,
        modified: Stamp,
    ) -> Result<()> {
        let now = (self.clock)();
        self.set_stale_times_to(now);
        let stamp = |stamp, old| match stamp {
            Stamp::Keep => old,
            Stamp::Now => now,
            Stamp::At(time) => time,
        };
        self.change(inode, Times::default(), |attributes| {
            attributes.accessed = stamp(accessed, attributes.accessed);
            attributes.modified = stamp(modified, attributes.modified);
            attributes.changed = now;
        })
    }

    /// Sets the mode of an inode.
    pub(crate) fn set_mode(&mut self, inode: InodeNo, mode: Mode) -> Result<()> {
        self.change(inode, Times::CHANGED, |attributes| attributes.mode = Some(mode))
    }

    /// Puts all changed attributes into the tree.
    pub(crate) fn write(&mut self) -> Result<()> {
        if self.dirty.is_empty() {
            return Ok(());
        }
        self.set_stale_times();
        while let Some(inode) = self.dirty.first().copied() {
            if let Some(known) = self.known.get(&inode) {
                self.space.put(&Key::attributes(inode), &known.attributes.encode())?;
            }
            self.dirty.remove(&inode);
            if let Some(known) = self.known.get_mut(&inode) {
                known.dirty = false;
            }
        }
        Ok(())
    }

    /// Removes the attributes of an inode from memory and from the tree.
    pub(crate) fn remove(&mut self, inode: InodeNo) -> Result<()> {
        self.forget(inode);
        self.space.remove(&Key::attributes(inode)).map(drop)
    }
}

#[cfg(test)]
impl Inodes {
    /// Forgets the attributes in memory.
    pub(crate) fn forget_known(&mut self, inode: InodeNo) {
        self.forget(inode);
    }

    /// Sets the number of the next new inode.
    pub(crate) fn set_next(&mut self, next: InodeNo) {
        self.next = next;
    }
}
