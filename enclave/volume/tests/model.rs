//! Random operations on a volume and on a plain tree in memory give the same answers and the same
//! trees.

mod support;

use support::{Done, Model, Player, Tree, Weights, assert_whole, create, long, open, tree_of};
use twine_volume::MemoryStorage;

const MIN: usize = 256 << 10;

fn compare(found: &Tree, model: &Model, when: &str) {
    let wanted = model.tree();
    let paths: Vec<_> = found.keys().collect();
    assert_eq!(paths, wanted.keys().collect::<Vec<_>>(), "{when}");
    for (path, (kind, links, bytes, mode)) in found {
        let (wanted_kind, wanted_links, wanted_bytes, wanted_mode) = &wanted[path];
        let known = (kind, links, mode);
        assert_eq!(known, (wanted_kind, wanted_links, wanted_mode), "{path} {when}");
        assert!(bytes == wanted_bytes, "contents of {path} {when}");
    }
}

fn play(seed: u64, steps: u64, cache: usize, weights: Weights) -> (u64, u64) {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), cache);
    let mut player = Player::new(seed, weights);
    let (mut syncs, mut mounts) = (0, 0);
    for step in 0..steps {
        syncs += u64::from(player.step(&mut volume) == Done::Synced);
        if player.random.once_in(200) {
            let found = tree_of(&mut volume).unwrap();
            compare(&found, &player.model, &format!("at step {step} of seed {seed}"));
        }
        if player.random.once_in(400) {
            mounts += 1;
            if player.random.once_in(2) {
                volume.close().unwrap();
            } else {
                twine_vfs::FileSystem::sync_all(&mut volume).unwrap();
                drop(volume);
            }
            player.model.unmount();
            player.held.clear();
            volume = open(storage.clone(), cache);
            let found = tree_of(&mut volume).unwrap();
            compare(&found, &player.model, &format!("after mount {mounts} of seed {seed}"));
            assert_whole(&mut volume, &player.model);
        }
        assert!(volume.first_error().is_none(), "{}", volume.first_error().unwrap());
    }
    (syncs, mounts)
}

#[test]
fn a_volume_does_what_a_plain_tree_does() {
    let mixes = [
        (MIN, Weights { write: 20_000, span: 100_000, sync: 30 }),
        (MIN, Weights { write: 300_000, span: 3_000_000, sync: 100 }),
        (1 << 20, Weights { write: 5_000, span: 8_000, sync: 3 }),
        (8 << 20, Weights { write: 200_000, span: 1_000_000, sync: 20 }),
        (32 << 20, Weights { write: 3_000, span: 4_000, sync: 0 }),
    ];
    let steps = 4_000;
    let mut totals = (0, 0, 0);
    for round in 0..long() {
        for (at, (cache, weights)) in mixes.iter().enumerate() {
            let (syncs, mounts) = play(round * 100 + at as u64, steps, *cache, *weights);
            totals = (totals.0 + steps, totals.1 + syncs, totals.2 + mounts);
        }
    }
    println!("{} steps, {} syncs, {} mounts", totals.0, totals.1, totals.2);
}
