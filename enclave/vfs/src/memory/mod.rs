//! A file tree in memory, for `--tmpfs`. It ends with the program.

mod directory;
mod pages;

use crate::{
    Attributes, Change, Entry, Error, FileKind, FileSystem, Inode, Mode, Result, Stamp, Usage,
    check_name,
};
use directory::{Directory, entry_cost};
use pages::Pages;
use std::collections::HashMap;

/// The cost, in bytes, of a file, directory or symbolic link, apart from its contents and names.
const NODE_COST: u64 = 256;
/// Limit on the size of a symbolic link's target, in bytes.
const MAX_TARGET: usize = 4095;
const ROOT: Inode = Inode(1);

#[derive(Debug)]
enum Body {
    File(Pages),
    Directory(Directory),
    SymbolicLink(String),
}

#[derive(Debug)]
struct Node {
    body: Body,
    mode: Option<Mode>,
    /// The number of names; the root counts as having one.
    links: u64,
    /// The number of holds.
    holds: u64,
    accessed: u64,
    modified: u64,
    changed: u64,
    /// Whether it was written since its times were set.
    written: bool,
}

impl Node {
    /// Makes a node with one name, and `now` as its times.
    fn new(body: Body, now: u64) -> Self {
        Node {
            body,
            mode: None,
            links: 1,
            holds: 0,
            accessed: now,
            modified: now,
            changed: now,
            written: false,
        }
    }

    fn kind(&self) -> FileKind {
        match self.body {
            Body::File(_) => FileKind::File,
            Body::Directory(_) => FileKind::Directory,
            Body::SymbolicLink(_) => FileKind::SymbolicLink,
        }
    }

    fn cost(&self) -> u64 {
        NODE_COST
            + match &self.body {
                Body::File(pages) => pages.cost(),
                Body::Directory(_) => 0,
                Body::SymbolicLink(target) => target.len() as u64,
            }
    }

    fn touch(&mut self, now: u64) {
        self.modified = now;
        self.changed = now;
        self.written = false;
    }
}

/// A file tree in memory.
///
/// A limit applies to everything that it stores, with an amount for each name and inode. Beyond the
/// limit, operations fail with [`Error::NoSpace`]. If memory runs out, they fail with
/// [`Error::NoMemory`], and never abort. Access times work like `relatime` of Linux: a read sets
/// them only if the file was changed after the last one, so reads rarely ask for the time. A
/// written file gets its times when it is closed, its attributes are read, changes are handed over,
/// or the time is needed for another reason. Asking for the time at each write would leave the
/// enclave each time.
pub struct Memory {
    nodes: HashMap<u64, Node>,
    next: u64,
    used: u64,
    limit: u64,
    clock: Box<dyn Fn() -> u64 + Send>,
    /// Files that were written since their times were set.
    written: Vec<Inode>,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Memory { used, limit, .. } = self;
        f.debug_struct("Memory").field("used", used).field("limit", limit).finish_non_exhaustive()
    }
}

impl Memory {
    /// Makes an empty tree with a limit of `limit` bytes. `clock` returns nanoseconds since 1970.
    pub fn new(limit: u64, clock: Box<dyn Fn() -> u64 + Send>) -> Self {
        let now = clock();
        let body = Body::Directory(Directory::new(ROOT));
        let root = Node::new(body, now);
        Memory {
            nodes: HashMap::from([(ROOT.0, root)]),
            next: ROOT.0 + 1,
            used: NODE_COST,
            limit,
            clock,
            written: Vec::new(),
        }
    }

    /// Returns the time, and sets the times of all files that were written.
    fn now(&mut self) -> u64 {
        let now = (self.clock)();
        for inode in self.written.drain(..) {
            // The inode may be gone.
            if let Some(node) = self.nodes.get_mut(&inode.0)
                && node.written
            {
                node.touch(now);
            }
        }
        now
    }

    /// Sets an inode's times if it was written since.
    fn update_times(&mut self, inode: Inode) {
        if self.node(inode).is_ok_and(|node| node.written) {
            self.now();
        }
    }

    /// Allocates memory for [`wrote`](Self::wrote), before anything is changed.
    fn prepare_written(&mut self) -> Result<()> {
        self.written.try_reserve(1).map_err(|_| Error::NoMemory)
    }

    /// Records that a file was written.
    fn wrote(&mut self, inode: Inode) -> Result<()> {
        let node = self.node_mut(inode)?;
        if !std::mem::replace(&mut node.written, true) {
            self.written.push(inode);
        }
        Ok(())
    }

    fn node(&self, inode: Inode) -> Result<&Node> {
        self.nodes.get(&inode.0).ok_or(Error::NotFound)
    }

    fn node_mut(&mut self, inode: Inode) -> Result<&mut Node> {
        self.nodes.get_mut(&inode.0).ok_or(Error::NotFound)
    }

    fn directory(&self, inode: Inode) -> Result<&Directory> {
        match &self.node(inode)?.body {
            Body::Directory(directory) => Ok(directory),
            _ => Err(Error::NotDirectory),
        }
    }

    /// Returns a directory to change, and sets its times to `now`.
    fn directory_mut(&mut self, inode: Inode, now: u64) -> Result<&mut Directory> {
        let node = self.node_mut(inode)?;
        node.touch(now);
        match &mut node.body {
            Body::Directory(directory) => Ok(directory),
            _ => Err(Error::NotDirectory),
        }
    }

    fn pages(&mut self, inode: Inode) -> Result<&mut Pages> {
        match &mut self.node_mut(inode)?.body {
            Body::File(pages) => Ok(pages),
            Body::Directory(_) => Err(Error::IsDirectory),
            Body::SymbolicLink(_) => Err(Error::Invalid),
        }
    }

    fn child(&self, directory: Inode, name: &str) -> Result<Inode> {
        check_name(name)?;
        self.directory(directory)?.get(name).ok_or(Error::NotFound)
    }

    fn kind(&self, inode: Inode) -> Result<FileKind> {
        self.node(inode).map(Node::kind)
    }

    fn budget(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// Checks that `directory` can have the new name `name`, with `cost` more bytes.
    fn check_new(&self, directory: Inode, name: &str, cost: u64) -> Result<()> {
        match self.child(directory, name) {
            Ok(_) => return Err(Error::Exists),
            Err(Error::NotFound) => {}
            Err(error) => return Err(error),
        }
        // A removed directory cannot get entries.
        if self.node(directory)?.links == 0 {
            return Err(Error::NotFound);
        }
        if cost > self.budget() { Err(Error::NoSpace) } else { Ok(()) }
    }

    /// Makes a node with one name.
    fn create(&mut self, directory: Inode, name: &str, body: Body) -> Result<Inode> {
        let now = self.now();
        let inode = Inode(self.next);
        let node = Node::new(body, now);
        let cost = node.cost() + entry_cost(name);
        self.check_new(directory, name, cost)?;
        self.nodes.try_reserve(1).map_err(|_| Error::NoMemory)?;
        self.directory_mut(directory, now)?.insert(name, inode)?;
        self.nodes.insert(inode.0, node);
        self.next += 1;
        self.used += cost;
        Ok(inode)
    }

    fn hold(&mut self, inode: Inode) -> Result<Inode> {
        self.node_mut(inode)?.holds += 1;
        Ok(inode)
    }

    /// Removes one name from an inode's count.
    fn drop_link(&mut self, inode: Inode, now: u64) -> Result<()> {
        let node = self.node_mut(inode)?;
        node.links -= 1;
        node.changed = now;
        self.forget(inode);
        Ok(())
    }

    /// Frees an inode that has neither names nor holds.
    fn forget(&mut self, inode: Inode) {
        if let Some(node) = self.nodes.get(&inode.0)
            && node.links == 0
            && node.holds == 0
        {
            self.used -= node.cost();
            self.nodes.remove(&inode.0);
        }
    }

    fn remove_name(&mut self, directory: Inode, name: &str, inode: Inode) -> Result<()> {
        let now = self.now();
        self.directory_mut(directory, now)?.remove(name);
        self.used -= entry_cost(name);
        self.drop_link(inode, now)
    }

    /// Whether `directory` is `inode` or below it.
    fn contains(&self, inode: Inode, mut directory: Inode) -> Result<bool> {
        while directory != inode {
            let parent = self.directory(directory)?.parent;
            if parent == directory {
                return Ok(false);
            }
            directory = parent;
        }
        Ok(true)
    }

    /// Checks that `moved` can replace `target`.
    fn check_replace(&self, moved: Inode, target: Inode) -> Result<()> {
        match (self.kind(moved)?, self.kind(target)?) {
            (FileKind::Directory, FileKind::Directory) => {
                match self.directory(target)?.is_empty() {
                    true => Ok(()),
                    false => Err(Error::NotEmpty),
                }
            }
            (FileKind::Directory, _) => Err(Error::NotDirectory),
            (_, FileKind::Directory) => Err(Error::IsDirectory),
            _ => Ok(()),
        }
    }
}

impl FileSystem for Memory {
    fn root(&self) -> Inode {
        ROOT
    }

    fn read_only(&self) -> bool {
        false
    }

    fn lookup(&mut self, directory: Inode, name: &str) -> Result<Inode> {
        let inode = self.child(directory, name)?;
        self.hold(inode)
    }

    fn release(&mut self, inode: Inode) {
        // If files are written one after the other, the later one gets the later time.
        self.update_times(inode);
        if inode != ROOT
            && let Some(node) = self.nodes.get_mut(&inode.0)
        {
            node.holds = node.holds.saturating_sub(1);
            self.forget(inode);
        }
    }

    fn attributes(&mut self, inode: Inode) -> Result<Attributes> {
        self.update_times(inode);
        let node = self.node(inode)?;
        let size = match &node.body {
            Body::File(pages) => pages.size(),
            Body::Directory(_) => 0,
            Body::SymbolicLink(target) => target.len() as u64,
        };
        let &Node { mode, links, accessed, modified, changed, .. } = node;
        Ok(Attributes { kind: node.kind(), mode, size, links, accessed, modified, changed })
    }

    fn set_times(&mut self, inode: Inode, accessed: Stamp, modified: Stamp) -> Result<()> {
        let now = self.now();
        let node = self.node_mut(inode)?;
        for (stamp, time) in [(accessed, &mut node.accessed), (modified, &mut node.modified)] {
            match stamp {
                Stamp::Keep => {}
                Stamp::Now => *time = now,
                Stamp::At(at) => *time = at,
            }
        }
        node.changed = now;
        Ok(())
    }

    fn set_mode(&mut self, inode: Inode, mode: Mode) -> Result<()> {
        let now = self.now();
        let node = self.node_mut(inode)?;
        if node.kind() == FileKind::SymbolicLink {
            return Err(Error::NotSupported);
        }
        node.mode = Some(mode);
        node.changed = now;
        Ok(())
    }

    fn create_file(&mut self, directory: Inode, name: &str) -> Result<Inode> {
        let inode = self.create(directory, name, Body::File(Pages::default()))?;
        self.hold(inode)
    }

    fn create_directory(&mut self, directory: Inode, name: &str) -> Result<()> {
        self.create(directory, name, Body::Directory(Directory::new(directory))).map(drop)
    }

    fn create_symbolic_link(&mut self, directory: Inode, name: &str, target: &str) -> Result<()> {
        if target.len() > MAX_TARGET {
            return Err(Error::NameTooLong);
        }
        let mut owned = String::new();
        owned.try_reserve_exact(target.len()).map_err(|_| Error::NoMemory)?;
        owned.push_str(target);
        self.create(directory, name, Body::SymbolicLink(owned)).map(drop)
    }

    fn read_link(&mut self, inode: Inode) -> Result<String> {
        match &self.node(inode)?.body {
            Body::SymbolicLink(target) => Ok(target.clone()),
            _ => Err(Error::Invalid),
        }
    }

    fn link(&mut self, inode: Inode, directory: Inode, name: &str) -> Result<()> {
        if self.kind(inode)? == FileKind::Directory {
            return Err(Error::NotPermitted);
        }
        self.check_new(directory, name, entry_cost(name))?;
        if self.node(inode)?.links == 0 {
            return Err(Error::NotFound);
        }
        let now = self.now();
        self.directory_mut(directory, now)?.insert(name, inode)?;
        self.used += entry_cost(name);
        let node = self.node_mut(inode)?;
        node.links += 1;
        node.changed = now;
        Ok(())
    }

    fn unlink(&mut self, directory: Inode, name: &str) -> Result<()> {
        let inode = self.child(directory, name)?;
        match self.kind(inode)? {
            FileKind::Directory => Err(Error::IsDirectory),
            FileKind::File | FileKind::SymbolicLink => self.remove_name(directory, name, inode),
        }
    }

    fn remove_directory(&mut self, directory: Inode, name: &str) -> Result<()> {
        let inode = self.child(directory, name)?;
        if !self.directory(inode)?.is_empty() {
            return Err(Error::NotEmpty);
        }
        self.remove_name(directory, name, inode)
    }

    fn rename(&mut self, from: Inode, from_name: &str, to: Inode, to_name: &str) -> Result<()> {
        let inode = self.child(from, from_name)?;
        let is_directory = self.kind(inode)? == FileKind::Directory;
        if is_directory && self.contains(inode, to)? {
            return Err(Error::Invalid);
        }
        let target = match self.child(to, to_name) {
            Ok(target) => Some(target),
            Err(Error::NotFound) => None,
            Err(error) => return Err(error),
        };
        let now = self.now();
        match target {
            Some(target) if target == inode => return Ok(()),
            Some(target) => {
                self.check_replace(inode, target)?;
                // The entry keeps its cookie, so that reading the directory returns the name once.
                self.directory_mut(to, now)?.replace(to_name, inode);
                self.drop_link(target, now)?;
            }
            None => {
                let more = entry_cost(to_name).saturating_sub(entry_cost(from_name));
                self.check_new(to, to_name, more)?;
                self.directory_mut(to, now)?.insert(to_name, inode)?;
                self.used += entry_cost(to_name);
            }
        }
        self.directory_mut(from, now)?.remove(from_name);
        self.used -= entry_cost(from_name);
        let node = self.node_mut(inode)?;
        node.changed = now;
        if let Body::Directory(directory) = &mut node.body {
            directory.parent = to;
        }
        Ok(())
    }

    fn entries(
        &mut self,
        directory: Inode,
        cookie: u64,
        each: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Result<()> {
        for (name, inode, cookie) in self.directory(directory)?.after(cookie) {
            let kind = self.kind(inode)?;
            if !each(Entry { name, inode, kind, cookie }) {
                break;
            }
        }
        Ok(())
    }

    fn read(&mut self, inode: Inode, offset: u64, bytes: &mut [u8]) -> Result<usize> {
        let read = self.pages(inode)?.read(offset, bytes);
        if read == 0 {
            return Ok(0);
        }
        self.update_times(inode);
        let node = self.node(inode)?;
        if node.accessed <= node.modified.max(node.changed) {
            let now = self.now();
            self.node_mut(inode)?.accessed = now;
        }
        Ok(read)
    }

    fn write(&mut self, inode: Inode, offset: u64, bytes: &[u8]) -> Result<usize> {
        self.prepare_written()?;
        let budget = self.budget();
        let pages = self.pages(inode)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let end = offset.checked_add(bytes.len() as u64).ok_or(Error::FileTooBig)?;
        let before = pages.cost();
        let fresh = pages.prepare(offset, end, budget)?;
        pages.take(fresh, end);
        pages.write(offset, bytes);
        let more = pages.cost() - before;
        self.used += more;
        self.wrote(inode)?;
        Ok(bytes.len())
    }

    fn set_size(&mut self, inode: Inode, size: u64) -> Result<()> {
        self.prepare_written()?;
        let pages = self.pages(inode)?;
        let before = pages.cost();
        pages.set_size(size)?;
        let less = before - pages.cost();
        self.used -= less;
        self.wrote(inode)
    }

    fn allocate(&mut self, inode: Inode, offset: u64, length: u64) -> Result<()> {
        let budget = self.budget();
        let pages = self.pages(inode)?;
        if length == 0 {
            return Err(Error::Invalid);
        }
        let end = offset.checked_add(length).ok_or(Error::FileTooBig)?;
        let before = pages.cost();
        let fresh = pages.prepare(offset, end, budget)?;
        pages.take(fresh, end);
        let more = pages.cost() - before;
        self.used += more;
        let now = self.now();
        self.node_mut(inode)?.changed = now;
        Ok(())
    }

    fn sync(&mut self, inode: Inode, _change: Change) -> Result<()> {
        self.node(inode).map(drop)
    }

    fn sync_all(&mut self) -> Result<()> {
        Ok(())
    }

    fn hand_over(&mut self) {
        if !self.written.is_empty() {
            self.now();
        }
    }

    fn usage(&mut self) -> Result<Usage> {
        Ok(Usage { used: self.used, size: self.limit })
    }
}
