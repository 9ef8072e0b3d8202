//! When any call of the storage fails, operations fail with a clear error and change nothing.
//! Synced data are there at the next mount. A volume whose storage recovers continues.

mod support;

use std::collections::BTreeSet;
use support::{Faulty, Random, Tree, create, long, options, tree_of, try_open};
use twine_vfs::{Error, FileSystem, Inode};
use twine_volume::{MemoryStorage, Operation, StorageError, Volume};

const MIN: usize = 256 << 10;

/// A run of operations.
struct Run {
    /// The trees that a mount may find: the one at the last sync, and those after each later
    /// operation.
    allowed: Vec<Tree>,
    errors: BTreeSet<&'static str>,
    failed: u64,
}

fn error_name(error: Error) -> &'static str {
    match error {
        Error::Io => "Io",
        Error::NoSpace => "NoSpace",
        other => panic!("{other} is no answer to a failing storage"),
    }
}

/// Does a random operation. Returns whether it was a sync. An error comes with whether the
/// operation must have changed nothing, which holds for single operations other than writes.
fn operate(volume: &mut Volume, number: u64, random: &mut Random) -> Result<bool, (Error, bool)> {
    let atomic = |error| (error, true);
    let partly = |error| (error, false);
    let root = volume.root();
    let name = format!("file{}", number % 7);
    let with_file =
        |volume: &mut Volume, what: &mut dyn FnMut(&mut Volume, Inode) -> Result<(), Error>| {
            let file = match volume.lookup(root, &name) {
                Err(Error::NotFound) => volume.create_file(root, &name)?,
                found => found?,
            };
            let done = what(volume, file);
            volume.release(file);
            done
        };
    match random.below(9) {
        0..=3 => {
            let offset = random.below(300_000);
            let length = random.below(60_000) as usize;
            let bytes = random.bytes(length);
            let mut done = 0;
            with_file(volume, &mut |volume, file| {
                done = volume.write(file, offset, &bytes)?;
                Ok(())
            })
            .map_err(partly)?;
        }
        4 => {
            let size = random.below(200_000);
            let found = volume.lookup(root, &name);
            let existed = found.is_ok();
            found.into_iter().for_each(|file| volume.release(file));
            with_file(volume, &mut |volume, file| volume.set_size(file, size))
                .map_err(|error| (error, existed))?;
        }
        5 => match volume.unlink(root, &name) {
            Ok(()) | Err(Error::NotFound) => {}
            Err(error) => return Err(atomic(error)),
        },
        6 => match volume.rename(root, &name, root, &format!("file{}", (number + 3) % 7)) {
            Ok(()) | Err(Error::NotFound) => {}
            Err(error) => return Err(atomic(error)),
        },
        7 => {
            with_file(volume, &mut |volume, file| {
                let mut bytes = vec![0; 50_000];
                volume.read(file, 1000, &mut bytes).map(drop)
            })
            .map_err(partly)?;
        }
        _ => {
            volume.sync_all().map_err(atomic)?;
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns the tree that a second mount of the same bytes reads.
fn read_back(memory: &MemoryStorage) -> Tree {
    let copy = MemoryStorage::new(memory.with(|bytes| bytes.clone()));
    let mut volume = support::open(copy, MIN);
    let tree = tree_of(&mut volume).unwrap();
    let report = volume.check(&mut |_| {}).unwrap();
    assert_eq!(report.findings, []);
    tree
}

/// Runs operations from a seed on a volume whose storage fails at one call.
fn run(base: &[u8], seed: u64, at: u64, calls: u64, error: StorageError) -> (Run, Faulty) {
    let storage = Faulty::new(MemoryStorage::new(base.to_vec()));
    storage.fail(at, calls, error);
    let mut random = Random(seed);
    let mut run = Run { allowed: Vec::new(), errors: BTreeSet::new(), failed: 0 };
    run.allowed.push(read_back(&storage.memory));
    let mut volume = match try_open(storage.clone(), options(MIN)) {
        Ok(volume) => volume,
        Err(error) => {
            run.errors.insert(error_name(error.errno()));
            run.failed += 1;
            return (run, storage);
        }
    };
    let mut current = run.allowed[0].clone();
    for number in 0..30 {
        let mut unchanged = false;
        match operate(&mut volume, number, &mut random) {
            // A sync makes no visible change.
            Ok(true) => run.allowed = vec![current.clone()],
            Ok(false) => {}
            Err((error, atomic)) => {
                run.errors.insert(error_name(error));
                run.failed += 1;
                unchanged = atomic;
                let told_whole = error == Error::NoSpace;
                assert!(told_whole || volume.first_error().is_some(), "no words for {error}");
            }
        }
        // The failing call may be one of these reads.
        if let Ok(tree) = tree_of(&mut volume).or_else(|_| tree_of(&mut volume)) {
            assert!(
                !unchanged || tree == current,
                "operation {number} failed, and changed something"
            );
            run.allowed.push(tree.clone());
            current = tree;
        }
    }
    // A storage that has recovered accepts all changes, unless a sync failed before.
    if storage.calls() >= at.saturating_add(calls) && !storage.failed().contains(&Operation::Sync) {
        let before = tree_of(&mut volume).unwrap();
        match volume.sync_all() {
            Ok(()) => run.allowed = vec![before],
            Err(error) => panic!("{error} though the storage is well: {:?}", volume.first_error()),
        }
    }
    (run, storage)
}

fn base() -> Vec<u8> {
    let memory = MemoryStorage::default();
    let mut volume = create(memory.clone(), MIN);
    let mut random = Random(99);
    for number in 0..60 {
        operate(&mut volume, number, &mut random).unwrap();
    }
    volume.close().unwrap();
    memory.with(|bytes| bytes.clone())
}

#[test]
fn any_failing_call_leaves_all_that_was_synced_and_the_volume_goes_on() {
    let base = base();
    let mut runs = 0;
    let mut failures = 0;
    let mut errors = BTreeSet::new();
    for seed in 0..long() {
        let (_, storage) = run(&base, seed, u64::MAX, 0, StorageError::Io);
        let all = storage.calls();
        for (error, calls) in [
            (StorageError::Io, 1),
            (StorageError::NoSpace, 3),
            (StorageError::Io, u64::MAX),
            (StorageError::NoSpace, u64::MAX),
        ] {
            let step = if calls == 1 { 1 } else { 7 };
            for at in (1..=all).step_by(step) {
                let (run, storage) = run(&base, seed, at, calls, error);
                let found = read_back(&storage.memory);
                assert!(
                    run.allowed.contains(&found),
                    "seed {seed}, {error} at call {at} for {calls}: {:?}",
                    storage.failed().first()
                );
                runs += 1;
                failures += run.failed;
                errors.extend(run.errors);
            }
        }
    }
    println!("{runs} runs, {failures} operations failed: {errors:?}");
    assert_eq!(errors, BTreeSet::from(["Io", "NoSpace"]));
}
