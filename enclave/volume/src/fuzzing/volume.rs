//! Whole volumes by a hostile holder of the key.
//!
//! The volume's own code wrote them once. The input changes what was sealed, and the changed blocks
//! stay authentic.

mod blocks;
mod edits;

use super::node_input;
use crate::durability::Durability;
use crate::format::block::{BLOCK_BYTES, Bytes, HEADER_START, Kind};
use crate::format::item::Subject;
use crate::format::node::Node;
use crate::format::numbers::InodeNo;
use crate::header::Header;
use crate::volume::MIN_CACHE_BYTES;
use crate::{NewSlot, Options, Result, Secret, Volume, fuzz_hooks, log};
use blocks::Blocks;
use edits::Spots;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::LazyLock;
use twine_fuzz_input::Input;
use twine_vfs::{Change, FileKind, FileSystem, Inode, check_name};

/// The key file of every volume here.
const KEY_FILE: [u8; 32] = [7; 32];

/// Limit on the entries of a walk: circles of directories have no end.
const MAX_ENTRIES: usize = 2000;

/// Limit on the names of one directory that are looked up and changed.
const MAX_FILES: usize = 8;

/// How a volume is opened.
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

/// Number of files that have only attributes and a name.
const EMPTY_FILES: usize = 4;

/// Number of symbolic links whose targets fill so many leaves that the tree has three levels.
const DEEP_LINKS: usize = 64;

/// Makes a volume with every kind of item, and closes it. With `deep`, its tree has three levels.
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
    for number in 0..EMPTY_FILES {
        volume.create_file(below, &format!("empty file {number}"))?;
    }
    for number in 0..if deep { DEEP_LINKS } else { 0 } {
        volume.create_symbolic_link(directory, &number.to_string(), &"./".repeat(2000))?;
    }
    volume.sync_all()?;
    volume.close()?;
    Ok(storage)
}

/// Opens a volume and makes all kinds of changes, in commits of both kinds.
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
    for number in 0..EMPTY_FILES {
        let empty = volume.lookup(below, &format!("empty file {number}"))?;
        volume.set_mode(empty, twine_vfs::Mode::new(0o600))?;
        volume.release(empty);
    }
    for number in (0..if deep { DEEP_LINKS } else { 0 }).filter(|number| number % 8 < 3) {
        volume.unlink(directory, &number.to_string())?;
    }
    volume.engine_mut().commit_tree(Durability::Synced)?;
    // The following changes are only in the log.
    volume.write(file, 40 * BLOCK_BYTES as u64, &[3; 2 * BLOCK_BYTES])?;
    volume.rename(root, "file", below, "moved")?;
    volume.sync(file, Change::All)?;
    volume.create_directory(root, "new")?;
    let held = volume.lookup(directory, "small")?;
    volume.unlink(directory, "small")?;
    volume.unlink(below, "again")?;
    volume.write(held, 0, &[4; 2000])?;
    volume.hand_over();
    Ok(volume.sync_all()?)
}

/// A volume that inputs change.
struct Base {
    storage: Blocks,
    spots: Spots,
}

impl Base {
    fn make(deep: bool) -> Result<Self> {
        let written = || -> Result<Blocks> {
            let storage = make(deep)?;
            write(&storage, deep)?;
            Ok(storage)
        };
        let (storage, sealed) = fuzz_hooks::keeping(|| fuzz_hooks::predictably(written));
        let storage = storage?;
        let spots = Spots::find(&storage, sealed);
        Ok(Base { storage, spots })
    }
}

static BASES: LazyLock<[Option<Base>; 2]> =
    LazyLock::new(|| [false, true].map(|deep| Base::make(deep).ok()));

/// A volume that is made according to the input, which says which volume it begins with, how that
/// is opened, and what is changed.
pub fn volume(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let flags = input.u8();
    // Trees of three levels take longer.
    let deep = flags % 8 == 7;
    let mode = [Mode::Write, Mode::Write, Mode::Read, Mode::Repair][usize::from(flags >> 3 & 3)];
    let base = BASES[usize::from(deep)].as_ref().expect("a volume can be made in memory");
    let storage = base.storage.copy();
    if flags & 32 != 0 {
        // Lose a block.
        let used = storage.used();
        storage.set_block(used[input.below(used.len())], &[0; BLOCK_BYTES]);
    }
    let forged = edits::make(&storage, &base.spots, &mut input);
    if bytes.len() > 1 && flags & 32 == 0 && forged.is_empty() {
        // An input of one byte has the same effect.
        return;
    }
    let use_up = || use_up(&storage, mode, flags & 64 != 0);
    fuzz_hooks::forging(&forged, || fuzz_hooks::predictably(use_up));
}

/// Opens a volume, checks it, and reads everything. If it can be changed, changes it, and reads
/// everything again. After findings, the second reading happens only if `thorough`. A volume
/// without findings must not show damage later.
fn use_up(storage: &Blocks, mode: Mode, thorough: bool) {
    let Ok(mut volume) = open(storage, mode) else { return };
    let whole = look(&mut volume);
    if mode == Mode::Read {
        return;
    }
    // In a damaged volume, errors are expected.
    let _ = disturb(&mut volume);
    let trouble = volume.first_error().cloned();
    assert!(!whole || trouble.is_none(), "the check found nothing, and then: {trouble:?}");
    let closed = volume.close();
    assert!(!whole || closed.is_ok(), "{closed:?}");
    match open(storage, Mode::Read) {
        Ok(mut volume) if whole || thorough => assert!(look(&mut volume) || !whole),
        Ok(_) => {}
        Err(error) => assert!(!whole, "{error:?}"),
    }
}

/// Checks a volume, and reads all names, attributes and links, and parts of the files. Returns
/// whether nothing was wrong.
fn look(volume: &mut Volume) -> bool {
    let report = volume.check(&mut |_| {});
    let found_nothing = report.is_ok_and(|report| {
        assert_eq!(report.findings.is_empty(), report.finding_count == 0);
        report.finding_count == 0
    });
    for (directory, name, kind) in walk(volume) {
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

/// Returns the first names of each directory, and visits each directory once.
fn walk(volume: &mut Volume) -> Vec<(Inode, String, FileKind)> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::from([InodeNo::ROOT.0]);
    let mut directories = vec![volume.root()];
    while let Some(directory) = directories.pop() {
        let (mut last, mut names) = (0, 0);
        let _ = volume.entries(directory, 0, &mut |entry| {
            assert!(entry.cookie > last, "entries have an order");
            last = entry.cookie;
            assert_eq!(check_name(entry.name), Ok(()));
            if entry.kind == FileKind::Directory && seen.insert(entry.inode.0) {
                directories.push(entry.inode);
            }
            names += 1;
            if names <= MAX_FILES {
                found.push((directory, entry.name.to_owned(), entry.kind));
            }
            names < MAX_ENTRIES && found.len() < MAX_ENTRIES
        });
    }
    found
}

/// Changes something of every kind.
fn disturb(volume: &mut Volume) -> Result<()> {
    let root = volume.root();
    let names = walk(volume);
    for (number, (directory, name, kind)) in names.iter().enumerate() {
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

/// Returns inputs for the fuzz targets, with the names of the targets: the parts of a volume, and
/// volumes with every kind of change.
///
/// # Panics
/// If no volume can be made in memory.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let seeds = Rc::new(RefCell::new(BTreeSet::new()));
    let written = || {
        let storage = make(false)?;
        let also = Rc::clone(&seeds);
        let see = move |kind, bytes: &mut [u8]| collect(kind, bytes, &mut also.borrow_mut());
        fuzz_hooks::watching(see, || write(&storage, false)).map(|()| storage)
    };
    let storage = fuzz_hooks::predictably(written).expect("a volume can be made in memory");
    let mut seeds = seeds.take();
    let header = storage.block(HEADER_START.0);
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

/// Collects what is about to be sealed, and its parts, as seeds.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_change_trees_of_two_levels_and_of_three() {
        for (base, levels) in BASES.iter().zip([2, 3]) {
            let base = base.as_ref().unwrap();
            let volume = || open(&base.storage.copy(), Mode::Read).unwrap();
            let mut volume = fuzz_hooks::forging(&[], volume);
            assert_eq!(volume.engine().space().tree().root().levels, levels);
            let report = fuzz_hooks::forging(&[], || volume.check(&mut |_| {}).unwrap());
            assert_eq!(report.findings, []);
            assert!(base.spots.counts().iter().all(|count| *count > 4));
        }
    }
}
