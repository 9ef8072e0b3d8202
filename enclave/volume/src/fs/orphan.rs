//! Removing what has no name any more, and what lies behind a file's end.
//!
//! Both may take long, so they are done in pieces between which commits may happen. A mark
//! in the tree says that an inode is not done with; a mount goes on where a crash ended it.

use crate::error::{Error, Result};
use crate::format::attributes::ROOT;
use crate::format::block::blocks;
use crate::format::extents;
use crate::format::extents::GROUP;
use crate::format::item::{Key, Subject};
use crate::tree::Step;
use crate::volume::Volume;
use twine_files::{Error as FileError, FileKind};

/// Groups of pointers that are taken away at once.
const CHUNK_GROUPS: usize = 64;

impl Volume {
    /// Makes sure that an inode can be marked without a failure.
    pub(crate) fn prepare_mark(&mut self, inode: u64) -> Result<()> {
        self.prepare(&Key::orphan(inode))
    }

    /// Marks an inode that has lost its last name.
    pub(crate) fn put_mark(&mut self, inode: u64) -> Result<()> {
        self.put(&Key::orphan(inode), &[])
    }

    /// Removes an inode without names. If that fails, the next mount tries again.
    pub(crate) fn destroy(&mut self, inode: u64) {
        if let Err(error) = self.try_destroy(inode) {
            self.record_error(&error);
        }
    }

    fn try_destroy(&mut self, inode: u64) -> Result<()> {
        self.make_room()?;
        let attributes = self.inode(inode)?;
        match attributes.kind {
            FileKind::File => {
                self.cache.forget_data(inode, 0, blocks(attributes.size));
                while self.cut(inode, 0)? {
                    self.make_room()?;
                }
                if self.has(&Key::inline(inode))? {
                    self.remove(&Key::inline(inode))?;
                }
            }
            FileKind::SymbolicLink => self.remove_target(inode)?,
            FileKind::Directory => {}
        }
        self.prepare_inode(inode)?;
        self.prepare_mark(inode)?;
        let result =
            self.remove_inode(inode).and_then(|()| self.remove(&Key::orphan(inode)).map(drop));
        self.poison_on_error(result)
    }

    /// Gets ready to take the blocks from `from` to before `end` away from a file.
    pub(crate) fn begin_cut(&mut self, inode: u64, from: u64, end: u64) -> Result<()> {
        if end.saturating_sub(from) > CHUNK_GROUPS as u64 / 2 * GROUP {
            return self.put_mark(inode);
        }
        for key in self.groups_from(inode, from)? {
            self.prepare(&key)?;
        }
        Ok(())
    }

    /// Takes away what is behind a file's new end.
    pub(crate) fn go_on_cutting(&mut self, inode: u64, from: u64) {
        if let Err(error) = self.try_cutting(inode, from) {
            self.record_error(&error);
            self.pending_truncations.insert(inode, from);
        }
    }

    /// Ends a cut that failed before. What it left would come to light in a file that grows.
    pub(crate) fn finish_cut(&mut self, inode: u64) -> Result<()> {
        if let Some(&from) = self.pending_truncations.get(&inode) {
            self.try_cutting(inode, from)?;
            self.pending_truncations.remove(&inode);
        }
        Ok(())
    }

    fn try_cutting(&mut self, inode: u64, from: u64) -> Result<()> {
        let marked = self.has(&Key::orphan(inode))?;
        loop {
            let cut = self.cut(inode, from);
            // Without a mark nobody would go on after a crash.
            let more = if marked { cut? } else { self.poison_on_error(cut)? };
            if !more {
                break;
            }
            self.make_room()?;
        }
        if marked && self.inode(inode)?.links > 0 {
            self.remove(&Key::orphan(inode))?;
        }
        Ok(())
    }

    /// The first groups of a file that have pointers for blocks from `from` on.
    fn groups_from(&mut self, inode: u64, from: u64) -> Result<Vec<Key>> {
        let mut keys = Vec::new();
        let blocks = self.space.blocks;
        self.scan(&extents::key(inode, from), |key, value| {
            if key.inode != inode || key.subject != Subject::Extents {
                return Ok(Step::Stop);
            }
            // Before anything is changed: what fails in the middle stops the volume.
            extents::check(value, blocks)?;
            keys.push(*key);
            Ok(if keys.len() < CHUNK_GROUPS { Step::On } else { Step::Stop })
        })?;
        Ok(keys)
    }

    /// Takes some blocks from `from` on away; whether there may be more.
    fn cut(&mut self, inode: u64, from: u64) -> Result<bool> {
        let keys = self.groups_from(inode, from)?;
        for key in &keys {
            self.prepare(key)?;
        }
        for key in &keys {
            let first = if key.offset == from / GROUP { extents::place(from) } else { 0 };
            let none: Vec<_> = (first..GROUP as usize).map(|place| (place, None)).collect();
            let result = self.set_pointers(key, &none);
            self.poison_on_error(result)?;
        }
        Ok(keys.len() == CHUNK_GROUPS)
    }

    /// Goes on with all that a crash, or a failure, left undone.
    pub(crate) fn clean_orphans(&mut self) -> Result<()> {
        let mut inodes = Vec::new();
        self.scan(&Key::orphan(0), |key, _| {
            if key.inode != 0 || key.subject != Subject::Orphan {
                return Ok(Step::Stop);
            }
            inodes.push(key.offset);
            Ok(Step::On)
        })?;
        for inode in inodes {
            // What can't be done for one must not keep the others.
            if let Err(error) = self.clean_orphan(inode) {
                self.record_error(&error);
            }
        }
        Ok(())
    }

    /// Goes on with an inode that has a mark.
    fn clean_orphan(&mut self, inode: u64) -> Result<()> {
        let attributes = match self.inode(inode) {
            Err(Error::File(FileError::NotFound)) => {
                return Err(Error::damaged(format!("inode {inode} is to be removed, and is gone")));
            }
            known => known?,
        };
        if attributes.links > 0 {
            self.make_room()?;
            self.go_on_cutting(inode, blocks(attributes.size));
        } else if inode == ROOT {
            return Err(Error::damaged("the root directory is to be removed"));
        } else {
            self.destroy(inode);
        }
        Ok(())
    }
}
