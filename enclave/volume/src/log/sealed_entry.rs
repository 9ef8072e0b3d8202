//! Seals and opens the entries of the log.

use crate::crypto::{Seal, Sealer};
use crate::error::{Error, Result};
use crate::format::block::{Bytes, Kind};
use crate::format::bytes::{Reader, Short};
use crate::format::entry::{CLEAR_BYTES, Entry, SEALED_BYTES};
use crate::format::identity::VolumeId;
use crate::format::mark::Mark;
use crate::format::pointer::{Salt, Tag};

/// An authentic entry.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) entry: Entry,
    pub(super) tag: Tag,
    pub(super) salt: Salt,
}

impl Opened {
    /// Returns the mark of the entry.
    pub(super) fn mark(&self) -> Mark {
        Mark { sequence: self.entry.sequence, tag: self.tag }
    }
}

/// Whether a block is the entry with this tag.
///
/// # Errors
/// Fails if the entry is authentic but malformed.
pub(crate) fn is_entry(
    sealer: &mut Sealer,
    volume: &VolumeId,
    block: &Bytes,
    tag: &Tag,
) -> Result<bool> {
    Ok(open(sealer, volume, block)?.is_some_and(|opened| opened.tag == *tag))
}

/// Seals an entry into a block. The bytes after its payload are sealed unchanged.
pub(super) fn seal(
    entry: &Entry,
    sealer: &mut Sealer,
    volume: &VolumeId,
    block: &mut Bytes,
) -> Result<Tag> {
    let too_short = || Error::damaged("a block has no room for an entry");
    let (clear, sealed) = block.split_first_chunk_mut::<CLEAR_BYTES>().ok_or_else(too_short)?;
    let sealed = sealed.first_chunk_mut::<SEALED_BYTES>().ok_or_else(too_short)?;
    entry.encode(sealed);
    let seal = sealer.seal(Kind::Log, &volume.0, sealed)?;
    clear[..12].copy_from_slice(&seal.salt);
    clear[12..18].copy_from_slice(&seal.counter.to_le_bytes()[..6]);
    clear[18..].copy_from_slice(&seal.tag);
    Ok(seal.tag)
}

/// Opens a block. Returns `None` if it holds no authentic entry.
///
/// # Errors
/// Fails if the entry is authentic but malformed.
pub(super) fn open(
    sealer: &mut Sealer,
    volume: &VolumeId,
    block: &Bytes,
) -> Result<Option<Opened>> {
    let malformed = |_: Short| Error::damaged("an entry of the log is malformed");
    let mut reader = Reader::new(block);
    let salt = reader.array().map_err(malformed)?;
    let mut counter = [0; 8];
    counter[..6].copy_from_slice(reader.bytes(6).map_err(malformed)?);
    let counter = u64::from_le_bytes(counter);
    let tag = reader.array().map_err(malformed)?;
    let mut sealed = reader.rest().to_vec();
    let seal = Seal { salt, counter, tag };
    if sealer.open(Kind::Log, &seal, &volume.0, &mut sealed).is_err() {
        return Ok(None);
    }
    Ok(Some(Opened { entry: Entry::decode(&sealed).map_err(malformed)?, tag, salt }))
}
