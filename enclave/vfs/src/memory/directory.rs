//! A directory in memory: a map of names, and a list in the order of cookies for reading.

use crate::{Error, Inode, Result};
use std::collections::HashMap;

/// The first cookie of an entry.
const FIRST_COOKIE: u64 = 4;

/// The cost of an entry in bytes: its name is stored twice, in the map and in the list.
pub(super) fn entry_cost(name: &str) -> u64 {
    2 * name.len() as u64 + 160
}

/// An element of the list. A removed entry has an empty name.
#[derive(Debug)]
struct NamedEntry {
    cookie: u64,
    name: String,
    inode: Inode,
}

/// The entries of a directory. An entry keeps its cookie as long as it has its name.
#[derive(Debug)]
pub(super) struct Directory {
    /// The parent directory; for the root, the root itself.
    pub parent: Inode,
    cookies: HashMap<String, u64>,
    /// In the order of cookies, with gaps for removed entries.
    entries: Vec<NamedEntry>,
    next: u64,
}

/// Copies a name, and reports a lack of memory.
fn owned(name: &str) -> Result<String> {
    let mut string = String::new();
    string.try_reserve_exact(name.len()).map_err(|_| Error::NoMemory)?;
    string.push_str(name);
    Ok(string)
}

impl Directory {
    pub(super) fn new(parent: Inode) -> Self {
        Directory { parent, cookies: HashMap::new(), entries: Vec::new(), next: FIRST_COOKIE }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cookies.is_empty()
    }

    fn position(&self, name: &str) -> Option<usize> {
        let cookie = self.cookies.get(name)?;
        self.entries.binary_search_by_key(cookie, |entry| entry.cookie).ok()
    }

    fn entry_mut(&mut self, name: &str) -> Option<&mut NamedEntry> {
        let at = self.position(name)?;
        self.entries.get_mut(at)
    }

    pub(super) fn get(&self, name: &str) -> Option<Inode> {
        let entry = self.entries.get(self.position(name)?)?;
        Some(entry.inode)
    }

    /// Adds a new name.
    pub(super) fn insert(&mut self, name: &str, inode: Inode) -> Result<()> {
        let (key, name) = (owned(name)?, owned(name)?);
        self.entries.try_reserve(1).map_err(|_| Error::NoMemory)?;
        self.cookies.try_reserve(1).map_err(|_| Error::NoMemory)?;
        self.cookies.insert(key, self.next);
        self.entries.push(NamedEntry { cookie: self.next, name, inode });
        self.next += 1;
        Ok(())
    }

    /// Gives an existing name another inode.
    pub(super) fn replace(&mut self, name: &str, inode: Inode) {
        if let Some(entry) = self.entry_mut(name) {
            entry.inode = inode;
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        let Some(entry) = self.entry_mut(name) else { return };
        entry.name = String::new();
        self.cookies.remove(name);
        // Remove the gaps when most of the list is gaps. So removing costs little on average.
        if self.entries.len() > 2 * self.cookies.len() {
            self.entries.retain(|entry| !entry.name.is_empty());
        }
    }

    /// Returns the entries after `cookie`: name, inode, cookie.
    pub(super) fn after(&self, cookie: u64) -> impl Iterator<Item = (&str, Inode, u64)> {
        let start = self.entries.partition_point(|entry| entry.cookie <= cookie);
        let entries = self.entries.iter().skip(start).filter(|entry| !entry.name.is_empty());
        entries.map(|entry| (entry.name.as_str(), entry.inode, entry.cookie))
    }
}
