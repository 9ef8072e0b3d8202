//! A file system with more than one owner.

use crate::{Attributes, Change, Entry, FileSystem, Inode, Mode, Result, Stamp, Usage};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file system that WASI and another owner share. The other owner reads its state or closes it.
#[derive(Debug, Default)]
pub struct Shared<T>(Arc<Mutex<T>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Shared(Arc::clone(&self.0))
    }
}

impl<T> Shared<T> {
    /// Shares `files`.
    pub fn new(files: T) -> Self {
        Shared(Arc::new(Mutex::new(files)))
    }

    /// Locks the file system.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the file system if this is its last owner.
    pub fn into_inner(self) -> Option<T> {
        Arc::into_inner(self.0)
            .map(|files| files.into_inner().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T: FileSystem> FileSystem for Shared<T> {
    fn root(&self) -> Inode {
        self.lock().root()
    }

    fn read_only(&self) -> bool {
        self.lock().read_only()
    }

    fn lookup(&mut self, directory: Inode, name: &str) -> Result<Inode> {
        self.lock().lookup(directory, name)
    }

    fn release(&mut self, inode: Inode) {
        self.lock().release(inode);
    }

    fn attributes(&mut self, inode: Inode) -> Result<Attributes> {
        self.lock().attributes(inode)
    }

    fn set_times(&mut self, inode: Inode, accessed: Stamp, modified: Stamp) -> Result<()> {
        self.lock().set_times(inode, accessed, modified)
    }

    fn set_mode(&mut self, inode: Inode, mode: Mode) -> Result<()> {
        self.lock().set_mode(inode, mode)
    }

    fn create_file(&mut self, directory: Inode, name: &str) -> Result<Inode> {
        self.lock().create_file(directory, name)
    }

    fn create_directory(&mut self, directory: Inode, name: &str) -> Result<()> {
        self.lock().create_directory(directory, name)
    }

    fn create_file_with(&mut self, directory: Inode, name: &str, mode: Mode) -> Result<Inode> {
        self.lock().create_file_with(directory, name, mode)
    }

    fn create_directory_with(&mut self, directory: Inode, name: &str, mode: Mode) -> Result<()> {
        self.lock().create_directory_with(directory, name, mode)
    }

    fn create_symbolic_link(&mut self, directory: Inode, name: &str, target: &str) -> Result<()> {
        self.lock().create_symbolic_link(directory, name, target)
    }

    fn read_link(&mut self, inode: Inode) -> Result<String> {
        self.lock().read_link(inode)
    }

    fn link(&mut self, inode: Inode, directory: Inode, name: &str) -> Result<()> {
        self.lock().link(inode, directory, name)
    }

    fn unlink(&mut self, directory: Inode, name: &str) -> Result<()> {
        self.lock().unlink(directory, name)
    }

    fn remove_directory(&mut self, directory: Inode, name: &str) -> Result<()> {
        self.lock().remove_directory(directory, name)
    }

    fn rename(&mut self, from: Inode, from_name: &str, to: Inode, to_name: &str) -> Result<()> {
        self.lock().rename(from, from_name, to, to_name)
    }

    fn entries(
        &mut self,
        directory: Inode,
        cookie: u64,
        each: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Result<()> {
        self.lock().entries(directory, cookie, each)
    }

    fn read(&mut self, inode: Inode, offset: u64, bytes: &mut [u8]) -> Result<usize> {
        self.lock().read(inode, offset, bytes)
    }

    fn next_data(&mut self, inode: Inode, offset: u64) -> Result<Option<u64>> {
        self.lock().next_data(inode, offset)
    }

    fn write(&mut self, inode: Inode, offset: u64, bytes: &[u8]) -> Result<usize> {
        self.lock().write(inode, offset, bytes)
    }

    fn set_size(&mut self, inode: Inode, size: u64) -> Result<()> {
        self.lock().set_size(inode, size)
    }

    fn allocate(&mut self, inode: Inode, offset: u64, length: u64) -> Result<()> {
        self.lock().allocate(inode, offset, length)
    }

    fn sync(&mut self, inode: Inode, change: Change) -> Result<()> {
        self.lock().sync(inode, change)
    }

    fn sync_all(&mut self) -> Result<()> {
        self.lock().sync_all()
    }

    fn hand_over(&mut self) {
        self.lock().hand_over();
    }

    fn is_shared(&self) -> bool {
        self.lock().is_shared()
    }

    fn usage(&mut self) -> Result<Usage> {
        self.lock().usage()
    }
}
