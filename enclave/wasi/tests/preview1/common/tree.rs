//! A file tree in memory that counts holds, and calls a test before each of its operations.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use twine_vfs::{
    Attributes, Change, Entry, Error, FileSystem, Inode, Memory, Mode, Result, Stamp, Usage,
};

/// A call of the file system: its name, and the name in its arguments.
type Call<'a> = (&'static str, &'a str);

/// The test's function before a call. If it returns an error, the call fails with it.
type Hook = Box<dyn FnMut(&mut Memory, Call<'_>) -> Result<()> + Send>;

struct State {
    memory: Memory,
    holds: BTreeMap<Inode, usize>,
    hook: Option<Hook>,
    read_only: bool,
    /// The arguments of each `sync`, in order.
    syncs: Vec<(Inode, Change)>,
    whole_syncs: u32,
    hand_overs: u32,
    shared: bool,
}

/// A tree that a program has mounted and a test shares.
#[derive(Clone)]
pub struct Tree(Arc<Mutex<State>>);

impl Tree {
    pub fn new() -> Self {
        Tree::with_limit(64 << 20)
    }

    pub fn with_limit(limit: u64) -> Self {
        let time = AtomicU64::new(1_000_000);
        let memory = Memory::new(limit, Box::new(move || time.fetch_add(1, Ordering::Relaxed)));
        Tree(Arc::new(Mutex::new(State {
            memory,
            holds: BTreeMap::new(),
            hook: None,
            read_only: false,
            syncs: Vec::new(),
            whole_syncs: 0,
            hand_overs: 0,
            shared: false,
        })))
    }

    /// Lets others see its changes at once.
    pub fn share(&self) {
        self.state().shared = true;
    }

    pub fn mounted(&self) -> Box<dyn FileSystem> {
        Box::new(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// The number of holds that were not released.
    pub fn holds(&self) -> usize {
        self.state().holds.values().sum()
    }

    /// Number of bytes in use.
    pub fn used(&self) -> u64 {
        self.state().memory.usage().unwrap().used
    }

    pub fn at_each_call(
        &self,
        hook: impl FnMut(&mut Memory, Call<'_>) -> Result<()> + Send + 'static,
    ) {
        self.state().hook = Some(Box::new(hook));
    }

    pub fn undisturbed(&self) {
        self.state().hook = None;
    }

    pub fn set_read_only(&self) {
        self.state().read_only = true;
    }

    pub fn syncs(&self) -> Vec<(Inode, Change)> {
        std::mem::take(&mut self.state().syncs)
    }

    pub fn hand_overs(&self) -> u32 {
        self.state().hand_overs
    }

    pub fn whole_syncs(&self) -> u32 {
        self.state().whole_syncs
    }

    /// Calls the tree without counting holds.
    pub fn memory<T>(&self, body: impl FnOnce(&mut Memory) -> T) -> T {
        body(&mut self.state().memory)
    }

    fn called<T>(
        &self,
        call: Call<'_>,
        changes: bool,
        body: impl FnOnce(&mut Memory) -> Result<T>,
    ) -> Result<T> {
        let state = &mut *self.state();
        if let Some(hook) = &mut state.hook {
            hook(&mut state.memory, call)?;
        }
        if changes && state.read_only {
            return Err(Error::ReadOnly);
        }
        body(&mut state.memory)
    }

    fn held(&self, inode: Result<Inode>) -> Result<Inode> {
        if let Ok(inode) = inode {
            *self.state().holds.entry(inode).or_default() += 1;
        }
        inode
    }
}

impl FileSystem for Tree {
    fn root(&self) -> Inode {
        self.state().memory.root()
    }

    fn read_only(&self) -> bool {
        self.state().read_only
    }

    fn lookup(&mut self, directory: Inode, name: &str) -> Result<Inode> {
        let inode = self.called(("lookup", name), false, |memory| memory.lookup(directory, name));
        self.held(inode)
    }

    fn release(&mut self, inode: Inode) {
        let mut state = self.state();
        if inode != state.memory.root() {
            let count = state.holds.get_mut(&inode).expect("it is held");
            *count -= 1;
            if *count == 0 {
                state.holds.remove(&inode);
            }
        }
        state.memory.release(inode);
    }

    fn attributes(&mut self, inode: Inode) -> Result<Attributes> {
        self.called(("attributes", ""), false, |memory| memory.attributes(inode))
    }

    fn set_times(&mut self, inode: Inode, accessed: Stamp, modified: Stamp) -> Result<()> {
        self.called(("set_times", ""), true, |memory| memory.set_times(inode, accessed, modified))
    }

    fn set_mode(&mut self, inode: Inode, mode: Mode) -> Result<()> {
        self.called(("set_mode", ""), true, |memory| memory.set_mode(inode, mode))
    }

    fn create_file(&mut self, directory: Inode, name: &str) -> Result<Inode> {
        let inode =
            self.called(("create_file", name), true, |memory| memory.create_file(directory, name));
        self.held(inode)
    }

    fn create_directory(&mut self, directory: Inode, name: &str) -> Result<()> {
        let call = ("create_directory", name);
        self.called(call, true, |memory| memory.create_directory(directory, name))
    }

    fn create_symbolic_link(&mut self, directory: Inode, name: &str, target: &str) -> Result<()> {
        let call = ("create_symbolic_link", name);
        self.called(call, true, |memory| memory.create_symbolic_link(directory, name, target))
    }

    fn read_link(&mut self, inode: Inode) -> Result<String> {
        self.called(("read_link", ""), false, |memory| memory.read_link(inode))
    }

    fn link(&mut self, inode: Inode, directory: Inode, name: &str) -> Result<()> {
        self.called(("link", name), true, |memory| memory.link(inode, directory, name))
    }

    fn unlink(&mut self, directory: Inode, name: &str) -> Result<()> {
        self.called(("unlink", name), true, |memory| memory.unlink(directory, name))
    }

    fn remove_directory(&mut self, directory: Inode, name: &str) -> Result<()> {
        let call = ("remove_directory", name);
        self.called(call, true, |memory| memory.remove_directory(directory, name))
    }

    fn rename(&mut self, from: Inode, from_name: &str, to: Inode, to_name: &str) -> Result<()> {
        let call = ("rename", from_name);
        self.called(call, true, |memory| memory.rename(from, from_name, to, to_name))
    }

    fn entries(
        &mut self,
        directory: Inode,
        cookie: u64,
        each: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Result<()> {
        self.called(("entries", ""), false, |memory| memory.entries(directory, cookie, each))
    }

    fn read(&mut self, inode: Inode, offset: u64, bytes: &mut [u8]) -> Result<usize> {
        self.called(("read", ""), false, |memory| memory.read(inode, offset, bytes))
    }

    fn write(&mut self, inode: Inode, offset: u64, bytes: &[u8]) -> Result<usize> {
        self.called(("write", ""), true, |memory| memory.write(inode, offset, bytes))
    }

    fn set_size(&mut self, inode: Inode, size: u64) -> Result<()> {
        self.called(("set_size", ""), true, |memory| memory.set_size(inode, size))
    }

    fn allocate(&mut self, inode: Inode, offset: u64, length: u64) -> Result<()> {
        self.called(("allocate", ""), true, |memory| memory.allocate(inode, offset, length))
    }

    fn sync(&mut self, inode: Inode, change: Change) -> Result<()> {
        self.called(("sync", ""), false, |memory| memory.sync(inode, change))?;
        self.state().syncs.push((inode, change));
        Ok(())
    }

    fn sync_all(&mut self) -> Result<()> {
        self.called(("sync_all", ""), false, |memory| memory.sync_all())?;
        self.state().whole_syncs += 1;
        Ok(())
    }

    fn hand_over(&mut self) {
        self.state().hand_overs += 1;
    }

    fn is_shared(&self) -> bool {
        self.state().shared
    }

    fn usage(&mut self) -> Result<Usage> {
        self.called(("usage", ""), false, |memory| memory.usage())
    }
}
