//! Volumes that somebody with the key made by hand: everything is sealed correctly, but malformed.
//! Nothing may panic, no operation may take longer than the size of the storage explains, no
//! program may see what a volume of ours cannot contain, and a check names it.

use crate::admin::check::Report;
use crate::durability::Durability;
use crate::error::Result;
use crate::format::attributes::Attributes;
use crate::format::block::BlockNo;
use crate::format::block::{BLOCK_BYTES, Kind, RESERVED_BLOCKS, RING_START, ROOTS_START, zeroed};
use crate::format::item::{GROUP, Key, Subject};
use crate::format::node::Node;

use crate::format::numbers::InodeNo;
use crate::format::pointer::Pointer;
use crate::format::root::Root;
use crate::header::key_slot::{NewSlot, Secret};
use crate::storage::{MemoryStorage, Storage, StorageError};
use crate::volume::{MIN_CACHE_BYTES, Options, Volume};
use twine_vfs::{Error as FileError, FileKind, FileSystem, Inode};

const KEY: [u8; 32] = [7; 32];

const ROOT: u64 = InodeNo::ROOT.0;

const FILE: u8 = 1;
const DIRECTORY: u8 = 2;

fn key(inode: u64, subject: Subject, offset: u64) -> Key {
    Key::new(InodeNo(inode), subject, offset)
}

fn options() -> Options {
    Options { cache_bytes: MIN_CACHE_BYTES, clock: Box::new(|| 1), ..Options::default() }
}

fn open_as(storage: impl Storage + 'static, read_only: bool) -> Volume {
    let options = Options { read_only, ..options() };
    Volume::open(Box::new(storage), &mut Secret::key_file(&KEY), options).unwrap()
}

/// Makes a volume by hand.
struct Forger {
    storage: MemoryStorage,
    volume: Volume,
}

impl Forger {
    fn new() -> Self {
        let storage = MemoryStorage::default();
        let slots = [NewSlot::key_file(&KEY).unwrap()];
        let volume = Volume::create(Box::new(storage.clone()), &slots, options()).unwrap();
        Forger { storage, volume }
    }

    /// Creates a valid directory, and returns its inode.
    fn directory(&mut self, above: u64, name: &str) -> u64 {
        self.volume.files_mut().make(InodeNo(above), name, FileKind::Directory, "").unwrap().0
    }

    fn file(&mut self, above: u64, name: &str) -> u64 {
        self.volume.files_mut().make(InodeNo(above), name, FileKind::File, "").unwrap().0
    }

    /// Puts an item with any contents.
    fn put(&mut self, key: Key, value: &[u8]) {
        self.volume.engine_mut().inodes_mut().write().unwrap();
        self.volume.engine_mut().make_room().unwrap();
        let space = self.volume.engine_mut().space_mut();
        match key.subject {
            Subject::Extents => space.put_extents(&key, value, u32::MAX).unwrap(),
            _ => space.put(&key, value).unwrap(),
        }
    }

    /// Puts an entry with the cookie of its name, or with the next free one.
    fn entry(&mut self, directory: u64, name: impl AsRef<[u8]>, inode: u64, kind: u8) {
        let name = name.as_ref();
        let mut key =
            self.volume.files().name_key(InodeNo(directory), &String::from_utf8_lossy(name));
        while self.volume.engine_mut().space_mut().has(&key).unwrap() {
            key.offset += 1;
        }
        self.entry_at(key, name, inode, kind);
    }

    fn entry_at(&mut self, key: Key, name: impl AsRef<[u8]>, inode: u64, kind: u8) {
        let mut value = inode.to_le_bytes().to_vec();
        value.push(kind);
        value.extend_from_slice(name.as_ref());
        self.put(key, &value);
    }

    /// Changes the attributes of an inode.
    fn attributes(&mut self, inode: u64, change: impl FnOnce(&mut Attributes)) {
        self.volume.engine_mut().inodes_mut().write().unwrap();
        let mut attributes = self.volume.engine_mut().inodes_mut().get(InodeNo(inode)).unwrap();
        change(&mut attributes);
        self.volume.engine_mut().inodes_mut().forget_known(InodeNo(inode));
        self.put(key(inode, Subject::Attributes, 0), &attributes.encode());
        self.volume.engine_mut().inodes_mut().forget_known(InodeNo(inode));
    }

    /// Writes a node that is in no tree yet.
    fn node(&mut self, level: u8, items: &[(Key, Vec<u8>)]) -> Pointer {
        self.volume.engine_mut().make_room().unwrap();
        let mut node = Node::empty(zeroed(), level);
        for (index, (key, value)) in items.iter().enumerate() {
            assert!(node.insert(index, key, value));
        }
        let mut bytes = node.into_block();
        let block = self.volume.engine_mut().space_mut().tree_mut().pool_mut().take().unwrap();
        let pointer =
            self.volume.engine_mut().store_mut().seal(Kind::Node, block, &mut bytes[..]).unwrap();
        self.volume.engine_mut().store_mut().write(block, &bytes[..]).unwrap();
        pointer
    }

    /// Adds levels to the tree until a node of `level` can lie beside all its nodes, and adds
    /// `node` there.
    fn graft(&mut self, level: u8, least: Key, node: &Pointer) {
        self.volume.engine_mut().need_tree();
        self.volume.engine_mut().commit().unwrap();
        let Root { pointer: mut root, levels } = self.volume.engine().space().tree().root();
        for above in levels..=level {
            root = self.node(above, &[(Key::MIN, root.encode().to_vec())]);
        }
        let children = [(Key::MIN, root.encode().to_vec()), (least, node.encode().to_vec())];
        let root = Root { pointer: self.node(level + 1, &children), levels: level + 2 };
        self.volume.engine_mut().space_mut().tree_mut().replace_root(root);
        self.volume.engine_mut().need_tree();
    }

    /// Like [`close`](Self::close), but does not cut the storage.
    fn commit(mut self) -> MemoryStorage {
        self.volume.engine_mut().need_tree();
        self.volume.engine_mut().commit().unwrap();
        self.volume.engine_mut().commit_tree(Durability::Synced).unwrap();
        self.storage
    }

    /// Closes the volume, and returns its storage.
    fn close(mut self) -> MemoryStorage {
        self.volume.engine_mut().need_tree();
        self.volume.close().unwrap();
        self.storage
    }

    /// Closes the volume, and opens it like anybody else.
    fn open(self) -> Volume {
        open_as(self.close(), false)
    }
}

/// Returns how many blocks `work` opened.
fn opened<T>(volume: &mut Volume, work: impl FnOnce(&mut Volume) -> T) -> (T, u64) {
    let before = volume.statistics().blocks_opened;
    let result = work(volume);
    (result, volume.statistics().blocks_opened - before)
}

/// Returns how many nodes `work` looked at, in the cache or not.
fn looked_at<T>(volume: &mut Volume, work: impl FnOnce(&mut Volume) -> T) -> (T, u64) {
    let looks = |volume: &Volume| volume.statistics().cache_hits + volume.statistics().cache_misses;
    let before = looks(volume);
    let result = work(volume);
    (result, looks(volume) - before)
}

fn names(volume: &mut Volume, directory: u64) -> (Vec<String>, Result<(), FileError>) {
    let mut names = Vec::new();
    let result = volume.entries(Inode(directory), 0, &mut |entry| {
        names.push(entry.name.to_owned());
        true
    });
    names.sort();
    (names, result)
}

fn check(volume: &mut Volume) -> Report {
    volume.check(&mut |_| {}).unwrap()
}

#[track_caller]
fn finds(report: &Report, path: Option<&str>, what: &str) {
    let found = report
        .findings
        .iter()
        .any(|finding| finding.path.as_deref() == path && finding.what.contains(what));
    assert!(found, "no {path:?} {what:?} in {:#?}", report.findings);
}

/// Checks a volume that was made by hand.
fn found_in(forger: Forger) -> Report {
    let storage = forger.close();
    let (report, count) = opened(&mut open_as(storage.clone(), true), check);
    let blocks = storage.with(|bytes| bytes.len() / BLOCK_BYTES) as u64;
    assert!(count <= 2 * blocks, "{count} blocks opened of {blocks}");
    report
}

#[test]
fn a_repair_leaves_no_malformed_entry_that_a_later_mount_would_meet() {
    let mut forger = Forger::new();
    forger.file(ROOT, "file");
    forger.volume.engine_mut().commit().unwrap();
    // The payload would be longer than a block.
    let mut block = Box::new([0xff; BLOCK_BYTES]);
    let volume = forger.volume.id();
    let seal = forger
        .volume
        .engine_mut()
        .store_mut()
        .sealer_mut()
        .seal(Kind::Log, &volume.0, &mut block[34..])
        .unwrap();
    block[..12].copy_from_slice(&seal.salt);
    block[12..18].copy_from_slice(&seal.counter.to_le_bytes()[..6]);
    block[18..34].copy_from_slice(&seal.tag);
    for at in [RING_START + 60, ROOTS_START + 4] {
        forger.volume.engine_mut().store_mut().write(at, &block[..]).unwrap();
    }
    let open = |repair| {
        let options = Options { repair, ..options() };
        let storage = Box::new(forger.storage.clone());
        Volume::open(storage, &mut Secret::key_file(&KEY), options)
    };
    assert!(open(false).unwrap_err().to_string().contains("malformed"));
    let mut repaired = open(true).unwrap();
    repaired.create_file(Inode(ROOT), "another").unwrap();
    repaired.close().unwrap();
    let mut volume = open(false).unwrap();
    for name in ["file", "another"] {
        volume.lookup(Inode(ROOT), name).unwrap();
    }
}

#[test]
fn pointers_into_the_log_behind_the_largest_file_are_refused_by_a_mount() {
    let mut forger = Forger::new();
    let file = forger.file(ROOT, "file");
    forger.volume.engine_mut().commit().unwrap();
    forger.volume.engine_mut().make_room().unwrap();
    let pointer = Pointer { block: RING_START, counter: 1, salt: [9; 12], tag: [9; 16] };
    let key = key(file, Subject::Extents, u64::MAX);
    forger.volume.engine_mut().data_mut().set_pointers(&key, &[(31, Some(pointer))]).unwrap();
    forger.volume.engine_mut().commit().unwrap();
    let storage = Box::new(forger.storage.clone());
    let error = Volume::open(storage, &mut Secret::key_file(&KEY), options()).unwrap_err();
    assert!(error.to_string().contains("beyond the end of the largest file"), "{error}");
}

#[test]
fn the_forger_makes_whole_volumes_unless_it_forges() {
    let mut forger = Forger::new();
    let inner = forger.directory(ROOT, "inner");
    forger.file(inner, "file");
    forger.node(0, &[(key(inner, Subject::Entry, u64::MAX), vec![0; 9])]);
    let report = found_in(forger);
    // The finding is about the node that is in no tree.
    assert_eq!(report.finding_count, 1, "{report:?}");
    finds(&report, None, "1 blocks are entered as in use, and nothing refers to them");
}

#[test]
fn a_check_looks_once_at_a_node_that_many_pointers_lead_to() {
    let mut forger = Forger::new();
    let crowd = forger.file(ROOT, "crowd");
    let key = |offset| key(crowd, Subject::Target, offset);
    let mut node = forger.node(0, &[(key(1), vec![0])]);
    // 20^13 paths lead to the leaf.
    for level in 1..=13 {
        let children: Vec<_> = (1..=20).map(|at| (key(at), node.encode().to_vec())).collect();
        node = forger.node(level, &children);
    }
    forger.graft(13, key(0), &node);
    let report = found_in(forger);
    finds(&report, None, "is in use twice");
    finds(&report, Some("/crowd"), "what nothing of its kind can have");
    // All children except the first, and all keys that the nodes above do not allow.
    assert_eq!(report.finding_count, 13 * 19 + 12 * 19 + 1, "{report:?}");
}

#[test]
fn a_mount_looks_once_at_a_node_that_is_not_known_to_be_durable() {
    let mut forger = Forger::new();
    let crowd = forger.file(ROOT, "crowd");
    forger.volume.sync_all().unwrap();
    let key = |offset| key(crowd, Subject::Target, offset);
    let mut node = forger.node(0, &[(key(1), vec![0])]);
    for level in 1..=13 {
        let children: Vec<_> = (1..=20).map(|at| (key(at), node.encode().to_vec())).collect();
        node = forger.node(level, &children);
    }
    forger.graft(13, key(0), &node);
    // Handed over and not synced: a mount cannot know that it is complete.
    forger.volume.engine_mut().has_changed();
    let trees = forger.volume.statistics().tree_commits;
    forger.volume.engine_mut().hand_over().unwrap();
    assert_eq!(forger.volume.statistics().tree_commits, trees + 1);
    let blocks = forger.storage.with(|bytes| bytes.len() / BLOCK_BYTES) as u64;
    for read_only in [true, false] {
        let copy = MemoryStorage::new(forger.storage.with(|bytes| bytes.clone()));
        let volume = open_as(copy, read_only);
        let opened = volume.statistics().blocks_opened;
        assert!((14..2 * blocks).contains(&opened), "{opened} blocks opened of {blocks}");
    }
}

#[test]
fn compacting_ends_where_many_pointers_lead_to_a_node() {
    let mut forger = Forger::new();
    let crowd = forger.file(ROOT, "crowd");
    let key = |offset| key(crowd, Subject::Target, offset);
    // Blocks that compacting can give back.
    forger.file(ROOT, "large");
    let large = forger.volume.lookup(Inode(ROOT), "large").unwrap();
    forger.volume.write(large, 0, &vec![7; 1000 * BLOCK_BYTES]).unwrap();
    forger.volume.sync_all().unwrap();
    forger.volume.set_size(large, 0).unwrap();
    forger.volume.release(large);
    let mut node = forger.node(0, &[(key(1), vec![0])]);
    for level in 1..=13 {
        let children: Vec<_> = (1..=20).map(|at| (key(at), node.encode().to_vec())).collect();
        node = forger.node(level, &children);
    }
    forger.graft(13, key(0), &node);
    let mut volume = open_as(forger.commit(), false);
    let (packed, looks) = looked_at(&mut volume, |volume| volume.compact(&mut |_| {}));
    assert!(looks < 200_000, "{packed:?} {looks}");
    assert!(packed.is_err() || packed.is_ok_and(|packing| packing.damaged > 0));
}

#[test]
fn a_list_gives_each_entry_once_where_many_pointers_lead_to_a_leaf() {
    let mut forger = Forger::new();
    let crowd = forger.directory(ROOT, "crowd");
    let mut entries: Vec<(Key, Vec<u8>)> = (0..40)
        .map(|at| {
            let name = format!("name {at}");
            let mut value = crowd.to_le_bytes().to_vec();
            value.push(DIRECTORY);
            value.extend_from_slice(name.as_bytes());
            (forger.volume.files().name_key(InodeNo(crowd), &name), value)
        })
        .collect();
    entries.sort_by_key(|(key, _)| *key);
    let mut node = forger.node(0, &entries);
    for level in 1..=5 {
        let key = |offset| key(crowd, Subject::Entry, offset);
        let children: Vec<_> = (0..60).map(|at| (key(at), node.encode().to_vec())).collect();
        node = forger.node(level, &children);
    }
    forger.graft(5, key(crowd, Subject::Entry, 0), &node);
    let mut volume = forger.open();
    let ((listed, result), looks) = looked_at(&mut volume, |volume| names(volume, crowd));
    assert_eq!((listed, result), (Vec::new(), Err(FileError::Io)));
    assert!(looks < 100, "{looks}");
    assert!(volume.first_error().unwrap().to_string().contains("wrong part of the tree"));
}

#[test]
fn a_check_of_a_damaged_leaf_does_not_depend_on_the_number_of_the_next_inode() {
    let mut forger = Forger::new();
    for at in 0..1000 {
        let inode = forger.file(ROOT, &format!("file {at}"));
        forger.volume.release(Inode(inode));
    }
    forger.volume.engine_mut().inodes_mut().set_next(InodeNo(1 << 63));
    // So that the state contains the number.
    forger.file(ROOT, "last");
    let storage = forger.close();
    let blocks = storage.with(|bytes| bytes.len() / BLOCK_BYTES) as u64;
    let mut lost = 0;
    for block in RESERVED_BLOCKS..blocks {
        let mut bytes = storage.with(|bytes| bytes.clone());
        bytes[block as usize * BLOCK_BYTES] ^= 1;
        let mut volume = open_as(MemoryStorage::new(bytes), true);
        let (report, count) = opened(&mut volume, check);
        lost += u64::from(report.finding_count > 0);
        // Every block twice, and a path of a few nodes for the name in each finding.
        assert!(count <= 2 * blocks + 3 * 1000, "{count} of {blocks}");
    }
    assert!(lost > 20, "{lost}");
}

/// A storage that claims to be longer than it is, like a file with a hole.
struct Long {
    inner: MemoryStorage,
    size: u64,
}

impl Storage for Long {
    fn size(&mut self) -> Result<u64, StorageError> {
        Ok(self.size)
    }
    fn set_size(&mut self, size: u64) -> Result<(), StorageError> {
        assert!(size < self.size);
        self.size = size;
        Ok(())
    }
    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        self.inner.read(offset, bytes)
    }
    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.inner.write(offset, bytes)
    }
    fn sync(&mut self) -> Result<(), StorageError> {
        Ok(())
    }
}

#[test]
fn a_storage_that_is_long_and_empty_takes_no_more_memory_and_time() {
    let mut forger = Forger::new();
    forger.file(ROOT, "file");
    forger.volume.engine_mut().commit_tree(Durability::Synced).unwrap();
    forger.volume.engine_mut().store_mut().assume_blocks(1 << 47);
    forger.volume.engine_mut().commit_tree(Durability::Synced).unwrap();
    forger.volume.engine_mut().commit_tree(Durability::Synced).unwrap();
    let long = || Long { inner: forger.storage.clone(), size: 1 << 59 };
    let mut volume = open_as(long(), true);
    let (report, looks) = looked_at(&mut volume, check);
    assert_eq!((report.finding_count, report.files), (0, 1), "{report:?}");
    assert!(looks < 100, "{looks}");
    let mut volume = open_as(long(), false);
    volume.create_file(Inode(ROOT), "new").unwrap();
    let (end, looks) = looked_at(&mut volume, |volume| volume.engine_mut().space_mut().used_end());
    assert!(looks < 100, "{looks}");
    assert!(end.unwrap() < BlockNo(1000));
    let (packed, looks) = looked_at(&mut volume, |volume| volume.compact(&mut |_| {}));
    assert!(packed.is_ok() && looks < 1000, "{packed:?} {looks}");
    volume.close().unwrap();
}

#[test]
fn a_directory_in_itself_is_found_and_never_entered() {
    let mut forger = Forger::new();
    let around = forger.directory(ROOT, "around");
    forger.file(around, "file");
    forger.entry(around, "again", around, DIRECTORY);
    let storage = forger.close();
    let report = check(&mut open_as(storage.clone(), true));
    finds(&report, Some("/around"), "the directory is in itself, as \"again\"");
    finds(&report, Some("/around"), "it has 2 names, and counts 1");
    let mut volume = open_as(storage, false);
    assert_eq!(volume.lookup(Inode(around), "again"), Err(FileError::Io));
    assert!(volume.lookup(Inode(around), "file").is_ok());
    assert_eq!(names(&mut volume, around), (vec!["again".into(), "file".into()], Ok(())));
    let root = volume.root();
    assert_eq!(volume.rename(Inode(around), "again", root, "away"), Err(FileError::Io));
    assert_eq!(volume.remove_directory(Inode(around), "again"), Err(FileError::Io));
    let trouble = volume.first_error().unwrap().to_string();
    let wanted = format!("directory {around}: a name leads to directory {around}");
    assert!(trouble.contains(&wanted), "{trouble}");
}

#[test]
fn a_name_that_leads_up_is_found_and_never_followed() {
    let mut forger = Forger::new();
    let outer = forger.directory(ROOT, "outer");
    let middle = forger.directory(outer, "middle");
    let inner = forger.directory(middle, "inner");
    forger.entry(inner, "up", outer, DIRECTORY);
    forger.entry(inner, "top", ROOT, DIRECTORY);
    // An entry may call a directory a file.
    forger.entry(inner, "hidden", middle, FILE);
    let storage = forger.close();
    let report = check(&mut open_as(storage.clone(), true));
    let inside = Some("/outer/middle/inner");
    finds(&report, inside, &format!("\"up\" in it leads to directory {outer}, which it is in"));
    finds(&report, Some("/"), "the root directory is in another one");
    finds(&report, Some("/outer/middle"), "its name says that it is of another kind");
    let mut volume = open_as(storage, false);
    for name in ["up", "top", "hidden"] {
        assert_eq!(volume.lookup(Inode(inner), name), Err(FileError::Io), "{name}");
    }
}

#[test]
fn directories_that_are_only_in_each_other_are_found() {
    let mut forger = Forger::new();
    let first = forger.directory(ROOT, "first");
    let second = forger.directory(first, "second");
    let third = forger.directory(second, "third");
    forger.file(third, "file");
    let key = forger.volume.files_mut().entry(InodeNo::ROOT, "first").unwrap().key;
    forger.volume.engine_mut().make_room().unwrap();
    forger.volume.engine_mut().space_mut().remove(&key).unwrap();
    forger.entry(third, "first", first, DIRECTORY);
    forger.attributes(first, |attributes| attributes.parent = InodeNo(third));
    let storage = forger.close();
    let report = check(&mut open_as(storage.clone(), true));
    assert_eq!(report.finding_count, 1, "{report:?}");
    finds(&report, None, &format!("inode {first}: the directory is below itself"));
    // Whoever has the number of one of them may rename: that must also end.
    let mut volume = open_as(storage, false);
    let other = volume.files_mut().make(InodeNo::ROOT, "other", FileKind::Directory, "").unwrap().0;
    let renamed = volume.rename(Inode(ROOT), "other", Inode(third), "new");
    assert_eq!(renamed, Err(FileError::Io));
    let trouble = volume.first_error().unwrap().to_string();
    assert!(trouble.contains("is below itself"), "{trouble}");
    assert_eq!(volume.lookup(Inode(ROOT), "other"), Ok(Inode(other)));
}

#[test]
fn a_directory_with_two_names_or_another_parent_is_found() {
    let mut forger = Forger::new();
    let one = forger.directory(ROOT, "one");
    let two = forger.directory(ROOT, "two");
    let shared = forger.directory(two, "shared");
    forger.entry(one, "stolen", shared, DIRECTORY);
    let lost = forger.directory(ROOT, "lost");
    forger.attributes(lost, |attributes| attributes.parent = InodeNo(one));
    let storage = forger.close();
    let report = check(&mut open_as(storage.clone(), true));
    let what = format!("\"stolen\" in it leads to directory {shared}, which has another name");
    finds(&report, Some("/one"), &what);
    finds(&report, Some("/two/shared"), "it has 2 names, and counts 1");
    finds(&report, Some("/lost"), &format!("and says that it is in {one}"));
    let mut volume = open_as(storage, false);
    assert_eq!(volume.lookup(Inode(one), "stolen"), Err(FileError::Io));
    assert_eq!(volume.lookup(Inode(two), "shared"), Ok(Inode(shared)));
    assert_eq!(volume.lookup(Inode(ROOT), "lost"), Err(FileError::Io));
}

#[test]
fn names_that_nobody_can_have_given_reach_no_program_and_are_found() {
    let long = "x".repeat(600);
    let bad: [(&[u8], &str); 8] = [
        (b"..", "the name \"..\" is none that a file can have"),
        (b".", "the name \".\" is none that a file can have"),
        (b"", "the name \"\" is none that a file can have"),
        (b"../evil", "the name \"../evil\" is none that a file can have"),
        (b"a/b", "the name \"a/b\" is none that a file can have"),
        (b"nul\0", "the name \"nul\\0\" is none that a file can have"),
        (long.as_bytes(), "... is too long"),
        (b"\xff\xfe", "a directory entry is not valid"),
    ];
    for (name, what) in bad {
        let mut forger = Forger::new();
        let inner = forger.directory(ROOT, "inner");
        let target = forger.file(ROOT, "target");
        forger.file(inner, "good");
        forger.file(inner, "also good");
        forger.entry(inner, name, target, FILE);
        let storage = forger.close();
        let report = check(&mut open_as(storage.clone(), true));
        finds(&report, Some("/inner"), what);
        let mut volume = open_as(storage, false);
        let good = vec!["also good".to_owned(), "good".to_owned()];
        assert_eq!(names(&mut volume, inner), (good, Err(FileError::Io)), "{what}");
        assert!(volume.lookup(Inode(inner), "good").is_ok());
        let trouble = volume.first_error().unwrap().to_string();
        assert!(trouble.contains(&format!("directory {inner}: {what}")) || what.starts_with("..."));
        // The rest of the volume is not affected.
        assert_eq!(names(&mut volume, ROOT).1, Ok(()));
        assert_eq!(volume.remove_directory(Inode(ROOT), "inner"), Err(FileError::NotEmpty));
    }
}

#[test]
fn a_target_that_is_no_text_is_found_as_it_is_read() {
    let mut forger = Forger::new();
    let root = InodeNo::ROOT;
    let mut link = |name: &str, target: &str| {
        forger.volume.files_mut().make(root, name, FileKind::SymbolicLink, target).unwrap().0
    };
    let (whole, torn) = (link("whole", &"ß".repeat(600)), link("torn", &"ß".repeat(600)));
    let odd = link("odd", "target");
    // The first byte of a character, at the end of the second piece.
    let mut bytes = vec![b'a'; 1200 - 1024 - 1];
    bytes.push(0xc3);
    forger.put(key(torn, Subject::Target, 1), &bytes);
    forger.put(key(odd, Subject::Target, 0), b"tar");
    forger.put(key(odd, Subject::Target, 4), b"get");
    let mut volume = forger.open();
    let report = check(&mut volume);
    finds(&report, Some("/torn"), "its target is not valid");
    finds(&report, Some("/odd"), "a piece of a target that nobody removes");
    assert_eq!(report.finding_count, 2);
    assert_eq!(volume.read_link(Inode(torn)), Err(FileError::Io));
    assert_eq!(volume.read_link(Inode(whole)), Ok("ß".repeat(600)));
}

#[test]
fn items_that_hold_nothing_and_are_of_another_kind_are_found() {
    let mut forger = Forger::new();
    let (file, other) = (forger.file(ROOT, "file"), forger.file(ROOT, "other"));
    let directory = forger.directory(ROOT, "directory");
    forger.put(key(file, Subject::Target, 3), b"");
    forger.put(key(directory, Subject::Inline, 0), b"");
    // The removal of the file does not remove this item.
    forger.put(key(other, Subject::Inline, 1), b"");
    let report = check(&mut forger.open());
    finds(&report, Some("/file"), "it has what nothing of its kind can have");
    finds(&report, Some("/directory"), "it has what nothing of its kind can have");
    finds(&report, Some("/other"), "there are bytes that nobody looks at");
}

#[test]
fn a_name_that_is_there_twice_or_elsewhere_is_given_once_at_most() {
    let mut forger = Forger::new();
    let inner = forger.directory(ROOT, "inner");
    let first = forger.file(inner, "twice");
    let second = forger.file(ROOT, "second");
    forger.entry(inner, "twice", second, FILE);
    let elsewhere = forger.volume.files().name_key(InodeNo(inner), "another name");
    forger.entry_at(elsewhere, "twice", second, FILE);
    let third = forger.file(ROOT, "third");
    let mut low = forger.volume.files().name_key(InodeNo(inner), "third");
    low.offset -= 1;
    forger.entry_at(low, "third", third, FILE);
    let storage = forger.close();
    let report = check(&mut open_as(storage.clone(), true));
    finds(&report, Some("/inner"), "the name \"twice\" is there twice");
    finds(&report, Some("/inner"), "the name \"twice\" does not fit its cookie");
    finds(&report, Some("/inner"), "the name \"third\" does not fit its cookie");
    finds(&report, Some("/second"), "it has 3 names, and counts 1");
    let mut volume = open_as(storage, false);
    assert_eq!(names(&mut volume, inner), (vec!["twice".into()], Err(FileError::Io)));
    assert_eq!(volume.lookup(Inode(inner), "twice"), Ok(Inode(first)));
    assert_eq!(volume.lookup(Inode(inner), "third"), Err(FileError::NotFound));
}

#[test]
fn listing_in_pieces_reports_a_damaged_name_in_any_piece() {
    for bad in 0..20 {
        let mut forger = Forger::new();
        let mut keys = Vec::new();
        for at in 0..20 {
            let name = format!("name {at}");
            forger.file(ROOT, &name);
            keys.push(forger.volume.files().name_key(InodeNo(ROOT), &name));
        }
        keys.sort();
        let key = Key { offset: keys[bad].offset + 1, ..keys[bad] };
        forger.entry_at(key, "a/b", 5, FILE);
        let mut volume = forger.open();
        let (mut cookie, mut listed) = (0, 0);
        let result = loop {
            let mut piece = 0;
            let result = volume.entries(Inode(ROOT), cookie, &mut |entry| {
                assert!(!entry.name.contains('/'));
                if piece == 3 {
                    return false;
                }
                piece += 1;
                cookie = entry.cookie;
                true
            });
            listed += piece;
            if result.is_err() || piece < 3 {
                break result;
            }
        };
        assert_eq!((listed, result), (20, Err(FileError::Io)), "{bad}");
    }
}

#[test]
fn a_lookup_beside_an_entry_that_makes_no_sense_does_not_say_that_there_is_nothing() {
    let mut forger = Forger::new();
    let present = forger.volume.files().name_key(InodeNo(ROOT), "perhaps");
    forger.put(present, b"short");
    let mut volume = forger.open();
    assert_eq!(volume.lookup(Inode(ROOT), "perhaps"), Err(FileError::Io));
    assert_eq!(volume.create_file(Inode(ROOT), "perhaps"), Err(FileError::Io));
    assert_eq!(volume.lookup(Inode(ROOT), "surely not"), Err(FileError::NotFound));
}

#[test]
fn no_new_file_gets_a_number_that_an_inode_has() {
    for next in [0, 1, 2, 3, 4, u64::MAX] {
        let mut forger = Forger::new();
        let first = forger.file(ROOT, "first");
        let second = forger.file(ROOT, "second");
        assert_eq!((first, second), (2, 3));
        forger.volume.write(Inode(second), 0, b"mine").unwrap();
        forger.volume.release(Inode(second));
        forger.volume.engine_mut().inodes_mut().set_next(InodeNo(next));
        let storage = forger.close();
        let opened =
            Volume::open(Box::new(storage), &mut Secret::key_file(&KEY), Options { ..options() });
        let Ok(mut volume) = opened else {
            assert!(next <= ROOT, "{next}");
            continue;
        };
        let made = volume.create_file(Inode(ROOT), "new");
        if next == 4 {
            assert_eq!(made, Ok(Inode(4)));
            continue;
        }
        assert_eq!(made, Err(FileError::Io), "{next}");
        assert_eq!(volume.create_directory(Inode(ROOT), "new"), Err(FileError::Io));
        let mut bytes = [0; 4];
        volume.read(Inode(second), 0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"mine");
        assert!(volume.unlink(Inode(ROOT), "first").is_ok(), "nothing else is refused");
        let report = check(&mut volume);
        if next == u64::MAX {
            finds(&report, None, "the number of the next inode is 18446744073709551615");
        } else {
            finds(&report, Some("/second"), &format!("never given: {next} is next"));
        }
    }
}

#[test]
fn the_last_number_is_never_given() {
    let mut volume = Forger::new().volume;
    volume.engine_mut().inodes_mut().set_next(InodeNo(u64::MAX - 1));
    assert_eq!(volume.create_file(Inode(ROOT), "last"), Ok(Inode(u64::MAX - 1)));
    assert_eq!(volume.create_file(Inode(ROOT), "none"), Err(FileError::Io));
    assert!(volume.attributes(Inode(ROOT)).unwrap().kind == FileKind::Directory);
    let report = check(&mut volume);
    finds(&report, None, "the number of the next inode is 18446744073709551615");
}

#[test]
fn an_invalid_item_of_the_removals_stops_neither_a_mount_nor_other_removals() {
    let mut forger = Forger::new();
    let mark = |inode| key(0, Subject::Orphan, inode);
    // The last mark is of an inode that can be removed. The others before it cannot.
    forger.put(mark(ROOT), b"");
    let hollow = forger.file(ROOT, "hollow");
    forger.attributes(hollow, |attributes| (attributes.links, attributes.size) = (0, 1 << 40));
    for group in 0..300 {
        forger.put(key(hollow, Subject::Extents, group), &[0; 4]);
    }
    forger.put(mark(hollow), b"");
    let outside = forger.file(ROOT, "outside");
    forger.attributes(outside, |attributes| (attributes.links, attributes.size) = (0, 4096));
    let log = Pointer { block: BlockNo(3), counter: 1, salt: [1; 12], tag: [2; 16] };
    let mut group = 1_u32.to_le_bytes().to_vec();
    group.extend_from_slice(&log.encode());
    forger.put(key(outside, Subject::Extents, 0), &group);
    forger.put(mark(outside), b"");
    let gone = forger.file(ROOT, "gone");
    forger.attributes(gone, |attributes| attributes.links = 0);
    forger.put(mark(gone), b"");
    forger.put(mark(1 << 50), b"");
    forger.attributes(ROOT, |attributes| attributes.links = 0);
    let storage = forger.close();
    let report = check(&mut open_as(storage.clone(), true));
    finds(&report, Some("/hollow"), "an item of extents has the wrong length");
    finds(&report, Some("/outside"), "a pointer leads to block 3, out of the volume");
    finds(&report, None, "it is to be removed, but it is gone");
    let (mut volume, looks) = {
        let mut volume = open_as(storage, false);
        let looks = volume.statistics().cache_hits + volume.statistics().cache_misses;
        assert!(volume.attributes(Inode(ROOT)).is_ok(), "the root stays");
        (volume, looks)
    };
    assert!(looks < 5000, "{looks}");
    assert!(volume.attributes(Inode(gone)).is_err(), "the last one is removed");
    assert!(volume.attributes(Inode(hollow)).is_ok() && volume.attributes(Inode(outside)).is_ok());
    assert!(!volume.engine().health().is_stopped() && volume.first_error().is_some());
}

#[test]
fn sizes_and_offsets_that_nothing_has_are_errors() {
    let mut forger = Forger::new();
    let large = forger.file(ROOT, "large");
    forger.attributes(large, |attributes| attributes.size = u64::MAX);
    let far = forger.file(ROOT, "far");
    forger.attributes(far, |attributes| attributes.size = 1 << 60);
    let mut group = 1_u32.to_le_bytes().to_vec();
    group.extend_from_slice(&Pointer::unsealed(BlockNo(200)).encode());
    forger.put(key(far, Subject::Extents, u64::MAX), &group);
    let link = forger
        .volume
        .files_mut()
        .make(InodeNo::ROOT, "link", FileKind::SymbolicLink, "there")
        .unwrap()
        .0;
    for piece in 1..4000 {
        forger.put(key(link, Subject::Target, piece), &[b'x'; 1000]);
    }
    forger.put(key(ROOT, Subject::Inline, 0), b"inside");
    let links = forger.file(ROOT, "links");
    forger.attributes(links, |attributes| attributes.links = u64::MAX);
    let storage = forger.close();
    let report = check(&mut open_as(storage.clone(), true));
    finds(&report, Some("/large"), "a size that none of its kind can have");
    finds(&report, Some("/far"), "beyond the end of the largest file");
    finds(&report, Some("/link"), "not as long as it should be");
    finds(&report, Some("/"), "it has what nothing of its kind can have");
    finds(&report, Some("/links"), "it has 1 names, and counts 18446744073709551615");
    let mut volume = open_as(storage, false);
    assert_eq!(volume.attributes(Inode(large)), Err(FileError::Io));
    assert_eq!(volume.next_data(Inode(far), 0), Err(FileError::Io));
    let (target, looks) = looked_at(&mut volume, |volume| volume.read_link(Inode(link)));
    assert_eq!(target, Err(FileError::Io));
    assert!(looks < 20, "{looks}");
    assert_eq!(volume.link(Inode(links), Inode(ROOT), "more"), Err(FileError::TooManyLinks));
    // Each of them can be removed, or its removal is refused. Nothing stops the volume.
    for name in ["large", "far", "link", "links"] {
        let _ = volume.unlink(Inode(ROOT), name);
    }
    assert!(!volume.engine().health().is_stopped(), "{:?}", volume.first_error());
    assert!(volume.create_file(Inode(ROOT), "new").is_ok() && volume.sync_all().is_ok());
}

#[test]
fn nodes_in_the_blocks_of_the_log_are_refused() {
    let mut forger = Forger::new();
    forger.file(ROOT, "file");
    forger.volume.engine_mut().need_tree();
    forger.volume.engine_mut().commit().unwrap();
    let mut bytes = Node::empty(zeroed(), 0).into_block();
    let pointer = forger
        .volume
        .engine_mut()
        .store_mut()
        .seal(Kind::Node, BlockNo(20), &mut bytes[..])
        .unwrap();
    forger.volume.engine_mut().store_mut().write(BlockNo(20), &bytes[..]).unwrap();
    let least = key(1 << 40, Subject::Attributes, 0);
    let level = forger.volume.engine().space().tree().root().levels - 1;
    forger.graft(level, least, &pointer);
    let storage = forger.close();
    let report = check(&mut open_as(storage.clone(), true));
    finds(&report, None, "a pointer leads to block 20, out of the volume");
    let mut volume = open_as(storage, false);
    assert_eq!(volume.create_file(Inode(ROOT), "new"), Err(FileError::Io));
    assert!(volume.lookup(Inode(ROOT), "file").is_ok());
}

#[test]
fn paths_of_findings_far_below_the_root_are_shown_by_their_ends() {
    let mut forger = Forger::new();
    let mut at = ROOT;
    for depth in 0..600 {
        at = forger.directory(at, &format!("{depth:0200}"));
    }
    for bad in 0..1200 {
        forger.entry(at, format!("/{bad}"), at, DIRECTORY);
    }
    let storage = forger.close();
    let blocks = storage.with(|bytes| bytes.len() / BLOCK_BYTES) as u64;
    let (report, count) = opened(&mut open_as(storage, true), check);
    assert!(report.finding_count >= 1200 && report.findings.len() == 1000);
    let paths = report.findings.iter().filter_map(|finding| finding.path.as_ref());
    let longest = paths.map(|path| path.len()).max().unwrap();
    assert!((4096..4400).contains(&longest), "{longest}");
    assert!(count <= 2 * blocks, "{count} blocks opened of {blocks}");
}

#[test]
fn blocks_that_are_in_use_twice_or_behind_an_end_are_found() {
    let mut forger = Forger::new();
    let one = forger.file(ROOT, "one");
    let bytes = vec![9; 40 * BLOCK_BYTES];
    forger.volume.write(Inode(one), 0, &bytes).unwrap();
    forger.volume.release(Inode(one));
    forger.volume.engine_mut().need_tree();
    forger.volume.engine_mut().commit().unwrap();
    let value = |volume: &mut Volume, group| {
        let key = key(one, Subject::Extents, group);
        volume.engine_mut().space_mut().get(&key, <[u8]>::to_vec).unwrap().unwrap()
    };
    let two = forger.file(ROOT, "two");
    let group = value(&mut forger.volume, 0);
    forger.put(key(two, Subject::Extents, 5), &group);
    let report = found_in(forger);
    finds(&report, Some("/two"), "is in use twice");
    finds(&report, Some("/two"), "it has blocks beyond its end");
    assert_eq!(report.finding_count, GROUP + 1, "{report:?}");
    assert_eq!(report.data_blocks, 40);
}

#[test]
fn counts_of_blocks_that_are_wrong_are_found() {
    let mut forger = Forger::new();
    forger.file(ROOT, "file");
    forger.volume.engine_mut().commit().unwrap();
    forger.volume.engine_mut().space_mut().add_used(3);
    let report = found_in(forger);
    assert_eq!(report.finding_count, 1, "{report:?}");
    finds(&report, None, "blocks are counted as in use");
}

/// Returns a number at the edge of some range.
fn some_number(random: &mut impl FnMut() -> usize) -> u64 {
    const NUMBERS: [u64; 20] = [
        0,
        1,
        2,
        3,
        4,
        5,
        7,
        31,
        127,
        128,
        200,
        4096,
        8191,
        8192,
        1 << 31,
        1 << 43,
        1 << 47,
        1 << 59,
        1 << 60,
        u64::MAX,
    ];
    NUMBERS[random() % NUMBERS.len()]
}

/// Returns an item of any kind, well-formed or not.
fn some_item(volume: &Volume, random: &mut impl FnMut() -> usize) -> (Key, Vec<u8>) {
    const NAMES: [&str; 7] = ["a", "b", "a/b", "..", "", "c\0", "file"];
    let inode =
        some_number(random) % 8 + u64::from(random().is_multiple_of(16)) * some_number(random) / 2;
    let item = match random() % 8 {
        0 | 1 => {
            let mut value = vec![(random() % 4) as u8, 0, 0, 0, 0, 0, 0, 0];
            (0..6).for_each(|_| value.extend_from_slice(&some_number(random).to_le_bytes()));
            (key(inode, Subject::Attributes, 0), value)
        }
        2..=4 => {
            let name = NAMES[random() % NAMES.len()];
            let mut value = (some_number(random) % 8).to_le_bytes().to_vec();
            value.push((random() % 4) as u8);
            value.extend_from_slice(name.as_bytes());
            let mut key = volume.files().name_key(InodeNo(inode), name);
            key.offset += (random() % 8 / 6) as u64;
            (key, value)
        }
        5 => {
            let present = [0, 1, 1 << 31, 3, u32::MAX][random() % 5];
            let mut value = present.to_le_bytes().to_vec();
            for _ in 0..present.count_ones() {
                let (block, counter) = (some_number(random) % (1 << 48), random() as u64 % 100);
                let pointer =
                    Pointer { block: BlockNo(block), counter, salt: [1; 12], tag: [2; 16] };
                value.extend_from_slice(&pointer.encode());
            }
            (key(inode, Subject::Extents, some_number(random)), value)
        }
        6 => (key(inode, Subject::Target, some_number(random)), vec![b'x'; random() % 1300]),
        _ => {
            let subject = [Subject::Inline, Subject::Region, Subject::Orphan][random() % 3];
            let inode = if subject == Subject::Inline { inode } else { 0 };
            let length = [0, 10, 1024, 1300][random() % 4];
            (key(inode, subject, some_number(random)), vec![random() as u8; length])
        }
    };
    let (key, mut value) = item;
    if random().is_multiple_of(16) {
        value.truncate(random() % (value.len() + 1));
    }
    (key, value)
}

/// Does everything to an inode that the interface allows.
fn use_all_of(volume: &mut Volume, inode: u64) {
    let at = Inode(inode);
    let _ = volume.attributes(at);
    let _ = volume.read_link(at);
    let mut names = Vec::new();
    let _ = volume.entries(at, 0, &mut |entry| {
        names.push(entry.name.to_owned());
        names.len() < 1000
    });
    assert!(names.len() < 1000);
    let mut bytes = [0; 5000];
    for offset in [0, 4000, 1 << 31, (1 << 60) - 1, u64::MAX - 3] {
        let _ = volume.next_data(at, offset);
        let _ = volume.read(at, offset, &mut bytes);
        let _ = volume.write(at, offset, &bytes[..100]);
    }
    for size in [1 << 60, 5000, 100, 0] {
        let _ = volume.set_size(at, size);
    }
    for name in &names {
        assert!(twine_vfs::check_name(name).is_ok());
        if let Ok(inner) = volume.lookup(at, name) {
            let _ = volume.link(inner, at, "linked");
            let _ = volume.rename(at, name, Inode(ROOT), "moved");
            let _ = volume.rename(Inode(ROOT), "moved", inner, "below");
            volume.release(inner);
        }
        let _ = volume.unlink(at, name);
        let _ = volume.remove_directory(at, name);
    }
    let _ = volume.create_file(at, "made").map(|inode| volume.release(inode));
    let _ = volume.create_directory(at, "made too");
}

#[test]
fn volumes_of_random_items_are_opened_used_and_checked_to_an_end() {
    let mut random = crate::pseudorandom::numbers();
    let rounds = 150 * std::env::var("TWINE_LONG").map_or(1, |long| long.parse().unwrap_or(1));
    let (mut opened, mut found, mut most) = (0, 0, 0);
    for _ in 0..rounds {
        let mut forger = Forger::new();
        let inner = forger.directory(ROOT, "inner");
        let file = forger.file(inner, "file");
        forger.volume.write(Inode(file), 0, &[3; 9000]).unwrap();
        forger.volume.release(Inode(file));
        let _ =
            forger.volume.files_mut().make(InodeNo(inner), "link", FileKind::SymbolicLink, "file");
        for _ in 0..random() % 60 {
            let (key, value) = some_item(&forger.volume, &mut random);
            forger.put(key, &value);
        }
        if random().is_multiple_of(4) {
            forger.volume.engine_mut().inodes_mut().set_next(InodeNo(some_number(&mut random)));
        }
        forger.volume.engine_mut().need_tree();
        // The contents of a bitmap may prevent the commit.
        if forger.volume.engine_mut().commit().is_err()
            || forger.volume.engine_mut().commit_tree(Durability::Synced).is_err()
        {
            continue;
        }
        let copy = || MemoryStorage::new(forger.storage.with(|bytes| bytes.clone()));
        let mount = |read_only| {
            let options = Options { read_only, ..options() };
            Volume::open(Box::new(copy()), &mut Secret::key_file(&KEY), options)
        };
        let Ok(mut volume) = mount(true) else { continue };
        found += u64::from(check(&mut volume).finding_count > 0);
        let Ok(mut volume) = mount(false) else { continue };
        opened += 1;
        let ((), looks) = looked_at(&mut volume, |volume| {
            for inode in (0..10).chain([31, 200, 1 << 31, 1 << 59, u64::MAX]) {
                use_all_of(volume, inode);
                let _ = volume.sync_all();
            }
            let _ = volume.check(&mut |_| {});
            let _ = volume.compact(&mut |_| {});
        });
        let _ = volume.close();
        most = most.max(looks);
        assert!(looks < 200_000, "{looks}");
    }
    println!(
        "{rounds} volumes, {opened} opened to be written, {found} with findings, {most} looks"
    );
    assert!(opened > rounds / 4 && found > rounds / 2, "{opened} {found}");
}
