//! Storages that become full: the write that needs space fails, and no other call.

mod support;

use support::{
    Bounded, Forgetful, Limited, Random, create, file, find_or_make, long, open, shuffled,
};
use twine_vfs::{Change, Error, FileSystem};
use twine_volume::{BLOCK_BYTES, MemoryStorage, Volume};

const MIN: usize = 256 << 10;

#[test]
fn a_full_storage_gives_no_space_and_files_can_be_removed_from_it() {
    let storage = Bounded(MemoryStorage::default(), 8 << 20);
    fill_and_empty(create(storage, MIN), Error::NoSpace);
}

#[test]
fn a_storage_that_may_not_grow_is_told_apart_and_files_can_be_removed_from_it() {
    let storage = Limited(Bounded(MemoryStorage::default(), 8 << 20));
    fill_and_empty(create(storage, MIN), Error::FileTooBig);
}

fn fill_and_empty(mut volume: Volume, told: Error) {
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
            Ok(false) => break told,
            Err(error) => break error,
        }
        assert!(names < 100);
    };
    assert_eq!(full, told);
    for number in 0..names {
        volume.unlink(root, &format!("file{number}")).unwrap();
    }
    volume.sync_all().unwrap();
    let inode = file(&mut volume, "after");
    assert_eq!(volume.write(inode, 0, &vec![1; 5_000_000]).unwrap(), 5_000_000);
    volume.sync_all().unwrap();
    assert_eq!(volume.check(&mut |_| {}).unwrap().findings, []);
    // The writes reported the errors, and no error is left.
    assert!(volume.first_error().is_none(), "{:?}", volume.first_error());
    volume.close().unwrap();
}

#[test]
fn small_files_can_be_removed_from_a_full_volume_in_any_order_also_after_packing() {
    for round in 0..16 * long() {
        let mut random = Random(round);
        let quota = (1 << 20) + random.below(6 << 20);
        let mut volume = create(Bounded(MemoryStorage::default(), quota), MIN << random.below(4));
        let root = volume.root();
        let mut names = 0_u64;
        while let Ok(inode) = volume.create_file(root, &format!("{names:0100}")) {
            let written = volume.write(inode, 0, &[7; 900]);
            volume.release(inode);
            names += 1;
            if written.is_err() {
                break;
            }
        }
        if round % 2 == 0 {
            volume.sync_all().unwrap();
        }
        let what = format!("round {round}, {names} files in {quota} bytes");
        if round % 3 == 0 {
            let packed = volume.pack_nodes().map_err(|error| error.errno());
            assert!(matches!(packed, Ok(()) | Err(Error::NoSpace)), "{what}: {packed:?}");
            assert_eq!(volume.check(&mut |_| {}).unwrap().findings, [], "{what}");
        }
        let order = match round % 4 {
            0 => (0..names).collect(),
            _ => shuffled(names, &mut random),
        };
        for number in order.into_iter().filter(|number| number % 50 != 0) {
            let removed = volume.unlink(root, &format!("{number:0100}"));
            assert_eq!(removed, Ok(()), "{what}: {number}, {:?}", volume.first_error());
        }
        volume.sync_all().unwrap();
        volume.pack_nodes().unwrap();
        let report = volume.check(&mut |_| {}).unwrap();
        assert_eq!((report.findings, report.files), (vec![], names.div_ceil(50)), "{what}");
    }
}

#[test]
fn free_blocks_behind_many_full_regions_are_found_when_the_storage_is_full() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), MIN);
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
    let mut volume = open(storage.clone(), MIN);
    volume.unlink(root, "second").unwrap();
    // The volume is not closed: the next mount learns of the removal from the log.
    volume.sync_all().unwrap();
    drop(volume);
    let size = twine_volume::Storage::size(&mut storage.clone()).unwrap();
    for round in 0..3 {
        let mut volume = open(Bounded(storage.clone(), size), MIN);
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
fn data_have_what_was_kept_for_nodes_when_the_storage_is_full() {
    const QUOTA: u64 = 128 << 20;
    let mut volume = create(Bounded(MemoryStorage::default(), QUOTA), MIN);
    let root = volume.root();
    let large = volume.create_file(root, "large").unwrap();
    let blocks = 20_000;
    volume.write(large, 0, &vec![1; blocks as usize * 4096]).unwrap();
    // Small files are inline items, three in a node. Removing the files frees the nodes.
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
    // The rest is for the tree (one block in 95), for the log, and reserved.
    assert!(data > all - all / 95 - 128 - 256, "{data} of {all}");
    assert_eq!(volume.check(&mut |_| {}).unwrap().findings, []);
}

/// Returns a random size of the cache.
fn cache(random: &mut Random) -> usize {
    [MIN, 1 << 20, 8 << 20][random.below(3) as usize]
}

#[test]
fn at_the_brim_of_a_storage_no_sync_wants_space() {
    let mut refused = 0;
    for seed in 1..=60 * long() {
        let mut random = Random(seed);
        let storage = MemoryStorage::default();
        let quota = (2 + random.below(20)) << 20;
        let cache = cache(&mut random);
        let mut volume = create(Bounded(storage.clone(), quota), cache);
        let root = volume.root();
        // Blocks close together, or each in a leaf of its own.
        let span = 1 + random.below(6000);
        for _ in 0..1000 {
            let name = format!("file{}", random.below(6));
            let inode = match find_or_make(&mut volume, &name) {
                Ok(inode) => inode,
                Err(Error::NoSpace) => continue,
                Err(error) => panic!("seed {seed}: {error}"),
            };
            let most = if random.once_in(4) { 60 } else { 3 };
            let bytes = vec![seed as u8; (1 + random.below(most)) as usize * BLOCK_BYTES];
            match volume.write(inode, random.below(span) * 4096, &bytes) {
                Ok(count) if count == bytes.len() => {}
                Ok(_) | Err(Error::NoSpace) => refused += 1,
                Err(error) => panic!("seed {seed}: {error}"),
            }
            if random.once_in(10) {
                volume.sync(inode, Change::Data).unwrap_or_else(|error| panic!("{seed}: {error}"));
            }
            volume.release(inode);
            if random.once_in(80) {
                volume.unlink(root, &name).unwrap_or_else(|error| panic!("{seed}: {error}"));
            }
        }
        volume.close().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let mut volume = open(Bounded(storage, quota), cache);
        assert_eq!(volume.check(&mut |_| {}).unwrap().findings, [], "seed {seed}");
    }
    println!("{refused} writes refused");
}

#[test]
fn names_take_no_space_that_was_promised() {
    for seed in 1..=60 * long() {
        let mut random = Random(seed);
        let storage = MemoryStorage::default();
        let quota = (3 + random.below(10)) << 20;
        let cache = cache(&mut random);
        let mut volume = create(Bounded(storage.clone(), quota), cache);
        let root = volume.root();
        let fine = |result: Result<(), Error>| match result {
            Ok(()) | Err(Error::NoSpace | Error::NotFound | Error::Exists) => {}
            Err(error) => panic!("seed {seed}: {error}"),
        };
        for _ in 0..2000 {
            let name = format!("{:0150}", random.below(3000));
            let other = format!("{:0150}", random.below(3000));
            let made = volume.create_file(root, &name).and_then(|inode| {
                let small = random.once_in(4);
                let bytes = vec![7; if small { 900 } else { BLOCK_BYTES }];
                let written =
                    if random.once_in(3) { Ok(0) } else { volume.write(inode, 0, &bytes) };
                volume.release(inode);
                written.map(drop)
            });
            fine(made);
            if random.once_in(5) {
                fine(volume.rename(root, &name, root, &other));
            }
            if random.once_in(5) {
                fine(volume.lookup(root, &other).and_then(|inode| {
                    let linked = volume.link(inode, root, &name);
                    volume.release(inode);
                    linked
                }));
            }
            if random.once_in(60) {
                volume.sync_all().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            }
            if random.once_in(50) {
                match volume.unlink(root, &name) {
                    Ok(()) | Err(Error::NotFound) => {}
                    Err(error) => panic!("seed {seed}: {error}"),
                }
            }
        }
        volume.close().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let mut volume = open(Bounded(storage, quota), cache);
        assert_eq!(volume.check(&mut |_| {}).unwrap().findings, [], "seed {seed}");
    }
}

#[test]
fn a_scattered_file_can_be_removed_from_a_full_volume_of_gigabytes() {
    let quota = 4 << 30;
    let mut volume = create(Forgetful::new(quota), 32 << 20);
    let root = volume.root();
    let gone = volume.create_file(root, "gone").unwrap();
    let kept = volume.create_file(root, "kept").unwrap();
    let piece = vec![1; 1 << 20];
    let pieces = quota / 2 / (1 << 20) - 150;
    let order = shuffled(pieces, &mut Random(5));
    for (at, place) in order.iter().enumerate() {
        volume.write(gone, place << 20, &piece).unwrap();
        volume.write(kept, (at as u64) << 20, &piece).unwrap();
    }
    volume.sync_all().unwrap();
    let mut end = pieces << 20;
    for piece in [&piece[..], &piece[..4096]] {
        while volume.write(kept, end, piece).is_ok_and(|count| count == piece.len()) {
            end += piece.len() as u64;
        }
    }
    volume.sync_all().unwrap();
    volume.release(gone);
    volume.unlink(root, "gone").unwrap();
    volume.sync_all().unwrap();
    volume.close().unwrap();
}

#[test]
fn a_mount_after_a_crash_at_the_brim_goes_on() {
    for seed in 1..=40 * long() {
        let mut random = Random(seed);
        let storage = MemoryStorage::default();
        let quota = (3 + random.below(12)) << 20;
        let cache = cache(&mut random);
        let mut volume = create(Bounded(storage.clone(), quota), cache);
        let span = 1 + random.below(6000);
        for _ in 0..5 {
            for _ in 0..400 {
                let name = format!("file{}", random.below(4));
                let Ok(inode) = find_or_make(&mut volume, &name) else { continue };
                let most = if random.once_in(5) { 40 } else { 3 };
                let bytes = vec![seed as u8; (1 + random.below(most)) as usize * BLOCK_BYTES];
                match volume.write(inode, random.below(span) * 4096, &bytes) {
                    Ok(_) | Err(Error::NoSpace) => {}
                    Err(error) => panic!("seed {seed}: {error}"),
                }
                volume.release(inode);
                if random.once_in(6) {
                    volume.sync_all().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
                }
            }
            // The volume is not closed: the next mount must replay the log.
            drop(volume);
            volume = open(Bounded(storage.clone(), quota), cache);
            if random.once_in(3) {
                assert_eq!(volume.check(&mut |_| {}).unwrap().findings, [], "seed {seed}");
            }
        }
    }
}

#[test]
fn space_for_a_range_is_found_before_it_is_written() {
    let storage = Bounded(MemoryStorage::default(), 8 << 20);
    let mut volume = create(storage, MIN);
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

/// The expected contents of files, by name.
type Files = std::collections::BTreeMap<String, Vec<u8>>;

fn compare(volume: &mut twine_volume::Volume, files: &Files, what: &str) {
    let root = volume.root();
    for (name, wanted) in files {
        let inode = volume.lookup(root, name).unwrap();
        let mut bytes = vec![0; wanted.len() + 1];
        let length = volume.read(inode, 0, &mut bytes);
        volume.release(inode);
        assert_eq!(length, Ok(wanted.len()), "{what}: {name}, {:?}", volume.first_error());
        assert!(bytes[..wanted.len()] == wanted[..], "{what}: {name}");
    }
    assert_eq!(volume.check(&mut |_| {}).unwrap().findings, [], "{what}");
}

#[test]
fn on_the_edge_of_a_full_storage_only_growth_is_refused() {
    for round in 0..24 * long() {
        let mut random = Random(round);
        let quota = (1 << 20) + random.below(3 << 20);
        let cache = MIN << random.below(5);
        let storage = MemoryStorage::default();
        let mut volume = create(Bounded(storage.clone(), quota), cache);
        let root = volume.root();
        let mut files = Files::new();
        let mut refused = 0;
        for step in 0..800 {
            let what = format!("round {round}, step {step}, {quota} bytes");
            let name = format!("{}{}", random.below(60), "x".repeat(random.below(2) as usize * 90));
            let known = files.contains_key(&name);
            // Write more than is removed, as long as there is room.
            match random.below(20) {
                0..=9 => {
                    let Ok(inode) = find_or_make(&mut volume, &name) else {
                        refused += 1;
                        continue;
                    };
                    let held = files.entry(name).or_default();
                    let offset = random.below(held.len() as u64 + 9000);
                    let most = [50, 5_000, 60_000, 300_000][random.below(4) as usize];
                    let length = 1 + random.below(most) as usize;
                    let bytes = random.bytes(length);
                    match volume.write(inode, offset, &bytes) {
                        Ok(count) => {
                            let end = offset as usize + count;
                            held.resize(held.len().max(end), 0);
                            held[offset as usize..end].copy_from_slice(&bytes[..count]);
                        }
                        Err(error) => {
                            assert_eq!(error, Error::NoSpace, "{what}, {:?}", volume.first_error());
                            refused += 1;
                        }
                    }
                    volume.release(inode);
                }
                10..=12 if known => {
                    let removed = volume.unlink(root, &name);
                    assert_eq!(removed, Ok(()), "{what}, {:?}", volume.first_error());
                    files.remove(&name);
                }
                13 | 14 if known => {
                    let inode = volume.lookup(root, &name).unwrap();
                    let held = files.get_mut(&name).unwrap();
                    let size = random.below(held.len() as u64 + 1);
                    let cut = volume.set_size(inode, size);
                    assert_eq!(cut, Ok(()), "{what}, {:?}", volume.first_error());
                    held.truncate(size as usize);
                    volume.release(inode);
                }
                15 => assert_eq!(volume.sync_all(), Ok(()), "{what}, {:?}", volume.first_error()),
                16 => volume.hand_over(),
                17 if random.once_in(20) => {
                    let packed = volume.pack_nodes().map_err(|error| error.errno());
                    assert!(matches!(packed, Ok(()) | Err(Error::NoSpace)), "{what}: {packed:?}");
                }
                18 if random.once_in(10) => {
                    if random.once_in(2) {
                        let closed = volume.close().map_err(|error| error.to_string());
                        assert_eq!(closed, Ok(()), "{what}");
                    } else {
                        assert_eq!(volume.sync_all(), Ok(()), "{what}");
                        drop(volume);
                    }
                    volume = open(Bounded(storage.clone(), quota), cache);
                }
                19 if random.once_in(10) => compare(&mut volume, &files, &what),
                _ => {}
            }
        }
        let what = format!("round {round}, {quota} bytes, {refused} refused");
        assert!(volume.first_error().is_none_or(|error| error.errno() == Error::NoSpace), "{what}");
        compare(&mut volume, &files, &what);
        assert!(refused > 0, "{what}");
    }
}
