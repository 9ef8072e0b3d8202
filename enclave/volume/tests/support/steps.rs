//! Random steps that are applied to a volume and to the model. Both must give the same answers.

use super::{Model, Random};
use twine_vfs::{Change, FileKind, FileSystem, Inode, Mode};

/// The likelihood of the kinds of steps.
#[derive(Debug, Clone, Copy)]
pub struct Weights {
    /// Limit on the bytes of a write.
    pub write: u64,
    /// Files are written below this offset.
    pub span: u64,
    /// One in so many steps is a sync, and about as many are hand-overs; 0 for none.
    pub sync: u64,
}

/// The effect of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// All changes are durable.
    Synced,
    /// All changes survive the end of the process.
    HandedOver,
    /// Any other effect.
    Other,
}

/// Applies steps.
pub struct Player {
    pub random: Random,
    pub model: Model,
    pub weights: Weights,
    /// The inodes that are held, one entry for each hold.
    pub held: Vec<u64>,
}

/// Number of kinds of steps.
const STEPS: u64 = 27;

impl Player {
    pub fn new(seed: u64, weights: Weights) -> Self {
        let model = Model::default();
        Player { random: Random(seed), model, weights, held: Vec::new() }
    }

    fn name(&mut self) -> String {
        match self.random.below(24) {
            0 => "x".repeat(255),
            1 => "x".repeat(256),
            2 => ["", ".", "..", "a/b", "nul\0"][self.random.below(5) as usize].into(),
            3 => format!("ä{}ß", "ö".repeat(self.random.below(60) as usize)),
            number => format!("name{}", number % 10),
        }
    }

    fn directory(&mut self) -> u64 {
        let mut all: Vec<u64> = self
            .model
            .nodes
            .iter()
            .filter(|(_, node)| node.kind == FileKind::Directory)
            .map(|(inode, _)| *inode)
            .collect();
        all.sort_unstable();
        all[self.random.below(all.len() as u64) as usize]
    }

    /// Returns an existing inode, of a file if possible.
    fn inode(&mut self) -> u64 {
        let mut all: Vec<u64> = self.model.nodes.keys().copied().collect();
        all.sort_unstable();
        let files: Vec<u64> = all
            .iter()
            .copied()
            .filter(|inode| self.model.nodes[inode].kind == FileKind::File)
            .collect();
        let from = if files.is_empty() || self.random.once_in(20) { &all } else { &files };
        from[self.random.below(from.len() as u64) as usize]
    }

    fn length(&mut self) -> u64 {
        let most = self.weights.write;
        match self.random.below(6) {
            0 => self.random.below(64),
            1 => 4096 * (1 + self.random.below((most / 4096).max(1))),
            2 => self.random.below(1200),
            _ => self.random.below(most),
        }
    }

    fn offset(&mut self) -> u64 {
        let span = self.weights.span;
        match self.random.below(4) {
            0 => 0,
            1 => self.random.below(span) / 4096 * 4096,
            _ => self.random.below(span),
        }
    }

    /// Does one step.
    pub fn step(&mut self, files: &mut dyn FileSystem) -> Done {
        if self.weights.sync > 0 && self.random.once_in(self.weights.sync) {
            files.hand_over();
            return Done::HandedOver;
        }
        if self.weights.sync > 0 && self.random.once_in(self.weights.sync) {
            let inode = Inode(self.inode());
            match self.random.below(3) {
                0 => files.sync_all().unwrap(),
                1 => files.sync(inode, Change::All).unwrap(),
                _ => files.sync(inode, Change::Data).unwrap(),
            }
            return Done::Synced;
        }
        match self.random.below(STEPS) {
            0..=3 => self.create(files),
            4 => self.look_up(files),
            5 => self.link(files),
            6..=7 => self.remove(files),
            8..=9 => self.rename(files),
            10..=11 => self.resize(files),
            12 => self.release(files),
            13 => self.read_link(files),
            14 => self.set_mode(files),
            15..=19 => self.read(files),
            _ => self.write(files),
        }
        Done::Other
    }

    fn create(&mut self, files: &mut dyn FileSystem) {
        let directory = self.directory();
        let name = self.name();
        let at = Inode(directory);
        match self.random.below(5) {
            0 => {
                let made = files.create_directory(at, &name);
                let wanted = self.model.create(directory, &name, FileKind::Directory, "");
                assert_eq!(made, wanted.map(drop), "mkdir {name}");
            }
            1 => {
                let length = [3, 100, 1024, 1025, 4095, 4096][self.random.below(6) as usize];
                let target = "t".repeat(length);
                let made = files.create_symbolic_link(at, &name, &target);
                let wanted = self.model.create(directory, &name, FileKind::SymbolicLink, &target);
                assert_eq!(made, wanted.map(drop), "symlink {name}");
            }
            _ => {
                let made = files.create_file(at, &name);
                let wanted = self.model.create(directory, &name, FileKind::File, "");
                assert_eq!(made, wanted.map(Inode), "create {name}");
                self.keep_some(files, wanted.ok());
            }
        }
    }

    /// Keeps the hold on an inode, or releases some hold.
    fn keep_some(&mut self, files: &mut dyn FileSystem, inode: Option<u64>) {
        let Some(inode) = inode else { return };
        self.held.push(inode);
        if self.held.len() > 6 || self.random.once_in(2) {
            self.release(files);
        }
    }

    fn look_up(&mut self, files: &mut dyn FileSystem) {
        let directory = self.directory();
        let name = self.name();
        let found = files.lookup(Inode(directory), &name);
        let wanted = self.model.lookup(directory, &name);
        assert_eq!(found, wanted.map(Inode), "lookup {name}");
        self.keep_some(files, wanted.ok());
    }

    fn release(&mut self, files: &mut dyn FileSystem) {
        if self.held.is_empty() {
            return;
        }
        let at = self.random.below(self.held.len() as u64) as usize;
        let inode = self.held.swap_remove(at);
        files.release(Inode(inode));
        self.model.release(inode);
    }

    fn link(&mut self, files: &mut dyn FileSystem) {
        let (inode, directory, name) = (self.inode(), self.directory(), self.name());
        let made = files.link(Inode(inode), Inode(directory), &name);
        assert_eq!(made, self.model.link(inode, directory, &name), "link {inode} {name}");
    }

    fn remove(&mut self, files: &mut dyn FileSystem) {
        let (directory, name) = (self.directory(), self.name());
        let is_directory = self.random.once_in(3);
        let at = Inode(directory);
        let removed =
            if is_directory { files.remove_directory(at, &name) } else { files.unlink(at, &name) };
        assert_eq!(removed, self.model.remove(directory, &name, is_directory), "remove {name}");
    }

    fn rename(&mut self, files: &mut dyn FileSystem) {
        let (from, from_name) = (self.directory(), self.name());
        let (to, to_name) = (self.directory(), self.name());
        let renamed = files.rename(Inode(from), &from_name, Inode(to), &to_name);
        let wanted = self.model.rename(from, &from_name, to, &to_name);
        assert_eq!(renamed, wanted, "rename {from} {from_name} {to} {to_name}");
    }

    fn resize(&mut self, files: &mut dyn FileSystem) {
        let inode = self.inode();
        let size = if self.random.once_in(3) { 0 } else { self.offset() };
        let resized = files.set_size(Inode(inode), size);
        assert_eq!(resized, self.model.set_size(inode, size), "set_size {inode} {size}");
    }

    fn set_mode(&mut self, files: &mut dyn FileSystem) {
        let (inode, mode) = (self.inode(), Mode::new(self.random.below(0o1000) as u32));
        let set = files.set_mode(Inode(inode), mode);
        assert_eq!(set, self.model.set_mode(inode, mode), "set_mode {inode} {mode}");
    }

    fn read_link(&mut self, files: &mut dyn FileSystem) {
        let inode = self.inode();
        let node = &self.model.nodes[&inode];
        let found = files.read_link(Inode(inode));
        match node.kind {
            FileKind::SymbolicLink => assert_eq!(found.unwrap().as_bytes(), node.bytes),
            _ => assert_eq!(found, Err(twine_vfs::Error::Invalid)),
        }
    }

    fn read(&mut self, files: &mut dyn FileSystem) {
        let (inode, offset, length) = (self.inode(), self.offset(), self.length());
        let mut bytes = vec![0xdd; length as usize];
        let count = files.read(Inode(inode), offset, &mut bytes);
        match self.model.file(inode) {
            Ok(node) => {
                let start = (offset as usize).min(node.bytes.len());
                let end = (start + length as usize).min(node.bytes.len());
                let end = if offset as usize > node.bytes.len() { start } else { end };
                assert_eq!(count, Ok(end - start), "read {inode} {offset} {length}");
                assert!(bytes[..end - start] == node.bytes[start..end], "{inode} {offset}");
                let next = files.next_data(Inode(inode), offset).unwrap();
                let passed = start..next.map_or(node.bytes.len(), |next| next as usize);
                assert!(next.is_none_or(|next| next >= offset), "{inode} {offset} {next:?}");
                assert!(node.bytes[passed].iter().all(|&byte| byte == 0), "{inode} {offset}");
            }
            Err(error) => assert_eq!(count, Err(error)),
        }
    }

    fn write(&mut self, files: &mut dyn FileSystem) {
        let (inode, offset, length) = (self.inode(), self.offset(), self.length());
        let bytes = self.random.bytes(length as usize);
        let written = files.write(Inode(inode), offset, &bytes);
        assert_eq!(written, self.model.write(inode, offset, &bytes), "write {inode} {offset}");
        if let Ok(node) = self.model.file(inode) {
            assert_eq!(files.attributes(Inode(inode)).unwrap().size, node.bytes.len() as u64);
        }
    }
}
