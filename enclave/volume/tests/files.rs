//! What the file system promises where a random walk seldom comes.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use support::{Random, create, long, open, options, tree_of, try_open};
use twine_files::{Change, Error, FileSystem, Inode, Stamp};
use twine_volume::{BLOCK_BYTES, MemoryStorage, Options, Volume};

const LEAST: usize = 256 << 10;

fn file(volume: &mut Volume, name: &str) -> Inode {
    volume.create_file(volume.root(), name).unwrap()
}

#[test]
fn a_read_only_mount_writes_nothing_even_after_a_crash() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), LEAST);
    let inode = file(&mut volume, "file");
    volume.write(inode, 0, &[3; 100_000]).unwrap();
    volume.sync_all().unwrap();
    volume.unlink(volume.root(), "file").unwrap();
    volume.sync_all().unwrap();
    let second = file(&mut volume, "second");
    volume.write(second, 0, b"in the log only").unwrap();
    volume.sync_all().unwrap();
    // The unlinked file is still held, as it would be at a crash.
    drop(volume);
    let before = storage.with(|bytes| bytes.clone());
    let read_only = Options { read_only: true, ..options(LEAST) };
    let mut volume = try_open(storage.clone(), read_only).unwrap();
    let tree = tree_of(&mut volume).unwrap();
    assert_eq!(tree["/second"].2, b"in the log only");
    let root = volume.root();
    let second = volume.lookup(root, "second").unwrap();
    assert!(volume.read_only());
    assert_eq!(volume.create_file(root, "no"), Err(Error::ReadOnly));
    assert_eq!(volume.write(second, 0, b"no"), Err(Error::ReadOnly));
    assert_eq!(volume.set_size(second, 1), Err(Error::ReadOnly));
    assert_eq!(volume.unlink(root, "second"), Err(Error::ReadOnly));
    assert_eq!(volume.rename(root, "second", root, "no"), Err(Error::ReadOnly));
    assert_eq!(volume.set_times(second, Stamp::Now, Stamp::Now), Err(Error::ReadOnly));
    volume.sync_all().unwrap();
    volume.release(second);
    assert_eq!(volume.check(&mut |_| {}).unwrap().findings, []);
    volume.close().unwrap();
    assert!(storage.with(|bytes| *bytes == before));
}

#[test]
fn a_mount_that_changes_nothing_writes_nothing() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), LEAST);
    let inode = file(&mut volume, "file");
    volume.write(inode, 0, &[3; 100_000]).unwrap();
    volume.sync_all().unwrap();
    drop(volume);
    let mut volume = open(storage, LEAST);
    tree_of(&mut volume).unwrap();
    volume.sync_all().unwrap();
    assert_eq!((volume.statistics().writes, volume.statistics().commits), (0, 0));
    volume.close().unwrap();
}

#[test]
fn a_file_without_names_lives_while_it_is_held_and_its_blocks_come_back() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), LEAST);
    let empty = volume.usage().unwrap().used;
    let inode = file(&mut volume, "file");
    volume.write(inode, 0, &[1; 3_000_000]).unwrap();
    volume.sync_all().unwrap();
    volume.unlink(volume.root(), "file").unwrap();
    volume.sync_all().unwrap();
    assert_eq!(volume.attributes(inode).unwrap().links, 0);
    assert_eq!(volume.link(inode, volume.root(), "again"), Err(Error::NotFound));
    volume.write(inode, 2_999_999, b"still").unwrap();
    let mut bytes = [0; 6];
    assert_eq!(volume.read(inode, 2_999_998, &mut bytes), Ok(6));
    assert_eq!(&bytes, b"\x01still");
    assert!(volume.usage().unwrap().used > empty + 2_900_000);
    volume.release(inode);
    assert_eq!(volume.attributes(inode), Err(Error::NotFound));
    volume.sync_all().unwrap();
    assert!(volume.usage().unwrap().used < empty + 100_000);
    volume.close().unwrap();
    assert!(storage.with(|bytes| bytes.len()) < 1_000_000);
}

#[test]
fn a_mount_removes_what_was_held_without_names_at_a_crash() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), LEAST);
    let empty = volume.usage().unwrap().used;
    let inode = file(&mut volume, "file");
    volume.write(inode, 0, &[1; 30_000_000]).unwrap();
    volume.unlink(volume.root(), "file").unwrap();
    volume.sync_all().unwrap();
    drop(volume);
    let mut volume = open(storage, LEAST);
    volume.sync_all().unwrap();
    assert!(volume.usage().unwrap().used < empty + 100_000);
    assert_eq!(volume.check(&mut |_| {}).unwrap().findings, []);
}

#[test]
fn cookies_stay_good_while_the_directory_changes() {
    let mut volume = create(MemoryStorage::default(), LEAST);
    let root = volume.root();
    let name = |number: u64| format!("entry {number}");
    for number in 0..2000 {
        let inode = file(&mut volume, &name(number));
        volume.release(inode);
    }
    let mut random = Random(3);
    let mut seen: Vec<String> = Vec::new();
    let mut removed = BTreeSet::new();
    let mut cookie = 0;
    loop {
        let mut taken = 0;
        let wanted = 1 + random.below(50);
        let before = cookie;
        volume
            .entries(root, cookie, &mut |entry| {
                assert!(entry.cookie > 3);
                if taken == wanted {
                    return false;
                }
                taken += 1;
                cookie = entry.cookie;
                seen.push(entry.name.to_owned());
                true
            })
            .unwrap();
        if cookie == before {
            break;
        }
        for _ in 0..10 {
            let number = random.below(1000);
            if volume.unlink(root, &name(number)).is_ok() {
                removed.insert(name(number));
            }
            let inode = file(&mut volume, &format!("new {}", random.next()));
            volume.release(inode);
        }
    }
    let unique: BTreeSet<&String> = seen.iter().collect();
    assert_eq!(unique.len(), seen.len(), "an entry was given twice");
    for number in 0..2000 {
        assert!(removed.contains(&name(number)) || unique.contains(&name(number)), "{number}");
    }
}

#[test]
fn a_sparse_file_of_10_gib_takes_little_space_and_reads_as_zero() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), LEAST);
    let inode = file(&mut volume, "sparse");
    let ten = 10 << 30;
    volume.set_size(inode, ten).unwrap();
    for gib in 0..10_u64 {
        volume.write(inode, (gib << 30) + 12_345, b"here").unwrap();
    }
    volume.sync(inode, Change::All).unwrap();
    let mut bytes = vec![1; 100_000];
    assert_eq!(volume.read(inode, 5 << 30, &mut bytes).unwrap(), 100_000);
    assert_eq!(&bytes[12_345..12_349], b"here");
    assert_eq!(bytes.iter().filter(|&&byte| byte != 0).count(), 4);
    assert_eq!(volume.read(inode, ten - 10, &mut bytes).unwrap(), 10);
    assert!(bytes[..10].iter().all(|&byte| byte == 0));
    volume.set_size(inode, 5 << 30).unwrap();
    volume.set_size(inode, ten).unwrap();
    assert_eq!(volume.read(inode, (7 << 30) + 12_345, &mut bytes[..4]).unwrap(), 4);
    assert_eq!(&bytes[..4], &[0; 4]);
    volume.close().unwrap();
    assert!(storage.with(|bytes| bytes.len()) < 2 << 20);
}

#[test]
fn times_are_set_in_order_and_kept() {
    let storage = MemoryStorage::default();
    create(storage.clone(), LEAST).close().unwrap();
    let time = Arc::new(AtomicU64::new(1000));
    let clock = time.clone();
    let with_clock =
        Options { clock: Box::new(move || clock.load(Ordering::Relaxed)), ..options(LEAST) };
    let mut volume = try_open(storage.clone(), with_clock).unwrap();
    let (one, two) = (file(&mut volume, "one"), file(&mut volume, "two"));
    volume.set_times(one, Stamp::At(5), Stamp::At(7)).unwrap();
    let known = volume.attributes(one).unwrap();
    assert_eq!((known.accessed, known.modified, known.changed), (5, 7, 1000));
    time.store(2000, Ordering::Relaxed);
    volume.write(one, 0, b"first").unwrap();
    time.store(3000, Ordering::Relaxed);
    volume.write(two, 0, b"second").unwrap();
    // Whatever is asked first, the file that was written first is not the newer one.
    let second = volume.attributes(two).unwrap();
    time.store(4000, Ordering::Relaxed);
    let first = volume.attributes(one).unwrap();
    assert!(first.modified <= second.modified);
    assert_eq!(first.accessed, 5);
    time.store(5000, Ordering::Relaxed);
    volume.set_times(two, Stamp::Keep, Stamp::Now).unwrap();
    assert_eq!(volume.attributes(two).unwrap().modified, 5000);
    volume.close().unwrap();
    let mut volume = open(storage, LEAST);
    let two = volume.lookup(volume.root(), "two").unwrap();
    assert_eq!(volume.attributes(two).unwrap().modified, 5000);
}

#[test]
fn a_large_file_costs_less_than_two_percent_more() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), 32 << 20);
    let inode = file(&mut volume, "large");
    let size = 175 << 20;
    for piece in 0..size / (64 << 10) {
        volume.write(inode, piece << 16, &[piece as u8; 64 << 10]).unwrap();
    }
    volume.sync_all().unwrap();
    let synced = storage.with(|bytes| bytes.len());
    volume.close().unwrap();
    let closed = storage.with(|bytes| bytes.len());
    let percent = |bytes: usize| (bytes as f64 / size as f64 - 1.0) * 100.0;
    println!("overhead {:.2}% when synced, {:.2}% when closed", percent(synced), percent(closed));
    assert!(percent(closed) < 2.0);
    assert!(percent(synced) < 2.0);
}

#[test]
fn a_full_storage_gives_no_space_and_files_can_be_removed_from_it() {
    let storage = Bounded(MemoryStorage::default(), 8 << 20);
    let mut volume = create(storage, LEAST);
    let root = volume.root();
    let mut names = 0;
    let full = loop {
        let made = volume.create_file(root, &format!("file{names}")).and_then(|inode| {
            names += 1;
            let written = volume.write(inode, 0, &[7; 200_000]);
            volume.release(inode);
            written.map(|count| count == 200_000)
        });
        match made.and_then(|whole| volume.sync_all().map(|()| whole)) {
            Ok(true) => {}
            Ok(false) => break Error::NoSpace,
            Err(error) => break error,
        }
        assert!(names < 100);
    };
    assert_eq!(full, Error::NoSpace);
    for number in 0..names {
        volume.unlink(root, &format!("file{number}")).unwrap();
    }
    volume.sync_all().unwrap();
    let inode = file(&mut volume, "after");
    assert_eq!(volume.write(inode, 0, &vec![1; 5_000_000]).unwrap(), 5_000_000);
    volume.sync_all().unwrap();
    assert_eq!(volume.check(&mut |_| {}).unwrap().findings, []);
}

#[test]
fn free_blocks_behind_many_full_regions_are_found_when_the_storage_is_full() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), LEAST);
    let root = volume.root();
    let piece = vec![7; 8 << 20];
    // Ten regions of 32 MiB and more without a gap, then one to be freed, then one more.
    for (name, pieces) in [("first", 42), ("second", 5), ("third", 8)] {
        let inode = volume.create_file(root, name).unwrap();
        for at in 0..pieces {
            volume.write(inode, at * piece.len() as u64, &piece).unwrap();
        }
        volume.release(inode);
    }
    volume.close().unwrap();
    let mut volume = open(storage.clone(), LEAST);
    volume.unlink(root, "second").unwrap();
    // It ends without closing: the log tells the next mount what became of the file.
    volume.sync_all().unwrap();
    drop(volume);
    let size = twine_volume::Storage::size(&mut storage.clone()).unwrap();
    for round in 0..3 {
        let mut volume = open(Bounded(storage.clone(), size), LEAST);
        let inode = file(&mut volume, &format!("after{round}"));
        assert_eq!(volume.write(inode, 0, &piece), Ok(piece.len()));
        volume.release(inode);
        volume.sync_all().unwrap();
        volume.unlink(root, &format!("after{round}")).unwrap();
        volume.sync_all().unwrap();
        assert_eq!(volume.check(&mut |_| {}).unwrap().findings, []);
    }
}

#[test]
fn small_syncs_write_the_tree_seldom_wherever_the_log_is() {
    let storage = MemoryStorage::default();
    create(storage.clone(), LEAST).close().unwrap();
    for round in 0..200 {
        // Each mount ends by writing the tree, and so begins at another place of the ring.
        let mut volume = open(storage.clone(), LEAST);
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
        // An entry and two blocks of data on average; the ring has 120 blocks.
        assert!(trees <= 4, "{trees} in round {round}");
        volume.release(inode);
        volume.unlink(volume.root(), &format!("file{round}")).unwrap();
        volume.close().unwrap();
    }
}

#[test]
fn data_have_what_was_kept_for_nodes_when_the_storage_is_full() {
    const QUOTA: u64 = 128 << 20;
    let mut volume = create(Bounded(MemoryStorage::default(), QUOTA), LEAST);
    let root = volume.root();
    let large = volume.create_file(root, "large").unwrap();
    let blocks = 20_000;
    volume.write(large, 0, &vec![1; blocks as usize * 4096]).unwrap();
    // Small files lie in the tree, three in a node. Then the nodes are gone.
    for round in 0..2 {
        for number in 0..4500 {
            let name = format!("small{number}");
            if round == 0 {
                let small = volume.create_file(root, &name).unwrap();
                volume.write(small, 0, &[2; 1000]).unwrap();
                volume.release(small);
            } else {
                volume.unlink(root, &name).unwrap();
            }
        }
        volume.sync_all().unwrap();
    }
    let fill = volume.create_file(root, "fill").unwrap();
    let mut filled = 0;
    loop {
        match volume.write(fill, filled * 4096, &[3; 4096]) {
            Ok(4096) => filled += 1,
            Ok(_) | Err(Error::NoSpace) => break,
            Err(error) => panic!("{error}"),
        }
    }
    volume.sync_all().unwrap();
    let (data, all) = (blocks + filled, QUOTA / 4096);
    println!("{data} blocks of data in {all}");
    // The rest is the tree's, one block in 95, what the log has, and two supplies.
    assert!(data > all - all / 95 - 128 - 128, "{data} of {all}");
    assert_eq!(volume.check(&mut |_| {}).unwrap().findings, []);
}

#[test]
fn at_the_brim_of_a_storage_no_sync_wants_space() {
    let mut refused = 0;
    for seed in 1..=30 * long() {
        let mut random = Random(seed);
        let storage = MemoryStorage::default();
        let quota = (2 + random.below(6)) << 20;
        let mut volume = create(Bounded(storage.clone(), quota), LEAST);
        let root = volume.root();
        for _ in 0..300 {
            let name = format!("file{}", random.below(6));
            let inode = match volume.lookup(root, &name) {
                Ok(inode) => inode,
                Err(_) => match volume.create_file(root, &name) {
                    Ok(inode) => inode,
                    Err(error) => {
                        assert_eq!(error, Error::NoSpace, "seed {seed}");
                        continue;
                    }
                },
            };
            let most = if random.once_in(4) { 60 } else { 3 };
            let blocks = 1 + random.below(most);
            let bytes = vec![seed as u8; blocks as usize * 4096];
            match volume.write(inode, random.below(400) * 4096, &bytes) {
                Ok(count) if count == bytes.len() => {}
                Ok(_) | Err(Error::NoSpace) => refused += 1,
                Err(error) => panic!("seed {seed}: {error}"),
            }
            if random.once_in(3) {
                volume.sync(inode, Change::Data).unwrap_or_else(|error| panic!("{seed}: {error}"));
            }
            volume.release(inode);
            if random.once_in(40) {
                volume.unlink(root, &name).unwrap_or_else(|error| panic!("{seed}: {error}"));
            }
        }
        volume.close().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let mut volume = open(Bounded(storage, quota), LEAST);
        assert_eq!(volume.check(&mut |_| {}).unwrap().findings, [], "seed {seed}");
    }
    println!("{refused} writes refused");
}

/// A storage with a quota.
#[derive(Clone)]
struct Bounded(MemoryStorage, u64);

impl twine_volume::Storage for Bounded {
    fn size(&mut self) -> Result<u64, twine_volume::StorageError> {
        self.0.size()
    }

    fn set_size(&mut self, size: u64) -> Result<(), twine_volume::StorageError> {
        if size > self.1 {
            return Err(twine_volume::StorageError::NoSpace);
        }
        self.0.set_size(size)
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), twine_volume::StorageError> {
        self.0.read(offset, bytes)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), twine_volume::StorageError> {
        self.0.write(offset, bytes)
    }

    fn sync(&mut self) -> Result<(), twine_volume::StorageError> {
        self.0.sync()
    }
}

#[test]
fn a_check_names_what_is_lost() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), LEAST);
    let root = volume.root();
    volume.create_directory(root, "folder").unwrap();
    let folder = volume.lookup(root, "folder").unwrap();
    let inode = volume.create_file(folder, "file").unwrap();
    volume.write(inode, 0, &vec![9; 50 * BLOCK_BYTES]).unwrap();
    let small = volume.create_file(folder, "small").unwrap();
    volume.write(small, 0, b"in the tree").unwrap();
    volume.close().unwrap();
    let whole = storage.with(|bytes| bytes.clone());
    let (mut data, mut nodes) = (0, 0);
    for block in 8..whole.len() / BLOCK_BYTES {
        let mut bytes = whole.clone();
        bytes[block * BLOCK_BYTES] ^= 1;
        let Ok(mut volume) = try_open(MemoryStorage::new(bytes), options(LEAST)) else { continue };
        let report = volume.check(&mut |_| {}).unwrap();
        assert!(report.finding_count <= 4, "{report:?}");
        for finding in &report.findings {
            match &finding.path {
                // Where a leaf is lost, so may be a bitmap in it.
                None if !finding.lost => {}
                Some(path) => {
                    assert_eq!(path, "/folder/file");
                    assert!(finding.what.starts_with("bytes "), "{}", finding.what);
                    data += 1;
                }
                None => nodes += 1,
            }
        }
    }
    println!("{data} blocks of data, {nodes} of the tree");
    assert_eq!(data, 50);
    assert!(nodes > 0);
}

#[test]
fn space_for_a_range_is_found_before_it_is_written() {
    let storage = Bounded(MemoryStorage::default(), 8 << 20);
    let mut volume = create(storage, LEAST);
    let inode = file(&mut volume, "file");
    assert_eq!(volume.allocate(inode, 0, 100 << 20), Err(Error::NoSpace));
    assert_eq!(volume.attributes(inode).unwrap().size, 0);
    volume.allocate(inode, 1000, 4 << 20).unwrap();
    assert_eq!(volume.attributes(inode).unwrap().size, (4 << 20) + 1000);
    assert_eq!(volume.write(inode, 1000, &vec![1; 4 << 20]).unwrap(), 4 << 20);
    assert_eq!(volume.allocate(inode, u64::MAX, 2), Err(Error::FileTooBig));
}

#[test]
fn want_of_space_is_told_to_who_writes_and_not_to_who_syncs() {
    for piece in [700, BLOCK_BYTES, 5 * BLOCK_BYTES, 40 * BLOCK_BYTES] {
        let storage = Bounded(MemoryStorage::default(), 8 << 20);
        let mut volume = create(storage, 1 << 20);
        let inode = file(&mut volume, "file");
        let mut end = 0;
        let refused = loop {
            match volume.write(inode, end, &vec![7; piece]) {
                Ok(written) => end += written as u64,
                Err(error) => break error,
            }
            assert!(end < 8 << 20, "more was written than there is space for");
        };
        assert_eq!(refused, Error::NoSpace);
        assert!(end > 6 << 20, "{end} bytes in pieces of {piece}");
        assert_eq!(volume.sync_all(), Ok(()));
    }
}
