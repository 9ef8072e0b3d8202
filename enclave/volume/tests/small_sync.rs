//! Small syncs: one step, in the log's ring, with the data beside the entry.

mod support;

use support::{Faulty, Random, Recorder, create, file, open, options, try_open};
use twine_vfs::{Change, FileSystem};
use twine_volume::{BLOCK_BYTES, MemoryStorage, StorageError};

const MIN: usize = 256 << 10;

#[test]
fn small_syncs_write_the_tree_seldom_wherever_the_log_is() {
    let storage = MemoryStorage::default();
    create(storage.clone(), MIN).close().unwrap();
    for round in 0..200 {
        // Each mount ends with a tree commit, and so begins at another place in the ring.
        let mut volume = open(storage.clone(), MIN);
        let inode = file(&mut volume, &format!("file{round}"));
        volume.write(inode, 0, &[1; 20 * 4096]).unwrap();
        volume.sync_all().unwrap();
        let before = volume.statistics().tree_commits;
        for number in 0..100 {
            let bytes = vec![2; (1 + (number + round) as usize % 3) * 4096];
            volume.write(inode, number % 17 * 4096, &bytes).unwrap();
            volume.sync(inode, Change::Data).unwrap();
        }
        let trees = volume.statistics().tree_commits - before;
        // A commit takes an entry and two data blocks on average; the ring has 120 blocks.
        assert!(trees <= 4, "{trees} in round {round}");
        volume.release(inode);
        volume.unlink(volume.root(), &format!("file{round}")).unwrap();
        volume.close().unwrap();
    }
}

#[test]
fn one_after_the_storage_grew_is_not_lost() {
    let mut random = Random(3);
    for round in 0..200 {
        let recorder = Recorder::new(Vec::new());
        let mut volume = create(recorder.clone(), MIN);
        let inode = file(&mut volume, "file");
        volume.write(inode, 0, &[1; 2 * BLOCK_BYTES]).unwrap();
        volume.sync_all().unwrap();
        // Extends the file, and writes nothing there.
        volume.allocate(inode, 0, (100 + round) * 4096).unwrap();
        volume.write(inode, 0, &[2; 2 * BLOCK_BYTES]).unwrap();
        volume.sync_all().unwrap();
        drop(volume);
        let left = Recorder::new(recorder.crash(&mut random));
        let mut volume = try_open(left, options(MIN)).unwrap();
        let inode = volume.lookup(volume.root(), "file").unwrap();
        let mut bytes = [0; 2 * BLOCK_BYTES];
        volume.read(inode, 0, &mut bytes).unwrap();
        assert_eq!(bytes, [2; 2 * BLOCK_BYTES], "round {round}");
    }
}

#[test]
fn many_changes_behind_data_stay_within_the_ring() {
    for seed in 0..60 {
        let mut random = Random(seed);
        let recorder = Recorder::new(Vec::new());
        let mut volume = create(recorder.clone(), 8 << 20);
        let root = volume.root();
        let inode = file(&mut volume, "file");
        volume.write(inode, 0, &[1; 16 * BLOCK_BYTES]).unwrap();
        volume.sync_all().unwrap();
        recorder.stop_at(recorder.calls() + 20 + random.below(200));
        let (mut made, mut synced, mut tried) = (0, 1, 1);
        while tried < 200 {
            for _ in 0..random.below(130) {
                if let Ok(inode) = volume.create_file(root, &format!("{made:0100}")) {
                    volume.release(inode);
                }
                made += 1;
            }
            tried += 1;
            let bytes = vec![tried; (1 + random.below(16)) as usize * BLOCK_BYTES];
            if volume.write(inode, 0, &bytes).is_err() || volume.sync_all().is_err() {
                break;
            }
            synced = tried;
        }
        drop(volume);
        let left = Recorder::new(recorder.crash(&mut random));
        let mut volume = try_open(left, options(MIN)).unwrap_or_else(|e| panic!("{seed}: {e}"));
        let inode = volume.lookup(volume.root(), "file").unwrap();
        let mut bytes = [0; BLOCK_BYTES];
        volume.read(inode, 0, &mut bytes).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!([synced, tried].contains(&bytes[0]), "seed {seed}: {} not {tried}", bytes[0]);
        assert_eq!(volume.check(&mut |_| {}).unwrap().findings, [], "seed {seed}");
    }
}

#[test]
fn a_block_that_could_not_leave_the_ring_leaves_it_later() {
    for calls in 1..40 {
        let storage = Faulty::new(MemoryStorage::default());
        let mut volume = create(storage.clone(), MIN);
        let inode = file(&mut volume, "file");
        volume.write(inode, 0, &[1; 300 * BLOCK_BYTES]).unwrap();
        volume.sync_all().unwrap();
        for number in 0..40 {
            volume.write(inode, number * 4096, &[2; BLOCK_BYTES]).unwrap();
            volume.sync(inode, Change::Data).unwrap();
        }
        // Moving these blocks needs reads, because the cache holds other blocks.
        let mut bytes = vec![0; 100 * BLOCK_BYTES];
        for _ in 0..3 {
            for start in [100, 200] {
                for block in 0..100 {
                    let one = &mut bytes[..BLOCK_BYTES];
                    volume.read(inode, (start + block) * 4096, one).unwrap();
                }
            }
        }
        // Let any of the calls fail that write the tree.
        storage.fail(storage.calls() + calls, 1, StorageError::Io);
        let _ = volume.check(&mut |_| {});
        storage.fail(0, 0, StorageError::Io);
        for number in 40..140 {
            if volume.write(inode, number % 200 * 4096, &[3; BLOCK_BYTES]).is_ok() {
                let _ = volume.sync(inode, Change::Data);
            }
        }
        drop(volume);
        let mut volume = open(storage.memory.clone(), MIN);
        let inode = volume.lookup(volume.root(), "file").unwrap();
        for number in 0..40 {
            volume.read(inode, number * 4096, &mut bytes[..BLOCK_BYTES]).unwrap();
            assert_eq!(bytes[..BLOCK_BYTES], [2; BLOCK_BYTES], "block {number}, call {calls}");
        }
        assert_eq!(volume.check(&mut |_| {}).unwrap().findings, [], "call {calls}");
    }
}
