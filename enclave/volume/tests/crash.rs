//! After a crash at any call of the storage, with what was not synced kept, lost, torn or
//! reordered, a mount finds the state of the last completed sync, or a later one, whole.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use support::{Model, Player, Random, Recorder, Tree, Weights, create, long, options, tree_of};
use twine_files::FileSystem;
use twine_volume::{MemoryStorage, Volume};

const LEAST: usize = 256 << 10;

/// Plays until the storage stops, and gives the states that are allowed from then on: that
/// of the last completed sync and all between the steps after it.
fn play(volume: &mut Volume, storage: &Recorder, player: &mut Player, steps: u64) -> Vec<Tree> {
    let mut allowed = vec![player.model.tree()];
    for _ in 0..steps {
        let before = player.model.clone();
        let synced = catch_unwind(AssertUnwindSafe(|| player.step(volume)));
        if storage.stopped() {
            // The player did the step to the model, or failed before. Both are allowed.
            allowed.push(before.tree());
            allowed.push(player.model.tree());
            break;
        }
        match synced {
            Ok(true) => allowed = vec![player.model.tree()],
            Ok(false) => allowed.push(player.model.tree()),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    allowed
}

/// One crash, and some of what it may leave.
fn crash_at(call: u64, seed: u64, weights: Weights, base: &[u8], model: &Model, survivors: u64) {
    let storage = Recorder::new(base.to_vec());
    storage.stop_at(call);
    let mut player = Player::new(seed, weights);
    player.model = model.clone();
    let mut allowed = vec![model.tree()];
    if let Ok(mut volume) = support::try_open(storage.clone(), options(LEAST)) {
        allowed = play(&mut volume, &storage, &mut player, 60);
    }
    let mut random = Random(seed ^ call << 20);
    for survivor in 0..survivors {
        let left = storage.crash(&mut random);
        let memory = MemoryStorage::new(left);
        let what = format!("seed {seed}, stopped at call {call}, survivor {survivor}");
        let mut volume = support::try_open(memory.clone(), options(LEAST))
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let found = tree_of(&mut volume).unwrap_or_else(|error| {
            panic!("{what}: {error}, {:?}", volume.trouble());
        });
        assert!(allowed.contains(&found), "{what}: {}", difference(&found, &allowed));
        // It goes on from there, as if nothing had been.
        let root = volume.root();
        let file = volume.create_file(root, "after the crash").unwrap();
        volume.write(file, 0, &[7; 5000]).unwrap();
        volume.sync_all().unwrap();
        let report = volume.check(&mut |_| {}).unwrap();
        assert_eq!(report.findings, [], "{what}");
        drop(volume);
        let mut volume = support::open(memory, LEAST);
        let again = tree_of(&mut volume).unwrap();
        assert_eq!(again.len(), found.len() + 1, "{what}");
    }
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

/// How many calls a run makes that is not stopped.
fn calls(seed: u64, weights: Weights, base: &[u8], model: &Model) -> u64 {
    let storage = Recorder::new(base.to_vec());
    let mut volume = support::open(storage.clone(), LEAST);
    let mut player = Player::new(seed, weights);
    player.model = model.clone();
    play(&mut volume, &storage, &mut player, 60);
    storage.calls()
}

/// A volume with some history, so that blocks are used again.
fn base(seed: u64, weights: Weights) -> (Vec<u8>, Model) {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), LEAST);
    let mut player = Player::new(seed + 1000, weights);
    for _ in 0..300 {
        player.step(&mut volume);
    }
    volume.sync_all().unwrap();
    drop(volume);
    player.model.unmount();
    (storage.with(|bytes| bytes.clone()), player.model)
}

#[test]
fn a_crash_at_any_call_leaves_a_state_that_was_synced_or_a_later_one() {
    // Steps that fail on a stopped storage panic in the player, which is looked after.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mixes = [
        Weights { write: 9_000, span: 40_000, sync: 4 },
        Weights { write: 60_000, span: 400_000, sync: 8 },
        Weights { write: 1_500, span: 3_000, sync: 2 },
    ];
    let (mut crashes, mut mounts) = (0, 0);
    let result = catch_unwind(AssertUnwindSafe(|| {
        for round in 0..2 * long() {
            for (at, weights) in mixes.iter().enumerate() {
                let seed = round * 10 + at as u64;
                let (bytes, model) = base(seed, *weights);
                let calls = calls(seed, *weights, &bytes, &model);
                for call in 1..=calls {
                    crash_at(call, seed, *weights, &bytes, &model, 3);
                    crashes += 1;
                    mounts += 3;
                }
            }
        }
    }));
    std::panic::set_hook(hook);
    if let Err(panic) = result {
        let words = panic.downcast_ref::<String>().cloned();
        panic!("{}", words.unwrap_or_else(|| "a step went wrong".into()));
    }
    println!("{crashes} crashes, {mounts} mounts after them");
}
