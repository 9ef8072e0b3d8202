//! Trees in memory to work on, and a console that records its output.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use twine_protocol::task::{FolderLocation, Location, Operation};
use twine_protocol::wire::Unit;
use twine_vfs::{Error, FileKind, FileSystem, Inode, Memory, Mode, Stamp};
use twine_volume_tool::{Console, StreamError, Tree, work};

/// A console that records its output.
#[derive(Debug, Default)]
pub struct Recorder {
    pub input: Vec<u8>,
    pub out: Vec<u8>,
    pub err: Vec<String>,
    pub terminal: bool,
    /// The answer to questions. `None` if nobody can answer.
    pub answer: Option<bool>,
    /// Number of bytes after which the reader of the output is gone.
    pub patience: Option<usize>,
    /// Whether somebody looks at the progress.
    pub watched: bool,
    pub progress: Vec<(u64, u64, Unit)>,
}

impl Console for Recorder {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        if self.patience.is_some_and(|patience| self.out.len() + bytes.len() > patience) {
            return Err(StreamError::Gone);
        }
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, StreamError> {
        // Returns few bytes at a time, like a pipe.
        let count = bytes.len().min(self.input.len()).min(1000);
        bytes[..count].copy_from_slice(&self.input[..count]);
        self.input.drain(..count);
        Ok(count)
    }

    fn complain(&mut self, line: &str) {
        self.err.push(line.to_owned());
    }

    fn confirm(&mut self, question: &str) -> Option<bool> {
        self.err.push(question.to_owned());
        self.answer
    }

    fn is_terminal(&self) -> bool {
        self.terminal
    }

    fn wants_progress(&self) -> bool {
        self.watched
    }

    fn progress(&mut self, done: u64, total: u64, unit: Unit) {
        self.progress.push((done, total, unit));
    }
}

/// Makes an empty tree, with a clock that advances by a second at each call.
pub fn memory() -> Memory {
    let time = Arc::new(AtomicU64::new(1_000));
    Memory::new(256 << 20, Box::new(move || time.fetch_add(1, Ordering::Relaxed) * 1_000_000_000))
}

/// The result of a job.
#[derive(Debug)]
pub struct Done {
    pub ok: bool,
    pub out: String,
    pub err: Vec<String>,
}

impl Done {
    #[track_caller]
    pub fn printed(&self, out: &str) {
        assert_eq!((self.ok, self.out.as_str()), (true, out), "{self:?}");
        assert!(self.err.is_empty(), "{self:?}");
    }

    /// Checks that it printed one error and a remedy.
    #[track_caller]
    pub fn failed_with(&self, cause: &str) {
        assert!(!self.ok, "{self:?}");
        assert_eq!(self.err.len(), 2, "{self:?}");
        assert!(self.err[0].starts_with("error: ") && self.err[0].contains(cause), "{self:?}");
        assert!(self.err[1].starts_with("  help: "), "{self:?}");
    }
}

/// A volume and a folder of the host, both of which are trees in memory.
pub struct World {
    pub volume: Memory,
    pub host: Memory,
    pub console: Recorder,
}

impl World {
    pub fn new() -> Self {
        World { volume: memory(), host: memory(), console: Recorder::default() }
    }

    pub fn work(&mut self, operation: &Operation) -> Done {
        let volume = Tree { files: &mut self.volume, prefix: "v::".into(), host: false };
        let host = Tree { files: &mut self.host, prefix: String::new(), host: true };
        let console = &mut self.console;
        let ok = work(operation, volume, vec![(7, host)], console).expect("an operation on files");
        let out = String::from_utf8_lossy(&std::mem::take(&mut console.out)).into_owned();
        Done { ok, out, err: std::mem::take(&mut console.err) }
    }

    pub fn copy(&mut self, sources: &[Location], target: Location, recursive: bool) -> Done {
        self.work(&Operation::Copy { sources: sources.to_vec(), target, recursive })
    }

    pub fn list(&mut self, path: &str) -> Done {
        self.work(&Operation::List { path: path.into(), long: false, json: false })
    }

    pub fn remove(&mut self, path: &str) -> Done {
        self.work(&Operation::Remove { paths: vec![path.into()], recursive: true, force: false })
    }
}

pub fn inside(path: &str) -> Location {
    Location::Volume(path.into())
}

/// A location in the host's folder.
pub fn outside(entry: &str) -> Location {
    let entry = entry.to_owned();
    let (name, shown) = (entry.clone(), format!("host/{entry}"));
    Location::Folder(FolderLocation { folder: 7, entry, name, shown })
}

pub fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// Returns the directory of a path, made if necessary, and the last name.
fn directory<'p>(files: &mut dyn FileSystem, path: &'p str) -> (Inode, &'p str) {
    let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
    let mut directory = files.root();
    for part in above.split('/').filter(|part| !part.is_empty()) {
        match files.create_directory(directory, part) {
            Ok(()) | Err(Error::Exists) => {}
            Err(error) => panic!("{error}"),
        }
        let inner = files.lookup(directory, part).unwrap();
        files.release(directory);
        directory = inner;
    }
    (directory, name)
}

pub fn write(files: &mut dyn FileSystem, path: &str, contents: impl AsRef<[u8]>) {
    let (directory, name) = directory(files, path);
    let file = files.create_file(directory, name).unwrap();
    files.write(file, 0, contents.as_ref()).unwrap();
    files.release(file);
    files.release(directory);
}

pub fn link(files: &mut dyn FileSystem, path: &str, target: &str) {
    let (directory, name) = directory(files, path);
    files.create_symbolic_link(directory, name, target).unwrap();
    files.release(directory);
}

pub fn make_directory(files: &mut dyn FileSystem, path: &str) {
    let (directory, name) = directory(files, path);
    files.create_directory(directory, name).unwrap();
    files.release(directory);
}

/// Gives a file another name.
pub fn name(files: &mut dyn FileSystem, path: &str, new: &str) {
    let inode = find(files, path).unwrap();
    let (directory, new) = directory(files, new);
    files.link(inode, directory, new).unwrap();
    files.release(inode);
    files.release(directory);
}

/// Finds the inode at a path, and holds it.
pub fn find(files: &mut dyn FileSystem, path: &str) -> Option<Inode> {
    let mut inode = files.root();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let found = files.lookup(inode, part);
        files.release(inode);
        inode = found.ok()?;
    }
    Some(inode)
}

pub fn read(files: &mut dyn FileSystem, path: &str) -> Vec<u8> {
    let inode = find(files, path).unwrap_or_else(|| panic!("no {path}"));
    let size = files.attributes(inode).unwrap().size;
    let mut bytes = vec![0; size as usize];
    assert_eq!(files.read(inode, 0, &mut bytes).unwrap(), bytes.len());
    files.release(inode);
    bytes
}

pub fn age(files: &mut dyn FileSystem, path: &str, accessed: u64, modified: u64) {
    let inode = find(files, path).unwrap();
    files.set_times(inode, Stamp::At(accessed), Stamp::At(modified)).unwrap();
    files.release(inode);
}

/// Sets the mode of a path.
pub fn permit(files: &mut dyn FileSystem, path: &str, mode: u32) {
    let inode = find(files, path).unwrap();
    files.set_mode(inode, Mode::new(mode)).unwrap();
    files.release(inode);
}

/// Returns the mode of a path.
pub fn mode(files: &mut dyn FileSystem, path: &str) -> Option<u32> {
    let inode = find(files, path).unwrap();
    let attributes = files.attributes(inode).unwrap();
    files.release(inode);
    attributes.mode.map(Mode::bits)
}

/// Lists every path with its kind, contents and modification time.
pub fn all(files: &mut dyn FileSystem) -> Vec<(String, FileKind, Vec<u8>, u64)> {
    let mut found = Vec::new();
    let mut directories = vec![String::new()];
    while let Some(directory) = directories.pop() {
        let inode = find(files, &directory).unwrap();
        let mut names = Vec::new();
        files
            .entries(inode, 0, &mut |entry| {
                names.push((format!("{directory}/{}", entry.name), entry.kind));
                true
            })
            .unwrap();
        files.release(inode);
        for (path, kind) in names {
            let inode = find(files, &path).unwrap();
            let modified = files.attributes(inode).unwrap().modified;
            let contents = match kind {
                FileKind::File => read(files, &path),
                FileKind::SymbolicLink => files.read_link(inode).unwrap().into_bytes(),
                FileKind::Directory => {
                    directories.push(path.clone());
                    Vec::new()
                }
            };
            files.release(inode);
            found.push((path, kind, contents, modified));
        }
    }
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}
