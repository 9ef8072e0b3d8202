//! Key slots: which keys open a volume, and which do not.

mod support;

use support::{KEY, create, options};
use twine_vfs::FileSystem;
use twine_volume::{
    BLOCK_BYTES, Cost, Error, KeyEncryptionKey, MemoryStorage, NewSlot, Refusal, Secret, SlotKind,
    Unlock, Volume,
};

const MIN: usize = 256 << 10;

/// The lowest cost that Argon2 allows.
const CHEAP: Cost = Cost { memory: 8, passes: 1, lanes: 1 };

fn open(storage: &MemoryStorage, unlock: &mut dyn Unlock) -> Result<Volume, Error> {
    Volume::open(Box::new(storage.clone()), unlock, options(MIN))
}

/// A sealing key that is identified by the slot's parameters.
struct Sealing(&'static [u8]);

impl Unlock for Sealing {
    fn sealed(&mut self, parameters: &[u8]) -> Result<KeyEncryptionKey, Refusal> {
        if parameters == self.0 {
            Ok(KeyEncryptionKey::new([parameters[0]; 32]))
        } else {
            Err(Refusal("it is for another program".into()))
        }
    }
}

#[test]
fn each_of_several_slots_opens_the_volume_and_other_keys_do_not() {
    let storage = MemoryStorage::default();
    let slots = [
        NewSlot::passphrase(b"correct horse", CHEAP).unwrap(),
        NewSlot::key_file(&KEY).unwrap(),
        NewSlot::sealed(b"policy", KeyEncryptionKey::new([b'p'; 32])).unwrap(),
    ];
    Volume::create(Box::new(storage.clone()), &slots, options(MIN)).unwrap().close().unwrap();
    for unlock in [
        &mut Secret::passphrase(b"correct horse") as &mut dyn Unlock,
        &mut Secret::key_file(&KEY),
        &mut Sealing(b"policy"),
    ] {
        let volume = open(&storage, unlock).unwrap();
        let kinds: Vec<SlotKind> = volume.slots().iter().map(|slot| slot.kind).collect();
        assert_eq!(kinds, [SlotKind::Passphrase, SlotKind::KeyFile, SlotKind::Sealed]);
        assert_eq!(volume.slots()[2].parameters, b"policy");
    }
    let error = open(&storage, &mut Secret::passphrase(b"wrong")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no key slot of the volume opens: key file: no key file was given; sealing key: no \
         sealing key is at hand; passphrase: this key is a different one"
    );
    let Err(Error::NoSlotOpens(failures)) = open(&storage, &mut Sealing(b"other")) else {
        panic!("it opened");
    };
    assert!(failures.iter().any(|slot| slot.reason == "it is for another program"));
    assert!(matches!(open(&storage, &mut Secret::key_file(&[9; 32])), Err(Error::NoSlotOpens(_))));
}

#[test]
fn slots_are_added_removed_and_replaced_without_touching_the_data() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), MIN);
    let file = volume.create_file(volume.root(), "file").unwrap();
    volume.write(file, 0, &[5; 500_000]).unwrap();
    volume.sync_all().unwrap();
    let sealed = volume.statistics().blocks_sealed;
    let added = volume.add_slot(&NewSlot::passphrase(b"new", CHEAP).unwrap()).unwrap();
    assert_eq!(added, 1);
    volume.remove_slot(0).unwrap();
    assert!(matches!(volume.remove_slot(0), Err(Error::Invalid(_))));
    assert!(matches!(volume.remove_slot(added), Err(Error::Invalid(_))));
    let replaced = volume.replace_slot(added, &NewSlot::key_file(&[7; 40]).unwrap()).unwrap();
    assert_eq!(replaced, 2);
    assert!(volume.statistics().blocks_sealed - sealed < 40);
    volume.close().unwrap();
    assert!(matches!(open(&storage, &mut Secret::key_file(&KEY)), Err(Error::NoSlotOpens(_))));
    assert!(matches!(open(&storage, &mut Secret::passphrase(b"new")), Err(Error::NoSlotOpens(_))));
    let mut volume = open(&storage, &mut Secret::key_file(&[7; 40])).unwrap();
    let file = volume.lookup(volume.root(), "file").unwrap();
    let mut bytes = vec![0; 500_000];
    assert_eq!(volume.read(file, 0, &mut bytes).unwrap(), 500_000);
    assert!(bytes.iter().all(|&byte| byte == 5));
}

#[test]
fn there_are_15_slots_at_most_and_one_at_least() {
    let slots: Vec<NewSlot> =
        (0..16).map(|number| NewSlot::key_file(&[number; 32]).unwrap()).collect();
    let make =
        |slots: &[NewSlot]| Volume::create(Box::new(MemoryStorage::default()), slots, options(MIN));
    assert!(matches!(make(&[]), Err(Error::Invalid(_))));
    assert!(matches!(make(&slots), Err(Error::Invalid(_))));
    let mut volume = make(&slots[..15]).unwrap();
    assert!(matches!(volume.add_slot(&slots[15]), Err(Error::Invalid(_))));
    volume.replace_slot(14, &slots[15]).unwrap();
}

#[test]
fn an_old_header_put_back_is_refused() {
    let storage = MemoryStorage::default();
    let mut volume = create(storage.clone(), MIN);
    let old = storage.with(|bytes| bytes[..2 * BLOCK_BYTES].to_vec());
    volume.replace_slot(0, &NewSlot::key_file(&[7; 32]).unwrap()).unwrap();
    volume.close().unwrap();
    storage.with(|bytes| bytes[..2 * BLOCK_BYTES].copy_from_slice(&old));
    let error = open(&storage, &mut Secret::key_file(&KEY)).unwrap_err();
    assert!(matches!(error, Error::HeaderForeign));
}

#[test]
fn a_slot_moved_to_another_volume_opens_nothing() {
    let (one, two) = (MemoryStorage::default(), MemoryStorage::default());
    create(one.clone(), MIN).close().unwrap();
    create(two.clone(), MIN).close().unwrap();
    let slot = one.with(|bytes| bytes[64..320].to_vec());
    two.with(|bytes| bytes[64..320].copy_from_slice(&slot));
    two.with(|bytes| bytes[4160..4416].copy_from_slice(&slot));
    assert!(matches!(open(&two, &mut Secret::key_file(&KEY)), Err(Error::NoSlotOpens(_))));
}

#[test]
fn costs_that_would_harm_are_refused_before_they_are_paid() {
    for cost in [
        Cost { memory: 1 << 30, ..CHEAP },
        Cost { passes: 1000, ..CHEAP },
        Cost { lanes: 200, memory: 1600, ..CHEAP },
        Cost { memory: 0, ..CHEAP },
        Cost { passes: 0, ..CHEAP },
    ] {
        assert!(matches!(NewSlot::passphrase(b"word", cost), Err(Error::Invalid(_))), "{cost:?}");
    }
    let storage = MemoryStorage::default();
    let slots = [NewSlot::passphrase(b"word", CHEAP).unwrap()];
    Volume::create(Box::new(storage.clone()), &slots, options(MIN)).unwrap().close().unwrap();
    // The host asks for 4 TiB of memory.
    storage.with(|bytes| {
        for header in [0, BLOCK_BYTES] {
            bytes[header + 64 + 8 + 16..header + 64 + 8 + 20].fill(0xff);
        }
    });
    let Err(Error::NoSlotOpens(failures)) = open(&storage, &mut Secret::passphrase(b"word")) else {
        panic!("it opened");
    };
    assert_eq!(failures[0].reason, "the cost of the passphrase is out of bounds");
    assert!(matches!(NewSlot::passphrase(b"", CHEAP), Err(Error::Invalid(_))));
    assert!(matches!(NewSlot::key_file(&[1; 31]), Err(Error::Invalid(_))));
    let long = NewSlot::sealed(&[0; 129], KeyEncryptionKey::default());
    assert!(matches!(long, Err(Error::Invalid(_))));
}

#[test]
fn a_file_that_is_not_a_volume_is_named_as_such() {
    for bytes in [vec![], vec![0; 100], vec![0; 600_000], b"#!/bin/sh\n".repeat(60_000)] {
        let opened = open(&MemoryStorage::new(bytes), &mut Secret::key_file(&KEY));
        assert!(matches!(opened, Err(Error::NotAVolume)));
    }
}
