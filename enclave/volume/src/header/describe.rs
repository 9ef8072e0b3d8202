//! Reads the fields of a volume that are visible without a key.

use crate::error::Result;
use crate::format::block::{BlockNo, Bytes, HEADER_START, RESERVED_BLOCKS, bytes_of, zeroed};
use crate::format::identity::VolumeId;
use crate::header::key_slot::{KeySlot, SlotInfo};
use crate::storage::Storage;
use crate::{header, sealed_store};

/// The contents of a volume's header. They are not authenticated: whoever holds the storage may
/// have written them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// The volume's id.
    pub id: VolumeId,
    /// Its key slots.
    pub slots: Vec<SlotInfo>,
    /// Size of the storage in bytes.
    pub size: u64,
}

/// Reads the header of a volume without a key.
///
/// # Errors
/// Fails if the storage fails, or if it holds no header of a known version.
pub fn describe(storage: &mut dyn Storage) -> Result<Description> {
    let size = sealed_store::size(storage)?;
    let header = header::look(&headers(storage, size)?)?;
    let slots = header.slots.iter().map(KeySlot::info).collect();
    Ok(Description { id: header.volume, slots, size })
}

/// Reads both copies of the header. A copy beyond the end of the storage is zero.
pub(crate) fn headers(storage: &mut dyn Storage, size: u64) -> Result<[Box<Bytes>; 2]> {
    let mut copies = [zeroed(), zeroed()];
    for (number, copy) in (0..).zip(&mut copies) {
        if size >= bytes_of(number + 1) {
            sealed_store::read(storage, HEADER_START + number, copy)?;
        }
    }
    Ok(copies)
}

/// Whether a storage holds only zeros, and no more blocks than an interrupted creation leaves.
pub(crate) fn is_blank(storage: &mut dyn Storage, size: u64) -> bool {
    let most = 2 * bytes_of(RESERVED_BLOCKS);
    let blocks = size / bytes_of(1);
    if size == 0 || size > most || size != bytes_of(blocks) {
        return false;
    }
    let mut bytes = zeroed();
    (0..blocks).all(|block| {
        sealed_store::read(storage, BlockNo(block), &mut bytes).is_ok()
            && bytes.iter().all(|byte| *byte == 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Error, MemoryStorage, NewSlot, Options, SlotKind, Volume};

    #[test]
    fn the_header_says_what_opens_a_volume_and_nothing_of_what_is_in_it() {
        let mut storage = MemoryStorage::default();
        let slots = [NewSlot::key_file(&[1; 32]).unwrap(), NewSlot::key_file(&[2; 32]).unwrap()];
        let volume = Volume::create(Box::new(storage.clone()), &slots, Options::default()).unwrap();
        let id = volume.id();
        volume.close().unwrap();
        let described = describe(&mut storage).unwrap();
        assert_eq!(described.id, id);
        let kinds: Vec<_> = described.slots.iter().map(|slot| (slot.number, slot.kind)).collect();
        assert_eq!(kinds, [(0, SlotKind::KeyFile), (1, SlotKind::KeyFile)]);
        assert_eq!(described.size, storage.with(|bytes| bytes.len() as u64));
        storage.with(|bytes| bytes[8] = 9);
        assert_eq!(describe(&mut storage).unwrap().id, id, "the other copy is whole");
        storage.with(|bytes| bytes[..8192].fill(0));
        assert!(matches!(describe(&mut storage), Err(Error::NotAVolume)));
        storage.with(|bytes| bytes.truncate(100));
        assert!(matches!(describe(&mut storage), Err(Error::NotAVolume)));
    }
}
