//! After a crash at any call of the storage, with unsynced writes kept, lost, torn or reordered, a
//! mount finds the state of the last completed sync or a later one, whole.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use support::{
    Done, Model, Player, Random, Recorder, Tree, Weights, create, long, options, tree_of,
};
use twine_vfs::{FileKind, FileSystem};
use twine_volume::{BLOCK_BYTES, MemoryStorage, Volume};

const MIN: usize = 256 << 10;

/// Number of outcomes that are tried for each crash. In the first one, only the process ends.
const SURVIVORS: u64 = 4;

/// The states that are allowed once the storage has stopped.
struct Allowed {
    /// After the end of the machine: the states of the last completed sync and of each step after
    /// it.
    crash: Vec<Tree>,
    /// After the end of the process: the same since the last hand-over or sync.
    kill: Vec<Tree>,
}

impl Allowed {
    fn only(tree: &Tree) -> Self {
        Allowed { crash: vec![tree.clone()], kill: vec![tree.clone()] }
    }

    fn also(&mut self, tree: &Tree) {
        self.crash.push(tree.clone());
        self.kill.push(tree.clone());
    }
}

/// Plays until the storage stops. Returns the states that are allowed after that.
fn play(volume: &mut Volume, storage: &Recorder, player: &mut Player, steps: u64) -> Allowed {
    let mut allowed = Allowed::only(&player.model.tree());
    for _ in 0..steps {
        let before = player.model.clone();
        let done = catch_unwind(AssertUnwindSafe(|| player.step(volume)));
        let now = player.model.tree();
        if storage.stopped() {
            // The player applied the step to the model, or failed before that. Both are allowed.
            allowed.also(&before.tree());
            allowed.also(&now);
            break;
        }
        match done {
            Ok(Done::Synced) => allowed = Allowed::only(&now),
            Ok(Done::HandedOver) => {
                allowed.crash.push(now.clone());
                allowed.kill = vec![now];
            }
            Ok(Done::Other) => allowed.also(&now),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    allowed
}

/// The parameters of a repeated test.
#[derive(Debug, Clone, Copy)]
struct Case {
    seed: u64,
    weights: Weights,
    cache: usize,
    steps: u64,
    /// Whether free blocks are scattered over the storage.
    scattered: bool,
}

/// Tries one crash, and some of its possible outcomes.
fn crash_at(call: u64, case: Case, base: &[u8], model: &Model) {
    let storage = Recorder::new(base.to_vec());
    storage.stop_at(call);
    let mut player = Player::new(case.seed, case.weights);
    player.model = model.clone();
    let mut allowed = Allowed::only(&model.tree());
    if let Ok(mut volume) = support::try_open(storage.clone(), options(case.cache)) {
        allowed = play(&mut volume, &storage, &mut player, case.steps);
    }
    let mut random = Random(case.seed ^ call << 20);
    for survivor in 0..SURVIVORS {
        let killed = survivor == 0;
        let how = if killed { "killed" } else { "stopped" };
        let what = format!("{case:?}, {how} at call {call}, survivor {survivor}");
        let left = if killed { storage.kill(&mut random) } else { storage.crash(&mut random) };
        let allowed = if killed { &allowed.kill } else { &allowed.crash };
        let mut volume = support::try_open(MemoryStorage::new(left.clone()), options(case.cache))
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let found = tree_of(&mut volume).unwrap_or_else(|error| {
            panic!("{what}: {error}, {:?}", volume.first_error());
        });
        assert!(allowed.contains(&found), "{what}: {}", difference(&found, allowed));
        let report = volume.check(&mut |_| {}).unwrap();
        assert_eq!(report.findings, [], "{what}");
        go_on(&left, &found, case, &what, &mut random);
    }
}

/// Continues after a crash as usual, with another crash in between.
fn go_on(left: &[u8], found: &Tree, case: Case, what: &str, random: &mut Random) {
    let storage = Recorder::new(left.to_vec());
    let name = "after the crash";
    storage.stop_at(1 + random.below(6));
    if let Ok(mut volume) = support::try_open(storage.clone(), options(case.cache)) {
        let root = volume.root();
        let done = volume.create_file(root, name).and_then(|file| {
            volume.write(file, 0, &[7; 5000])?;
            volume.sync_all()
        });
        assert!(done.is_ok() || storage.stopped(), "{what}: {done:?}");
    }
    let left = storage.crash(random);
    let mut volume = support::open(MemoryStorage::new(left), case.cache);
    let mut again = tree_of(&mut volume).unwrap_or_else(|error| panic!("{what}, twice: {error}"));
    if let Some((_, _, bytes, _)) = again.remove(&format!("/{name}")) {
        assert_eq!(bytes, [7; 5000], "{what}, twice");
    }
    assert!(again == *found, "{what}, twice: {}", difference(&again, std::slice::from_ref(found)));
}

fn difference(found: &Tree, allowed: &[Tree]) -> String {
    let last = &allowed[allowed.len() - 1];
    let mut words = format!("{} states allowed;", allowed.len());
    for (path, held) in found {
        match last.get(path) {
            None => words += &format!(" {path} is new;"),
            Some(other) if other != held => {
                words += &format!(" {path}: {} bytes, not {};", held.2.len(), other.2.len());
            }
            _ => {}
        }
    }
    for path in last.keys().filter(|path| !found.contains_key(*path)) {
        words += &format!(" {path} is missing;");
    }
    words
}

/// Returns the number of calls in a run that is not stopped, and how many of them write several
/// places.
fn calls(case: Case, base: &[u8], model: &Model) -> (u64, u64) {
    let storage = Recorder::new(base.to_vec());
    let mut volume = support::open(storage.clone(), case.cache);
    let mut player = Player::new(case.seed, case.weights);
    player.model = model.clone();
    play(&mut volume, &storage, &mut player, case.steps);
    (storage.calls(), storage.together())
}

/// Makes a file, and writes every third block of it again, so that the old blocks become free.
fn scatter(volume: &mut Volume, model: &mut Model) {
    const BLOCKS: u64 = 300;
    let (root, name) = (volume.root(), "scattered");
    let file = volume.create_file(root, name).unwrap();
    assert_eq!(model.create(root.0, name, FileKind::File, ""), Ok(file.0));
    for (step, byte) in [(1, 1), (3, 2)] {
        for index in (0..BLOCKS).step_by(step) {
            let (offset, bytes) = (index * BLOCK_BYTES as u64, [byte; BLOCK_BYTES]);
            volume.write(file, offset, &bytes).unwrap();
            model.write(file.0, offset, &bytes).unwrap();
        }
        volume.sync_all().unwrap();
    }
}

/// Makes a volume with some history, so that blocks are reused.
fn base(case: Case) -> (Vec<u8>, Model) {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), case.cache);
    let mut player = Player::new(case.seed + 1000, case.weights);
    for _ in 0..300 {
        player.step(&mut volume);
    }
    if case.scattered {
        scatter(&mut volume, &mut player.model);
    }
    volume.sync_all().unwrap();
    drop(volume);
    player.model.unmount();
    (storage.with(|bytes| bytes.clone()), player.model)
}

#[test]
fn a_crash_at_any_call_leaves_a_state_that_was_synced_or_a_later_one() {
    // Steps that fail on a stopped storage panic in the player, which is expected.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mixes = [
        (MIN, 60, Weights { write: 9_000, span: 40_000, sync: 4 }),
        (MIN, 60, Weights { write: 60_000, span: 400_000, sync: 8 }),
        (MIN, 100, Weights { write: 1_500, span: 3_000, sync: 2 }),
        (MIN, 100, Weights { write: 250_000, span: 300_000, sync: 20 }),
        (8 << 20, 200, Weights { write: 9_000, span: 20_000, sync: 3 }),
        (MIN, 80, Weights { write: 100_000, span: 300_000, sync: 6 }),
    ];
    let scattered = mixes.len() - 1;
    let mut crashes = 0;
    let mut together = 0;
    let result = catch_unwind(AssertUnwindSafe(|| {
        for round in 0..long() {
            for (at, &(cache, steps, weights)) in mixes.iter().enumerate() {
                let seed = round * 10 + at as u64;
                let case = Case { seed, weights, cache, steps, scattered: at == scattered };
                let (bytes, model) = base(case);
                let (calls, several) = calls(case, &bytes, &model);
                together += several;
                for call in 1..=calls {
                    crash_at(call, case, &bytes, &model);
                    crashes += 1;
                }
            }
        }
    }));
    std::panic::set_hook(hook);
    if let Err(panic) = result {
        let words = panic.downcast_ref::<String>().cloned();
        panic!("{}", words.unwrap_or_else(|| "a step went wrong".into()));
    }
    println!("{crashes} crashes, {} mounts after them", crashes * SURVIVORS * 3);
    println!("{together} writes to several places in runs without a crash");
    assert!(together > 5);
}

fn first_byte(volume: &mut Volume, name: &str) -> u8 {
    let inode = volume.lookup(volume.root(), name).unwrap();
    let mut bytes = [0; 1];
    volume.read(inode, 0, &mut bytes).unwrap();
    volume.release(inode);
    bytes[0]
}

#[test]
fn a_commit_that_a_mount_has_dropped_does_not_come_back() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), MIN);
    let inode = support::file(&mut volume, "file");
    volume.write(inode, 0, &[1; 2 * BLOCK_BYTES]).unwrap();
    volume.set_size(inode, 300 * 4096).unwrap();
    volume.sync_all().unwrap();
    let size = storage.with(|bytes| bytes.len());
    volume.allocate(inode, 0, 200 * 4096).unwrap();
    volume.write(inode, 0, &[2; 2 * BLOCK_BYTES]).unwrap();
    volume.hand_over();
    drop(volume);
    // The machine ends. All writes survive, but not the storage's new length.
    storage.with(|bytes| bytes.truncate(size));
    let mut volume = support::open(storage.clone(), MIN);
    assert_eq!(first_byte(&mut volume, "file"), 1);
    volume.sync_all().unwrap();
    let inode = volume.lookup(volume.root(), "file").unwrap();
    volume.allocate(inode, 0, 280 * 4096).unwrap();
    drop(volume);
    assert!(storage.with(|bytes| bytes.len()) > size);
    assert_eq!(first_byte(&mut support::open(storage, MIN), "file"), 1);
}

/// A commit that changes one pointer of a group builds on a commit that is not durable and wrote
/// the other pointers.
#[test]
fn the_rest_of_a_changed_group_must_be_present_too() {
    const BLOCKS: usize = 20;
    let cache = 8 << 20;
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), cache);
    let inode = support::file(&mut volume, "file");
    volume.write(inode, 0, &[1; BLOCKS * BLOCK_BYTES]).unwrap();
    volume.sync_all().unwrap();
    let before = storage.with(|bytes| bytes.clone());
    volume.write(inode, 0, &[2; BLOCKS * BLOCK_BYTES]).unwrap();
    for number in 0..300 {
        let inode = support::file(&mut volume, &format!("{number:0200}"));
        volume.release(inode);
    }
    let trees = volume.statistics().tree_commits;
    volume.hand_over();
    assert_eq!(volume.statistics().tree_commits, trees + 1);
    volume.write(inode, 3 * BLOCK_BYTES as u64, &[3; BLOCK_BYTES]).unwrap();
    volume.hand_over();
    assert_eq!(volume.statistics().tree_commits, trees + 1);
    drop(volume);
    let after = storage.with(|bytes| bytes.clone());
    let mut lost = 0;
    for start in (0..after.len()).step_by(BLOCK_BYTES) {
        let range = start..start + BLOCK_BYTES;
        let old = before.get(range.clone()).unwrap_or(&[0; BLOCK_BYTES]);
        if *old == after[range.clone()] {
            continue;
        }
        lost += 1;
        let mut left = after.clone();
        left[range].copy_from_slice(old);
        let mut volume = support::open(MemoryStorage::new(left), cache);
        let inode = volume.lookup(volume.root(), "file").unwrap();
        let mut bytes = vec![0; BLOCKS * BLOCK_BYTES];
        volume.read(inode, 0, &mut bytes).unwrap_or_else(|error| panic!("{start:#x}: {error}"));
        let changed = bytes[3 * BLOCK_BYTES];
        assert!(bytes[0] == bytes[19 * BLOCK_BYTES] && [1, 2, 3].contains(&changed), "{start:#x}");
        assert_eq!(volume.check(&mut |_| {}).unwrap().findings, [], "{start:#x}");
    }
    assert!(lost > BLOCKS, "{lost}");
}
