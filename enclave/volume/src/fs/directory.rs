//! Directories: names, and what is made and removed by them.

use crate::crypto::{Tagger, mac};
use crate::error::{Error, Result};
use crate::format::attributes::{Attributes, ROOT};
use crate::format::dirent;
use crate::format::item::{Key, Subject};
use crate::format::limits::MAX_TARGET_BYTES;
use crate::inode_table::Times;
use crate::tree::Step;
use crate::volume::Volume;
use twine_files::{Entry, Error as FileError, FileKind, Inode, check_name};

/// Low bits of a cookie that tell names of one hash apart.
const SLOT_BITS: u32 = 7;

/// The first of the 124 slots for names of one hash, so that no cookie is less than 4.
const FIRST_SLOT: u64 = 4;

/// Letters of a damaged name that a message has.
const MAX_SHOWN: usize = 64;

/// Bytes of a piece of a target.
const PIECE_BYTES: usize = 1024;

/// What an entry says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) key: Key,
    pub(crate) inode: u64,
    pub(crate) kind: FileKind,
}

/// The hash of a name, which its cookie begins with, from its tag. That has a key, so that names that collide can't
/// be made up without one look at a cookie for each name that is tried.
fn hash(mac: &[u8; 32]) -> u64 {
    // 31 bits with the slot: a C program's `telldir` has no more.
    u64::from(u32::from_be_bytes([0, mac[0], mac[1], mac[2]]))
}

/// Looks at the names of entries that come in the order of their keys, and tells those that nobody
/// could have given, so that they reach no program: what a volume holds may have been made
/// by somebody else who has its key.
pub(crate) struct Names {
    tagger: Tagger,
    /// The names of the last hash one behind the other, and where each ends.
    hash: (u64, u64),
    text: String,
    ends: Vec<usize>,
}

impl Names {
    pub(crate) fn new(volume: &Volume) -> Self {
        let tagger = Tagger::new(&volume.names_key);
        Names { tagger, hash: (0, 0), text: String::new(), ends: Vec::new() }
    }

    /// The parts of the next entry, or what is wrong with it.
    pub(crate) fn read<'v>(
        &mut self,
        key: &Key,
        value: &'v [u8],
    ) -> Result<(u64, FileKind, &'v str)> {
        let (inode, kind, name) = dirent::parse(value)?;
        let wrong = |what: &str| {
            // A name may be long, and hold anything.
            let shown: String = name.chars().take(MAX_SHOWN).collect();
            let more = if shown.len() < name.len() { "..." } else { "" };
            Error::damaged(format!("the name {shown:?}{more} {what}"))
        };
        match check_name(name) {
            Err(FileError::NameTooLong) => return Err(wrong("is too long")),
            Err(_) => return Err(wrong("is none that a file can have")),
            Ok(()) => {}
        }
        let hash = (key.inode, key.offset >> SLOT_BITS);
        if self.hash != hash {
            self.hash = hash;
            self.text.clear();
            self.ends.clear();
        }
        // Equal names have the same hash, and are one behind the other.
        if self::hash(&self.tagger.mac(name.as_bytes())) != hash.1
            || key.offset & ((1 << SLOT_BITS) - 1) < FIRST_SLOT
        {
            return Err(wrong("does not fit its cookie"));
        }
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let mut known = starts.zip(&self.ends).map(|(start, end)| &self.text[start..*end]);
        if known.any(|known| known == name) {
            return Err(wrong("is there twice"));
        }
        self.text.push_str(name);
        self.ends.push(self.text.len());
        Ok((inode, kind, name))
    }
}

impl Volume {
    /// The least key that a name may have.
    pub(crate) fn name_key(&self, directory: u64, name: &str) -> Key {
        let hash = hash(&mac(&self.names_key, name.as_bytes()));
        Key::new(directory, Subject::Entry, hash << SLOT_BITS | FIRST_SLOT)
    }

    /// The entry of a name, and a key for it if there is none.
    fn find_name(&mut self, directory: u64, name: &str) -> Result<Result<Found, Key>> {
        let first = self.name_key(directory, name);
        let mut found = None;
        let mut unreadable = None;
        let mut free = first;
        self.scan(&first, |key, value| {
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
            // It could be the name.
            None if let Some(error) = unreadable => Err(in_directory(directory, &error)),
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
        let found = self.find_name(directory, name)?.map_err(|_| FileError::NotFound)?;
        self.check_entry(&found)?;
        Ok(found)
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
        let found = self.find_name(directory, name)?;
        if let Ok(found) = &found {
            self.check_entry(found)?;
        }
        Ok(found)
    }

    /// Refuses an entry that leads to something else than it says, or to a directory that says that
    /// it is in another one. So nobody who goes from the root from name to name ever comes into
    /// a circle.
    fn check_entry(&mut self, found: &Found) -> Result<()> {
        let Found { key: Key { inode: directory, .. }, inode, kind } = *found;
        let wrong = |what: String| {
            Err(in_directory(directory, &Error::damaged(format!("a name leads to {what}"))))
        };
        let attributes = match self.inode(inode) {
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
        if kind == FileKind::Directory && (attributes.parent != directory || inode == ROOT) {
            let parent = attributes.parent;
            return wrong(format!("directory {inode}, which is in directory {parent}"));
        }
        Ok(())
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
        self.put(key, &dirent::value(inode, kind, name))
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
        if target.len() > MAX_TARGET_BYTES {
            return Err(FileError::NameTooLong.into());
        }
        let key = self.new_key(directory, name)?;
        self.check_next_inode()?;
        self.make_room_for_names()?;
        self.prepare(&key)?;
        self.prepare_inode(directory)?;
        self.prepare(&Key::attributes(self.inodes.next))?;
        let parent = if kind == FileKind::Directory { directory } else { 0 };
        let result = self.make_prepared(&key, name, kind, target, parent);
        self.poison_on_error(result)
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
            Ok(if target.len() <= MAX_TARGET_BYTES { Step::On } else { Step::Stop })
        })?;
        if target.len() as u64 != attributes.size {
            return Err(Error::damaged("a symbolic link's target has the wrong length"));
        }
        String::from_utf8(target).map_err(|_| Error::damaged("a symbolic link makes no sense"))
    }

    /// Takes away what a symbolic link holds.
    pub(crate) fn remove_target(&mut self, inode: u64) -> Result<()> {
        for piece in 0..MAX_TARGET_BYTES.div_ceil(PIECE_BYTES) as u64 {
            let key = Key::new(inode, Subject::Target, piece);
            if self.has(&key)? {
                self.remove(&key)?;
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
        if attributes.links == u64::MAX {
            return Err(FileError::TooManyLinks.into());
        }
        let key = self.new_key(directory, name)?;
        self.make_room_for_names()?;
        self.prepare(&key)?;
        self.prepare_inode(directory)?;
        self.prepare_inode(inode)?;
        let result = self.link_prepared(&key, inode, attributes.kind, name);
        self.poison_on_error(result)
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
        self.make_room()?;
        self.prepare(&found.key)?;
        self.prepare_inode(directory)?;
        self.prepare_inode(found.inode)?;
        self.prepare_mark(found.inode)?;
        let result = self.remove_prepared(&found);
        let gone = self.poison_on_error(result)?;
        if gone {
            self.destroy(found.inode);
        }
        Ok(())
    }

    fn remove_prepared(&mut self, found: &Found) -> Result<bool> {
        self.remove(&found.key)?;
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
    ///
    /// An entry that nobody could have made is not given; all others are, and then comes an error.
    pub(crate) fn list(
        &mut self,
        directory: u64,
        cookie: u64,
        each: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Result<()> {
        self.directory(directory)?;
        let mut names = Names::new(self);
        let mut wrong = None;
        let mut stopped = false;
        // From the first name of the cookie's hash on, to know those that were given.
        let from = cookie >> SLOT_BITS << SLOT_BITS;
        let scanned = self.scan(&Key::new(directory, Subject::Entry, from), |key, value| {
            if key.inode != directory || key.subject != Subject::Entry {
                return Ok(Step::Stop);
            }
            match names.read(key, value) {
                Ok(_) if key.offset <= cookie => {}
                Ok((inode, kind, name)) => {
                    let entry = Entry { name, inode: Inode(inode), kind, cookie: key.offset };
                    stopped = !each(entry);
                }
                Err(error) => wrong = Some(error),
            }
            Ok(if stopped { Step::Stop } else { Step::On })
        });
        if let Some(error) = wrong {
            self.inodes.damaged.insert(directory);
            self.record_error(&in_directory(directory, &error));
        }
        scanned?;
        // Who lists in pieces is told at the end of the last one, whichever piece it was in.
        if !stopped && self.inodes.damaged.contains(&directory) {
            return Err(in_directory(directory, &Error::damaged("a name in it is damaged")));
        }
        Ok(())
    }
}

/// Says which directory an error is about.
fn in_directory(directory: u64, error: &Error) -> Error {
    match error {
        Error::Damaged { what } => Error::damaged(format!("directory {directory}: {what}")),
        error => error.clone(),
    }
}
