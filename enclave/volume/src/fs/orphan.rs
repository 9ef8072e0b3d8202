//! Removes inodes without names, and the blocks after a file's end.
//!
//! Both may take long, so they are done in pieces, and commits may happen between these. A mark in
//! the tree says that work on an inode is unfinished. After a crash, a mount finishes the work.

use super::Files;
use crate::error::{Error, Result};
use crate::format::block::blocks_of;
use crate::format::extents;
use crate::format::item::{GROUP, Key, Subject};
use crate::format::numbers::{FileBlock, InodeNo};
use crate::tree::Step;
use twine_vfs::{Error as FileError, FileKind};

/// Number of items of extents that one piece of the work removes.
const CHUNK_GROUPS: usize = 64;

impl Files {
    /// Ensures that marking an inode cannot fail.
    pub(crate) fn prepare_mark(&mut self, inode: InodeNo) -> Result<()> {
        self.space().prepare(&Key::orphan(inode))
    }

    /// Marks an inode that has lost its last name, or is being cut.
    pub(crate) fn put_mark(&mut self, inode: InodeNo) -> Result<()> {
        self.space().put(&Key::orphan(inode), &[])
    }

    /// Removes an inode without names. If that fails, the next mount tries again.
    pub(crate) fn destroy(&mut self, inode: InodeNo) {
        if let Err(error) = self.try_destroy(inode) {
            self.health().record_error(&error);
        }
    }

    fn try_destroy(&mut self, inode: InodeNo) -> Result<()> {
        self.engine.make_room()?;
        let attributes = self.inodes().get(inode)?;
        match attributes.kind {
            FileKind::File => {
                self.data().cache_mut().forget_range(inode, 0, blocks_of(attributes.size));
                while self.cut(inode, 0)? {
                    self.engine.make_room()?;
                }
                self.data().remove_inline(inode)?;
            }
            FileKind::SymbolicLink => self.remove_target(inode)?,
            FileKind::Directory => {}
        }
        self.inodes().prepare(inode)?;
        self.prepare_mark(inode)?;
        let result = self
            .inodes()
            .remove(inode)
            .and_then(|()| self.space().remove(&Key::orphan(inode)).map(drop));
        self.health().poison_on_error(result)?;
        self.damaged.remove(&inode);
        Ok(())
    }

    /// Prepares to cut the blocks `from..end` off a file. If they are many, marks the inode.
    pub(crate) fn begin_cut(&mut self, inode: InodeNo, from: u64, end: u64) -> Result<()> {
        if end.saturating_sub(from) > CHUNK_GROUPS as u64 / 2 * GROUP {
            return self.put_mark(inode);
        }
        for key in self.data().groups_from(FileBlock::new(inode, from), CHUNK_GROUPS)? {
            self.space().prepare(&key)?;
        }
        Ok(())
    }

    /// Removes the pointers after a file's new end. If that fails, the next change retries.
    pub(crate) fn go_on_cutting(&mut self, inode: InodeNo, from: u64) {
        if let Err(error) = self.try_cutting(inode, from) {
            self.health().record_error(&error);
            self.pending_truncations.insert(inode, from);
        }
    }

    /// Finishes a cut that failed before. Otherwise old data would reappear in a file that grows.
    pub(crate) fn finish_cut(&mut self, inode: InodeNo) -> Result<()> {
        if let Some(&from) = self.pending_truncations.get(&inode) {
            self.try_cutting(inode, from)?;
            self.pending_truncations.remove(&inode);
        }
        Ok(())
    }

    fn try_cutting(&mut self, inode: InodeNo, from: u64) -> Result<()> {
        let marked = self.space().has(&Key::orphan(inode))?;
        loop {
            let cut = self.cut(inode, from);
            // Without a mark, nobody would finish the work after a crash.
            let more = if marked { cut? } else { self.health().poison_on_error(cut)? };
            if !more {
                break;
            }
            self.engine.make_room()?;
        }
        if marked && self.inodes().get(inode)?.links > 0 {
            self.space().remove(&Key::orphan(inode))?;
        }
        Ok(())
    }

    /// Removes some pointers from block `from` on. Returns whether there may be more.
    fn cut(&mut self, inode: InodeNo, from: u64) -> Result<bool> {
        let keys = self.data().groups_from(FileBlock::new(inode, from), CHUNK_GROUPS)?;
        for key in &keys {
            self.space().prepare(key)?;
        }
        for key in &keys {
            let first = if key.offset == from / GROUP { extents::place(from) } else { 0 };
            let result = self.data().clear_pointers(key, first);
            self.health().poison_on_error(result)?;
        }
        Ok(keys.len() == CHUNK_GROUPS)
    }

    /// Finishes all work that a crash or a failure left undone.
    pub(crate) fn clean_orphans(&mut self) -> Result<()> {
        let mut inodes = Vec::new();
        self.space().scan(&Key::orphan(InodeNo::NONE), |key, _| {
            if key.inode != InodeNo::NONE || key.subject != Subject::Orphan {
                return Ok(Step::Stop);
            }
            inodes.push(InodeNo(key.offset));
            Ok(Step::On)
        })?;
        for inode in inodes {
            // A failure at one inode must not prevent the work on others.
            if let Err(error) = self.clean_orphan(inode) {
                self.health().record_error(&error);
            }
        }
        Ok(())
    }

    /// Finishes the work on a marked inode.
    fn clean_orphan(&mut self, inode: InodeNo) -> Result<()> {
        let attributes = match self.inodes().get(inode) {
            Err(Error::File(FileError::NotFound)) => {
                return Err(Error::damaged(format!("inode {inode} is to be removed, and is gone")));
            }
            known => known?,
        };
        if attributes.links > 0 {
            self.engine.make_room()?;
            self.go_on_cutting(inode, blocks_of(attributes.size));
        } else if inode == InodeNo::ROOT {
            return Err(Error::damaged("the root directory is to be removed"));
        } else {
            self.destroy(inode);
        }
        Ok(())
    }
}
