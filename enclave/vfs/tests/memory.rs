//! Tests of the tree in memory: it keeps the trait's contract and its limit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use twine_vfs::{Error, FileSystem, Memory, Stamp};

/// Makes a tree of at most `limit` bytes, with a clock that advances by one at each call.
fn tree(limit: u64) -> Memory {
    let time = AtomicU64::new(1_000);
    Memory::new(limit, Box::new(move || time.fetch_add(1, Ordering::Relaxed)))
}

mod conformance {
    twine_vfs::conformance!(Box::new(super::tree(8 << 20)));
}

fn used(files: &mut Memory) -> u64 {
    files.usage().unwrap().used
}

#[test]
fn exceeding_the_limit_is_no_space_and_changes_nothing() {
    let mut files = tree(64 << 10);
    let root = files.root();
    let file = files.create_file(root, "file").unwrap();
    files.write(file, 0, &[1; 20_000]).unwrap();
    let before = used(&mut files);
    assert_eq!(files.write(file, 10_000, &[2; 60_000]), Err(Error::NoSpace));
    assert_eq!(files.allocate(file, 0, 64 << 10), Err(Error::NoSpace));
    assert_eq!(files.allocate(file, 0, u64::MAX >> 1), Err(Error::NoSpace));
    assert_eq!(files.attributes(file).unwrap().size, 20_000);
    let mut bytes = [0; 20_000];
    files.read(file, 0, &mut bytes).unwrap();
    assert_eq!(bytes, [1; 20_000]);
    assert_eq!(used(&mut files), before);
    assert_eq!(files.write(file, 5_000, &[3; 10_000]), Ok(10_000), "what has its pages goes on");
}

#[test]
fn names_count_against_the_limit() {
    let mut files = tree(64 << 10);
    let root = files.root();
    let refused = (0..10_000)
        .find(|number| files.create_directory(root, &format!("directory {number}")).is_err());
    let made = refused.expect("there is a limit");
    assert!(made > 50, "{made}");
    assert_eq!(files.create_directory(root, "one more"), Err(Error::NoSpace));
    assert_eq!(files.create_symbolic_link(root, "link", "x"), Err(Error::NoSpace));
    files.remove_directory(root, "directory 0").unwrap();
    assert_eq!(files.create_directory(root, "one more"), Ok(()));
}

#[test]
fn all_space_comes_back() {
    let mut files = tree(1 << 20);
    let root = files.root();
    let empty = used(&mut files);
    let file = files.create_file(root, "file").unwrap();
    files.write(file, 100_000, &[1; 100_000]).unwrap();
    files.allocate(file, 0, 50_000).unwrap();
    files.link(file, root, "second").unwrap();
    files.create_directory(root, "directory").unwrap();
    let directory = files.lookup(root, "directory").unwrap();
    files.create_symbolic_link(directory, "link", "target").unwrap();
    files.rename(root, "second", directory, "a longer name").unwrap();
    files.rename(directory, "link", directory, "a longer name").unwrap();
    files.unlink(directory, "a longer name").unwrap();
    files.release(directory);
    files.remove_directory(root, "directory").unwrap();
    files.set_size(file, 5).unwrap();
    files.unlink(root, "file").unwrap();
    assert!(used(&mut files) > empty, "it is held");
    files.release(file);
    assert_eq!(used(&mut files), empty);
}

#[test]
fn sparse_files_cost_what_is_in_them() {
    let mut files = tree(1 << 20);
    let root = files.root();
    let file = files.create_file(root, "file").unwrap();
    files.set_size(file, 1 << 50).unwrap();
    for number in 0..100 {
        files.write(file, number << 40, b"x").unwrap();
    }
    assert!(used(&mut files) < 450_000, "{}", used(&mut files));
}

#[test]
fn reading_again_does_not_ask_for_the_time() {
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let mut files = Memory::new(1 << 20, Box::new(move || count.fetch_add(1, Ordering::Relaxed)));
    let root = files.root();
    let file = files.create_file(root, "file").unwrap();
    files.write(file, 0, b"x").unwrap();
    files.read(file, 0, &mut [0; 4]).unwrap();
    let attributes = files.attributes(file).unwrap();
    assert!(attributes.accessed > attributes.modified);
    let before = asked.load(Ordering::Relaxed);
    for _ in 0..100 {
        files.read(file, 0, &mut [0; 4]).unwrap();
    }
    assert_eq!(asked.load(Ordering::Relaxed), before);
}

#[test]
fn writing_asks_for_the_time_when_somebody_looks() {
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let mut files = Memory::new(1 << 20, Box::new(move || count.fetch_add(1, Ordering::Relaxed)));
    let root = files.root();
    let (a, b) = (files.create_file(root, "a").unwrap(), files.create_file(root, "b").unwrap());
    let made = files.attributes(a).unwrap();
    let before = asked.load(Ordering::Relaxed);
    for offset in 0..100 {
        files.write(a, offset, b"x").unwrap();
        files.write(b, offset, b"x").unwrap();
    }
    files.set_size(b, 50).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), before);
    let written = files.attributes(a).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), before + 1);
    assert!(written.modified > made.modified && written.changed == written.modified);
    assert_eq!(files.attributes(b).unwrap().modified, written.modified);
    assert_eq!(asked.load(Ordering::Relaxed), before + 1);
    // A time that is set stays, even if the file was written before.
    files.write(a, 0, b"y").unwrap();
    files.set_times(a, Stamp::Keep, Stamp::At(7)).unwrap();
    assert_eq!(files.attributes(a).unwrap().modified, 7);
    // A read after a write gets a later time.
    files.write(a, 0, b"z").unwrap();
    files.read(a, 0, &mut [0; 4]).unwrap();
    let read = files.attributes(a).unwrap();
    assert!(read.accessed > read.modified);
    // A file that is gone causes no error.
    files.write(b, 0, b"z").unwrap();
    files.unlink(root, "b").unwrap();
    files.release(b);
    files.create_file(root, "c").unwrap();
}
