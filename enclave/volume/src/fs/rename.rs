//! Renames files and directories.

use super::Files;
use super::directory::Found;
use crate::error::{Error, Result};
use crate::format::item::Key;
use crate::format::numbers::InodeNo;
use crate::inode_table::Times;
use std::collections::HashSet;
use twine_vfs::{Error as FileError, FileKind};

impl Files {
    /// Renames as POSIX specifies.
    pub(crate) fn rename_entry(
        &mut self,
        from: InodeNo,
        from_name: &str,
        to: InodeNo,
        to_name: &str,
    ) -> Result<()> {
        self.check_writable()?;
        let moved = self.entry(from, from_name)?;
        let place = self.entry_or_key(to, to_name)?;
        if moved.kind == FileKind::Directory {
            self.check_not_below(moved.inode, to)?;
        }
        if let Ok(replaced) = &place {
            if replaced.inode == moved.inode {
                return Ok(());
            }
            self.check_replaceable(&moved, replaced)?;
        }
        let key = match &place {
            Ok(replaced) => replaced.key,
            Err(key) => *key,
        };
        self.engine.make_room_for_names()?;
        for key in [&moved.key, &key] {
            self.space().prepare(key)?;
        }
        for inode in [from, to, moved.inode] {
            self.inodes().prepare(inode)?;
        }
        if let Ok(replaced) = &place {
            self.inodes().prepare(replaced.inode)?;
            self.prepare_mark(replaced.inode)?;
        }
        let result = self.rename_prepared(&moved, &key, to_name, place.ok());
        if let Some(gone) = self.health().poison_on_error(result)? {
            self.destroy(gone);
        }
        Ok(())
    }

    /// Returns an error if a directory would move into itself or below itself.
    fn check_not_below(&mut self, moved: InodeNo, to: InodeNo) -> Result<()> {
        let mut seen = HashSet::new();
        let mut above = to;
        while seen.insert(above) {
            if above == moved {
                return Err(FileError::Invalid.into());
            }
            if above == InodeNo::ROOT {
                return Ok(());
            }
            above = self.inodes().directory(above)?.parent;
        }
        Err(Error::damaged(format!("directory {above} is below itself")))
    }

    fn check_replaceable(&mut self, moved: &Found, replaced: &Found) -> Result<()> {
        match (moved.kind == FileKind::Directory, replaced.kind == FileKind::Directory) {
            (true, false) => Err(FileError::NotDirectory.into()),
            (false, true) => Err(FileError::IsDirectory.into()),
            (true, true) => self.check_empty(replaced.inode),
            (false, false) => Ok(()),
        }
    }

    /// Changes the entries. Returns the replaced inode if nobody needs it any more.
    fn rename_prepared(
        &mut self,
        moved: &Found,
        key: &Key,
        name: &str,
        replaced: Option<Found>,
    ) -> Result<Option<InodeNo>> {
        self.space().remove(&moved.key)?;
        self.put_entry(key, moved.inode, moved.kind, name)?;
        let parent = if moved.kind == FileKind::Directory { key.inode } else { InodeNo::NONE };
        self.inodes()
            .change(moved.inode, Times::CHANGED, |attributes| attributes.parent = parent)?;
        self.inodes().change(moved.key.inode, Times::CONTENTS, |_| {})?;
        self.inodes().change(key.inode, Times::CONTENTS, |_| {})?;
        match replaced {
            Some(replaced) if self.lose_name(replaced.inode)? => Ok(Some(replaced.inode)),
            _ => Ok(None),
        }
    }
}
