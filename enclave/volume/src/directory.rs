//! Directories: names, and what is made and removed by them.

use crate::crypto::mac;
use crate::error::{Error, Result};
use crate::inode::{Attributes, Times, kind_code, kind_from_code};
use crate::page::{Key, Subject};
use crate::tree::Step;
use crate::volume::Volume;
use twine_files::{Entry, Error as FileError, FileKind, Inode, check_name};

/// Bytes of an entry's value before the name.
const HEAD_BYTES: usize = 9;

/// Low bits of a cookie that tell names of one hash apart.
const SLOT_BITS: u32 = 7;

/// The first of the 124 slots for names of one hash, so that no cookie is less than 4.
const FIRST_SLOT: u64 = 4;

/// Most bytes of a symbolic link's target.
const MOST_TARGET_BYTES: usize = 4095;

/// Bytes of a piece of a target.
const PIECE_BYTES: usize = 1024;

/// What an entry says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) key: Key,
    pub(crate) inode: u64,
    pub(crate) kind: FileKind,
}

/// The parts of an entry's value: inode, kind, name.
pub(crate) fn parse(value: &[u8]) -> Result<(u64, FileKind, &str)> {
    let damaged = || Error::damaged("a directory entry makes no sense");
    let (inode, rest) = value.split_first_chunk::<8>().ok_or_else(damaged)?;
    let (kind, name) = rest.split_first().ok_or_else(damaged)?;
    let kind = kind_from_code(*kind).ok_or_else(damaged)?;
    let name = str::from_utf8(name).map_err(|_| damaged())?;
    Ok((u64::from_le_bytes(*inode), kind, name))
}

fn value(inode: u64, kind: FileKind, name: &str) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEAD_BYTES + name.len());
    value.extend_from_slice(&inode.to_le_bytes());
    value.push(kind_code(kind));
    value.extend_from_slice(name.as_bytes());
    value
}

impl Volume {
    /// The least key that a name may have. Names are hashed with a key, so that nobody can
    /// make up names that collide.
    fn name_key(&self, directory: u64, name: &str) -> Key {
        let hash = mac(&self.names_key, name.as_bytes());
        // 31 bits in all: a C program's `telldir` has no more.
        let hash = u64::from(u32::from_be_bytes([0, hash[0], hash[1], hash[2]]));
        Key::new(directory, Subject::Entry, hash << SLOT_BITS | FIRST_SLOT)
    }

    /// The entry of a name, and a key for it if there is none.
    fn find_name(&mut self, directory: u64, name: &str) -> Result<Result<Found, Key>> {
        let first = self.name_key(directory, name);
        let mut found = None;
        let mut free = first;
        self.scan(&first, |key, value| {
            let same = key.inode == directory && key.subject == Subject::Entry;
            if !same || key.offset >> SLOT_BITS != first.offset >> SLOT_BITS {
                return Ok(Step::Stop);
            }
            let (inode, kind, other) = parse(value)?;
            if other == name {
                found = Some(Found { key: *key, inode, kind });
                return Ok(Step::Stop);
            }
            if key.offset == free.offset {
                free.offset = free.offset.wrapping_add(1);
            }
            Ok(Step::On)
        })?;
        match found {
            Some(found) => Ok(Ok(found)),
            None if free.offset >> SLOT_BITS != first.offset >> SLOT_BITS => {
                Err(FileError::NoSpace.into())
            }
            None => Ok(Err(free)),
        }
    }

    /// The entry of a name.
    pub(crate) fn entry(&mut self, directory: u64, name: &str) -> Result<Found> {
        check_name(name)?;
        self.directory(directory)?;
        self.find_name(directory, name)?.map_err(|_| FileError::NotFound.into())
    }

    /// The entry of a name, or the key for a new one.
    pub(crate) fn entry_or_key(
        &mut self,
        directory: u64,
        name: &str,
    ) -> Result<Result<Found, Key>> {
        check_name(name)?;
        if self.directory(directory)?.links == 0 {
            return Err(FileError::NotFound.into());
        }
        self.find_name(directory, name)
    }

    /// A key for a name that is not there yet.
    fn new_key(&mut self, directory: u64, name: &str) -> Result<Key> {
        match self.entry_or_key(directory, name)? {
            Ok(_) => Err(FileError::Exists.into()),
            Err(key) => Ok(key),
        }
    }

    /// Puts an entry.
    pub(crate) fn put_entry(
        &mut self,
        key: &Key,
        inode: u64,
        kind: FileKind,
        name: &str,
    ) -> Result<()> {
        self.put(key, &value(inode, kind, name))
    }

    /// Makes a new file, directory or symbolic link.
    pub(crate) fn make(
        &mut self,
        directory: u64,
        name: &str,
        kind: FileKind,
        target: &str,
    ) -> Result<u64> {
        self.check_writable()?;
        if target.len() > MOST_TARGET_BYTES {
            return Err(FileError::NameTooLong.into());
        }
        let key = self.new_key(directory, name)?;
        self.balance_for_names()?;
        self.prepare(&key)?;
        self.prepare_inode(directory)?;
        self.prepare(&Key::new(self.inodes.next, Subject::Attributes, 0))?;
        let parent = if kind == FileKind::Directory { directory } else { 0 };
        let result = self.make_prepared(&key, name, kind, target, parent);
        self.midway(result)
    }

    fn make_prepared(
        &mut self,
        key: &Key,
        name: &str,
        kind: FileKind,
        target: &str,
        parent: u64,
    ) -> Result<u64> {
        let inode = self.new_inode(kind, target.len() as u64, parent)?;
        for (piece, bytes) in (0..).zip(target.as_bytes().chunks(PIECE_BYTES)) {
            self.put(&Key::new(inode, Subject::Target, piece), bytes)?;
        }
        self.put_entry(key, inode, kind, name)?;
        self.change_inode(key.inode, Times::CONTENTS, |_| {})?;
        Ok(inode)
    }

    /// What a symbolic link holds.
    pub(crate) fn target(&mut self, inode: u64) -> Result<String> {
        let attributes = self.inode(inode)?;
        if attributes.kind != FileKind::SymbolicLink {
            return Err(FileError::Invalid.into());
        }
        let mut target = Vec::new();
        self.scan(&Key::new(inode, Subject::Target, 0), |key, piece| {
            if key.inode != inode || key.subject != Subject::Target {
                return Ok(Step::Stop);
            }
            target.extend_from_slice(piece);
            Ok(Step::On)
        })?;
        if target.len() as u64 != attributes.size {
            return Err(Error::damaged("a symbolic link's target is cut off"));
        }
        String::from_utf8(target).map_err(|_| Error::damaged("a symbolic link makes no sense"))
    }

    /// Takes away what a symbolic link holds.
    pub(crate) fn take_target(&mut self, inode: u64) -> Result<()> {
        for piece in 0..MOST_TARGET_BYTES.div_ceil(PIECE_BYTES) as u64 {
            let key = Key::new(inode, Subject::Target, piece);
            if self.has(&key)? {
                self.take(&key)?;
            }
        }
        Ok(())
    }

    /// Gives an inode another name.
    pub(crate) fn make_link(&mut self, inode: u64, directory: u64, name: &str) -> Result<()> {
        self.check_writable()?;
        let attributes = self.inode(inode)?;
        if attributes.kind == FileKind::Directory {
            return Err(FileError::NotPermitted.into());
        }
        if attributes.links == 0 {
            return Err(FileError::NotFound.into());
        }
        let key = self.new_key(directory, name)?;
        self.balance_for_names()?;
        self.prepare(&key)?;
        self.prepare_inode(directory)?;
        self.prepare_inode(inode)?;
        let result = self.link_prepared(&key, inode, attributes.kind, name);
        self.midway(result)
    }

    fn link_prepared(&mut self, key: &Key, inode: u64, kind: FileKind, name: &str) -> Result<()> {
        self.put_entry(key, inode, kind, name)?;
        self.change_inode(inode, Times::CHANGED, |attributes| attributes.links += 1)?;
        self.change_inode(key.inode, Times::CONTENTS, |_| {})
    }

    /// Removes a name of something that is no directory, or that of an empty directory.
    pub(crate) fn remove_name(
        &mut self,
        directory: u64,
        name: &str,
        is_directory: bool,
    ) -> Result<()> {
        self.check_writable()?;
        let found = self.entry(directory, name)?;
        match (found.kind == FileKind::Directory, is_directory) {
            (true, false) => return Err(FileError::IsDirectory.into()),
            (false, true) => return Err(FileError::NotDirectory.into()),
            (true, true) => self.check_empty(found.inode)?,
            (false, false) => {}
        }
        self.balance()?;
        self.prepare(&found.key)?;
        self.prepare_inode(directory)?;
        self.prepare_inode(found.inode)?;
        self.prepare_mark(found.inode)?;
        let result = self.remove_prepared(&found);
        let gone = self.midway(result)?;
        if gone {
            self.destroy(found.inode);
        }
        Ok(())
    }

    fn remove_prepared(&mut self, found: &Found) -> Result<bool> {
        self.take(&found.key)?;
        self.change_inode(found.key.inode, Times::CONTENTS, |_| {})?;
        self.lose_name(found.inode)
    }

    /// Counts one name less; whether nobody needs the inode any more.
    pub(crate) fn lose_name(&mut self, inode: u64) -> Result<bool> {
        let Attributes { links, .. } = self.inode(inode)?;
        let left = links.saturating_sub(1);
        self.change_inode(inode, Times::CHANGED, |attributes| attributes.links = left)?;
        if left == 0 {
            self.put_mark(inode)?;
        }
        Ok(left == 0 && !self.inodes.is_held(inode))
    }

    /// Refuses a directory that has entries.
    pub(crate) fn check_empty(&mut self, directory: u64) -> Result<()> {
        let mut empty = true;
        self.scan(&Key::new(directory, Subject::Entry, 0), |key, _| {
            empty = key.inode != directory || key.subject != Subject::Entry;
            Ok(Step::Stop)
        })?;
        if empty { Ok(()) } else { Err(FileError::NotEmpty.into()) }
    }

    /// The entries of a directory after a cookie.
    pub(crate) fn list(
        &mut self,
        directory: u64,
        cookie: u64,
        each: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Result<()> {
        self.directory(directory)?;
        let Some(from) = cookie.checked_add(1) else { return Ok(()) };
        self.scan(&Key::new(directory, Subject::Entry, from), |key, value| {
            if key.inode != directory || key.subject != Subject::Entry {
                return Ok(Step::Stop);
            }
            let (inode, kind, name) = parse(value)?;
            let entry = Entry { name, inode: Inode(inode), kind, cookie: key.offset };
            Ok(if each(entry) { Step::On } else { Step::Stop })
        })
    }
}
