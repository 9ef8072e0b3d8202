//! The tests that every file system must pass, on a volume with the smallest cache.

use twine_volume::{MIN_CACHE_BYTES, MemoryStorage, NewSlot, Options, Volume};

fn empty() -> Volume {
    let slots = [NewSlot::key_file(&[7; 32]).expect("a key")];
    let options = Options { cache_bytes: MIN_CACHE_BYTES, ..Options::default() };
    Volume::create(Box::new(MemoryStorage::default()), &slots, options).expect("a volume")
}

twine_vfs::conformance!(Box::new(empty()));
