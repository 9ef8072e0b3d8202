//! Promises of the file system that random operations seldom test.

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use support::{Random, create, file, open, options, tree_of, try_open};
use twine_vfs::{Change, Error, FileSystem, Mode, Stamp};
use twine_volume::{BLOCK_BYTES, MemoryStorage, Options};

const MIN: usize = 256 << 10;

#[test]
fn a_read_only_mount_writes_nothing_even_after_a_crash() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), MIN);
    let inode = file(&mut volume, "file");
    volume.write(inode, 0, &[3; 100_000]).unwrap();
    volume.sync_all().unwrap();
    volume.unlink(volume.root(), "file").unwrap();
    volume.sync_all().unwrap();
    let second = file(&mut volume, "second");
    volume.write(second, 0, b"in the log only").unwrap();
    volume.sync_all().unwrap();
    // The unlinked file is still held, as in a crash.
    drop(volume);
    let before = storage.with(|bytes| bytes.clone());
    let read_only = Options { read_only: true, ..options(MIN) };
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
    assert_eq!(volume.set_mode(second, Mode::new(0o777)), Err(Error::ReadOnly));
    volume.sync_all().unwrap();
    volume.release(second);
    assert_eq!(volume.check(&mut |_| {}).unwrap().findings, []);
    volume.close().unwrap();
    assert!(storage.with(|bytes| *bytes == before));
}

#[test]
fn a_mount_that_changes_nothing_writes_nothing() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), MIN);
    let inode = file(&mut volume, "file");
    volume.write(inode, 0, &[3; 100_000]).unwrap();
    volume.sync_all().unwrap();
    drop(volume);
    let before = storage.with(|bytes| bytes.clone());
    let mut volume = open(storage.clone(), MIN);
    tree_of(&mut volume).unwrap();
    assert_eq!((volume.statistics().writes, volume.statistics().syncs), (0, 0));
    volume.close().unwrap();
    // A sync makes durable what the mount found: it may be only in the page cache of the system.
    let mut volume = open(storage.clone(), MIN);
    volume.sync_all().unwrap();
    assert_eq!((volume.statistics().commits, volume.statistics().syncs), (0, 1));
    volume.close().unwrap();
    assert!(storage.with(|bytes| *bytes == before));
}

#[test]
fn a_file_without_names_lives_while_it_is_held_and_its_blocks_come_back() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), MIN);
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
    let mut volume = create(storage.clone(), MIN);
    let empty = volume.usage().unwrap().used;
    let inode = file(&mut volume, "file");
    volume.write(inode, 0, &[1; 30_000_000]).unwrap();
    volume.unlink(volume.root(), "file").unwrap();
    volume.sync_all().unwrap();
    drop(volume);
    let mut volume = open(storage, MIN);
    volume.sync_all().unwrap();
    assert!(volume.usage().unwrap().used < empty + 100_000);
    assert_eq!(volume.check(&mut |_| {}).unwrap().findings, []);
}

#[test]
fn cookies_stay_good_while_the_directory_changes() {
    let mut volume = create(MemoryStorage::default(), MIN);
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
    let mut volume = create(storage.clone(), MIN);
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
    create(storage.clone(), MIN).close().unwrap();
    let time = Arc::new(AtomicU64::new(1000));
    let clock = time.clone();
    let with_clock =
        Options { clock: Box::new(move || clock.load(Ordering::Relaxed)), ..options(MIN) };
    let mut volume = try_open(storage.clone(), with_clock).unwrap();
    let (one, two) = (file(&mut volume, "one"), file(&mut volume, "two"));
    volume.set_times(one, Stamp::At(5), Stamp::At(7)).unwrap();
    let known = volume.attributes(one).unwrap();
    assert_eq!((known.accessed, known.modified, known.changed), (5, 7, 1000));
    time.store(2000, Ordering::Relaxed);
    volume.write(one, 0, b"first").unwrap();
    time.store(3000, Ordering::Relaxed);
    volume.write(two, 0, b"second").unwrap();
    // The file that was written first is not the newer one, whichever is asked for first.
    let second = volume.attributes(two).unwrap();
    time.store(4000, Ordering::Relaxed);
    let first = volume.attributes(one).unwrap();
    assert!(first.modified <= second.modified);
    assert_eq!(first.accessed, 5);
    time.store(5000, Ordering::Relaxed);
    volume.set_times(two, Stamp::Keep, Stamp::Now).unwrap();
    assert_eq!(volume.attributes(two).unwrap().modified, 5000);
    volume.close().unwrap();
    let mut volume = open(storage, MIN);
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
fn a_check_names_what_is_lost() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), MIN);
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
        let Ok(mut volume) = try_open(MemoryStorage::new(bytes), options(MIN)) else { continue };
        let report = volume.check(&mut |_| {}).unwrap();
        assert!(report.finding_count <= 4, "{report:?}");
        for finding in &report.findings {
            match &finding.path {
                // If a leaf is lost, a bitmap in it may be lost.
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
fn modes_are_kept_across_mounts_and_one_of_no_permissions_is_a_mode() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), MIN);
    let mut modes = Vec::new();
    for (name, mode) in [("none", None), ("zero", Some(0)), ("private", Some(0o600))] {
        let inode = file(&mut volume, name);
        if let Some(mode) = mode {
            volume.set_mode(inode, Mode::new(mode)).unwrap();
        }
        modes.push((name, mode.map(Mode::new)));
    }
    volume.sync_all().unwrap();
    let inode = file(&mut volume, "changed");
    volume.sync_all().unwrap();
    volume.set_mode(inode, Mode::new(0o751)).unwrap();
    modes.push(("changed", Some(Mode::new(0o751))));
    volume.sync_all().unwrap();
    drop(volume);
    let mut volume = open(storage, MIN);
    for (name, mode) in modes {
        let root = volume.root();
        let inode = volume.lookup(root, name).unwrap();
        assert_eq!(volume.attributes(inode).unwrap().mode, mode, "{name}");
    }
}

#[test]
fn holes_are_passed_over_whether_data_are_written_or_wait() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), MIN);
    let inode = file(&mut volume, "file");
    let other = file(&mut volume, "other");
    volume.write(other, 0, &[1; 10_000]).unwrap();
    let places = [5 << 20, (5 << 20) + (33 << 12), 3 << 40, 1 << 50];
    let blocks = |volume: &mut twine_volume::Volume| {
        let mut found = Vec::new();
        let mut from = 0;
        while let Some(at) = volume.next_data(inode, from).unwrap() {
            found.push(at);
            from = (at / BLOCK_BYTES as u64 + 1) * BLOCK_BYTES as u64;
        }
        found
    };
    for (count, place) in (1..).zip(places) {
        volume.write(inode, place + 7, b"data").unwrap();
        assert_eq!(blocks(&mut volume), places[..count]);
        volume.sync_all().unwrap();
        assert_eq!(blocks(&mut volume), places[..count]);
    }
    assert_eq!(volume.next_data(inode, (3 << 40) + 100), Ok(Some((3 << 40) + 100)));
    volume.write(inode, 2 << 50, b"not synced").unwrap();
    drop(volume);
    let mut volume = open(storage, MIN);
    let root = volume.root();
    assert_eq!(volume.lookup(root, "file"), Ok(inode));
    assert_eq!(blocks(&mut volume), places);
    volume.set_size(inode, 3 << 40).unwrap();
    assert_eq!(blocks(&mut volume), places[..2]);
    let other = volume.lookup(root, "other").unwrap();
    assert_eq!(volume.next_data(other, 9_999), Ok(Some(9_999)));
    assert_eq!(volume.next_data(other, 10_000), Ok(None));
}
