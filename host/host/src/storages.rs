//! The open storages of an enclave: those of the launch request, and those that the enclave opened
//! by name.

use crate::storage::Storage;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use twine_protocol::wire::Status;

/// The open storages, by the numbers that the enclave uses.
///
/// A thread that uses a storage keeps it open, even if another thread closes it meanwhile. The lock
/// is held only to look something up, so a thread that returned from the enclave after a fault never
/// waits long for it.
#[derive(Debug)]
pub(crate) struct Storages(RwLock<Table>);

#[derive(Debug)]
struct Table {
    open: BTreeMap<u64, Arc<Storage>>,
    /// The number of the first storage that was opened by name.
    first_named: u64,
    /// The next number. No number is used twice.
    next: u64,
    /// The pages of storages that are closed by now that could not be read.
    unread: u64,
}

impl Storages {
    /// Takes the storages of a launch request. They get the first numbers.
    pub(crate) fn new(storages: Vec<Storage>) -> Self {
        let open: BTreeMap<u64, _> = (0..).zip(storages.into_iter().map(Arc::new)).collect();
        let first_named = open.len() as u64;
        Storages(RwLock::new(Table { open, first_named, next: first_named, unread: 0 }))
    }

    fn table(&self) -> RwLockReadGuard<'_, Table> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Table> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn get(&self, number: u64) -> Result<Arc<Storage>, Status> {
        self.table().open.get(&number).cloned().ok_or(Status::Invalid)
    }

    /// Adds a storage that the enclave opened by name, and returns its number.
    pub(crate) fn add(&self, storage: Storage) -> u64 {
        let mut table = self.change();
        let number = table.next;
        table.next += 1;
        table.open.insert(number, Arc::new(storage));
        number
    }

    /// Closes a storage that the enclave opened by name.
    pub(crate) fn close(&self, number: u64) -> Result<(), Status> {
        let mut table = self.change();
        if number < table.first_named {
            return Err(Status::Invalid);
        }
        let storage = table.open.remove(&number).ok_or(Status::Invalid)?;
        table.unread += storage.unread().count();
        // Unmapping a large file takes time.
        drop(table);
        drop(storage);
        Ok(())
    }

    /// See [`Storage::patch`]. Returns whether the address is in a mapping of any of the files.
    pub(crate) fn patch(&self, address: u64) -> bool {
        // The table keeps each storage, and so its mappings, until the page is replaced.
        self.table().open.values().any(|storage| storage.patch(address))
    }

    /// Returns the number of times that a page could not be read.
    pub(crate) fn unread(&self) -> u64 {
        let table = self.table();
        table.unread + table.open.values().map(|storage| storage.unread().count()).sum::<u64>()
    }
}
