//! Compacting: free space can be cut off afterwards, the volume is whole at any time, nothing else
//! changes.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use support::{
    Bounded, Faulty, Player, ROOT_COPIES, Random, Recorder, Tree, Weights, create, file, long,
    open, options, tree_of, try_open,
};
use twine_vfs::{Error, FileSystem};
use twine_volume::{BLOCK_BYTES, MemoryStorage, Packing, Progress, Storage, StorageError, Volume};

const MIN: usize = 256 << 10;

/// Whether the storage is at most 2%, or 64 KiB, longer than the blocks in use.
fn is_packed(size: u64, used: u64) -> bool {
    size <= used + (used / 50).max(64 << 10)
}

fn compact(volume: &mut Volume) -> Packing {
    let mut last = 0;
    volume
        .compact(&mut |Progress { done, total }| {
            assert!(done <= total);
            last = done;
        })
        .unwrap()
}

/// Opens a volume, compacts and closes it, and checks that its contents are the same.
fn pack_and_compare(storage: &MemoryStorage, cache: usize, tree: &Tree, what: &str) -> Packing {
    let mut volume = open(storage.clone(), cache);
    let packing = compact(&mut volume);
    assert!(tree_of(&mut volume).unwrap() == *tree, "{what}");
    volume.close().unwrap();
    let mut volume = open(storage.clone(), cache);
    let (size, used) = (storage.with(|bytes| bytes.len() as u64), volume.usage().unwrap().used);
    assert!(is_packed(size, used), "{what}: {size} bytes for {used}");
    assert!(tree_of(&mut volume).unwrap() == *tree, "{what}");
    assert_eq!(volume.check(&mut |_| {}).unwrap().findings, [], "{what}");
    packing
}

/// Makes a volume with files of all sizes, most of which are removed or cut again.
fn worn(random: &mut Random, files: u64, most: u64, cache: usize) -> (MemoryStorage, Tree) {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), cache);
    let root = volume.root();
    for number in 0..files {
        let inode = file(&mut volume, &format!("{number}"));
        let length = random.below(most) as usize;
        // Make holes in some files.
        let offset = if random.once_in(4) { random.below(1 << 22) } else { 0 };
        let bytes = random.bytes(length);
        assert_eq!(volume.write(inode, offset, &bytes), Ok(length));
        volume.release(inode);
        if random.once_in(10) {
            volume.sync_all().unwrap();
        }
    }
    for number in 0..files {
        let name = format!("{number}");
        match random.below(4) {
            0 => {}
            1 => {
                let inode = volume.lookup(root, &name).unwrap();
                let size = volume.attributes(inode).unwrap().size;
                volume.set_size(inode, random.below(size + 1)).unwrap();
                volume.release(inode);
            }
            _ => volume.unlink(root, &name).unwrap(),
        }
    }
    let tree = tree_of(&mut volume).unwrap();
    volume.close().unwrap();
    (storage, tree)
}

#[test]
fn free_blocks_can_be_cut_off_after_any_removal_and_a_second_pass_moves_nothing() {
    for round in 0..24 * long() {
        let mut random = Random(round);
        let most = [900, 5_000, 60_000, 900_000][(round % 4) as usize];
        let cache = MIN << random.below(5);
        let files = 20 + random.below(100);
        let (storage, tree) = worn(&mut random, files, most, cache);
        let what = format!("round {round}, {files} files up to {most} bytes");
        let size = storage.with(|bytes| bytes.len());
        pack_and_compare(&storage, cache, &tree, &what);
        let packed = storage.with(|bytes| bytes.len());
        assert!(packed <= size, "{what}: {packed} bytes after {size}");
        let again = pack_and_compare(&storage, cache, &tree, &what);
        assert_eq!(again.moved, 0, "{what}");
    }
}

#[test]
fn packing_commits_all_that_was_changed_before() {
    type Pack = fn(&mut Volume);
    let ways: [(&str, Pack); 3] = [
        ("pack_nodes", |volume| volume.pack_nodes().unwrap()),
        ("compact", |volume| _ = compact(volume)),
        ("check", |volume| drop(volume.check(&mut |_| {}).unwrap())),
    ];
    for (what, pack) in ways {
        let storage = MemoryStorage::default();
        let mut volume = create(storage.clone(), MIN);
        let root = volume.root();
        let inode = file(&mut volume, "file");
        volume.write(inode, 0, &[1; 5000]).unwrap();
        volume.sync_all().unwrap();
        volume.write(inode, 5000, &[2; 95_000]).unwrap();
        volume.create_directory(root, "made later").unwrap();
        pack(&mut volume);
        drop(volume);
        let mut volume = open(storage, MIN);
        assert!(volume.lookup(root, "made later").is_ok(), "{what}");
        let inode = volume.lookup(root, "file").unwrap();
        assert_eq!(volume.attributes(inode).unwrap().size, 100_000, "{what}");
        volume.set_size(inode, 60_000).unwrap();
        volume.set_size(inode, 100_000).unwrap();
        let mut bytes = vec![9; 100_000];
        volume.read(inode, 0, &mut bytes).unwrap();
        assert!(bytes[5000..60_000] == [2; 55_000] && bytes[60_000..] == [0; 40_000], "{what}");
    }
}

#[test]
fn a_volume_is_whole_after_a_crash_at_any_call_of_packing() {
    let mut crashes = 0;
    for round in 0..4 * long() {
        let mut random = Random(round);
        let most = [20_000, 150_000][(round % 2) as usize];
        let (storage, tree) = worn(&mut random, 40, most, MIN);
        let base = storage.with(|bytes| bytes.clone());
        let run = |storage: &Recorder| {
            let packed = try_open(storage.clone(), options(MIN)).and_then(|mut volume| {
                volume.compact(&mut |_| {})?;
                volume.close()
            });
            assert!(packed.is_ok() || storage.stopped(), "{packed:?}");
        };
        let whole = Recorder::new(base.clone());
        run(&whole);
        assert!(whole.bytes().len() < base.len());
        for call in 1..=whole.calls() {
            let storage = Recorder::new(base.clone());
            storage.stop_at(call);
            run(&storage);
            for survivor in 0..4 {
                let what = format!("round {round}, call {call}, survivor {survivor}");
                let left = match survivor {
                    0 => storage.kill(&mut random),
                    _ => storage.crash(&mut random),
                };
                let left = MemoryStorage::new(left);
                let mut volume = open(left.clone(), MIN);
                assert!(tree_of(&mut volume).unwrap() == tree, "{what}");
                assert_eq!(volume.check(&mut |_| {}).unwrap().findings, [], "{what}");
                drop(volume);
                crashes += 1;
                if survivor == 1 {
                    pack_and_compare(&left, MIN, &tree, &what);
                }
            }
        }
    }
    println!("{crashes} mounts after a crash");
}

#[test]
fn a_failure_of_any_call_while_packing_loses_nothing() {
    let (storage, tree) = worn(&mut Random(7), 40, 100_000, MIN);
    let base = storage.with(|bytes| bytes.clone());
    let pack = |storage: &Faulty| {
        let mut volume = open(storage.clone(), MIN);
        let before = storage.calls();
        (before, volume.compact(&mut |_| {}), volume)
    };
    let whole = Faulty::new(MemoryStorage::new(base.clone()));
    let (first, packed, _) = pack(&whole);
    packed.unwrap();
    for error in [StorageError::Io, StorageError::NoSpace] {
        for at in first + 1..=whole.calls() {
            let what = format!("{error} at call {at}");
            let memory = MemoryStorage::new(base.clone());
            let storage = Faulty::new(memory.clone());
            storage.fail(at, 1, error);
            let (_, packed, mut volume) = pack(&storage);
            // Only blocks that cannot be read may stay.
            let quiet = packed.is_ok_and(|packing| packing.damaged == 0);
            assert!(
                !quiet || storage.failed().is_empty() || tree_of(&mut volume).is_ok(),
                "{what}"
            );
            drop(volume);
            let mut volume = open(memory, MIN);
            assert!(tree_of(&mut volume).unwrap() == tree, "{what}");
            assert_eq!(volume.check(&mut |_| {}).unwrap().findings, [], "{what}");
        }
    }
}

/// Remembers the greatest length of a storage.
#[derive(Clone)]
struct Longest(MemoryStorage, Arc<AtomicU64>);

impl Storage for Longest {
    fn size(&mut self) -> Result<u64, StorageError> {
        self.0.size()
    }

    fn set_size(&mut self, size: u64) -> Result<(), StorageError> {
        self.1.fetch_max(size, Ordering::Relaxed);
        self.0.set_size(size)
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        self.0.read(offset, bytes)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.0.write(offset, bytes)
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.0.sync()
    }
}

#[test]
fn packing_needs_no_more_room_than_there_is() {
    for round in 0..8 * long() {
        let mut random = Random(round);
        let (storage, tree) = worn(&mut random, 60, 100_000, MIN);
        let longest = Longest(storage.clone(), Arc::default());
        let mut volume = open(longest.clone(), MIN);
        compact(&mut volume);
        volume.close().unwrap();
        let size = storage.with(|bytes| bytes.len() as u64);
        assert_eq!(longest.1.load(Ordering::Relaxed), size, "round {round}");
        assert!(tree_of(&mut open(storage, MIN)).unwrap() == tree);
    }
}

#[test]
fn a_full_volume_is_packed_once_something_was_removed() {
    for round in 0..8 * long() {
        let mut random = Random(round);
        let memory = MemoryStorage::default();
        let quota = (2 << 20) + random.below(6 << 20);
        let mut volume = create(Bounded(memory.clone(), quota), MIN);
        let root = volume.root();
        let mut names = 0;
        while let Ok(inode) = volume.create_file(root, &format!("{names}")) {
            let length = 1 + random.below(60_000) as usize;
            let written = volume.write(inode, 0, &random.bytes(length));
            volume.release(inode);
            names += 1;
            if written != Ok(length) {
                assert!(matches!(written, Ok(_) | Err(Error::NoSpace)), "{written:?}");
                break;
            }
        }
        for number in (0..names).filter(|number| number % 3 != 0) {
            volume.unlink(root, &format!("{number}")).unwrap();
        }
        let tree = tree_of(&mut volume).unwrap();
        volume.close().unwrap();
        let mut volume = open(Bounded(memory.clone(), quota), MIN);
        compact(&mut volume);
        volume.close().unwrap();
        let mut volume = open(memory.clone(), MIN);
        let (size, used) = (memory.with(|bytes| bytes.len() as u64), volume.usage().unwrap().used);
        assert!(is_packed(size, used), "round {round}: {size} bytes for {used}");
        assert!(tree_of(&mut volume).unwrap() == tree, "round {round}");
        assert_eq!(volume.check(&mut |_| {}).unwrap().findings, [], "round {round}");
    }
}

/// Reads the blocks of each file, with `None` for blocks that cannot be read.
fn readings(volume: &mut Volume) -> Vec<(String, u64, Option<Vec<u8>>)> {
    let root = volume.root();
    let mut names = Vec::new();
    let listed = volume.entries(root, 0, &mut |entry| {
        names.push(entry.name.to_owned());
        true
    });
    let mut found = vec![(String::new(), 0, listed.is_ok().then(Vec::new))];
    for name in names {
        let Ok(inode) = volume.lookup(root, &name) else {
            found.push((name, 0, None));
            continue;
        };
        let size = volume.attributes(inode).map_or(0, |attributes| attributes.size);
        for offset in (0..size).step_by(BLOCK_BYTES) {
            let mut bytes = vec![0; BLOCK_BYTES];
            let read = volume.read(inode, offset, &mut bytes);
            found.push((name.clone(), offset, read.is_ok().then_some(bytes)));
        }
        volume.release(inode);
    }
    found
}

#[test]
fn damaged_blocks_stay_and_are_counted_and_all_others_are_moved() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), MIN);
    let root = volume.root();
    let mut random = Random(3);
    for number in 0..60 {
        let inode = file(&mut volume, &format!("{number}"));
        let length = 2_000 + random.below(40_000) as usize;
        volume.write(inode, 0, &random.bytes(length)).unwrap();
        volume.release(inode);
    }
    volume.sync_all().unwrap();
    for number in 0..30 {
        volume.unlink(root, &format!("{number}")).unwrap();
    }
    volume.close().unwrap();
    let base = storage.with(|bytes| bytes.clone());
    let used = open(storage, MIN).usage().unwrap().used;
    let (mut told, mut above, mut kept_long) = (0, 0, 0);
    for block in ROOT_COPIES.start..base.len() / BLOCK_BYTES {
        let mut damaged = base.clone();
        damaged[block * BLOCK_BYTES + 100] ^= 1;
        let memory = MemoryStorage::new(damaged);
        let Ok(mut volume) = try_open(memory.clone(), options(MIN)) else { continue };
        let before = readings(&mut volume);
        let Ok(packing) = volume.compact(&mut |_| {}) else {
            // A bitmap cannot be read.
            assert!(
                volume.first_error().is_some() || before.iter().any(|(.., read)| read.is_none())
            );
            continue;
        };
        assert!(readings(&mut volume) == before, "block {block}");
        let unread = before.iter().any(|(.., read)| read.is_none());
        assert!(volume.first_error().is_some() || !unread && packing.damaged == 0, "block {block}");
        let closed = volume.close().is_ok();
        let Ok(mut volume) = try_open(memory.clone(), options(MIN)) else {
            panic!("block {block}: it opened before");
        };
        assert!(readings(&mut volume) == before, "block {block}, after a mount");
        let size = memory.with(|bytes| bytes.len() as u64);
        let lies_above = (block * BLOCK_BYTES) as u64 >= used + used / 50 + (64 << 10);
        if lies_above && unread {
            above += 1;
            assert!(packing.damaged > 0, "block {block}");
        }
        if packing.damaged > 0 {
            told += 1;
            kept_long += u64::from(!is_packed(size, used));
            assert!(packing.damaged < 100, "block {block}: {}", packing.damaged);
        } else if closed {
            assert!(is_packed(size, used), "block {block}: {size} bytes for {used}");
        }
    }
    println!("{told} times told, {above} times behind the end, {kept_long} times the end stayed");
    assert!(told > 20 && above > 20 && kept_long > 20, "{told}, {above}, {kept_long}");
}

#[test]
fn a_volume_goes_on_after_packing_as_before() {
    for round in 0..6 * long() {
        let weights = Weights { write: 60_000, span: 300_000, sync: 12 };
        let mut player = Player::new(round, weights);
        let storage = MemoryStorage::default();
        let mut volume = create(storage.clone(), MIN);
        for step in 0..1500 {
            player.step(&mut volume);
            match step % 100 {
                17 => _ = compact(&mut volume),
                57 => volume.pack_nodes().unwrap(),
                _ => {}
            }
        }
        assert!(tree_of(&mut volume).unwrap() == player.model.tree(), "round {round}");
        support::assert_whole(&mut volume, &player.model);
    }
}

#[test]
fn a_long_hole_costs_nothing() {
    const FAR: u64 = 1 << 59;
    let start = std::time::Instant::now();
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), MIN);
    let root = volume.root();
    let inode = file(&mut volume, "sparse");
    volume.write(inode, FAR, &[7; BLOCK_BYTES]).unwrap();
    volume.set_size(inode, 1 << 60).unwrap();
    volume.sync_all().unwrap();
    assert_eq!(volume.next_data(inode, 5), Ok(Some(FAR)));
    assert_eq!(volume.next_data(inode, FAR + BLOCK_BYTES as u64), Ok(None));
    assert_eq!(volume.check(&mut |_| {}).unwrap().data_blocks, 1);
    compact(&mut volume);
    // Cut after the block, before it, in the middle of a block, and completely.
    volume.set_size(inode, FAR + 5000).unwrap();
    assert_eq!(volume.next_data(inode, 0), Ok(Some(FAR)));
    volume.set_size(inode, FAR - 4097).unwrap();
    assert_eq!(volume.next_data(inode, 0), Ok(None));
    volume.set_size(inode, 1 << 60).unwrap();
    assert_eq!(volume.next_data(inode, 0), Ok(None));
    volume.unlink(root, "sparse").unwrap();
    volume.release(inode);
    volume.sync_all().unwrap();
    assert_eq!(volume.check(&mut |_| {}).unwrap().findings, []);
    volume.close().unwrap();
    assert!(storage.with(|bytes| bytes.len()) < 1 << 20);
    // Visiting every block of the file would take years.
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}
