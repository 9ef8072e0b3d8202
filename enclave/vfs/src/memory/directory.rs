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
struct Slot {
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
    slots: Vec<Slot>,
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
        Directory { parent, cookies: HashMap::new(), slots: Vec::new(), next: FIRST_COOKIE }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.cookies.is_empty()
    }

    fn position(&self, name: &str) -> Option<usize> {
        let cookie = self.cookies.get(name)?;
        self.slots.binary_search_by_key(cookie, |slot| slot.cookie).ok()
    }

    fn slot_mut(&mut self, name: &str) -> Option<&mut Slot> {
        let at = self.position(name)?;
        self.slots.get_mut(at)
    }

    pub(super) fn get(&self, name: &str) -> Option<Inode> {
        let slot = self.slots.get(self.position(name)?)?;
        Some(slot.inode)
    }

    /// Adds a new name.
    pub(super) fn insert(&mut self, name: &str, inode: Inode) -> Result<()> {
        let (key, name) = (owned(name)?, owned(name)?);
        self.slots.try_reserve(1).map_err(|_| Error::NoMemory)?;
        self.cookies.try_reserve(1).map_err(|_| Error::NoMemory)?;
        self.cookies.insert(key, self.next);
        self.slots.push(Slot { cookie: self.next, name, inode });
        self.next += 1;
        Ok(())
    }

    /// Gives an existing name another inode.
    pub(super) fn replace(&mut self, name: &str, inode: Inode) {
        if let Some(slot) = self.slot_mut(name) {
            slot.inode = inode;
        }
    }

    pub(super) fn remove(&mut self, name: &str) {
        let Some(slot) = self.slot_mut(name) else { return };
        slot.name = String::new();
        self.cookies.remove(name);
        // Remove the gaps when most of the list is gaps. So removing costs little on average.
        if self.slots.len() > 2 * self.cookies.len() {
            self.slots.retain(|slot| !slot.name.is_empty());
        }
    }

    /// Returns the entries after `cookie`: name, inode, cookie.
    pub(super) fn after(&self, cookie: u64) -> impl Iterator<Item = (&str, Inode, u64)> {
        let start = self.slots.partition_point(|slot| slot.cookie <= cookie);
        let slots = self.slots.iter().skip(start).filter(|slot| !slot.name.is_empty());
        slots.map(|slot| (slot.name.as_str(), slot.inode, slot.cookie))
    }
}
