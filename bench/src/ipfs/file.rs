//! A file protected in the way of Intel's Protected File System library, for comparison only.
//!
//! This follows the library's description to reproduce its costs: its steps for each read and
//! write, their order, and its calls of the host. Do not keep data in it.
//!
//! - Nodes of 4 KiB. The first one is the file's own: it holds 3 KiB of data, so every page of a
//!   database lies in two nodes. Then come nodes of a Merkle tree, each before the 96 data nodes
//!   that belong to it. A tree node holds a key and a tag for each of its data nodes, and for each
//!   of 32 tree nodes below it; the file's node holds those of the root.
//! - Each write of a node seals it with AES-128-GCM and a new key.
//! - Nodes are read and written one by one, each by a host call, through a buffer of the host. The
//!   host uses a C library's stream: a seek, a read or write of the stream's own buffer, and a
//!   copy.
//! - 48 nodes are cached. The least recently used one makes room. If it was changed, all changed
//!   nodes are written, after their previous contents were written to a recovery file.
//!
//! `library` contains the other work for each node.

use super::library::{Keys, Manner};
use super::node::{CHILDREN, Entry, GROUP, NODE, Node, place_of_data, place_of_tree};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The size of the data in the file's own node, in bytes.
const FIRST: usize = 3072;

/// The most nodes in the cache.
const CACHED: usize = 48;

/// The offsets of the fields of the file's own node: a plain tag, then the sealed part.
const TAG_AT: usize = 16;
const SEALED_AT: usize = 64;
const SIZE_AT: usize = 0;
const ROOT_AT: usize = 16;
const DATA_AT: usize = 64;

/// The reasons why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Problem {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("node {0} is not authentic")]
    NotAuthentic(u64),
}

type Result<T> = std::result::Result<T, Problem>;

/// The host, with a count of its calls.
struct Host {
    file: File,
    recovery: PathBuf,
    /// The buffer through which nodes are read and written.
    buffer: Box<[u8; NODE]>,
    /// The buffer of the C library's stream.
    stream: Box<[u8; NODE]>,
    calls: u64,
}

impl Host {
    fn read(&mut self, place: u64, node: &mut [u8; NODE], manner: Manner) -> io::Result<()> {
        self.calls += 1;
        self.file.seek(SeekFrom::Start(place * NODE as u64))?;
        if manner.clears_nodes() {
            manner.clear(&mut *self.buffer);
            self.file.read_exact(&mut *self.stream)?;
            self.buffer.copy_from_slice(&*self.stream);
            node.copy_from_slice(&*self.buffer);
        } else {
            // Here the node's sealed bytes are the host's memory.
            self.file.read_exact(&mut *self.stream)?;
            node.copy_from_slice(&*self.stream);
        }
        Ok(())
    }

    fn write(&mut self, place: u64, node: &[u8; NODE]) -> io::Result<()> {
        self.calls += 1;
        // In all manners, a write copies the node to the host's buffer.
        self.buffer.copy_from_slice(node);
        self.file.seek(SeekFrom::Start(place * NODE as u64))?;
        self.stream.copy_from_slice(&*self.buffer);
        self.file.write_all(&*self.stream)
    }
}

/// An open file.
pub(crate) struct ProtectedFile {
    host: Host,
    manner: Manner,
    key: [u8; 16],
    keys: Keys,
    /// The number of times that the file's own node was sealed, from which its nonce is made.
    counter: u64,
    size: u64,
    /// The file's own node, decrypted.
    first: Node,
    root: Node,
    /// The cached nodes. The most recently used one is last.
    cache: Vec<Node>,
}

impl ProtectedFile {
    /// Creates a new file, and replaces an existing one.
    pub(crate) fn create(path: &Path, key: [u8; 16], manner: Manner) -> Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(true).open(path)?;
        let mut new = Self::new(file, path, key, manner)?;
        new.first.changed = true;
        new.root.changed = true;
        Ok(new)
    }

    /// Opens an existing file.
    pub(crate) fn open(path: &Path, key: [u8; 16], manner: Manner) -> Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let mut opened = Self::new(file, path, key, manner)?;
        opened.host.read(0, &mut opened.first.sealed, manner)?;
        opened.open_first()?;
        let entry = Entry::read(&opened.first.plain, ROOT_AT);
        opened.host.read(1, &mut opened.root.sealed, manner)?;
        opened.root.written = true;
        opened.root.open(entry, manner).map_err(|_| Problem::NotAuthentic(1))?;
        Ok(opened)
    }

    fn new(file: File, path: &Path, key: [u8; 16], manner: Manner) -> Result<Self> {
        Ok(ProtectedFile {
            host: Host {
                file,
                recovery: path.with_extension("recovery"),
                buffer: Box::new([0; NODE]),
                stream: Box::new([0; NODE]),
                calls: 0,
            },
            manner,
            key,
            keys: Keys::new()?,
            counter: 0,
            size: 0,
            first: Node::new(0, manner),
            root: Node::new(1, manner),
            cache: Vec::with_capacity(CACHED + 4),
        })
    }

    /// Returns the number of host calls.
    pub(crate) fn calls(&self) -> u64 {
        self.host.calls
    }

    /// Fills `bytes` from the file, which must be long enough.
    pub(crate) fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<()> {
        if offset + bytes.len() as u64 > self.size {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let mut done = 0;
        while done < bytes.len() {
            let (data, at, count) = part(offset + done as u64, bytes.len() - done);
            let to = &mut bytes[done..done + count];
            match data {
                None => to.copy_from_slice(&self.first.plain[DATA_AT + at..][..count]),
                Some(number) => {
                    let node = self.data(number)?;
                    to.copy_from_slice(&self.cache[node].plain[at..][..count]);
                    self.shrink()?;
                }
            }
            done += count;
        }
        Ok(())
    }

    /// Writes at an offset that is at most the file's size.
    pub(crate) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut done = 0;
        while done < bytes.len() {
            let (data, at, count) = part(offset + done as u64, bytes.len() - done);
            let from = &bytes[done..done + count];
            match data {
                None => self.first.plain[DATA_AT + at..][..count].copy_from_slice(from),
                Some(number) => {
                    let new = offset + done as u64 >= self.size && at == 0;
                    let node = if new { self.add_data(number)? } else { self.data(number)? };
                    self.cache[node].plain[at..][..count].copy_from_slice(from);
                    self.cache[node].changed = true;
                    self.change_parents(number / GROUP)?;
                    self.shrink()?;
                }
            }
            self.first.changed = true;
            done += count;
            self.size = self.size.max(offset + done as u64);
        }
        Ok(())
    }

    /// Writes all changes, and waits for the disk.
    pub(crate) fn sync(&mut self) -> Result<()> {
        self.flush()?;
        self.host.calls += 1;
        Ok(self.host.file.sync_data()?)
    }

    /// Reads a data node into the cache, and returns its position there.
    fn data(&mut self, number: u64) -> Result<usize> {
        let place = place_of_data(number);
        if let Some(at) = self.cached(place) {
            return Ok(at);
        }
        let tree = self.tree(number / GROUP)?;
        let entry = self.tree_node(tree).entry_of_data(number % GROUP);
        self.load(place, entry)
    }

    /// Adds a new data node, and a tree node before the first one of each group.
    fn add_data(&mut self, number: u64) -> Result<usize> {
        let tree = number / GROUP;
        if number.is_multiple_of(GROUP) && tree > 0 {
            let node = Node::new(place_of_tree(tree), self.manner);
            self.cache.push(node);
        }
        self.tree(tree)?;
        let node = Node::new(place_of_data(number), self.manner);
        self.cache.push(node);
        Ok(self.cache.len() - 1)
    }

    /// Reads a tree node into the cache, and returns its position there. `None` is the root, which
    /// is always in memory.
    fn tree(&mut self, number: u64) -> Result<Option<usize>> {
        let Some(parent) = number.checked_sub(1).map(|before| before / CHILDREN) else {
            return Ok(None);
        };
        let place = place_of_tree(number);
        if let Some(at) = self.cached(place) {
            return Ok(Some(at));
        }
        let above = self.tree(parent)?;
        let entry = self.tree_node(above).entry_of_child((number - 1) % CHILDREN);
        Ok(Some(self.load(place, entry)?))
    }

    fn tree_node(&mut self, at: Option<usize>) -> &mut Node {
        match at {
            Some(at) => &mut self.cache[at],
            None => &mut self.root,
        }
    }

    /// Returns a node's position in the cache, and makes it the most recently used.
    fn cached(&mut self, place: u64) -> Option<usize> {
        let at = self.cache.iter().rposition(|node| node.place == place)?;
        let node = self.cache.remove(at);
        self.cache.push(node);
        Some(self.cache.len() - 1)
    }

    fn load(&mut self, place: u64, entry: Entry) -> Result<usize> {
        let mut node = Node::new(place, self.manner);
        self.host.read(place, &mut node.sealed, self.manner)?;
        node.written = true;
        node.open(entry, self.manner).map_err(|_| Problem::NotAuthentic(place))?;
        self.cache.push(node);
        Ok(self.cache.len() - 1)
    }

    /// Makes room in the cache, but never evicts a node that a caller still has to change.
    fn shrink(&mut self) -> Result<()> {
        while self.cache.len() > CACHED {
            if self.cache[0].changed {
                self.flush()?;
            } else {
                self.cache.remove(0).delete(self.manner);
            }
        }
        Ok(())
    }

    fn change_parents(&mut self, mut number: u64) -> Result<()> {
        loop {
            let at = self.tree(number)?;
            self.tree_node(at).changed = true;
            match number.checked_sub(1) {
                Some(before) => number = before / CHILDREN,
                None => return Ok(()),
            }
        }
    }

    /// Writes all changed nodes: first their previous contents to the recovery file, then the mark
    /// that the file is about to change, then each node.
    fn flush(&mut self) -> Result<()> {
        if !self.first.changed {
            return Ok(());
        }
        self.save()?;
        self.seal_all()?;
        for node in &mut self.cache {
            if node.changed {
                self.host.write(node.place, &node.sealed)?;
                (node.changed, node.written) = (false, true);
            }
        }
        for node in [&mut self.root, &mut self.first] {
            if node.changed {
                self.host.write(node.place, &node.sealed)?;
                (node.changed, node.written) = (false, true);
            }
        }
        self.host.calls += 1;
        if self.host.recovery.exists() {
            std::fs::remove_file(&self.host.recovery)?;
        }
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        let nodes = self.cache.iter().chain([&self.root, &self.first]);
        let old: Vec<&Node> = nodes.filter(|node| node.changed && node.written).collect();
        if old.is_empty() {
            return Ok(());
        }
        self.host.calls += 2;
        let file = File::create(&self.host.recovery)?;
        for (at, node) in old.into_iter().enumerate() {
            self.host.calls += 1;
            let offset = (at * (NODE + 8)) as u64;
            file.write_all_at(&node.place.to_le_bytes(), offset)?;
            file.write_all_at(&*node.sealed, offset + 8)?;
        }
        if self.first.written {
            self.host.write(0, &self.first.sealed)?;
        }
        Ok(())
    }

    /// Seals all changed nodes, from the data up to the file's own node.
    fn seal_all(&mut self) -> Result<()> {
        let mut changed: Vec<(u64, usize)> = Vec::new();
        for (at, node) in self.cache.iter().enumerate().filter(|(_, node)| node.changed) {
            changed.push((node.place, at));
        }
        let is_tree = |place: u64| (place - 1).is_multiple_of(GROUP + 1);
        // Data nodes come first, then tree nodes from the last to the first, so that a child comes
        // before its parent.
        changed.sort_by_key(|(place, _)| (is_tree(*place), std::cmp::Reverse(*place)));
        for (place, at) in changed {
            let key = self.keys.make(place)?;
            let entry = self.cache[at].seal(key, self.manner);
            let tree = (place - 1) / (GROUP + 1);
            if is_tree(place) {
                let above = self.tree_of((tree - 1) / CHILDREN);
                self.tree_node(above).set_entry_of_child((tree - 1) % CHILDREN, entry);
            } else {
                let above = self.tree_of(tree);
                let data = place - 2 - tree * (GROUP + 1);
                self.tree_node(above).set_entry_of_data(data, entry);
            }
        }
        if self.root.changed {
            let key = self.keys.make(1)?;
            let entry = self.root.seal(key, self.manner);
            entry.write(&mut self.first.plain, ROOT_AT);
        }
        self.seal_first();
        Ok(())
    }

    /// Returns the position of a tree node whose child was changed, without making it the most
    /// recently used.
    fn tree_of(&self, number: u64) -> Option<usize> {
        let place = place_of_tree(number);
        self.cache.iter().position(|node| node.place == place)
    }

    fn seal_first(&mut self) {
        self.counter += 1;
        self.first.plain[SIZE_AT..SIZE_AT + 8].copy_from_slice(&self.size.to_le_bytes());
        let first = &mut self.first;
        let (open, sealed) = first.sealed.split_at_mut(SEALED_AT);
        let mut nonce = [0; 12];
        nonce[..8].copy_from_slice(&self.counter.to_le_bytes());
        open[..12].copy_from_slice(&nonce);
        let plain = &first.plain[..NODE - SEALED_AT];
        let tag = self.manner.seal(&self.key, &nonce, plain, sealed);
        open[TAG_AT..TAG_AT + 16].copy_from_slice(&tag);
    }

    fn open_first(&mut self) -> Result<()> {
        let first = &mut self.first;
        first.written = true;
        let (open, sealed) = first.sealed.split_at(SEALED_AT);
        let plain = &mut first.plain[..NODE - SEALED_AT];
        let nonce: [u8; 12] = std::array::from_fn(|at| open[at]);
        let tag: [u8; 16] = std::array::from_fn(|at| open[TAG_AT + at]);
        self.counter = u64::from_le_bytes(std::array::from_fn(|at| nonce[at]));
        let opened = self.manner.open(&self.key, &nonce, sealed, plain, &tag);
        opened.map_err(|_| Problem::NotAuthentic(0))?;
        self.size = u64::from_le_bytes(std::array::from_fn(|at| first.plain[SIZE_AT + at]));
        Ok(())
    }
}

/// Returns the data node at an offset (`None` is the file's own), the offset in it, and how many of
/// `bytes` bytes lie in it.
fn part(offset: u64, bytes: usize) -> (Option<u64>, usize, usize) {
    match offset.checked_sub(FIRST as u64) {
        None => (None, offset as usize, bytes.min(FIRST - offset as usize)),
        Some(beyond) => {
            let at = (beyond % NODE as u64) as usize;
            (Some(beyond / NODE as u64), at, bytes.min(NODE - at))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let name = format!("twine-bench-ipfs-{name}-{}", std::process::id());
            Scratch(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.0);
        }
    }

    const KEY: [u8; 16] = [3; 16];
    const MANNERS: [Manner; 3] = [Manner::Stock, Manner::Changed, Manner::Today];

    /// The number of pieces, which reaches some nodes of the second level of the tree.
    const PIECES: u64 = 33 * GROUP + 100;

    fn piece(number: u64) -> [u8; NODE] {
        std::array::from_fn(|at| (number * 31 + at as u64 / 8) as u8)
    }

    fn written(path: &Path, manner: Manner) {
        let mut file = ProtectedFile::create(path, KEY, manner).unwrap();
        for number in 0..PIECES {
            file.write(number * NODE as u64, &piece(number)).unwrap();
        }
        file.sync().unwrap();
    }

    #[test]
    fn bytes_written_in_order_and_at_random_are_read_back_after_reopening() {
        for manner in MANNERS {
            let path = Scratch::new(&format!("read-{manner:?}"));
            written(&path.0, manner);
            let mut file = ProtectedFile::open(&path.0, KEY, manner).unwrap();
            let mut expected: Vec<u64> = (0..PIECES).collect();
            for step in 0..500 {
                let number = step * 7919 % PIECES;
                expected[number as usize] = number + step;
                file.write(number * NODE as u64, &piece(number + step)).unwrap();
            }
            file.sync().unwrap();
            let mut file = ProtectedFile::open(&path.0, KEY, manner).unwrap();
            for (number, expected) in expected.into_iter().enumerate() {
                let mut bytes = [0; NODE];
                file.read((number * NODE) as u64, &mut bytes).unwrap();
                assert!(bytes == piece(expected), "piece {number}, {manner:?}");
            }
        }
    }

    #[test]
    fn a_bit_that_is_flipped_in_any_kind_of_node_is_found() {
        for manner in MANNERS {
            let path = Scratch::new(&format!("flip-{manner:?}"));
            written(&path.0, manner);
            // These are the file's own node, the root, a data node, and tree nodes of both levels
            // below.
            for place in [0, 1, place_of_data(3200), place_of_tree(1), place_of_tree(33)] {
                let host = OpenOptions::new().read(true).write(true).open(&path.0).unwrap();
                let at = place * NODE as u64 + 1000;
                let mut byte = [0];
                host.read_exact_at(&mut byte, at).unwrap();
                host.write_all_at(&[byte[0] ^ 1], at).unwrap();
                let read = ProtectedFile::open(&path.0, KEY, manner).and_then(|mut file| {
                    let mut bytes = [0; NODE];
                    (0..PIECES).try_for_each(|piece| file.read(piece * NODE as u64, &mut bytes))
                });
                assert!(
                    matches!(read, Err(Problem::NotAuthentic(found)) if found == place),
                    "node {place}: {read:?}"
                );
                host.write_all_at(&byte, at).unwrap();
            }
        }
    }

    #[test]
    fn each_node_that_is_read_is_a_call_of_the_host() {
        let path = Scratch::new("calls");
        written(&path.0, Manner::Stock);
        let mut file = ProtectedFile::open(&path.0, KEY, Manner::Stock).unwrap();
        let opened = file.calls();
        let mut bytes = [0; NODE];
        // The piece lies in two data nodes. Two tree nodes are above them, below the root.
        file.read(33 * GROUP * NODE as u64 + FIRST as u64 + 2048, &mut bytes).unwrap();
        assert_eq!(file.calls() - opened, 4);
        file.read(33 * GROUP * NODE as u64 + FIRST as u64 + 2048, &mut bytes).unwrap();
        assert_eq!(file.calls() - opened, 4, "they are cached");
    }

    #[test]
    fn a_read_beyond_the_end_is_an_error() {
        let path = Scratch::new("end");
        let mut file = ProtectedFile::create(&path.0, KEY, Manner::Stock).unwrap();
        file.write(0, &[1; 100]).unwrap();
        assert!(matches!(file.read(50, &mut [0; 51]), Err(Problem::Io(_))));
    }
}
