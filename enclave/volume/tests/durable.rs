//! If a sync completed, its data are there at the next mount, or the mount reports a loss: with a
//! disk that loses data in a failed flush, one that fails a read, and one with a damaged block.

mod support;

use std::collections::BTreeMap;
use support::{
    Flaky, PageCache, RING, ROOT_COPIES, ROOTS, Wrong, create, file, open, options, tree_of,
    try_open,
};
use twine_vfs::FileSystem;
use twine_volume::{
    BLOCK_BYTES, Error, KeyEncryptionKey, MemoryStorage, NewSlot, Options, Refusal, Secret,
    Storage, StorageError, Unlock, Volume, Zeroizing,
};

const MIN: usize = 256 << 10;

fn add(volume: &mut Volume, name: &str, bytes: &[u8]) {
    let inode = file(volume, name);
    volume.write(inode, 0, bytes).unwrap();
    volume.release(inode);
}

fn has(volume: &mut Volume, name: &str) -> bool {
    match volume.lookup(volume.root(), name) {
        Ok(inode) => {
            volume.release(inode);
            true
        }
        Err(_) => false,
    }
}

fn names(volume: &mut Volume) -> usize {
    let mut count = 0;
    let root = volume.root();
    volume
        .entries(root, 0, &mut |_| {
            count += 1;
            true
        })
        .unwrap();
    count
}

fn copy(storage: &MemoryStorage) -> MemoryStorage {
    MemoryStorage::new(storage.with(|bytes| bytes.clone()))
}

fn repairing() -> Options {
    Options { repair: true, ..options(MIN) }
}

fn reading() -> Options {
    Options { read_only: true, ..options(MIN) }
}

#[test]
fn after_a_failed_flush_and_a_reopen_no_completed_sync_is_lost() {
    for blocks in [0, 3, 40, 600] {
        for killed in [false, true] {
            let what = format!("{blocks} blocks, killed: {killed}");
            let storage = PageCache::default();
            let mut volume = create(storage.clone(), MIN);
            add(&mut volume, "a", b"one");
            volume.sync_all().unwrap();
            add(&mut volume, "b", &vec![7; blocks * BLOCK_BYTES + 1]);
            if killed {
                volume.hand_over();
                storage.lose_dirty();
            } else {
                storage.fail_flush();
                volume.sync_all().unwrap_err();
                // The volume may continue after a failed one-step commit, but not after a failed
                // barrier.
                assert!(volume.sync_all().is_err() || blocks <= 3, "{what}");
            }
            drop(volume);
            let mut volume = open(storage.clone(), MIN);
            assert!(has(&mut volume, "b"), "{what}: it is in the cache");
            for number in 0..5 {
                add(&mut volume, &format!("c{number}"), &[8; 2 * BLOCK_BYTES]);
                volume.sync_all().unwrap();
            }
            drop(volume);
            let mut volume = open(storage.disk(), MIN);
            assert_eq!(volume.dropped(), None, "{what}");
            for name in ["a", "b", "c0", "c1", "c2", "c3", "c4"] {
                assert!(has(&mut volume, name), "{what}: {name}");
            }
            tree_of(&mut volume).unwrap();
            assert_eq!(volume.check(&mut |_| {}).unwrap().findings, [], "{what}");
        }
    }
}

#[test]
fn a_sync_of_what_a_mount_found_makes_it_durable() {
    let storage = PageCache::default();
    let mut volume = create(storage.clone(), MIN);
    add(&mut volume, "file", &[1; 9 * BLOCK_BYTES]);
    storage.fail_flush();
    volume.sync_all().unwrap_err();
    drop(volume);
    let mut volume = open(storage.clone(), MIN);
    // This fails, too. The next sync tries again.
    storage.fail_flush();
    volume.sync_all().unwrap_err();
    volume.sync_all().unwrap();
    drop(volume);
    let mut volume = open(storage.disk(), MIN);
    assert!(has(&mut volume, "file"));
    assert_eq!(volume.check(&mut |_| {}).unwrap().findings, []);
}

/// Makes a volume with several kinds of commits. The last sync made the file `last`.
fn history(blocks: usize) -> MemoryStorage {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), MIN);
    add(&mut volume, "first", b"one");
    volume.sync_all().unwrap();
    for number in 0..300 {
        add(&mut volume, &format!("{number:0100}"), b"");
    }
    volume.sync_all().unwrap();
    for number in 0..5 {
        add(&mut volume, &format!("small{number}"), &[1; BLOCK_BYTES]);
        volume.sync_all().unwrap();
    }
    add(&mut volume, "last", &vec![7; blocks * BLOCK_BYTES]);
    volume.sync_all().unwrap();
    storage
}

#[test]
fn a_commit_whose_data_were_not_written_is_dropped_though_much_was_written_before() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), 32 << 20);
    let kept = file(&mut volume, "kept");
    volume.write(kept, 0, &[1; 2 * BLOCK_BYTES]).unwrap();
    let large = file(&mut volume, "large");
    volume.sync_all().unwrap();
    // Write so many blocks that the next commit makes them durable before it writes its entry, with
    // few pointers to them.
    for round in 0..1100 {
        volume.write(large, 0, &[round as u8; 16 * BLOCK_BYTES]).unwrap();
    }
    volume.write(kept, 0, &[2; BLOCK_BYTES]).unwrap();
    let before = copy(&storage);
    let syncs = volume.statistics().syncs;
    volume.sync_all().unwrap();
    assert_eq!(volume.statistics().syncs, syncs + 2, "a barrier, and the commit");
    drop(volume);
    let block = |storage: &MemoryStorage, block: usize| {
        storage.with(|bytes| bytes[block * BLOCK_BYTES..][..BLOCK_BYTES].to_vec())
    };
    let written: Vec<usize> =
        RING.filter(|at| block(&before, *at) != block(&storage, *at)).collect();
    assert_eq!(written.len(), 2, "an entry, and the data");
    for lost in written {
        let torn = copy(&storage);
        let old = block(&before, lost);
        torn.with(|bytes| bytes[lost * BLOCK_BYTES..][..BLOCK_BYTES].copy_from_slice(&old));
        let mut volume = open(torn, MIN);
        let inode = volume.lookup(volume.root(), "kept").unwrap();
        let mut bytes = [0; 2 * BLOCK_BYTES];
        assert_eq!(volume.read(inode, 0, &mut bytes), Ok(2 * BLOCK_BYTES));
        assert!(bytes == [1; 2 * BLOCK_BYTES], "the commit before");
    }
}

#[test]
fn a_read_that_fails_at_a_mount_fails_the_mount_and_loses_nothing() {
    for blocks in [3, 40] {
        let storage = history(blocks);
        let mut failed = 0;
        for number in 1.. {
            let flaky = Flaky::new(copy(&storage), Wrong::Read(number));
            let opened = try_open(flaky.clone(), options(MIN));
            if !flaky.happened() {
                break;
            }
            failed += 1;
            let error = opened.unwrap_err();
            assert!(
                matches!(error, Error::Storage { error: StorageError::Io, .. }),
                "{blocks} blocks, read {number}: {error}"
            );
            let mut volume = open(flaky, MIN);
            assert!(has(&mut volume, "last"));
            assert_eq!(volume.dropped(), None);
        }
        assert!(failed > 3, "{failed}");
    }
}

/// Whether the mount reported that it dropped commits.
fn told(volume: &Volume) -> bool {
    volume.dropped().is_some()
}

#[test]
fn a_damaged_block_of_the_last_commit_is_told() {
    for blocks in [3, 40] {
        let storage = history(blocks);
        let count = storage.with(|bytes| bytes.len()) / BLOCK_BYTES;
        let mut outcomes: BTreeMap<&str, u64> = BTreeMap::new();
        for block in 2..count {
            let damaged = copy(&storage);
            damaged.with(|bytes| bytes[block * BLOCK_BYTES + 100] ^= 1);
            let outcome = match try_open(damaged.clone(), options(MIN)) {
                Err(Error::Lossy(dropped)) => {
                    assert!(dropped.is_loss());
                    "refused"
                }
                Err(Error::NotAuthentic { .. }) => "an error of the mount",
                Err(error) => panic!("block {block}: {error}"),
                Ok(mut volume) => {
                    let whole = has(&mut volume, "last") && tree_of(&mut volume).is_ok();
                    let found = volume.check(&mut |_| {}).unwrap().finding_count;
                    match (whole, told(&volume), found) {
                        (true, false, 0) => "nothing lost",
                        (_, true, _) => "told",
                        (_, false, 1..) => "an error of a read, and found by a check",
                        (false, false, 0) => panic!("block {block}: lost, and nobody is told"),
                    }
                }
            };
            *outcomes.entry(outcome).or_default() += 1;
        }
        println!("{outcomes:?}");
        assert!(outcomes["refused"] > 3 && outcomes["told"] >= blocks as u64, "{outcomes:?}");
    }
}

#[test]
fn a_damaged_entry_that_others_follow_is_refused_and_can_be_repaired() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), MIN);
    for number in 0..30 {
        add(&mut volume, &format!("c{number:02}"), &[8; 100]);
        volume.sync_all().unwrap();
    }
    drop(volume);
    let (mut refused, mut healed) = (0, 0);
    for block in RING {
        let damaged = copy(&storage);
        damaged.with(|bytes| bytes[block * BLOCK_BYTES + 100] ^= 1);
        let error = match try_open(damaged.clone(), options(MIN)) {
            Err(error) => error,
            Ok(mut volume) => {
                let names = names(&mut volume);
                assert!(names == 30 || names == 29 && told(&volume), "block {block}: {names}");
                continue;
            }
        };
        refused += 1;
        let Error::Lossy(dropped) = error else { panic!("block {block}: {error}") };
        assert!(dropped.is_loss() && dropped.commits > 0, "{dropped}");
        // The refused mount changed nothing.
        assert!(damaged.with(|bytes| bytes.len()) == storage.with(|bytes| bytes.len()));
        let mut volume = try_open(copy(&damaged), reading()).unwrap();
        let readable = names(&mut volume);
        assert_eq!(volume.dropped(), Some(&dropped));
        let before = damaged.with(|bytes| bytes.clone());
        let mut volume = try_open(damaged.clone(), repairing()).unwrap();
        assert_eq!(volume.dropped(), Some(&dropped));
        assert_eq!(names(&mut volume), readable);
        drop(volume);
        // Commits after the damage do not come back, whether it heals or not.
        for heal in [false, true] {
            let storage = copy(&damaged);
            let range = block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES;
            if heal && storage.with(|bytes| bytes[range.clone()] == before[range]) {
                storage.with(|bytes| bytes[block * BLOCK_BYTES + 100] ^= 1);
                healed += 1;
            }
            let mut volume = open(storage.clone(), MIN);
            assert_eq!((names(&mut volume), volume.dropped()), (readable, None));
            add(&mut volume, "after", b"after");
            volume.sync_all().unwrap();
            drop(volume);
            let mut volume = open(storage, MIN);
            assert_eq!((names(&mut volume), volume.dropped()), (readable + 1, None));
            assert_eq!(volume.check(&mut |_| {}).unwrap().findings, []);
        }
    }
    println!("{refused} refused, {healed} healed later");
    assert!(refused >= 25 && healed >= 25, "{refused}, {healed}");
}

#[test]
fn the_result_of_a_repair_is_durable_at_once() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), MIN);
    for number in 0..9 {
        add(&mut volume, &format!("c{number}"), &[8; 100]);
        volume.sync_all().unwrap();
    }
    drop(volume);
    let whole = storage.with(|bytes| bytes.clone());
    let block = RING.filter(|block| whole[block * BLOCK_BYTES..][..12] != [0; 12]).nth(3).unwrap();
    storage.with(|bytes| bytes[block * BLOCK_BYTES + 50] ^= 1);
    assert!(matches!(try_open(storage.clone(), options(MIN)), Err(Error::Lossy(_))));
    drop(try_open(storage.clone(), repairing()).unwrap());
    let volume = open(storage, MIN);
    assert_eq!(volume.dropped(), None);
}

#[test]
fn an_entry_that_comes_back_takes_nothing_away() {
    let mut seen = 0;
    for small in 60..118 {
        let storage = MemoryStorage::default();
        let mut volume = create(storage.clone(), MIN);
        let inode = file(&mut volume, "a");
        for number in 0..40 {
            volume.write(inode, 0, &[number; 10]).unwrap();
            volume.sync_all().unwrap();
        }
        for number in 0..300 {
            add(&mut volume, &format!("{number:0200}"), b"");
        }
        volume.sync_all().unwrap();
        let trees = volume.statistics().tree_commits;
        for number in 0..small - 40 {
            volume.write(inode, 0, &[100 + number; 10]).unwrap();
            volume.sync_all().unwrap();
        }
        if volume.statistics().tree_commits != trees {
            continue;
        }
        seen += 1;
        let before = storage.with(|bytes| bytes.clone());
        volume.write(inode, 0, &[255; 10]).unwrap();
        volume.sync_all().unwrap();
        drop(volume);
        let after = storage.with(|bytes| bytes.clone());
        let block = RING
            .clone()
            .find(|block| {
                let range = block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES;
                before[range.clone()] != after[range]
            })
            .unwrap();
        let blind = Flaky::new(storage.clone(), Wrong::Zeros(block as u64));
        let mut volume = try_open(blind.clone(), options(MIN)).unwrap();
        assert!(blind.happened());
        add(&mut volume, "important", &[5; 14 * BLOCK_BYTES]);
        volume.sync_all().unwrap();
        drop(volume);
        let mut volume = open(storage, MIN);
        assert!(has(&mut volume, "important"), "{small} syncs, block {block}");
        assert_eq!(volume.dropped(), None);
        assert_eq!(volume.check(&mut |_| {}).unwrap().findings, []);
    }
    assert!(seen > 20, "{seen}");
}

#[test]
fn of_several_dropped_roots_none_comes_back() {
    let cache = 8 << 20;
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), cache);
    add(&mut volume, "a", &[1; 900 * BLOCK_BYTES]);
    add(&mut volume, "z", &[2; 20 * BLOCK_BYTES]);
    volume.sync_all().unwrap();
    volume.unlink(volume.root(), "a").unwrap();
    volume.sync_all().unwrap();
    drop(volume);
    let mut volume = open(storage.clone(), cache);
    let inode = volume.lookup(volume.root(), "z").unwrap();
    let size = storage.with(|bytes| bytes.len());
    volume.allocate(inode, 0, 2000 * 4096).unwrap();
    let trees = volume.statistics().tree_commits;
    for round in 0..3 {
        for number in 0..150 {
            add(&mut volume, &format!("{round}-{number:0200}"), b"");
        }
        volume.hand_over();
    }
    assert!(volume.statistics().tree_commits - trees >= 2);
    drop(volume);
    // The machine ends. All writes survive, but not the storage's new length.
    storage.with(|bytes| bytes.truncate(size));
    let mut volume = open(storage.clone(), cache);
    let dropped = *volume.dropped().unwrap();
    assert!(dropped.commits >= 2 && !dropped.is_loss(), "{dropped}");
    let before = names(&mut volume);
    add(&mut volume, "important", &[9; 100]);
    volume.sync_all().unwrap();
    let inode = volume.lookup(volume.root(), "z").unwrap();
    volume.allocate(inode, 0, 2500 * 4096).unwrap();
    volume.sync_all().unwrap();
    drop(volume);
    let mut volume = open(storage, cache);
    assert_eq!(volume.dropped(), None);
    assert!(has(&mut volume, "important"));
    assert_eq!(names(&mut volume), before + 1);
    assert_eq!(volume.check(&mut |_| {}).unwrap().findings, []);
}

/// Returns the block of the first copy of the newest root, which the last tree commit changed.
fn newest_root(storage: &MemoryStorage, act: impl FnOnce()) -> usize {
    let before = storage.with(|bytes| bytes.clone());
    act();
    storage.with(|after| {
        let changed = |block: &usize| {
            let range = block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES;
            before.get(range.clone()) != after.get(range)
        };
        ROOTS.clone().rfind(changed).unwrap()
    })
}

/// Returns the findings of a check in a read-only mount.
fn findings(storage: &MemoryStorage) -> Vec<String> {
    let mut volume = try_open(storage.clone(), reading()).unwrap();
    let report = volume.check(&mut |_| {}).unwrap();
    assert!(report.findings.iter().all(|finding| !finding.lost));
    report.findings.into_iter().map(|finding| finding.what).collect()
}

#[test]
fn one_damaged_copy_of_a_root_costs_nothing_and_is_written_anew() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), MIN);
    add(&mut volume, "file", &[1; 300 * BLOCK_BYTES]);
    // Too many changes for the log.
    for number in 0..300 {
        add(&mut volume, &format!("{number:0200}"), b"");
    }
    let root = newest_root(&storage, || volume.sync_all().unwrap());
    for block in [root, root + ROOT_COPIES.start - ROOTS.start] {
        let damaged = copy(&storage);
        damaged.with(|bytes| bytes[block * BLOCK_BYTES..][..BLOCK_BYTES].fill(0xa5));
        let found =
            format!("block {block}: a copy of the newest root is damaged, or of another time");
        assert_eq!(findings(&damaged), [found]);
        let mut volume = open(damaged.clone(), MIN);
        assert!(has(&mut volume, "file"));
        assert_eq!(volume.dropped(), None);
        volume.sync_all().unwrap();
        drop(volume);
        assert!(damaged.with(|bytes| storage.with(|whole| bytes == whole)), "block {block}");
    }
    for block in [0, 1] {
        let damaged = copy(&storage);
        damaged.with(|bytes| bytes[block * BLOCK_BYTES + 100] ^= 1);
        let found = format!("block {block}: a copy of the header is damaged, or of another time");
        assert_eq!(findings(&damaged), [found]);
        let mut volume = open(damaged.clone(), MIN);
        volume.sync_all().unwrap();
        drop(volume);
        assert_eq!(findings(&damaged), [""; 0], "both are written anew");
    }
    // Both copies of the root are damaged: the mount finds the commit before, and reports that.
    let damaged = copy(&storage);
    for block in [root, root + ROOT_COPIES.start - ROOTS.start] {
        damaged.with(|bytes| bytes[block * BLOCK_BYTES..][..BLOCK_BYTES].fill(0xa5));
    }
    let mut volume = open(damaged, MIN);
    assert!(!has(&mut volume, "file"), "{root}");
    assert_eq!(volume.dropped().unwrap().unreadable, 1);
}

#[test]
fn a_header_of_a_clone_is_refused() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), MIN);
    add(&mut volume, "a", &[1; 50]);
    volume.close().unwrap();
    let clone = copy(&storage);
    let mut volume = open(clone.clone(), MIN);
    volume.add_slot(&NewSlot::key_file(&[9; 32]).unwrap()).unwrap();
    volume.close().unwrap();
    let mut volume = open(storage.clone(), MIN);
    volume.add_slot(&NewSlot::key_file(&[8; 32]).unwrap()).unwrap();
    add(&mut volume, "later", &[1; 50]);
    volume.close().unwrap();
    let header = clone.with(|bytes| bytes[..2 * BLOCK_BYTES].to_vec());
    let open_with = |storage: &MemoryStorage, key: u8| {
        let mut secret = Secret::key_file(&[key; 32]);
        Volume::open(Box::new(storage.clone()), &mut secret, options(MIN))
    };
    for copies in [&[0][..], &[1], &[0, 1]] {
        let spliced = copy(&storage);
        for copy in copies {
            let range = copy * BLOCK_BYTES..(copy + 1) * BLOCK_BYTES;
            spliced.with(|bytes| bytes[range.clone()].copy_from_slice(&header[range]));
        }
        let error = open_with(&spliced, 9).unwrap_err();
        assert!(matches!(error, Error::HeaderForeign), "{copies:?}: {error}");
        // The owner's key opens the volume as long as one copy is right.
        assert_eq!(open_with(&spliced, 8).is_ok(), copies.len() == 1, "{copies:?}");
    }
}

#[test]
fn a_change_of_key_slots_that_is_cut_short_leaves_the_old_slots_or_the_new_ones() {
    for call in 1..40 {
        let memory = MemoryStorage::default();
        let mut volume = create(memory.clone(), MIN);
        add(&mut volume, "a", &[1; 50]);
        volume.close().unwrap();
        let storage = support::Recorder::new(memory.with(|bytes| bytes.clone()));
        let mut volume = open(storage.clone(), MIN);
        storage.stop_at(storage.calls() + call);
        let changed = volume.replace_slot(0, &NewSlot::key_file(&[9; 32]).unwrap()).is_ok();
        drop(volume);
        let mut random = support::Random(call);
        for _ in 0..8 {
            let left = MemoryStorage::new(storage.crash(&mut random));
            let opens = |key: [u8; 32]| {
                let mut secret = Secret::key_file(&key);
                Volume::open(Box::new(copy(&left)), &mut secret, options(MIN))
            };
            let (old, new) = (opens(support::KEY), opens([9; 32]));
            assert!(old.is_ok() != new.is_ok(), "call {call}: {old:?}, {new:?}");
            assert!(new.is_ok() || !changed, "call {call}");
            // The next mount that writes repairs both copies.
            let mut volume = old.or(new).unwrap();
            add(&mut volume, "b", &[1; 50]);
            volume.sync_all().unwrap();
        }
        if changed {
            return;
        }
    }
    panic!("the change never ended");
}

#[test]
fn whoever_has_the_keys_of_both_slots_opens_a_volume_whose_change_was_cut_short() {
    /// Has the keys of sealed slots with these parameters.
    struct Keys(&'static [u8], Vec<u8>);
    impl Unlock for Keys {
        fn sealed(&mut self, parameters: &[u8]) -> Result<KeyEncryptionKey, Refusal> {
            self.1 = parameters.to_vec();
            match parameters {
                [one] if self.0.contains(one) => Ok(KeyEncryptionKey::new([*one; 32])),
                _ => Err(Refusal("it is another image's".into())),
            }
        }
    }
    let slot = |one: u8| NewSlot::sealed(&[one], KeyEncryptionKey::new([one; 32])).unwrap();
    let opens = |storage: Box<dyn Storage>, keys| {
        let mut keys = Keys(keys, Vec::new());
        let volume = Volume::open(storage, &mut keys, options(MIN))?;
        // The slot that was tried last is the one that has opened it.
        assert_eq!(volume.slots()[0].parameters, keys.1);
        Ok::<Volume, Error>(volume)
    };
    for call in 1..40 {
        let memory = MemoryStorage::default();
        let mut volume =
            Volume::create(Box::new(memory.clone()), &[slot(1)], options(MIN)).unwrap();
        add(&mut volume, "a", &[1; 50]);
        volume.close().unwrap();
        let storage = support::Recorder::new(memory.with(|bytes| bytes.clone()));
        let mut volume = opens(Box::new(storage.clone()), &[1]).unwrap();
        storage.stop_at(storage.calls() + call);
        let changed = volume.replace_slot(0, &slot(2)).is_ok();
        drop(volume);
        let mut random = support::Random(call);
        for _ in 0..8 {
            let left = MemoryStorage::new(storage.crash(&mut random));
            let [old, new] = [&[1][..], &[2]].map(|keys| opens(Box::new(copy(&left)), keys));
            assert!(old.is_ok() != new.is_ok(), "call {call}: {old:?}, {new:?}");
            let both = opens(Box::new(copy(&left)), &[1, 2]).unwrap();
            assert_eq!(both.slots(), old.or(new).unwrap().slots());
        }
        if changed {
            return;
        }
    }
    panic!("the change never ended");
}

#[test]
fn a_creation_that_is_cut_short_is_called_so() {
    /// A storage that fails from one call on.
    struct Ending(MemoryStorage, u64);
    impl Ending {
        fn call(&mut self) -> Result<(), StorageError> {
            self.1 = self.1.saturating_sub(1);
            if self.1 == 0 { Err(StorageError::Io) } else { Ok(()) }
        }
    }
    impl Storage for Ending {
        fn size(&mut self) -> Result<u64, StorageError> {
            self.0.size()
        }
        fn set_size(&mut self, size: u64) -> Result<(), StorageError> {
            self.call()?;
            self.0.set_size(size)
        }
        fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
            self.0.read(offset, bytes)
        }
        fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
            self.call()?;
            self.0.write(offset, bytes)
        }
        fn sync(&mut self) -> Result<(), StorageError> {
            self.call()
        }
    }
    let mut unfinished = 0;
    for call in 2..60 {
        // The first call sets the size.
        let memory = MemoryStorage::default();
        let slots = [NewSlot::key_file(&support::KEY).unwrap()];
        let storage = Ending(memory.clone(), call);
        let made = Volume::create(Box::new(storage), &slots, options(MIN)).is_ok();
        match try_open(memory, options(MIN)) {
            Ok(_) => {
                // All blocks were written, or all except the second copy of the header.
                assert!(unfinished > 5);
                if made {
                    return;
                }
            }
            Err(Error::Unfinished) => unfinished += 1,
            Err(error) => panic!("stopped at call {call}: {error}"),
        }
    }
    panic!("the creation never ended");
}

#[test]
fn a_passphrase_is_tried_once_for_both_copies_of_a_slot() {
    struct Counting(u64);
    impl Unlock for Counting {
        fn passphrase(&mut self) -> Option<Zeroizing<Vec<u8>>> {
            self.0 += 1;
            Some(Zeroizing::new(b"wrong".to_vec()))
        }
    }
    let storage = MemoryStorage::default();
    let cost = twine_volume::Cost { memory: 8, passes: 1, lanes: 1 };
    let slots = [NewSlot::passphrase(b"right", cost).unwrap()];
    Volume::create(Box::new(storage.clone()), &slots, options(MIN)).unwrap().close().unwrap();
    let mut unlock = Counting(0);
    let opened = Volume::open(Box::new(storage), &mut unlock, options(MIN));
    assert!(matches!(opened, Err(Error::NoSlotOpens(_))));
    assert_eq!(unlock.0, 1);
}
