//! Freshness across mounts: an older volume is refused if an anchor remembers a newer one.

mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use support::{create, options, tree_of, try_open};
use twine_vfs::FileSystem;
use twine_volume::{Anchor, AnchorError, Error, Mark, MemoryStorage, Options, Volume, VolumeId};

const MIN: usize = 256 << 10;

/// An anchor that can be unreachable. Clones share their memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<(HashMap<VolumeId, Mark>, bool)>>);

impl Memory {
    fn unreachable(&self, unreachable: bool) {
        self.0.lock().unwrap().1 = unreachable;
    }
}

impl Anchor for Memory {
    fn newest(&mut self, volume: &VolumeId) -> Result<Option<Mark>, AnchorError> {
        let held = self.0.lock().unwrap();
        if held.1 {
            Err(AnchorError("it is out of reach".into()))
        } else {
            Ok(held.0.get(volume).copied())
        }
    }

    fn advance(&mut self, volume: &VolumeId, mark: Mark) -> Result<(), AnchorError> {
        let mut held = self.0.lock().unwrap();
        if held.1 {
            return Err(AnchorError("it is out of reach".into()));
        }
        held.0.insert(*volume, mark);
        Ok(())
    }
}

fn anchored(anchor: &Memory) -> Options {
    Options { anchor: Some(Box::new(anchor.clone())), ..options(MIN) }
}

/// Makes a volume that the anchor knows.
fn start(anchor: &Memory) -> MemoryStorage {
    let storage = MemoryStorage::default();
    create(storage.clone(), MIN).close().unwrap();
    let volume = try_open(storage.clone(), anchored(anchor)).unwrap();
    volume.close().unwrap();
    storage
}

fn add(volume: &mut Volume, name: &str) {
    let file = volume.create_file(volume.root(), name).unwrap();
    volume.write(file, 0, name.as_bytes()).unwrap();
    volume.release(file);
}

fn copy(storage: &MemoryStorage) -> MemoryStorage {
    MemoryStorage::new(storage.with(|bytes| bytes.clone()))
}

#[test]
fn an_older_volume_is_refused_with_an_anchor_and_accepted_without() {
    let anchor = Memory::default();
    let storage = start(&anchor);
    let older = copy(&storage);
    let mut volume = try_open(storage.clone(), anchored(&anchor)).unwrap();
    add(&mut volume, "new");
    volume.sync_all().unwrap();
    drop(volume);
    let error = try_open(older.clone(), anchored(&anchor)).unwrap_err();
    assert!(matches!(error, Error::Older { .. }), "{error}");
    let mut volume = try_open(older, options(MIN)).unwrap();
    assert_eq!(tree_of(&mut volume).unwrap().len(), 1);
    try_open(storage, anchored(&anchor)).unwrap();
}

#[test]
fn a_volume_that_went_another_way_is_refused_though_it_is_newer() {
    let anchor = Memory::default();
    let storage = start(&anchor);
    let fork = copy(&storage);
    let mut volume = try_open(storage, anchored(&anchor)).unwrap();
    add(&mut volume, "ours");
    volume.sync_all().unwrap();
    let mut volume = try_open(fork.clone(), options(MIN)).unwrap();
    for name in ["one", "two", "three"] {
        add(&mut volume, name);
        volume.sync_all().unwrap();
    }
    drop(volume);
    let error = try_open(fork, anchored(&anchor)).unwrap_err();
    assert!(matches!(error, Error::Diverged { .. }), "{error}");
}

#[test]
fn a_commit_that_the_anchor_did_not_learn_of_is_accepted_and_told_it_then() {
    let anchor = Memory::default();
    let storage = start(&anchor);
    let mut volume = try_open(storage.clone(), anchored(&anchor)).unwrap();
    add(&mut volume, "before");
    volume.sync_all().unwrap();
    let older = copy(&storage);
    anchor.unreachable(true);
    add(&mut volume, "lost?");
    assert_eq!(volume.sync_all(), Err(twine_vfs::Error::Io));
    assert_eq!(
        volume.first_error().unwrap().to_string(),
        "the anchor of the volume failed: it is out of reach"
    );
    drop(volume);
    let refused = try_open(storage.clone(), anchored(&anchor)).unwrap_err();
    assert!(matches!(refused, Error::Anchor(_)));
    anchor.unreachable(false);
    let mut volume = try_open(storage, anchored(&anchor)).unwrap();
    assert!(tree_of(&mut volume).unwrap().contains_key("/lost?"));
    assert!(matches!(try_open(older, anchored(&anchor)), Err(Error::Older { .. })));
}

#[test]
fn a_sync_tries_again_to_tell_an_anchor_that_was_out_of_reach() {
    let anchor = Memory::default();
    let storage = start(&anchor);
    let mut volume = try_open(storage.clone(), anchored(&anchor)).unwrap();
    anchor.unreachable(true);
    add(&mut volume, "file");
    volume.sync_all().unwrap_err();
    volume.sync_all().unwrap_err();
    let older = copy(&storage);
    anchor.unreachable(false);
    volume.sync_all().unwrap();
    add(&mut volume, "another");
    volume.sync_all().unwrap();
    assert!(matches!(try_open(older, anchored(&anchor)), Err(Error::Older { .. })));
}

#[test]
fn changes_that_were_handed_over_are_accepted_though_the_anchor_does_not_know_them() {
    let anchor = Memory::default();
    let storage = start(&anchor);
    let mut volume = try_open(storage.clone(), anchored(&anchor)).unwrap();
    for number in 0..500 {
        add(&mut volume, &format!("file{number}"));
        volume.hand_over();
    }
    let left = copy(&storage);
    drop(volume);
    let mut volume = try_open(left, anchored(&anchor)).unwrap();
    assert_eq!(tree_of(&mut volume).unwrap().len(), 501);
    assert!(volume.check(&mut |_| {}).unwrap().findings.is_empty());
}
