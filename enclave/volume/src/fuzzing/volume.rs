//! Whole volumes whose maker is hostile and has the key.
//!
//! The volume's own code writes them. What it is about to seal is changed as the input says,
//! so that all seals, pointers and links of the log fit whatever was made of the rest.

use super::{Input, node_input, padded};
use crate::durability::Durability;
use crate::format::block::BlockNo;
use crate::format::block::{BLOCK_BYTES, Bytes, HEADER_START, Kind, MAX_BLOCKS};
use crate::format::item::Subject;
use crate::format::node::Node;

use crate::format::numbers::InodeNo;
use crate::format::pointer::{POINTER_BYTES, Pointer};
use crate::header::Header;
use crate::storage::{Storage, StorageError};
use crate::volume::MIN_CACHE_BYTES;
use crate::{NewSlot, Options, Result, Secret, Volume, fuzz_hooks, log};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use twine_vfs::{Change, FileKind, FileSystem, Inode, check_name};

/// What every volume here opens with.
const KEY_FILE: [u8; 32] = [7; 32];

/// Blocks that the storage may have.
const MAX_STORAGE_BLOCKS: u64 = 4096;

/// Reads of the storage by one mount, and all that is asked of it. Those of the tests'
/// volumes have some hundreds of blocks.
const MAX_READS: u64 = 20_000;

/// Entries that a walk looks at: circles of directories have no end.
const MAX_ENTRIES: usize = 2000;

/// Names that are looked up, and changed.
const MAX_FILES: usize = 32;

/// A storage in little memory, whose clones share what it holds. It counts reads.
#[derive(Clone, Default)]
struct Blocks(Arc<Mutex<Held>>);

#[derive(Clone, Default)]
struct Held {
    size: u64,
    /// The blocks that are not zero.
    blocks: BTreeMap<u64, Arc<Bytes>>,
    reads: u64,
}

impl Blocks {
    fn with<T>(&self, look: impl FnOnce(&mut Held) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One of its own, with the same bytes.
    fn copy(&self) -> Self {
        let held = self.with(|held| Held { reads: 0, ..held.clone() });
        Blocks(Arc::new(Mutex::new(held)))
    }

    fn block(&self, block: u64) -> Bytes {
        self.with(|held| held.blocks.get(&block).map_or([0; BLOCK_BYTES], |bytes| **bytes))
    }
}

impl Storage for Blocks {
    fn size(&mut self) -> Result<u64, StorageError> {
        Ok(self.with(|held| held.size))
    }

    fn set_size(&mut self, size: u64) -> Result<(), StorageError> {
        if size > MAX_STORAGE_BLOCKS * BLOCK_BYTES as u64 {
            return Err(StorageError::NoSpace);
        }
        self.with(|held| {
            held.size = size;
            drop(held.blocks.split_off(&size.div_ceil(BLOCK_BYTES as u64)));
        });
        Ok(())
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        self.with(|held| {
            held.reads += 1;
            assert!(held.reads <= MAX_READS, "a volume of {} bytes is read for ever", held.size);
            if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > held.size) {
                return Err(StorageError::Short);
            }
            let first = offset / BLOCK_BYTES as u64;
            for (block, bytes) in (first..).zip(bytes.as_chunks_mut::<BLOCK_BYTES>().0) {
                *bytes = held.blocks.get(&block).map_or([0; BLOCK_BYTES], |held| **held);
            }
            Ok(())
        })
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.with(|held| {
            if offset.checked_add(bytes.len() as u64).is_none_or(|end| end > held.size) {
                return Err(StorageError::Short);
            }
            let first = offset / BLOCK_BYTES as u64;
            for (block, bytes) in (first..).zip(bytes.as_chunks::<BLOCK_BYTES>().0) {
                if *bytes == [0; BLOCK_BYTES] {
                    held.blocks.remove(&block);
                } else {
                    held.blocks.insert(block, Arc::new(*bytes));
                }
            }
            Ok(())
        })
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}

/// How a mount is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Write,
    Read,
    Repair,
}

fn options(mode: Mode) -> Options {
    Options {
        read_only: mode == Mode::Read,
        repair: mode == Mode::Repair,
        cache_bytes: MIN_CACHE_BYTES,
        clock: Box::new(|| 1_700_000_000_000_000_000),
        ..Options::default()
    }
}

fn open(storage: &Blocks, mode: Mode) -> Result<Volume> {
    let mut secret = Secret::key_file(&KEY_FILE);
    Volume::open(Box::new(storage.clone()), &mut secret, options(mode))
}

/// Files whose bytes fill so many leaves that the tree has three levels.
const DEEP_FILES: usize = 260;

/// Makes a volume with a bit of everything, closed. In a `deep` one the tree has three levels.
fn make(deep: bool) -> Result<Blocks> {
    let storage = Blocks::default();
    let slots = [NewSlot::key_file(&KEY_FILE)?, NewSlot::key_file(&[8; 32])?];
    let mut volume = Volume::create(Box::new(storage.clone()), &slots, options(Mode::Write))?;
    let root = volume.root();
    volume.create_directory(root, "d")?;
    let directory = volume.lookup(root, "d")?;
    volume.create_directory(directory, "below")?;
    let below = volume.lookup(directory, "below")?;
    let file = volume.create_file(root, "file")?;
    volume.write(file, 0, &[1; 3 * BLOCK_BYTES + 7])?;
    for group in 1..8 {
        volume.write(file, group * 32 * BLOCK_BYTES as u64, &[2; 3 * BLOCK_BYTES])?;
    }
    volume.set_size(file, 2 << 20)?;
    let small = volume.create_file(directory, "small")?;
    volume.write(small, 0, b"inline")?;
    volume.link(small, below, "again")?;
    volume.create_symbolic_link(below, "link", &"../".repeat(500))?;
    for number in 0..16 {
        volume.create_file(below, &format!("empty file {number}"))?;
    }
    for number in 0..if deep { DEEP_FILES } else { 0 } {
        let file = volume.create_file(directory, &number.to_string())?;
        volume.write(file, 0, &[number as u8; 1000])?;
        volume.release(file);
    }
    volume.sync_all()?;
    volume.close()?;
    Ok(storage)
}

static BASES: LazyLock<[Option<Blocks>; 2]> =
    LazyLock::new(|| [false, true].map(|deep| fuzz_hooks::predictably(|| make(deep)).ok()));

/// Opens a volume and changes all kinds of things, in commits of both kinds.
fn write(storage: &Blocks, deep: bool) -> Result<()> {
    let mut volume = open(storage, Mode::Write)?;
    let root = volume.root();
    let directory = volume.lookup(root, "d")?;
    let file = volume.lookup(root, "file")?;
    volume.set_mode(file, twine_vfs::Mode::new(0o640))?;
    volume.set_mode(directory, twine_vfs::Mode::new(0o750))?;
    for group in 0..4 {
        volume.write(file, group * 64 * BLOCK_BYTES as u64 + 5, b"changed")?;
    }
    let below = volume.lookup(directory, "below")?;
    for number in 0..16 {
        let empty = volume.lookup(below, &format!("empty file {number}"))?;
        volume.set_mode(empty, twine_vfs::Mode::new(0o600))?;
        volume.release(empty);
    }
    for number in (0..if deep { DEEP_FILES } else { 0 }).step_by(40) {
        volume.unlink(directory, &number.to_string())?;
    }
    volume.engine_mut().commit_tree(Durability::Synced)?;
    // What follows is in the log alone.
    volume.write(file, 40 * BLOCK_BYTES as u64, &[3; 2 * BLOCK_BYTES])?;
    volume.rename(root, "file", below, "moved")?;
    volume.sync(file, Change::All)?;
    volume.create_directory(root, "new")?;
    let held = volume.lookup(directory, "small")?;
    volume.unlink(directory, "small")?;
    volume.unlink(below, "again")?;
    volume.write(held, 0, &[4; 2000])?;
    volume.settle();
    Ok(volume.sync_all()?)
}

/// Changes what is sealed: which one of its kind, and how.
struct Edits {
    edits: Vec<Edit>,
    nodes: usize,
    entries: usize,
}

struct Edit {
    kind: Kind,
    /// Of those of its kind, counted from the start of the writing mount; 255 for all.
    which: u8,
    change: Vec<u8>,
}

impl Edits {
    fn read(input: &mut Input<'_>) -> Self {
        let mut edits = Vec::new();
        while !input.is_empty() {
            let kind = if input.u8().is_multiple_of(2) { Kind::Node } else { Kind::Log };
            let which = input.u8();
            let length = usize::from(input.u8() % 64);
            edits.push(Edit { kind, which, change: input.bytes(length).to_vec() });
        }
        Edits { edits, nodes: 0, entries: 0 }
    }

    fn make(&mut self, kind: Kind, bytes: &mut [u8]) {
        let count = match kind {
            Kind::Node => &mut self.nodes,
            Kind::Log => &mut self.entries,
            Kind::Data => return,
        };
        let number = *count;
        *count += 1;
        let wanted = |edit: &&Edit| {
            edit.kind == kind && (edit.which == u8::MAX || usize::from(edit.which) == number)
        };
        for edit in self.edits.iter().filter(wanted) {
            let mut input = Input(&edit.change);
            match (kind, <&mut Bytes>::try_from(&mut *bytes)) {
                (Kind::Node, Ok(page)) => change_node(page, &mut input),
                _ => change_bytes(bytes, &mut input),
            }
        }
    }
}

/// Overwrites bytes, or moves what lies behind by a few bytes.
fn change_bytes(bytes: &mut [u8], input: &mut Input<'_>) {
    let (what, at) = (input.u8(), input.below(bytes.len()));
    let new = input.bytes(63);
    let length = new.len().min(bytes.len() - at);
    match what % 3 {
        1 => bytes[at..].rotate_right(length),
        2 => return bytes[at..].rotate_left(length),
        _ => {}
    }
    bytes[at..at + length].copy_from_slice(&new[..length]);
}

/// Changes a node's items, so that it stays a node; or its bytes.
fn change_node(page: &mut Bytes, input: &mut Input<'_>) {
    let (what, level) = (input.u8() % 8, page[0]);
    let node = Node::validate(Box::new(*page), level).ok();
    let node = node.filter(|node| what != 0 && node.count() > 0);
    match node {
        Some(mut node) => {
            change_items(&mut node, what, input);
            *page = *node.into_block();
        }
        None => change_bytes(page, input),
    }
}

fn change_items(node: &mut Node, what: u8, input: &mut Input<'_>) {
    let (level, count) = (node.level(), node.count());
    let index = input.below(count);
    let key = node.key(index);
    let mut value = node.value(index).to_vec();
    match what {
        // Some bytes of a value.
        1 | 2 if level == 0 => {
            change_bytes(&mut value, input);
            node.replace(index, &key, &value);
        }
        // Another value.
        3 if level == 0 => {
            node.replace(index, &key, input.bytes(63));
        }
        4 if level == 0 => node.remove(index),
        // A pointer is there twice.
        5 if level == 0 => {
            let from = node.value(input.below(count)).to_vec();
            node.replace(index, &key, &from);
        }
        // A child is there twice.
        5 | 6 if level > 0 => {
            let from = node.child(input.below(count));
            node.set_child(index, &from);
        }
        // Another item, or a pointer to somewhere.
        _ => {
            let (key, from) = (input.key(), input.below(MAX_STORAGE_BLOCKS as usize));
            if level == 0 {
                value = input.bytes(63).to_vec();
            } else if what == 7 {
                let mut pointer = Pointer::decode(&padded::<POINTER_BYTES>(&value));
                pointer.block = BlockNo(from as u64 % MAX_BLOCKS);
                value = pointer.encode().to_vec();
            }
            if let Err(index) = node.search(&key) {
                node.insert(index, &key, &value);
            }
        }
    }
}

/// A volume that was made as the input says: which one it begins with, how it is opened, and
/// what of it is changed.
pub fn volume(bytes: &[u8]) {
    let mut input = Input(bytes);
    let flags = input.u8();
    // Trees of three levels take several times as long.
    let deep = flags % 8 == 7;
    let mode = [Mode::Write, Mode::Write, Mode::Read, Mode::Repair][usize::from(flags >> 3 & 3)];
    // A block that is lost.
    let lost = (flags & 32 != 0).then(|| input.number::<2>() % MAX_STORAGE_BLOCKS);
    let base = BASES[usize::from(deep)].as_ref().expect("a volume can be made in memory");
    let storage = base.copy();
    fuzz_hooks::predictably(|| {
        let mut edits = Edits::read(&mut input);
        let change = move |kind, bytes: &mut [u8]| edits.make(kind, bytes);
        // It fails where it reads again what was changed.
        let written = fuzz_hooks::changing(change, || write(&storage, deep));
        assert!(written.is_ok() || bytes.len() > 1, "{written:?}");
        let storage = storage.copy();
        if let Some(lost) = lost {
            storage.with(|held| held.blocks.remove(&lost));
        }
        use_up(&storage, mode);
    });
}

/// Opens a volume, checks it, and looks at everything; changes it if it can be changed, and
/// looks again. Where the check finds nothing, nothing is damaged later either.
fn use_up(storage: &Blocks, mode: Mode) {
    let Ok(mut volume) = open(storage, mode) else { return };
    let whole = look(&mut volume);
    if mode == Mode::Read {
        return;
    }
    // A damaged volume has errors.
    let _ = disturb(&mut volume);
    let trouble = volume.first_error().cloned();
    assert!(!whole || trouble.is_none(), "the check found nothing, and then: {trouble:?}");
    let closed = volume.close();
    assert!(!whole || closed.is_ok(), "{closed:?}");
    match open(storage, Mode::Read) {
        Ok(mut volume) => assert!(look(&mut volume) || !whole),
        Err(error) => assert!(!whole, "{error:?}"),
    }
}

/// Checks a volume, and reads all names, attributes and links, and the files in part; whether
/// nothing was wrong.
fn look(volume: &mut Volume) -> bool {
    let report = volume.check(&mut |_| {});
    let found_nothing = report.is_ok_and(|report| {
        assert_eq!(report.findings.is_empty(), report.finding_count == 0);
        report.finding_count == 0
    });
    for (directory, name, kind) in walk(volume).into_iter().take(MAX_FILES) {
        let Ok(inode) = volume.lookup(directory, &name) else { continue };
        if let Ok(attributes) = volume.attributes(inode)
            && kind == FileKind::File
        {
            read(volume, inode, attributes.size);
        }
        let _ = volume.read_link(inode);
        volume.release(inode);
    }
    found_nothing && volume.first_error().is_none()
}

fn read(volume: &mut Volume, inode: Inode, size: u64) {
    let mut bytes = [0; 3 * BLOCK_BYTES];
    let mut at = 0;
    for _ in 0..8 {
        let Ok(Some(data)) = volume.next_data(inode, at) else { break };
        assert!(data >= at);
        let _ = volume.read(inode, data, &mut bytes);
        at = data.saturating_add(32 * BLOCK_BYTES as u64);
    }
    for at in [0, size / 2, size.saturating_sub(1), u64::MAX] {
        if let Ok(length) = volume.read(inode, at, &mut bytes) {
            assert!(length as u64 <= size.saturating_sub(at));
        }
    }
}

/// All names, each directory's once.
fn walk(volume: &mut Volume) -> Vec<(Inode, String, FileKind)> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::from([InodeNo::ROOT.0]);
    let mut directories = vec![volume.root()];
    while let Some(directory) = directories.pop() {
        let mut last = 0;
        let _ = volume.entries(directory, 0, &mut |entry| {
            assert!(entry.cookie > last, "entries have an order");
            last = entry.cookie;
            assert_eq!(check_name(entry.name), Ok(()));
            if entry.kind == FileKind::Directory && seen.insert(entry.inode.0) {
                directories.push(entry.inode);
            }
            found.push((directory, entry.name.to_owned(), entry.kind));
            found.len() < MAX_ENTRIES
        });
    }
    found
}

/// Changes a bit of everything.
fn disturb(volume: &mut Volume) -> Result<()> {
    let root = volume.root();
    let names = walk(volume);
    for (number, (directory, name, kind)) in names.iter().take(MAX_FILES).enumerate() {
        let _ = match (number % 4, kind) {
            (0, FileKind::Directory) => volume.remove_directory(*directory, name),
            (0, _) => volume.unlink(*directory, name),
            (1, _) => volume.rename(*directory, name, root, &format!("renamed {number}")),
            (2, FileKind::Directory) => volume.create_directory(*directory, name),
            _ => change_file(volume, *directory, name, number),
        };
    }
    let file = volume.create_file(root, "created")?;
    volume.write(file, 0, &[5; 5000])?;
    volume.sync_all()?;
    volume.engine_mut().commit_tree(Durability::Synced)
}

fn change_file(
    volume: &mut Volume,
    directory: Inode,
    name: &str,
    number: usize,
) -> twine_vfs::Result<()> {
    let inode = volume.lookup(directory, name)?;
    let result = match number % 3 {
        0 => volume.write(inode, 4090, &[6; 10]).map(drop),
        1 => volume.set_size(inode, 10),
        _ => volume.attributes(inode).and_then(|attributes| {
            let size = attributes.size;
            volume.set_size(inode, size.saturating_add(9000))?;
            volume.write(inode, size, &[7; 9]).map(drop)
        }),
    };
    volume.release(inode);
    result
}

/// Inputs for the other targets, by the target's name: what a volume is made of, and volumes
/// that were changed in all ways there are.
///
/// # Panics
/// When no volume can be made in memory.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let seeds = Rc::new(RefCell::new(BTreeSet::new()));
    let base = BASES[0].as_ref().expect("a volume can be made in memory").copy();
    let also = Rc::clone(&seeds);
    let see = move |kind, bytes: &mut [u8]| collect(kind, bytes, &mut also.borrow_mut());
    let written = fuzz_hooks::predictably(|| fuzz_hooks::changing(see, || write(&base, false)));
    written.expect("a volume can be written in memory");
    let mut seeds = seeds.take();
    let header = base.block(HEADER_START.0);
    seeds.insert(("header", header.to_vec()));
    let slots = Header::decode(&header).expect("it was just written").slots;
    seeds.extend(slots.iter().map(|slot| ("slot", slot.encode().to_vec())));
    for flags in [0, 7, 16, 24] {
        seeds.insert(("volume", vec![flags]));
        (2..10).for_each(|lost| {
            seeds.insert(("volume", vec![flags + 32, lost, 0]));
        });
        for what in 0..8 {
            let node = [flags, 0, 0, 14, what, 2, 0, 4, 5, 1, 1, 3, 0, 1, 0, 0, 0, 0];
            seeds.insert(("volume", node.to_vec()));
            let all = [flags, 0, 255, 6, what, 1, 0, 0, 2, 0];
            seeds.insert(("volume", all.to_vec()));
        }
        for (entry, at) in [(0, 44), (1, 44), (1, 42), (2, 150), (3, 150)] {
            seeds.insert(("volume", vec![flags, 1, entry, 4, flags, at, 0, 1]));
        }
    }
    seeds.into_iter().collect()
}

/// Takes what is sealed, and its parts, as seeds.
fn collect(kind: Kind, bytes: &mut [u8], seeds: &mut BTreeSet<(&'static str, Vec<u8>)>) {
    let page = match (kind, <&mut Bytes>::try_from(&mut *bytes)) {
        (Kind::Log, _) => return log::fuzzing::collect(bytes, seeds),
        (Kind::Node, Ok(page)) => page,
        _ => return,
    };
    let level = page[0];
    let Ok(node) = Node::validate(Box::new(*page), level) else { return };
    seeds.insert(("node", node_input(&node)));
    if level > 0 {
        return;
    }
    let mut kinds = BTreeSet::new();
    for index in 0..node.count() {
        let value = node.value(index);
        let target = match node.key(index).subject {
            Subject::Attributes => "attributes",
            Subject::Extents => "extents",
            Subject::Entry => "name",
            _ => continue,
        };
        if kinds.insert((target, value.len())) {
            seeds.insert((target, value.to_vec()));
        }
    }
}
