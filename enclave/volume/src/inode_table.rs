//! Inodes: their attributes, in memory while they are used, and who holds them.

use crate::error::{Error, Result};
use crate::fast_map::FastMap;
use crate::format::attributes::{Attributes, ROOT};
use crate::format::item::Key;
use crate::tree::Step;
use crate::volume::Volume;
use std::collections::BTreeSet;
use twine_files::{FileKind, Mode, Stamp};

/// Attributes that are kept in memory though nobody has changed them.
const KEPT: usize = 4096;

/// Changed attributes that wait in memory for a commit.
const MAX_DIRTY: usize = 1024;

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

/// All inodes in memory.
pub(crate) struct Inodes {
    /// The number of the next new inode.
    pub(crate) next: u64,
    known: FastMap<u64, Known>,
    dirty: BTreeSet<u64>,
    stale: Vec<u64>,
    holds: FastMap<u64, u64>,
    /// With this many known, those that nobody needs are forgotten.
    most_known: usize,
    /// No inode of the tree has the next number, or a larger one.
    next_is_new: bool,
    /// Directories in which an entry was seen that can't be given to anybody.
    pub(crate) damaged: BTreeSet<u64>,
}

impl Inodes {
    pub(crate) fn new(next: u64) -> Self {
        Inodes {
            next,
            known: FastMap::default(),
            dirty: BTreeSet::new(),
            stale: Vec::new(),
            holds: FastMap::default(),
            most_known: KEPT,
            next_is_new: false,
            damaged: BTreeSet::new(),
        }
    }

    pub(crate) fn hold(&mut self, inode: u64) {
        if inode != ROOT {
            *self.holds.entry(inode).or_default() += 1;
        }
    }

    /// Gives back a hold; whether it was the last.
    pub(crate) fn release(&mut self, inode: u64) -> bool {
        let Some(holds) = self.holds.get_mut(&inode) else { return false };
        *holds -= 1;
        let last = *holds == 0;
        if last {
            self.holds.remove(&inode);
        }
        last
    }

    pub(crate) fn is_held(&self, inode: u64) -> bool {
        self.holds.contains_key(&inode)
    }

    /// Whether many changed inodes wait.
    pub(crate) fn wants_writing(&self) -> bool {
        self.dirty.len() > MAX_DIRTY
    }

    /// Forgets an inode that is gone.
    pub(crate) fn forget(&mut self, inode: u64) {
        self.known.remove(&inode);
        self.dirty.remove(&inode);
        self.damaged.remove(&inode);
    }

    fn keep(&mut self, inode: u64, attributes: Attributes) -> &mut Known {
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

    fn mark_dirty(&mut self, inode: u64) {
        if let Some(known) = self.known.get_mut(&inode)
            && !known.dirty
        {
            known.dirty = true;
            self.dirty.insert(inode);
        }
    }

    /// Remembers that times are to be set.
    fn touch(&mut self, inode: u64, times: Times) {
        if let Some(known) = self.known.get_mut(&inode) {
            if known.stale == Times::default() {
                self.stale.push(inode);
            }
            known.stale.accessed |= times.accessed;
            known.stale.modified |= times.modified;
            known.stale.changed |= times.changed;
        }
    }

    /// Sets all times that are to be set.
    fn settle(&mut self, now: impl FnOnce() -> u64) {
        if self.stale.is_empty() {
            return;
        }
        let now = now();
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
    pub(crate) fn read_position(&mut self, inode: u64, next: u64) -> u64 {
        match self.known.get_mut(&inode) {
            Some(known) => std::mem::replace(&mut known.next_read, next),
            None => 0,
        }
    }
}

impl Inodes {
    /// Where a writer of this inode would go on, and sets where it will.
    pub(crate) fn write_position(&mut self, inode: u64, next: u64) -> u64 {
        match self.known.get_mut(&inode) {
            Some(known) => std::mem::replace(&mut known.next_write, next),
            None => 0,
        }
    }
}

impl Volume {
    /// The attributes of an inode; times may be old.
    pub(crate) fn inode(&mut self, inode: u64) -> Result<Attributes> {
        if let Some(known) = self.inodes.known.get(&inode) {
            return Ok(known.attributes);
        }
        let found = self.get(&Key::attributes(inode), Attributes::decode)?;
        let attributes = found.ok_or(twine_files::Error::NotFound)??;
        Ok(self.inodes.keep(inode, attributes).attributes)
    }

    /// The attributes of an inode of a kind that can do what is asked.
    pub(crate) fn directory(&mut self, inode: u64) -> Result<Attributes> {
        let attributes = self.inode(inode)?;
        match attributes.kind {
            FileKind::Directory => Ok(attributes),
            _ => Err(twine_files::Error::NotDirectory.into()),
        }
    }

    /// The attributes of a regular file.
    pub(crate) fn file(&mut self, inode: u64) -> Result<Attributes> {
        let attributes = self.inode(inode)?;
        match attributes.kind {
            FileKind::File => Ok(attributes),
            FileKind::Directory => Err(twine_files::Error::IsDirectory.into()),
            FileKind::SymbolicLink => Err(twine_files::Error::Invalid.into()),
        }
    }

    /// The attributes with their times set.
    pub(crate) fn settled(&mut self, inode: u64) -> Result<Attributes> {
        self.inode(inode)?;
        self.inodes.settle(&self.clock);
        self.inode(inode)
    }

    /// Makes sure that an inode's attributes can be changed and written without a failure.
    pub(crate) fn prepare_inode(&mut self, inode: u64) -> Result<()> {
        self.inode(inode)?;
        self.prepare(&Key::attributes(inode))
    }

    /// Sees to it that the next number is one that no inode has. A volume that somebody else made
    /// may say anything; what this mount gives out itself is new.
    pub(crate) fn check_next_inode(&mut self) -> Result<()> {
        let next = self.inodes.next;
        if next <= ROOT || next == u64::MAX {
            return Err(Error::damaged(format!("the number of the next inode is {next}")));
        }
        if self.inodes.next_is_new {
            return Ok(());
        }
        let mut taken = None;
        self.scan(&Key::attributes(next), |key, _| {
            taken = Some(key.inode);
            Ok(Step::Stop)
        })?;
        if let Some(inode) = taken {
            let what =
                format!("the number of the next inode is {next}, and inode {inode} is there");
            return Err(Error::damaged(what));
        }
        self.inodes.next_is_new = true;
        Ok(())
    }

    /// A new inode's number, with these attributes. It was
    /// [checked](Self::check_next_inode) that there is one.
    pub(crate) fn new_inode(&mut self, kind: FileKind, size: u64, parent: u64) -> Result<u64> {
        let inode = self.inodes.next;
        self.inodes.next = inode
            .checked_add(1)
            .ok_or_else(|| Error::damaged("there is no number for another inode"))?;
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
        self.put(&Key::attributes(inode), &attributes.encode())?;
        self.inodes.keep(inode, attributes);
        self.inodes.mark_dirty(inode);
        self.inodes.touch(inode, Times::ALL);
        Ok(inode)
    }

    /// Changes attributes that [`inode`](Self::inode) has given before.
    pub(crate) fn change_inode(
        &mut self,
        inode: u64,
        times: Times,
        change: impl FnOnce(&mut Attributes),
    ) -> Result<()> {
        let attributes = self.inode(inode)?;
        change(&mut self.inodes.keep(inode, attributes).attributes);
        self.inodes.mark_dirty(inode);
        self.inodes.touch(inode, times);
        Ok(())
    }

    /// Sets times to given ones.
    pub(crate) fn set_stamps(
        &mut self,
        inode: u64,
        accessed: Stamp,
        modified: Stamp,
    ) -> Result<()> {
        self.check_writable()?;
        self.inode(inode)?;
        self.has_uncommitted = true;
        let now = (self.clock)();
        self.inodes.settle(|| now);
        let stamp = |stamp, old| match stamp {
            Stamp::Keep => old,
            Stamp::Now => now,
            Stamp::At(time) => time,
        };
        self.change_inode(inode, Times::default(), |attributes| {
            attributes.accessed = stamp(accessed, attributes.accessed);
            attributes.modified = stamp(modified, attributes.modified);
            attributes.changed = now;
        })
    }

    /// Sets who may use a file or directory.
    pub(crate) fn set_permissions(&mut self, inode: u64, mode: Mode) -> Result<()> {
        self.check_writable()?;
        if self.inode(inode)?.kind == FileKind::SymbolicLink {
            return Err(twine_files::Error::NotSupported.into());
        }
        self.has_uncommitted = true;
        self.change_inode(inode, Times::CHANGED, |attributes| attributes.mode = Some(mode))
    }

    /// Puts all changed attributes into the tree.
    pub(crate) fn write_inodes(&mut self) -> Result<()> {
        if self.inodes.dirty.is_empty() {
            return Ok(());
        }
        self.inodes.settle(&self.clock);
        while let Some(inode) = self.inodes.dirty.first().copied() {
            if let Some(known) = self.inodes.known.get(&inode) {
                let bytes = known.attributes.encode();
                self.put(&Key::attributes(inode), &bytes)?;
            }
            self.inodes.dirty.remove(&inode);
            if let Some(known) = self.inodes.known.get_mut(&inode) {
                known.dirty = false;
            }
        }
        Ok(())
    }

    /// Takes the attributes of an inode that is gone out of the tree.
    pub(crate) fn remove_inode(&mut self, inode: u64) -> Result<()> {
        self.inodes.forget(inode);
        self.remove(&Key::attributes(inode)).map(drop)
    }
}
