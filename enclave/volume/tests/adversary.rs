//! Whatever somebody does to the bytes of a volume, reading it gives errors or a state from one of
//! its syncs, and never panics.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use support::{
    Model, Player, RING, ROOT_COPIES, ROOTS, Random, Tree, Weights, create, long, open, options,
    tree_of, try_open,
};
use twine_vfs::{FileKind, FileSystem, Inode};
use twine_volume::{BLOCK_BYTES, Error, MemoryStorage, Volume};

const MIN: usize = 256 << 10;

/// The bytes and the tree of a volume at a sync.
struct Moment {
    bytes: Vec<u8>,
    tree: Tree,
}

/// Returns the moments in the life of a volume.
fn life(seed: u64, moments: usize) -> Vec<Moment> {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), MIN);
    let mut player = Player::new(seed, Weights { write: 30_000, span: 90_000, sync: 0 });
    let moment = |player: &Player| {
        let (bytes, tree) = (storage.with(|bytes| bytes.clone()), player.model.tree());
        Moment { bytes, tree }
    };
    // A new volume has a commit.
    let mut life = vec![moment(&player)];
    while life.len() < moments {
        for _ in 0..40 {
            player.step(&mut volume);
        }
        for inode in player.held.drain(..) {
            volume.release(Inode(inode));
            player.model.release(inode);
        }
        volume.sync_all().unwrap();
        life.push(moment(&player));
        if life.len() % 5 == 0 {
            volume.close().unwrap();
            volume = open(storage.clone(), MIN);
        }
    }
    life
}

/// Returns the readable part of a tree, and the number of errors.
fn readable(volume: &mut Volume) -> (Tree, u64) {
    let mut found = Tree::new();
    let mut errors = 0;
    let mut wait = vec![(String::new(), volume.root())];
    while let Some((path, inode)) = wait.pop() {
        let Ok(attributes) = volume.attributes(inode) else {
            errors += 1;
            continue;
        };
        let (kind, bytes) = match attributes.kind {
            FileKind::File => {
                let mut bytes = vec![0xee; attributes.size.min(1 << 24) as usize];
                if volume.read(inode, 0, &mut bytes).is_err() {
                    errors += 1;
                    assert!(bytes.iter().all(|&byte| byte == 0), "bytes that nobody vouches for");
                    continue;
                }
                ("file", bytes)
            }
            FileKind::SymbolicLink => match volume.read_link(inode) {
                Ok(target) => ("link", target.into_bytes()),
                Err(_) => {
                    errors += 1;
                    continue;
                }
            },
            FileKind::Directory => {
                let mut names = Vec::new();
                let listed = volume.entries(inode, 0, &mut |entry| {
                    names.push(entry.name.to_owned());
                    true
                });
                errors += u64::from(listed.is_err());
                for name in names {
                    match volume.lookup(inode, &name) {
                        Ok(inode) => wait.push((format!("{path}/{name}"), inode)),
                        Err(_) => errors += 1,
                    }
                }
                ("directory", Vec::new())
            }
        };
        found.insert(path, (kind, attributes.links, bytes, attributes.mode));
    }
    (found, errors)
}

/// Whether everything that was read is from one moment, and nothing is missing without an error.
fn is_of(moment: &Moment, found: &Tree, errors: u64) -> bool {
    found.iter().all(|(path, held)| moment.tree.get(path) == Some(held))
        && (errors > 0 || found.len() == moment.tree.len())
}

/// Returns the number of blocks.
fn blocks(bytes: &[u8]) -> usize {
    bytes.len() / BLOCK_BYTES
}

/// Tampers with the bytes. Returns what it did, in words.
fn tamper(bytes: &mut Vec<u8>, life: &[Moment], other: &[u8], random: &mut Random) -> &'static str {
    let block = |random: &mut Random, bytes: &[u8]| {
        // A third of the blocks are in the header and the log.
        let end =
            if random.once_in(3) { ROOT_COPIES.end.min(blocks(bytes)) } else { blocks(bytes) };
        random.below(end as u64) as usize * BLOCK_BYTES
    };
    let at = block(random, bytes);
    let older = &life[random.below(life.len() as u64 - 1) as usize].bytes;
    match random.below(9) {
        0 => {
            bytes[at + random.below(BLOCK_BYTES as u64) as usize] ^= 1 << random.below(8);
            "a bit flipped"
        }
        1 => {
            let to = block(random, bytes);
            let moved = bytes[at..at + BLOCK_BYTES].to_vec();
            bytes.copy_within(to..to + BLOCK_BYTES, at);
            bytes[to..to + BLOCK_BYTES].copy_from_slice(&moved);
            "two blocks swapped"
        }
        2 | 3 => {
            let at = at.min((blocks(older) - 1) * BLOCK_BYTES);
            bytes[at..at + BLOCK_BYTES].copy_from_slice(&older[at..at + BLOCK_BYTES]);
            "an older block replayed"
        }
        4 => {
            // The storage may have been cut.
            let log = RING.end.min(blocks(bytes));
            let first = random.below(log as u64 + 1) as usize;
            let end = (first + random.below(40) as usize).min(log);
            let (first, end) = (first * BLOCK_BYTES, end * BLOCK_BYTES);
            bytes[first..end].copy_from_slice(&older[first..end]);
            "a piece of the older log replayed"
        }
        5 => {
            let at = at.min((blocks(other) - 1) * BLOCK_BYTES);
            bytes[at..at + BLOCK_BYTES].copy_from_slice(&other[at..at + BLOCK_BYTES]);
            "another volume's block spliced in"
        }
        6 => {
            bytes[at..at + BLOCK_BYTES].fill(0);
            "a block zeroed"
        }
        7 => {
            let length = random.below(bytes.len() as u64 + 1) as usize;
            bytes.truncate(length);
            bytes.resize(length.next_multiple_of(BLOCK_BYTES), 0);
            "the volume truncated"
        }
        _ => {
            let more = random.bytes(3 * BLOCK_BYTES);
            bytes.extend_from_slice(&more);
            "the volume extended"
        }
    }
}

#[test]
fn tampered_volumes_give_errors_or_a_state_that_was_synced() {
    let mut outcomes: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    for round in 0..2 * long() {
        let life = life(round, 12);
        let other = self::life(round + 1_000_000, 12).pop().unwrap().bytes;
        let mut random = Random(round);
        for case in 0..600 {
            let mut bytes = life[11].bytes.clone();
            let mut what = "";
            // Whether no older bytes are put back.
            let mut damage_only = true;
            for _ in 0..1 + random.below(3) {
                if bytes.len() > 140 * BLOCK_BYTES {
                    what = tamper(&mut bytes, &life, &other, &mut random);
                    damage_only &= what == "a bit flipped";
                }
            }
            let storage = MemoryStorage::new(bytes);
            let outcome = match try_open(storage, options(MIN)) {
                Err(_) => "refused",
                Ok(mut volume) => {
                    let (found, errors) = readable(&mut volume);
                    let place = life.iter().rposition(|moment| is_of(moment, &found, errors));
                    let report = volume.check(&mut |_| {});
                    let place =
                        place.unwrap_or_else(|| panic!("round {round}, case {case}: {what}"));
                    assert!(
                        errors == 0 || report.is_err() || report.unwrap().finding_count > 0,
                        "round {round}, case {case}: {what}, and a check finds nothing"
                    );
                    match (errors, place, volume.dropped()) {
                        (0, 11, _) => "nothing lost",
                        (0, _, Some(_)) => "an older state, and it is told",
                        (0, _, None) if damage_only => {
                            panic!("round {round}, case {case}: an older state, and nobody is told")
                        }
                        (0, _, None) => "an older state",
                        _ => "errors",
                    }
                }
            };
            *outcomes.entry((what, outcome)).or_default() += 1;
        }
    }
    for ((what, outcome), count) in outcomes {
        println!("{count:5} x {what}: {outcome}");
    }
}

#[test]
fn blocks_of_a_clone_that_went_another_way_do_not_fit() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), MIN);
    let file = volume.create_file(volume.root(), "file").unwrap();
    volume.write(file, 0, &[1; 20 * BLOCK_BYTES]).unwrap();
    volume.close().unwrap();
    let go_on = |fill: u8| {
        let storage = MemoryStorage::new(storage.with(|bytes| bytes.clone()));
        let mut volume = open(storage.clone(), MIN);
        let file = volume.lookup(volume.root(), "file").unwrap();
        volume.write(file, 0, &vec![fill; 20 * BLOCK_BYTES]).unwrap();
        volume.sync_all().unwrap();
        drop(volume);
        storage.with(|bytes| bytes.clone())
    };
    let (one, two) = (go_on(2), go_on(3));
    let (mut errors, mut ones, mut twos, mut refused) = (0, 0, 0, 0);
    for block in 0..blocks(&one).min(blocks(&two)) {
        let mut mixed = one.clone();
        let range = block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES;
        mixed[range.clone()].copy_from_slice(&two[range]);
        let Ok(mut volume) = try_open(MemoryStorage::new(mixed), options(MIN)) else {
            refused += 1;
            continue;
        };
        let file = volume.lookup(volume.root(), "file").unwrap();
        let mut bytes = vec![0; 20 * BLOCK_BYTES];
        match volume.read(file, 0, &mut bytes) {
            Err(_) => errors += 1,
            Ok(_) if bytes.iter().all(|&byte| byte == 2) => ones += 1,
            // The block that was put in is an entry of the clone's log, and the clone's blocks are
            // missing. So this is the state before both.
            Ok(_) if bytes.iter().all(|&byte| byte == 1) => twos += 1,
            Ok(_) => panic!("block {block} gave what was never there"),
        }
    }
    println!("{ones} nothing lost, {errors} errors, {twos} older, {refused} refused");
    assert!(errors + twos + refused > 0);
}

#[test]
fn no_mutation_of_the_header_opens_or_panics() {
    let storage = MemoryStorage::default();
    let volume = create(storage.clone(), MIN);
    volume.close().unwrap();
    let whole = storage.with(|bytes| bytes.clone());
    let mut random = Random(5);
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    let cases = 3000 * long();
    for _ in 0..cases {
        let mut bytes = whole.clone();
        for _ in 0..1 + random.below(3) {
            // Change both copies alike, mostly in the fields that are used.
            let end = if random.once_in(4) { BLOCK_BYTES as u64 } else { 330 };
            let at = random.below(end) as usize;
            let value = random.next() as u8;
            bytes[at] = value;
            bytes[at + BLOCK_BYTES] = value;
        }
        let outcome = match try_open(MemoryStorage::new(bytes.clone()), options(MIN)) {
            Ok(_) => {
                assert_eq!(bytes, whole, "a changed header was taken");
                "unchanged".into()
            }
            Err(error) => format!("{error:?}").split(['(', ' ']).next().unwrap().to_owned(),
        };
        *outcomes.entry(outcome).or_default() += 1;
    }
    println!("{cases} mutated headers: {outcomes:?}");
}

#[test]
fn one_damaged_copy_of_the_header_is_no_loss() {
    let storage = MemoryStorage::default();
    let volume = create(storage.clone(), MIN);
    volume.close().unwrap();
    for copy in 0..2 {
        let mut bytes = storage.with(|bytes| bytes.clone());
        bytes[copy * BLOCK_BYTES..(copy + 1) * BLOCK_BYTES].fill(0xff);
        assert_eq!(
            tree_of(&mut open(MemoryStorage::new(bytes), MIN)).unwrap(),
            Model::default().tree()
        );
    }
}

#[test]
fn an_unknown_version_is_refused_by_name() {
    let storage = MemoryStorage::default();
    create(storage.clone(), MIN).close().unwrap();
    storage.with(|bytes| {
        bytes[8] = 2;
        bytes[BLOCK_BYTES + 8] = 2;
    });
    let error = try_open(storage, options(MIN)).unwrap_err();
    assert!(matches!(error, Error::UnknownVersion(2)));
    assert_eq!(error.to_string(), "this volume has version 2 of the format; version 3 is known");
}

/// Returns the seals of the log's entries: salt and counter, which are in the clear. The files are
/// so small that no data lie between the entries.
fn seals(storage: &MemoryStorage) -> BTreeSet<[u8; 18]> {
    storage.with(|bytes| {
        let blocks = (ROOTS.start..ROOT_COPIES.end)
            .filter_map(|block| bytes.get(block * BLOCK_BYTES..)?.first_chunk::<18>());
        blocks.filter(|seal| **seal != [0; 18]).copied().collect()
    })
}

/// Mounts copies of a storage, and one storage twice at once, as whoever holds it can. A nonce that
/// was used twice would reveal what two blocks have in common.
#[test]
fn mounts_of_one_state_seal_under_salts_of_their_own() {
    let storage = MemoryStorage::default();
    create(storage.clone(), MIN).close().unwrap();
    let known = seals(&storage);
    let before = storage.with(|bytes| bytes.clone());
    let act = |volume: &mut Volume, number: u8| {
        let inode = volume.create_file(volume.root(), "file").unwrap();
        for round in 0..10 {
            volume.write(inode, 0, &[number ^ round; 500]).unwrap();
            volume.sync_all().unwrap();
        }
    };
    let mut salts = BTreeSet::new();
    for future in 0..40 {
        let copy = MemoryStorage::new(before.clone());
        act(&mut open(copy.clone(), MIN), future);
        let new: BTreeSet<[u8; 12]> = seals(&copy)
            .difference(&known)
            .filter_map(|seal| seal.first_chunk().copied())
            .collect();
        assert_eq!(new.len(), 1, "one salt for each mount");
        assert!(salts.is_disjoint(&new), "a salt was used before");
        salts.extend(new);
    }
    // Two mounts at once: each overwrites what the other one wrote.
    let mut volumes = [open(storage.clone(), MIN), open(storage.clone(), MIN)];
    let mut seen = Vec::new();
    for round in 0..10 {
        for (volume, number) in volumes.iter_mut().zip(0..) {
            let before = seals(&storage);
            let name = format!("{number} {round}");
            let inode = volume.create_file(volume.root(), &name).unwrap();
            volume.write(inode, 0, &[number; 500]).unwrap();
            volume.sync_all().unwrap();
            seen.extend(seals(&storage).difference(&before).copied());
        }
    }
    assert!(seen.len() >= 20, "each sync writes an entry");
    let different: BTreeSet<_> = seen.iter().collect();
    let salts: BTreeSet<&[u8]> = seen.iter().map(|seal| &seal[..12]).collect();
    assert_eq!((different.len(), salts.len()), (seen.len(), 2));
}
