//! Inodes: their attributes, in memory while they are used, and who holds them.

use crate::alloc::Space;
use crate::error::{Error, Result};
use crate::fast_map::FastMap;
use crate::format::attributes::Attributes;
use crate::format::item::Key;
use crate::format::numbers::InodeNo;
use crate::tree::Step;
use std::collections::BTreeSet;
use twine_vfs::{Error as FileError, FileKind, Mode, Stamp};

/// Attributes that are kept in memory though nobody has changed them.
const KEPT: usize = 4096;

/// Changed attributes that wait in memory for a commit.
const MAX_DIRTY: usize = 1024;

/// The time, in nanoseconds since 1970.
pub(crate) type Clock = Box<dyn Fn() -> u64 + Send>;

/// An inode in memory.
struct Known {
    attributes: Attributes,
    dirty: bool,
    /// Times that are to be set to the time when somebody next asks for it.
    stale: Times,
    /// Where a reader that reads on, and a writer that writes on, would go on.
    next_read: u64,
    next_write: u64,
}

/// Some of an inode's times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Times {
    accessed: bool,
    modified: bool,
    changed: bool,
}

impl Times {
    /// Contents have changed.
    pub(crate) const CONTENTS: Times = Times { accessed: false, modified: true, changed: true };
    /// Attributes or names have changed.
    pub(crate) const CHANGED: Times = Times { accessed: false, modified: false, changed: true };
    /// It is new.
    pub(crate) const ALL: Times = Times { accessed: true, modified: true, changed: true };
}

/// All inodes: those in memory, above the items of all.
pub(crate) struct Inodes {
    space: Space,
    clock: Clock,
    /// The number of the next new inode.
    next: InodeNo,
    known: FastMap<InodeNo, Known>,
    dirty: BTreeSet<InodeNo>,
    stale: Vec<InodeNo>,
    holds: FastMap<InodeNo, u64>,
    /// With this many known, those that nobody needs are forgotten.
    most_known: usize,
    /// No inode of the tree has the next number, or a larger one.
    next_is_new: bool,
}

impl Inodes {
    /// The inodes of a volume that says which number is next.
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

    /// The number of the next new inode.
    pub(crate) fn next(&self) -> InodeNo {
        self.next
    }

    /// Somebody needs an inode, whether it has a name or not.
    pub(crate) fn hold(&mut self, inode: InodeNo) {
        if inode != InodeNo::ROOT {
            *self.holds.entry(inode).or_default() += 1;
        }
    }

    /// Gives back a hold; whether it was the last.
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

    /// Whether many changed inodes wait.
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

    /// Remembers that times are to be set.
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

    /// Sets all times that are to be set to the present one.
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

    /// Where a reader of this inode would go on, and sets where it will.
    pub(crate) fn read_position(&mut self, inode: InodeNo, next: u64) -> u64 {
        match self.known.get_mut(&inode) {
            Some(known) => std::mem::replace(&mut known.next_read, next),
            None => 0,
        }
    }

    /// Where a writer of this inode would go on, and sets where it will.
    pub(crate) fn write_position(&mut self, inode: InodeNo, next: u64) -> u64 {
        match self.known.get_mut(&inode) {
            Some(known) => std::mem::replace(&mut known.next_write, next),
            None => 0,
        }
    }

    /// The attributes of an inode; times may be old.
    pub(crate) fn get(&mut self, inode: InodeNo) -> Result<Attributes> {
        if let Some(known) = self.known.get(&inode) {
            return Ok(known.attributes);
        }
        let found = self.space.get(&Key::attributes(inode), Attributes::decode)?;
        let attributes = found.ok_or(FileError::NotFound)??;
        Ok(self.keep(inode, attributes).attributes)
    }

    /// The attributes of a directory.
    pub(crate) fn directory(&mut self, inode: InodeNo) -> Result<Attributes> {
        let attributes = self.get(inode)?;
        match attributes.kind {
            FileKind::Directory => Ok(attributes),
            _ => Err(FileError::NotDirectory.into()),
        }
    }

    /// The attributes of a regular file.
    pub(crate) fn file(&mut self, inode: InodeNo) -> Result<Attributes> {
        let attributes = self.get(inode)?;
        match attributes.kind {
            FileKind::File => Ok(attributes),
            FileKind::Directory => Err(FileError::IsDirectory.into()),
            FileKind::SymbolicLink => Err(FileError::Invalid.into()),
        }
    }

    /// The attributes with their times set.
    pub(crate) fn with_times(&mut self, inode: InodeNo) -> Result<Attributes> {
        self.get(inode)?;
        self.set_stale_times();
        self.get(inode)
    }

    /// Makes sure that an inode's attributes can be changed and written without a failure.
    pub(crate) fn prepare(&mut self, inode: InodeNo) -> Result<()> {
        self.get(inode)?;
        self.space.prepare(&Key::attributes(inode))
    }

    /// Makes sure that the attributes of the next inode can be written without a failure.
    pub(crate) fn prepare_next(&mut self) -> Result<()> {
        self.space.prepare(&Key::attributes(self.next))
    }

    /// Sees to it that the next number is one that no inode has. A volume that somebody else made
    /// may say anything; what this mount gives out itself is new.
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

    /// A new inode's number, with these attributes. It was
    /// [checked](Self::check_next) that there is one.
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

    /// Changes attributes that [`get`](Self::get) has given before.
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

    /// Sets times to given ones.
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

    /// Sets who may use a file or directory.
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

    /// Takes an inode that is gone out of the tree.
    pub(crate) fn remove(&mut self, inode: InodeNo) -> Result<()> {
        self.forget(inode);
        self.space.remove(&Key::attributes(inode)).map(drop)
    }
}

#[cfg(test)]
impl Inodes {
    /// Forgets what is in memory of an inode.
    pub(crate) fn forget_known(&mut self, inode: InodeNo) {
        self.forget(inode);
    }

    /// Gives another number to the next new inode.
    pub(crate) fn set_next(&mut self, next: InodeNo) {
        self.next = next;
    }
}
