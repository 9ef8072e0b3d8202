//! Names: their keys in a directory, and which names are invalid.

use crate::crypto::{SecretKey, Tagger, mac};
use crate::error::{Error, Result};
use crate::format::dirent;
use crate::format::item::{Key, Subject};
use crate::format::numbers::InodeNo;
use twine_vfs::{Error as FileError, FileKind, check_name};

/// Number of low bits of a cookie that distinguish names with the same hash.
pub(super) const SLOT_BITS: u32 = 7;

/// The first of the 124 slots for names with the same hash. So no cookie is less than 4.
const FIRST_SLOT: u64 = 4;

/// Limit on the characters of a damaged name in a message.
const MAX_SHOWN: usize = 64;

/// Returns the least key that a name may have.
pub(crate) fn first_key(names_key: &SecretKey, directory: InodeNo, name: &str) -> Key {
    let hash = hash(&mac(names_key, name.as_bytes()));
    Key::new(directory, Subject::Entry, hash << SLOT_BITS | FIRST_SLOT)
}

/// Returns the hash of a name, with which its cookie begins, from its MAC. The MAC has a key, so
/// nobody can find names that collide without seeing a cookie for each name that they try.
fn hash(mac: &[u8; 32]) -> u64 {
    // 31 bits with the slot: `telldir` of a 32-bit C library has no more.
    u64::from(u32::from_be_bytes([0, mac[0], mac[1], mac[2]]))
}

/// Reads the names of entries in the order of their keys, and finds those that no file system
/// makes, so that they reach no program. Whoever has the key may have made the volume by hand.
pub(crate) struct Names {
    tagger: Tagger,
    /// The hash of the last name, the names seen with this hash, and the offsets where they end.
    hash: (InodeNo, u64),
    text: String,
    ends: Vec<usize>,
}

impl Names {
    pub(crate) fn new(key: &SecretKey) -> Self {
        let tagger = Tagger::new(key);
        Names { tagger, hash: (InodeNo::NONE, 0), text: String::new(), ends: Vec::new() }
    }

    /// Decodes the next entry, or returns what is wrong with it.
    pub(crate) fn read<'v>(
        &mut self,
        key: &Key,
        value: &'v [u8],
    ) -> Result<(InodeNo, FileKind, &'v str)> {
        let (inode, kind, name) = dirent::parse(value)?;
        let wrong = |what: &str| {
            // A name may be long, and may contain anything.
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
        // Equal names have equal hashes, so their entries are adjacent.
        if self::hash(&self.tagger.mac(name.as_bytes())) != hash.1
            || key.offset & ((1 << SLOT_BITS) - 1) < FIRST_SLOT
        {
            return Err(wrong("does not fit its cookie"));
        }
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let mut known = starts.zip(&self.ends).map(|(start, end)| self.text.get(start..*end));
        if known.any(|known| known == Some(name)) {
            return Err(wrong("is there twice"));
        }
        self.text.push_str(name);
        self.ends.push(self.text.len());
        Ok((inode, kind, name))
    }
}
