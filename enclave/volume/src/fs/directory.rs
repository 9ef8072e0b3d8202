//! Directories: makes and removes inodes by name.

use super::Files;
use super::names::{self, SLOT_BITS};
use crate::error::{Error, Result};
use crate::format::attributes::Attributes;
use crate::format::dirent;
use crate::format::item::{Key, Subject};
use crate::format::limits::MAX_TARGET_BYTES;
use crate::format::numbers::InodeNo;
use crate::inode_table::Times;
use crate::tree::Step;
use twine_vfs::{Entry, Error as FileError, FileKind, Inode, Mode, Stamp, check_name};

/// Size of a piece of a target in bytes.
const PIECE_BYTES: usize = 1024;

/// Limit on the pieces of a target.
pub(crate) const TARGET_PIECES: u64 = MAX_TARGET_BYTES.div_ceil(PIECE_BYTES) as u64;

/// What a removal expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Removal {
    /// The name of a file or symbolic link.
    Name,
    /// The name of an empty directory.
    Directory,
}

/// An entry that was found, with its key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) key: Key,
    pub(crate) inode: InodeNo,
    pub(crate) kind: FileKind,
}

impl Files {
    /// Returns the inode of a name, and holds the inode.
    pub(super) fn look_up(&mut self, directory: InodeNo, name: &str) -> Result<InodeNo> {
        let inode = self.entry(directory, name)?.inode;
        self.inodes().hold(inode);
        Ok(inode)
    }

    /// Gives back a hold. The last one removes an inode without names.
    pub(super) fn release(&mut self, inode: InodeNo) {
        if !self.inodes().release(inode) || self.check_writable().is_err() {
            return;
        }
        match self.inodes().get(inode) {
            Ok(attributes) if attributes.links == 0 => self.destroy(inode),
            Ok(_) => {}
            Err(error) => self.health().record_error(&error),
        }
    }

    /// Sets the times of access and modification.
    pub(super) fn set_times(
        &mut self,
        inode: InodeNo,
        accessed: Stamp,
        modified: Stamp,
    ) -> Result<()> {
        self.check_writable()?;
        self.inodes().get(inode)?;
        self.engine.has_changed();
        self.inodes().set_times(inode, accessed, modified)
    }

    /// Sets the mode of a file or directory.
    pub(super) fn set_mode(&mut self, inode: InodeNo, mode: Mode) -> Result<()> {
        self.check_writable()?;
        if self.inodes().get(inode)?.kind == FileKind::SymbolicLink {
            return Err(FileError::NotSupported.into());
        }
        self.engine.has_changed();
        self.inodes().set_mode(inode, mode)
    }

    /// Returns the entry of a name, or else a free key for it.
    fn find_name(&mut self, directory: InodeNo, name: &str) -> Result<Result<Found, Key>> {
        let first = names::first_key(&self.names_key, directory, name);
        let mut found = None;
        let mut unreadable = None;
        let mut free = first;
        self.space().scan(&first, |key, value| {
            let same = key.inode == directory && key.subject == Subject::Entry;
            if !same || key.offset >> SLOT_BITS != first.offset >> SLOT_BITS {
                return Ok(Step::Stop);
            }
            match dirent::parse(value) {
                Ok((inode, kind, other)) if other == name => {
                    found = Some(Found { key: *key, inode, kind });
                    return Ok(Step::Stop);
                }
                Ok(_) => {}
                Err(error) => unreadable = Some(error),
            }
            if key.offset == free.offset {
                free.offset = free.offset.wrapping_add(1);
            }
            Ok(Step::On)
        })?;
        match found {
            Some(found) => Ok(Ok(found)),
            // The unreadable entry may have this name.
            None if let Some(error) = unreadable => Err(in_directory(directory, &error)),
            None if free.offset >> SLOT_BITS != first.offset >> SLOT_BITS => {
                Err(FileError::NoSpace.into())
            }
            None => Ok(Err(free)),
        }
    }

    /// Returns the entry of a name.
    pub(crate) fn entry(&mut self, directory: InodeNo, name: &str) -> Result<Found> {
        check_name(name)?;
        self.inodes().directory(directory)?;
        let found = self.find_name(directory, name)?.map_err(|_| FileError::NotFound)?;
        self.check_entry(&found)?;
        Ok(found)
    }

    /// Returns the entry of a name, or the key for a new one.
    pub(crate) fn entry_or_key(
        &mut self,
        directory: InodeNo,
        name: &str,
    ) -> Result<Result<Found, Key>> {
        check_name(name)?;
        if self.inodes().directory(directory)?.links == 0 {
            return Err(FileError::NotFound.into());
        }
        let found = self.find_name(directory, name)?;
        if let Ok(found) = &found {
            self.check_entry(found)?;
        }
        Ok(found)
    }

    /// Returns an error if an entry leads to an inode that is gone, has another kind or counts no
    /// names, or to a directory with another parent. So no path from the root leads into a circle.
    fn check_entry(&mut self, found: &Found) -> Result<()> {
        let Found { key: Key { inode: directory, .. }, inode, kind } = *found;
        let wrong = |what: String| {
            Err(in_directory(directory, &Error::damaged(format!("a name leads to {what}"))))
        };
        let attributes = match self.inodes().get(inode) {
            Err(Error::File(FileError::NotFound)) => {
                return wrong(format!("inode {inode}, which is gone"));
            }
            known => known?,
        };
        if attributes.kind != kind {
            return wrong(format!("inode {inode}, which is of another kind"));
        }
        if attributes.links == 0 {
            return wrong(format!("inode {inode}, which counts no names"));
        }
        if kind == FileKind::Directory && (attributes.parent != directory || inode == InodeNo::ROOT)
        {
            let parent = attributes.parent;
            return wrong(format!("directory {inode}, which is in directory {parent}"));
        }
        Ok(())
    }

    /// Returns the key for a new name, or an error if the name exists.
    fn new_key(&mut self, directory: InodeNo, name: &str) -> Result<Key> {
        match self.entry_or_key(directory, name)? {
            Ok(_) => Err(FileError::Exists.into()),
            Err(key) => Ok(key),
        }
    }

    /// Writes an entry into the tree.
    pub(crate) fn put_entry(
        &mut self,
        key: &Key,
        inode: InodeNo,
        kind: FileKind,
        name: &str,
    ) -> Result<()> {
        self.space().put(key, &dirent::value(inode, kind, name))
    }

    /// Creates a file, directory or symbolic link.
    pub(crate) fn make(
        &mut self,
        directory: InodeNo,
        name: &str,
        kind: FileKind,
        target: &str,
    ) -> Result<InodeNo> {
        self.check_writable()?;
        if target.len() > MAX_TARGET_BYTES {
            return Err(FileError::NameTooLong.into());
        }
        let key = self.new_key(directory, name)?;
        self.inodes().check_next()?;
        self.engine.make_room_for_names()?;
        self.space().prepare(&key)?;
        self.inodes().prepare(directory)?;
        self.inodes().prepare_next()?;
        let parent = if kind == FileKind::Directory { directory } else { InodeNo::NONE };
        let result = self.make_prepared(&key, name, kind, target, parent);
        self.health().poison_on_error(result)
    }

    fn make_prepared(
        &mut self,
        key: &Key,
        name: &str,
        kind: FileKind,
        target: &str,
        parent: InodeNo,
    ) -> Result<InodeNo> {
        let inode = self.inodes().create(kind, target.len() as u64, parent)?;
        for (piece, bytes) in (0..).zip(target.as_bytes().chunks(PIECE_BYTES)) {
            self.space().put(&Key::new(inode, Subject::Target, piece), bytes)?;
        }
        self.put_entry(key, inode, kind, name)?;
        self.inodes().change(key.inode, Times::CONTENTS, |_| {})?;
        Ok(inode)
    }

    /// Returns the target of a symbolic link.
    pub(crate) fn target(&mut self, inode: InodeNo) -> Result<String> {
        let attributes = self.inodes().get(inode)?;
        if attributes.kind != FileKind::SymbolicLink {
            return Err(FileError::Invalid.into());
        }
        let mut target = Vec::new();
        self.space().scan(&Key::new(inode, Subject::Target, 0), |key, piece| {
            if key.inode != inode || key.subject != Subject::Target {
                return Ok(Step::Stop);
            }
            target.extend_from_slice(piece);
            Ok(if target.len() <= MAX_TARGET_BYTES { Step::On } else { Step::Stop })
        })?;
        if target.len() as u64 != attributes.size {
            return Err(Error::damaged("a symbolic link's target has the wrong length"));
        }
        String::from_utf8(target).map_err(|_| Error::damaged("a symbolic link is not valid"))
    }

    /// Removes the target of a symbolic link.
    pub(crate) fn remove_target(&mut self, inode: InodeNo) -> Result<()> {
        for piece in 0..TARGET_PIECES {
            let key = Key::new(inode, Subject::Target, piece);
            if self.space().has(&key)? {
                self.space().remove(&key)?;
            }
        }
        Ok(())
    }

    /// Gives an inode another name.
    pub(crate) fn make_link(
        &mut self,
        inode: InodeNo,
        directory: InodeNo,
        name: &str,
    ) -> Result<()> {
        self.check_writable()?;
        let attributes = self.inodes().get(inode)?;
        if attributes.kind == FileKind::Directory {
            return Err(FileError::NotPermitted.into());
        }
        if attributes.links == 0 {
            return Err(FileError::NotFound.into());
        }
        if attributes.links == u64::MAX {
            return Err(FileError::TooManyLinks.into());
        }
        let key = self.new_key(directory, name)?;
        self.engine.make_room_for_names()?;
        self.space().prepare(&key)?;
        self.inodes().prepare(directory)?;
        self.inodes().prepare(inode)?;
        let result = self.link_prepared(&key, inode, attributes.kind, name);
        self.health().poison_on_error(result)
    }

    fn link_prepared(
        &mut self,
        key: &Key,
        inode: InodeNo,
        kind: FileKind,
        name: &str,
    ) -> Result<()> {
        self.put_entry(key, inode, kind, name)?;
        self.inodes().change(inode, Times::CHANGED, |attributes| attributes.links += 1)?;
        self.inodes().change(key.inode, Times::CONTENTS, |_| {})
    }

    /// Removes the name of a file or symbolic link, or the name of an empty directory.
    pub(super) fn remove_name(
        &mut self,
        directory: InodeNo,
        name: &str,
        removal: Removal,
    ) -> Result<()> {
        self.check_writable()?;
        let found = self.entry(directory, name)?;
        match (found.kind == FileKind::Directory, removal) {
            (true, Removal::Name) => return Err(FileError::IsDirectory.into()),
            (false, Removal::Directory) => return Err(FileError::NotDirectory.into()),
            (true, Removal::Directory) => self.check_empty(found.inode)?,
            (false, Removal::Name) => {}
        }
        self.engine.make_room()?;
        self.space().prepare(&found.key)?;
        self.inodes().prepare(directory)?;
        self.inodes().prepare(found.inode)?;
        self.prepare_mark(found.inode)?;
        let result = self.remove_prepared(&found);
        let gone = self.health().poison_on_error(result)?;
        if gone {
            self.destroy(found.inode);
        }
        Ok(())
    }

    fn remove_prepared(&mut self, found: &Found) -> Result<bool> {
        self.space().remove(&found.key)?;
        self.inodes().change(found.key.inode, Times::CONTENTS, |_| {})?;
        self.lose_name(found.inode)
    }

    /// Counts one name less. Returns whether nobody needs the inode any more.
    pub(crate) fn lose_name(&mut self, inode: InodeNo) -> Result<bool> {
        let Attributes { links, .. } = self.inodes().get(inode)?;
        let left = links.saturating_sub(1);
        self.inodes().change(inode, Times::CHANGED, |attributes| attributes.links = left)?;
        if left == 0 {
            self.put_mark(inode)?;
        }
        Ok(left == 0 && !self.inodes().is_held(inode))
    }

    /// Returns an error if a directory has entries.
    pub(crate) fn check_empty(&mut self, directory: InodeNo) -> Result<()> {
        let mut empty = true;
        self.space().scan(&Key::new(directory, Subject::Entry, 0), |key, _| {
            empty = key.inode != directory || key.subject != Subject::Entry;
            Ok(Step::Stop)
        })?;
        if empty { Ok(()) } else { Err(FileError::NotEmpty.into()) }
    }

    /// Lists the entries of a directory after a cookie.
    ///
    /// Entries that no file system makes are left out. All others are listed, and then comes an
    /// error.
    pub(crate) fn list(
        &mut self,
        directory: InodeNo,
        cookie: u64,
        each: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Result<()> {
        self.inodes().directory(directory)?;
        let mut names = self.names();
        let mut wrong = None;
        let mut stopped = false;
        // Start at the first name of the cookie's hash: `names` must know the names listed before.
        let from = cookie >> SLOT_BITS << SLOT_BITS;
        let scanned =
            self.space().scan(&Key::new(directory, Subject::Entry, from), |key, value| {
                if key.inode != directory || key.subject != Subject::Entry {
                    return Ok(Step::Stop);
                }
                match names.read(key, value) {
                    Ok(_) if key.offset <= cookie => {}
                    Ok((inode, kind, name)) => {
                        let entry = Entry { name, inode: Inode(inode.0), kind, cookie: key.offset };
                        stopped = !each(entry);
                    }
                    Err(error) => wrong = Some(error),
                }
                Ok(if stopped { Step::Stop } else { Step::On })
            });
        if let Some(error) = wrong {
            self.damaged.insert(directory);
            self.health().record_error(&in_directory(directory, &error));
        }
        scanned?;
        // If a caller lists in pieces, the last piece reports the error, whichever piece it was in.
        if !stopped && self.damaged.contains(&directory) {
            return Err(in_directory(directory, &Error::damaged("a name in it is damaged")));
        }
        Ok(())
    }
}

/// Adds the directory to an error.
fn in_directory(directory: InodeNo, error: &Error) -> Error {
    match error {
        Error::Damaged { what } => Error::damaged(format!("directory {directory}: {what}")),
        error => error.clone(),
    }
}
