//! Many files, and much more data than memory. Small by default; with `TWINE_LONG`, a million files
//! and gigabytes.

mod support;

use support::{Random, long, options};
use twine_vfs::{Change, FileSystem};
use twine_volume::{FileStorage, NewSlot, Secret, Volume};

/// A storage in a file that is removed when the test ends.
fn storage() -> std::fs::File {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let path = folder.join(format!("scale-{}-{:x}", std::process::id(), unique()));
    let file =
        std::fs::OpenOptions::new().read(true).write(true).create_new(true).open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn create(file: &std::fs::File, cache: usize) -> Volume {
    let storage = FileStorage::new(file.try_clone().unwrap());
    let slots = [NewSlot::key_file(&support::KEY).unwrap()];
    Volume::create(Box::new(storage), &slots, options(cache)).unwrap()
}

fn open(file: &std::fs::File, cache: usize) -> Volume {
    let storage = FileStorage::new(file.try_clone().unwrap());
    Volume::open(Box::new(storage), &mut Secret::key_file(&support::KEY), options(cache)).unwrap()
}

#[test]
fn very_many_small_files_are_kept_found_and_removed() {
    let count: u64 = if long() > 1 { 1_000_000 } else { 20_000 };
    let file = storage();
    let mut volume = create(&file, 4 << 20);
    let root = volume.root();
    let contents = |number: u64| format!("the contents of file {number}").into_bytes();
    for number in 0..count {
        if number % 1000 == 0 {
            volume.create_directory(root, &format!("{}", number / 1000)).unwrap();
        }
        let folder = volume.lookup(root, &format!("{}", number / 1000)).unwrap();
        let inode = volume.create_file(folder, &format!("{number}")).unwrap();
        volume.write(inode, 0, &contents(number)).unwrap();
        volume.release(inode);
        volume.release(folder);
        if number % 50_000 == 0 {
            volume.sync_all().unwrap();
        }
    }
    volume.close().unwrap();
    let bytes = file.metadata().unwrap().len();
    println!("{count} files in {} MiB, {} bytes each", bytes >> 20, bytes / count);
    let mut volume = open(&file, 4 << 20);
    let mut random = Random(1);
    for _ in 0..count / 10 {
        let number = random.below(count);
        let folder = volume.lookup(root, &format!("{}", number / 1000)).unwrap();
        let inode = volume.lookup(folder, &format!("{number}")).unwrap();
        let mut bytes = vec![0; 100];
        let length = volume.read(inode, 0, &mut bytes).unwrap();
        assert_eq!(bytes[..length], contents(number));
        volume.release(inode);
        volume.release(folder);
    }
    let report = volume.check(&mut |_| {}).unwrap();
    assert_eq!((report.files, report.finding_count), (count, 0));
    // A few files stay.
    let stays = |number: u64| number % (count / 10) == 77;
    for number in (0..count).filter(|number| !stays(*number)) {
        let folder = volume.lookup(root, &format!("{}", number / 1000)).unwrap();
        volume.unlink(folder, &format!("{number}")).unwrap();
        volume.release(folder);
    }
    volume.sync_all().unwrap();
    let report = volume.check(&mut |_| {}).unwrap();
    assert_eq!((report.files, report.finding_count), (10, 0));
    volume.close().unwrap();
    let left = file.metadata().unwrap().len();
    let mut volume = open(&file, 4 << 20);
    volume.pack_nodes().unwrap();
    volume.close().unwrap();
    let packed = file.metadata().unwrap().len();
    let mut volume = open(&file, 4 << 20);
    let used = volume.usage().unwrap().used;
    println!("{left} bytes when most are removed, {packed} when packed, {used} in use");
    assert!(packed < used + (used / 8).max(512 << 10), "{packed} bytes for {used}");
    for number in (0..count).filter(|number| stays(*number)) {
        let folder = volume.lookup(root, &format!("{}", number / 1000)).unwrap();
        let inode = volume.lookup(folder, &format!("{number}")).unwrap();
        let mut bytes = vec![0; 100];
        let length = volume.read(inode, 0, &mut bytes).unwrap();
        assert_eq!(bytes[..length], contents(number));
    }
    let report = volume.check(&mut |_| {}).unwrap();
    assert_eq!((report.files, report.finding_count), (10, 0));
}

#[test]
fn packing_uses_single_free_blocks_before_what_is_behind_them() {
    let file = storage();
    let mut volume = create(&file, 4 << 20);
    let root = volume.root();
    // Blocks of data, then half as many nodes.
    for number in 0..3000 {
        let inode = support::file(&mut volume, &format!("data{number}"));
        volume.write(inode, 0, &[1; 4096]).unwrap();
        volume.release(inode);
    }
    volume.sync_all().unwrap();
    for number in 0..15_000 {
        let inode = support::file(&mut volume, &format!("small{number}"));
        volume.write(inode, 0, &[2; 300]).unwrap();
        volume.release(inode);
    }
    volume.sync_all().unwrap();
    // Free every other block of data.
    for number in (0..3000).step_by(2) {
        volume.unlink(root, &format!("data{number}")).unwrap();
    }
    volume.close().unwrap();
    let before = file.metadata().unwrap().len();
    let mut volume = open(&file, 4 << 20);
    let used = volume.usage().unwrap().used;
    volume.pack_nodes().unwrap();
    assert_eq!(volume.check(&mut |_| {}).unwrap().findings, []);
    volume.close().unwrap();
    let packed = file.metadata().unwrap().len();
    println!("{before} bytes, {packed} when packed, {used} in use");
    assert!(packed < used + used / 50, "{packed} bytes for {used}");
}

#[test]
fn a_volume_far_larger_than_its_cache_works() {
    let size: u64 = if long() > 1 { 4 << 30 } else { 64 << 20 };
    let cache = 256 << 10;
    let file = storage();
    let mut volume = create(&file, cache);
    let inode = volume.create_file(volume.root(), "large").unwrap();
    let piece = |number: u64| vec![(number % 251) as u8; 100_000];
    let pieces = size / 100_000;
    for number in 0..pieces {
        volume.write(inode, number * 100_000, &piece(number)).unwrap();
    }
    volume.sync(inode, Change::All).unwrap();
    // Overwrite pieces in random order.
    let mut random = Random(2);
    let mut changed = vec![false; pieces as usize];
    for _ in 0..pieces / 4 {
        let number = random.below(pieces);
        volume.write(inode, number * 100_000, &[0xff; 100_000]).unwrap();
        changed[number as usize] = true;
    }
    volume.close().unwrap();
    let mut volume = open(&file, cache);
    let inode = volume.lookup(volume.root(), "large").unwrap();
    let mut bytes = vec![0; 100_000];
    for number in 0..pieces {
        assert_eq!(volume.read(inode, number * 100_000, &mut bytes).unwrap(), 100_000);
        let wanted = if changed[number as usize] { 0xff } else { (number % 251) as u8 };
        assert!(bytes.iter().all(|&byte| byte == wanted), "piece {number}");
    }
    let length = file.metadata().unwrap().len();
    println!(
        "{} MiB of data with a cache of {} KiB: {} MiB",
        size >> 20,
        cache >> 10,
        length >> 20
    );
    assert_eq!(volume.check(&mut |_| {}).unwrap().finding_count, 0);
}
