//! A file tree in memory, as simple as possible, which gives inodes the same numbers.

use std::collections::{BTreeMap, HashMap};
use twine_vfs::{Error, FileKind, FileSystem, Inode, Mode, Result, check_name};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub kind: FileKind,
    pub mode: Option<Mode>,
    pub links: u64,
    pub holds: u64,
    pub bytes: Vec<u8>,
    pub names: BTreeMap<String, u64>,
    pub parent: u64,
}

/// The file tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Model {
    pub nodes: HashMap<u64, Node>,
    pub next: u64,
}

/// The paths of a tree, each with kind, links, contents of a file or target of a link, and mode.
pub type Tree = BTreeMap<String, (FileKindName, u64, Vec<u8>, Option<Mode>)>;

/// The name of a kind, which can be compared and printed.
pub type FileKindName = &'static str;

fn kind_name(kind: FileKind) -> FileKindName {
    match kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::SymbolicLink => "link",
    }
}

impl Default for Model {
    fn default() -> Self {
        let root = Node::new(FileKind::Directory, 1);
        Model { nodes: HashMap::from([(1, root)]), next: 2 }
    }
}

impl Node {
    fn new(kind: FileKind, parent: u64) -> Self {
        let (bytes, names) = (Vec::new(), BTreeMap::new());
        Node { kind, mode: None, links: 1, holds: 0, bytes, names, parent }
    }
}

impl Model {
    pub fn node(&self, inode: u64) -> Result<&Node> {
        self.nodes.get(&inode).ok_or(Error::NotFound)
    }

    fn change(&mut self, inode: u64) -> &mut Node {
        self.nodes.get_mut(&inode).unwrap()
    }

    fn directory(&self, inode: u64) -> Result<&Node> {
        let node = self.node(inode)?;
        if node.kind == FileKind::Directory { Ok(node) } else { Err(Error::NotDirectory) }
    }

    pub fn file(&self, inode: u64) -> Result<&Node> {
        match self.node(inode)?.kind {
            FileKind::File => self.node(inode),
            FileKind::Directory => Err(Error::IsDirectory),
            FileKind::SymbolicLink => Err(Error::Invalid),
        }
    }

    fn entry(&self, directory: u64, name: &str) -> Result<u64> {
        check_name(name)?;
        self.directory(directory)?.names.get(name).copied().ok_or(Error::NotFound)
    }

    fn vacant(&self, directory: u64, name: &str) -> Result<()> {
        check_name(name)?;
        if self.directory(directory)?.links == 0 {
            return Err(Error::NotFound);
        }
        match self.entry(directory, name) {
            Ok(_) => Err(Error::Exists),
            Err(_) => Ok(()),
        }
    }

    pub fn lookup(&mut self, directory: u64, name: &str) -> Result<u64> {
        let inode = self.entry(directory, name)?;
        self.change(inode).holds += 1;
        Ok(inode)
    }

    pub fn release(&mut self, inode: u64) {
        self.change(inode).holds -= 1;
        self.drop_unused(inode);
    }

    fn drop_unused(&mut self, inode: u64) {
        let node = &self.nodes[&inode];
        if node.links == 0 && node.holds == 0 {
            self.nodes.remove(&inode);
        }
    }

    pub fn create(
        &mut self,
        directory: u64,
        name: &str,
        kind: FileKind,
        target: &str,
    ) -> Result<u64> {
        if target.len() > 4095 {
            return Err(Error::NameTooLong);
        }
        self.vacant(directory, name)?;
        let inode = self.next;
        self.next += 1;
        let mut node = Node::new(kind, directory);
        node.bytes = target.as_bytes().to_vec();
        node.holds = u64::from(kind == FileKind::File);
        self.nodes.insert(inode, node);
        self.change(directory).names.insert(name.into(), inode);
        Ok(inode)
    }

    pub fn link(&mut self, inode: u64, directory: u64, name: &str) -> Result<()> {
        let node = self.node(inode)?;
        if node.kind == FileKind::Directory {
            return Err(Error::NotPermitted);
        }
        if node.links == 0 {
            return Err(Error::NotFound);
        }
        self.vacant(directory, name)?;
        self.change(inode).links += 1;
        self.change(directory).names.insert(name.into(), inode);
        Ok(())
    }

    pub fn remove(&mut self, directory: u64, name: &str, is_directory: bool) -> Result<()> {
        let inode = self.entry(directory, name)?;
        let node = &self.nodes[&inode];
        match (node.kind == FileKind::Directory, is_directory) {
            (true, false) => return Err(Error::IsDirectory),
            (false, true) => return Err(Error::NotDirectory),
            (true, true) if !node.names.is_empty() => return Err(Error::NotEmpty),
            _ => {}
        }
        self.change(directory).names.remove(name);
        self.change(inode).links -= 1;
        self.drop_unused(inode);
        Ok(())
    }

    pub fn rename(&mut self, from: u64, from_name: &str, to: u64, to_name: &str) -> Result<()> {
        let moved = self.entry(from, from_name)?;
        check_name(to_name)?;
        if self.directory(to)?.links == 0 {
            return Err(Error::NotFound);
        }
        let replaced = self.entry(to, to_name).ok();
        let is_directory = self.nodes[&moved].kind == FileKind::Directory;
        if is_directory {
            let mut above = to;
            while above != 1 {
                if above == moved {
                    return Err(Error::Invalid);
                }
                above = self.nodes[&above].parent;
            }
        }
        if let Some(replaced) = replaced {
            if replaced == moved {
                return Ok(());
            }
            let node = &self.nodes[&replaced];
            match (is_directory, node.kind == FileKind::Directory) {
                (true, false) => return Err(Error::NotDirectory),
                (false, true) => return Err(Error::IsDirectory),
                (true, true) if !node.names.is_empty() => return Err(Error::NotEmpty),
                _ => {}
            }
        }
        self.change(from).names.remove(from_name);
        self.change(to).names.insert(to_name.into(), moved);
        self.change(moved).parent = to;
        if let Some(replaced) = replaced {
            self.change(replaced).links -= 1;
            self.drop_unused(replaced);
        }
        Ok(())
    }

    pub fn write(&mut self, inode: u64, offset: u64, bytes: &[u8]) -> Result<usize> {
        self.file(inode)?;
        if !bytes.is_empty() {
            let held = &mut self.change(inode).bytes;
            let end = offset as usize + bytes.len();
            held.resize(held.len().max(end), 0);
            held[offset as usize..end].copy_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    pub fn set_mode(&mut self, inode: u64, mode: Mode) -> Result<()> {
        if self.node(inode)?.kind == FileKind::SymbolicLink {
            return Err(Error::NotSupported);
        }
        self.change(inode).mode = Some(mode);
        Ok(())
    }

    pub fn set_size(&mut self, inode: u64, size: u64) -> Result<()> {
        self.file(inode)?;
        self.change(inode).bytes.resize(size as usize, 0);
        Ok(())
    }

    /// Forgets all holds, like unmounting.
    pub fn unmount(&mut self) {
        for node in self.nodes.values_mut() {
            node.holds = 0;
        }
        self.nodes.retain(|_, node| node.links > 0);
    }

    pub fn tree(&self) -> Tree {
        let mut tree = Tree::new();
        self.walk(1, "", &mut tree);
        tree
    }

    fn walk(&self, inode: u64, path: &str, tree: &mut Tree) {
        let node = &self.nodes[&inode];
        tree.insert(path.into(), (kind_name(node.kind), node.links, node.bytes.clone(), node.mode));
        for (name, inode) in &node.names {
            self.walk(*inode, &format!("{path}/{name}"), tree);
        }
    }
}

/// Reads the tree of a real file system.
pub fn tree_of(files: &mut dyn FileSystem) -> Result<Tree> {
    let mut tree = Tree::new();
    let root = files.root();
    walk(files, root, "", &mut tree)?;
    Ok(tree)
}

fn walk(files: &mut dyn FileSystem, inode: Inode, path: &str, tree: &mut Tree) -> Result<()> {
    let attributes = files.attributes(inode)?;
    let mut bytes = Vec::new();
    let mut names = Vec::new();
    match attributes.kind {
        FileKind::File => {
            bytes = vec![0xee; attributes.size as usize + 1];
            let count = files.read(inode, 0, &mut bytes)?;
            bytes.truncate(count);
            assert_eq!(count as u64, attributes.size, "{path}");
        }
        FileKind::SymbolicLink => bytes = files.read_link(inode)?.into_bytes(),
        FileKind::Directory => {
            files.entries(inode, 0, &mut |entry| {
                names.push((entry.name.to_owned(), entry.inode, entry.kind));
                true
            })?;
        }
    }
    tree.insert(
        path.into(),
        (kind_name(attributes.kind), attributes.links, bytes, attributes.mode),
    );
    for (name, expected, kind) in names {
        let found = files.lookup(inode, &name)?;
        assert_eq!((found, files.attributes(found)?.kind), (expected, kind), "{path}/{name}");
        walk(files, found, &format!("{path}/{name}"), tree)?;
        files.release(found);
    }
    Ok(())
}
