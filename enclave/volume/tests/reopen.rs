//! A disk whose flushes fail now and then, killed processes and power cuts, over many mounts of one
//! volume: nothing that a completed sync covered is lost.

mod support;

use std::collections::BTreeMap;
use support::{PageCache, Random, create, long, options, try_open};
use twine_vfs::{FileSystem, Inode};
use twine_volume::{BLOCK_BYTES, Volume};

const MIN: usize = 256 << 10;

/// The files of the root directory, each filled with one byte.
type Files = BTreeMap<String, (u8, usize)>;

/// Reads the contents of a volume.
fn read(volume: &mut Volume, what: &str) -> Files {
    let root = volume.root();
    let mut names = Vec::new();
    volume
        .entries(root, 0, &mut |entry| {
            names.push(entry.name.to_owned());
            true
        })
        .unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut files = Files::new();
    for name in names {
        let inode = volume.lookup(root, &name).unwrap();
        let size = volume.attributes(inode).unwrap().size as usize;
        let mut bytes = vec![0; size];
        volume.read(inode, 0, &mut bytes).unwrap_or_else(|error| panic!("{what}, {name}: {error}"));
        volume.release(inode);
        let first = bytes.first().copied().unwrap_or(0);
        assert!(bytes.iter().all(|byte| *byte == first), "{what}: {name} is of two states");
        files.insert(name, (first, size));
    }
    files
}

/// Replaces the contents of a file, as one change.
fn rewrite(volume: &mut Volume, files: &mut Files, random: &mut Random) -> Result<(), ()> {
    let root = volume.root();
    let name = format!("f{}", random.below(6));
    let fill = (random.below(255) + 1) as u8;
    let blocks = if random.once_in(6) { 200 } else { 6 };
    let size = 1 + random.below(blocks * BLOCK_BYTES as u64) as usize;
    let temporary = "temporary";
    let inode: Inode = volume.create_file(root, temporary).map_err(drop)?;
    let written = volume.write(inode, 0, &vec![fill; size]);
    volume.release(inode);
    if written != Ok(size) {
        return Err(());
    }
    volume.rename(root, temporary, root, &name).map_err(drop)?;
    files.insert(name, (fill, size));
    Ok(())
}

/// The states that a mount may find.
struct Allowed {
    /// After a power cut: the last state that a completed sync covered, and all later ones.
    states: Vec<Files>,
}

/// Removes the temporary file, which exists only in some states.
fn plain(mut files: Files) -> Files {
    files.remove("temporary");
    files
}

fn reopen(storage: &PageCache, allowed: &mut Allowed, what: &str) -> (Volume, Files) {
    let mut volume =
        try_open(storage.clone(), options(MIN)).unwrap_or_else(|error| panic!("{what}: {error}"));
    let found = read(&mut volume, what);
    let plain = plain(found.clone());
    assert!(allowed.states.contains(&plain), "{what}: {plain:?}");
    if found.contains_key("temporary") {
        volume.unlink(volume.root(), "temporary").unwrap();
    }
    (volume, plain)
}

#[test]
fn completed_syncs_outlive_failed_flushes_kills_and_the_power() {
    let mut counts = BTreeMap::from([("synced", 0), ("failed", 0), ("killed", 0), ("power", 0)]);
    let mut count = |what: &'static str| *counts.entry(what).or_insert(0) += 1;
    for seed in 0..60 * long() {
        let mut random = Random(seed);
        let mut storage = PageCache::default();
        let mut volume = create(storage.clone(), MIN);
        let mut files = Files::new();
        let mut allowed = Allowed { states: vec![files.clone()] };
        for step in 0..120 {
            let what = format!("seed {seed}, step {step}");
            match random.below(12) {
                0..=5 => {
                    let done = rewrite(&mut volume, &mut files, &mut random);
                    assert!(done.is_ok(), "{what}: {:?}", volume.first_error());
                    allowed.states.push(files.clone());
                }
                6 => volume.hand_over(),
                7..=9 => {
                    if random.once_in(3) {
                        storage.fail_flush();
                    }
                    if volume.sync_all().is_ok() {
                        allowed.states = vec![files.clone()];
                        storage.heal();
                        count("synced");
                    } else {
                        count("failed");
                        drop(volume);
                        storage.heal();
                        (volume, files) = reopen(&storage, &mut allowed, &what);
                    }
                }
                10 => {
                    drop(volume);
                    if random.once_in(2) {
                        storage.lose_dirty();
                    }
                    (volume, files) = reopen(&storage, &mut allowed, &what);
                    count("killed");
                }
                _ => {
                    drop(volume);
                    storage = PageCache::new(storage.disk());
                    (volume, files) = reopen(&storage, &mut allowed, &what);
                    assert!(!volume.dropped().is_some_and(|dropped| dropped.is_loss()));
                    count("power");
                }
            }
        }
        assert_eq!(volume.check(&mut |_| {}).unwrap().findings, [], "seed {seed}");
    }
    println!("{counts:?}");
    assert!(counts.values().all(|count| *count > 100), "{counts:?}");
}
