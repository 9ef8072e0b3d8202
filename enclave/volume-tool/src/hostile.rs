//! Tests with damaged trees: somebody who has a volume's key can make directories that are in
//! themselves or in each other, and names that cannot be read. All work ends, and reports the
//! place.

use crate::console::{Console, StreamError};
use crate::info::{Inside, count};
use crate::job::{Job, Tree};
use crate::work;
use std::collections::{HashMap, HashSet};
use twine_protocol::task::{FolderLocation, Location, Operation};
use twine_protocol::wire::Unit;
use twine_vfs::{
    Attributes, Change, Entry, Error, FileKind, FileSystem, Inode, Memory, Result, Stamp, Usage,
};

/// A tree in memory with added names that lead anywhere.
struct Woven {
    inner: Memory,
    /// A directory, a name in it, and the directory that the name leads to.
    more: Vec<(Inode, String, Inode)>,
    /// Holds through these names, which the tree in memory does not know.
    held: HashMap<Inode, u64>,
    /// Directories with a name that cannot be read.
    damaged: HashSet<Inode>,
    /// Number of calls of [`FileSystem::entries`], to see that work ends.
    lists: u64,
}

impl Woven {
    fn new() -> Self {
        Woven {
            inner: Memory::new(1 << 20, Box::new(|| 7)),
            more: Vec::new(),
            held: HashMap::new(),
            damaged: HashSet::new(),
            lists: 0,
        }
    }

    fn directory(&mut self, above: Inode, name: &str) -> Inode {
        self.inner.create_directory(above, name).unwrap();
        self.inner.lookup(above, name).unwrap()
    }

    fn file(&mut self, above: Inode, name: &str) {
        let file = self.inner.create_file(above, name).unwrap();
        self.inner.write(file, 0, b"whole").unwrap();
    }

    fn weave(&mut self, directory: Inode, name: &str, to: Inode) {
        self.more.push((directory, name.to_owned(), to));
    }
}

/// Directory `a` with `b` in it, which leads back to `a` and to itself; a directory that is in two;
/// and one with a name that cannot be read.
fn woven() -> Woven {
    let mut files = Woven::new();
    let root = files.root();
    let a = files.directory(root, "a");
    let b = files.directory(a, "b");
    files.file(b, "file");
    files.weave(b, "back", a);
    files.weave(b, "self", b);
    let c = files.directory(root, "c");
    files.file(c, "other");
    files.weave(c, "stolen", b);
    let torn = files.directory(root, "torn");
    files.file(torn, "readable");
    files.damaged.insert(torn);
    files
}

/// Each of 40 directories has two names for the next, so 2^40 paths lead to the last.
fn doubled() -> Woven {
    let mut files = Woven::new();
    let mut at = files.root();
    for _ in 0..40 {
        let next = files.directory(at, "one");
        files.weave(at, "two", next);
        at = next;
    }
    files
}

impl FileSystem for Woven {
    fn lookup(&mut self, directory: Inode, name: &str) -> Result<Inode> {
        let woven =
            self.more.iter().find(|(from, called, _)| (*from, &**called) == (directory, name));
        match woven {
            Some((.., to)) => {
                *self.held.entry(*to).or_default() += 1;
                Ok(*to)
            }
            None => self.inner.lookup(directory, name),
        }
    }

    fn release(&mut self, inode: Inode) {
        match self.held.get_mut(&inode).filter(|held| **held > 0) {
            Some(held) => *held -= 1,
            None => self.inner.release(inode),
        }
    }

    fn entries(
        &mut self,
        directory: Inode,
        cookie: u64,
        each: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Result<()> {
        self.lists += 1;
        assert!(self.lists < 1000, "no end");
        let mut stopped = false;
        self.inner.entries(directory, cookie, &mut |entry| {
            stopped = !each(entry);
            !stopped
        })?;
        const FIRST: u64 = 1 << 40;
        let here = (FIRST..).zip(self.more.iter().filter(|(from, ..)| *from == directory));
        for (at, (_, name, inode)) in here.filter(|(at, _)| *at > cookie) {
            let entry = Entry { name, inode: *inode, kind: FileKind::Directory, cookie: at };
            stopped = stopped || !each(entry);
        }
        if !stopped && self.damaged.contains(&directory) { Err(Error::Io) } else { Ok(()) }
    }

    fn root(&self) -> Inode {
        self.inner.root()
    }
    fn read_only(&self) -> bool {
        false
    }
    fn attributes(&mut self, inode: Inode) -> Result<Attributes> {
        self.inner.attributes(inode)
    }
    fn set_times(&mut self, inode: Inode, accessed: Stamp, modified: Stamp) -> Result<()> {
        self.inner.set_times(inode, accessed, modified)
    }
    fn set_mode(&mut self, inode: Inode, mode: twine_vfs::Mode) -> Result<()> {
        self.inner.set_mode(inode, mode)
    }
    fn create_file(&mut self, directory: Inode, name: &str) -> Result<Inode> {
        self.inner.create_file(directory, name)
    }
    fn create_directory(&mut self, directory: Inode, name: &str) -> Result<()> {
        self.inner.create_directory(directory, name)
    }
    fn create_symbolic_link(&mut self, directory: Inode, name: &str, target: &str) -> Result<()> {
        self.inner.create_symbolic_link(directory, name, target)
    }
    fn read_link(&mut self, inode: Inode) -> Result<String> {
        self.inner.read_link(inode)
    }
    fn link(&mut self, inode: Inode, directory: Inode, name: &str) -> Result<()> {
        self.inner.link(inode, directory, name)
    }
    fn unlink(&mut self, directory: Inode, name: &str) -> Result<()> {
        self.inner.unlink(directory, name)
    }
    fn remove_directory(&mut self, directory: Inode, name: &str) -> Result<()> {
        self.inner.remove_directory(directory, name)
    }
    fn rename(&mut self, from: Inode, from_name: &str, to: Inode, to_name: &str) -> Result<()> {
        self.inner.rename(from, from_name, to, to_name)
    }
    fn read(&mut self, inode: Inode, offset: u64, bytes: &mut [u8]) -> Result<usize> {
        self.inner.read(inode, offset, bytes)
    }
    fn write(&mut self, inode: Inode, offset: u64, bytes: &[u8]) -> Result<usize> {
        self.inner.write(inode, offset, bytes)
    }
    fn set_size(&mut self, inode: Inode, size: u64) -> Result<()> {
        self.inner.set_size(inode, size)
    }
    fn allocate(&mut self, inode: Inode, offset: u64, length: u64) -> Result<()> {
        self.inner.allocate(inode, offset, length)
    }
    fn sync(&mut self, inode: Inode, change: Change) -> Result<()> {
        self.inner.sync(inode, change)
    }
    fn sync_all(&mut self) -> Result<()> {
        self.inner.sync_all()
    }
    fn usage(&mut self) -> Result<Usage> {
        self.inner.usage()
    }
}

#[derive(Default)]
struct Said {
    out: String,
    err: Vec<String>,
}

impl Console for Said {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.out.push_str(&String::from_utf8_lossy(bytes));
        Ok(())
    }
    fn read(&mut self, _bytes: &mut [u8]) -> Result<usize, StreamError> {
        Ok(0)
    }
    fn complain(&mut self, line: &str) {
        self.err.push(line.to_owned());
    }
    fn confirm(&mut self, _: &str) -> Option<bool> {
        None
    }

    fn is_terminal(&self) -> bool {
        false
    }
    fn wants_progress(&self) -> bool {
        true
    }
    fn progress(&mut self, _done: u64, _total: u64, _unit: Unit) {}
}

/// Runs an operation that meets all the damage of a woven tree and fails. Returns its messages.
fn said(files: &mut Woven, host: &mut Memory, operation: &Operation) -> Said {
    let mut console = Said::default();
    let tree = Tree { files, prefix: "v::".into(), host: false };
    let folder = Tree { files: host, prefix: String::new(), host: true };
    let ok = work(operation, tree, vec![(7, folder)], &mut console).unwrap();
    assert!(!ok && console.err.last().unwrap().contains("twine volume check"), "{:?}", console.err);
    console
}

const NAMED: [&str; 4] = [
    "error: v::a/b/back: the directory is in itself",
    "error: v::a/b/self: the directory is in itself",
    "error: v::c/stolen: the directory was there before, by another name",
    "error: v::torn/: input/output error",
];

#[track_caller]
fn names_all(said: &Said) {
    for named in NAMED {
        // Some paths begin at the root.
        let has = |line: &String| line.replace("::/", "::") == named;
        assert!(said.err.iter().any(has), "{named}: {:?}", said.err);
    }
    assert_eq!(said.err.len(), NAMED.len() + 1, "{:?}", said.err);
}

fn host() -> Memory {
    Memory::new(1 << 20, Box::new(|| 7))
}

#[test]
fn a_drawing_of_a_tree_with_circles_ends_and_has_all_that_can_be_read() {
    let operation = Operation::Tree { path: String::new(), json: false };
    let said = said(&mut woven(), &mut host(), &operation);
    names_all(&said);
    assert_eq!(
        said.out,
        "/\n\
         ├── a\n\
         │   └── b\n\
         │       ├── back\n\
         │       ├── file\n\
         │       └── self\n\
         ├── c\n\
         │   ├── other\n\
         │   └── stolen\n\
         └── torn\n    \
             └── readable\n\
         \n\
         7 directories, 3 files\n"
    );
}

#[test]
fn json_of_a_tree_with_circles_is_whole() {
    let operation = Operation::Tree { path: String::new(), json: true };
    let said = said(&mut woven(), &mut host(), &operation);
    names_all(&said);
    let json: serde_json::Value = serde_json::from_str(&said.out).unwrap();
    let b = &json["contents"][0]["contents"][0];
    assert_eq!((&b["name"], &b["contents"][0]["name"]), (&"b".into(), &"back".into()));
    assert!(b["contents"][0]["contents"].is_null());
    assert_eq!(json["contents"][2]["contents"][0]["name"], "readable");
}

#[test]
fn a_list_of_a_directory_with_a_damaged_name_has_the_others() {
    for (long, json) in [(false, false), (true, false), (false, true)] {
        let operation = Operation::List { path: "torn".into(), long, json };
        let said = said(&mut woven(), &mut host(), &operation);
        assert!(said.out.contains("readable"), "{}", said.out);
        assert_eq!(said.err[0], "error: v::torn: input/output error");
    }
}

#[test]
fn a_copy_of_a_tree_with_circles_has_all_that_can_be_read() {
    let mut host = host();
    let (entry, name, shown) = ("copy".to_owned(), "copy".to_owned(), "host/copy".to_owned());
    let operation = Operation::Copy {
        sources: vec![Location::Volume(String::new())],
        target: Location::Folder(FolderLocation { folder: 7, entry, name, shown }),
        recursive: true,
    };
    names_all(&said(&mut woven(), &mut host, &operation));
    let mut console = Said::default();
    let tree = Tree { files: &mut host, prefix: String::new(), host: false };
    let operation = Operation::Tree { path: "copy".into(), json: false };
    assert_eq!(work(&operation, tree, Vec::new(), &mut console), Some(true));
    for name in ["b\n", "file\n", "other\n", "readable\n"] {
        assert!(console.out.contains(name), "{}", console.out);
    }
    assert!(console.out.contains("4 directories, 3 files"), "{}", console.out);
}

#[test]
fn removing_a_tree_with_circles_ends_and_leaves_what_is_damaged() {
    let mut files = woven();
    let paths = ["a", "c", "torn"].map(str::to_owned).to_vec();
    let operation = Operation::Remove { paths, recursive: true, force: false };
    let said = said(&mut files, &mut host(), &operation);
    // Each path has a walk of its own, and no other walk found `stolen`.
    for named in &NAMED[..2] {
        assert!(said.err.iter().any(|line| line == named), "{named}: {:?}", said.err);
    }
    assert!(said.err.iter().any(|line| line == "error: v::torn/: input/output error"));
    let root = files.root();
    let a = files.inner.lookup(root, "a").unwrap();
    let b = files.inner.lookup(a, "b").unwrap();
    assert_eq!(files.inner.lookup(b, "file"), Err(Error::NotFound));
    assert!(files.inner.lookup(root, "torn").is_ok());
}

#[test]
fn counting_what_is_in_a_volume_ends_and_goes_on_behind_circles() {
    let mut console = Said::default();
    let mut job = Job::new(&mut console);
    let mut inside = Inside::default();
    count("v::", &mut woven(), &mut inside, &mut job).unwrap();
    assert!(!job.end());
    names_all(&console);
    assert_eq!((inside.files, inside.directories, inside.links), (3, 7, 0));
}

#[test]
fn a_directory_with_two_names_is_gone_into_once() {
    let mut files = doubled();
    let operation = Operation::Tree { path: String::new(), json: false };
    let said = said(&mut files, &mut host(), &operation);
    assert!(said.out.contains("80 directories, 0 files"), "{}", said.out);
    assert_eq!(files.lists, 41);
    let again = said.err.iter().filter(|line| line.contains("by another name")).count();
    assert_eq!(again, 40);
}
