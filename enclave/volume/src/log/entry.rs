//! Entries of the log: blocks that chain to each other.

use crate::block::{BLOCK_BYTES, Bytes, Kind};
use crate::bytes::Reader;
use crate::crypto::{Seal, Sealer};
use crate::error::Result;
use crate::pointer::{SALT_BYTES, Salt, TAG_BYTES, Tag};
use crate::volume::VolumeId;

/// Bytes in the clear: salt, counter, tag.
const CLEAR_BYTES: usize = SALT_BYTES + 6 + TAG_BYTES;

/// Bytes before the payload of an entry.
const HEAD_BYTES: usize = 8 + TAG_BYTES + 8 + 8 + 4;

/// Most bytes of an entry's payload.
pub(crate) const PAYLOAD_BYTES: usize = BLOCK_BYTES - CLEAR_BYTES - HEAD_BYTES;

/// The first entry of its group.
pub(super) const FIRST: u8 = 1;
/// The last one.
pub(super) const LAST: u8 = 2;
/// Its group is of a commit that writes the tree.
pub(super) const TREE: u8 = 4;

/// What an entry says, but for its tag.
#[derive(Debug, Clone, Default)]
pub(super) struct Entry {
    pub(super) sequence: u64,
    pub(super) previous: Tag,
    /// Which commit that writes the tree this is, or builds on.
    pub(super) tree: u64,
    /// Of what was sealed under this entry's salt, all up to this counter was durable when
    /// it was written.
    pub(super) durable: u64,
    pub(super) flags: u8,
    /// Blocks of data between this entry and what follows.
    pub(super) data: u8,
    pub(super) payload: Vec<u8>,
}

/// An entry that is authentic.
pub(super) struct Opened {
    pub(super) entry: Entry,
    pub(super) tag: Tag,
    pub(super) salt: Salt,
}

impl Entry {
    /// Makes a block the entry; what the payload leaves of it is sealed as it is.
    pub(super) fn seal(
        &self,
        sealer: &mut Sealer,
        volume: &VolumeId,
        block: &mut Bytes,
    ) -> Result<Tag> {
        let sealed = &mut block[CLEAR_BYTES..];
        sealed[..8].copy_from_slice(&self.sequence.to_le_bytes());
        sealed[8..24].copy_from_slice(&self.previous);
        sealed[24..32].copy_from_slice(&self.tree.to_le_bytes());
        sealed[32..40].copy_from_slice(&self.durable.to_le_bytes());
        sealed[40] = self.flags;
        sealed[41] = self.data;
        // At most PAYLOAD_BYTES.
        sealed[42..44].copy_from_slice(&(self.payload.len() as u16).to_le_bytes());
        sealed[HEAD_BYTES..HEAD_BYTES + self.payload.len()].copy_from_slice(&self.payload);
        let seal = sealer.seal(Kind::Log, &volume.0, sealed)?;
        block[..12].copy_from_slice(&seal.salt);
        block[12..18].copy_from_slice(&seal.counter.to_le_bytes()[..6]);
        block[18..34].copy_from_slice(&seal.tag);
        Ok(seal.tag)
    }

    /// Opens a block; nothing if it is no authentic entry.
    pub(super) fn open(sealer: &mut Sealer, volume: &VolumeId, block: &Bytes) -> Option<Opened> {
        let mut reader = Reader::new(block);
        let salt = reader.array().ok()?;
        let mut counter = [0; 8];
        counter[..6].copy_from_slice(reader.bytes(6).ok()?);
        let counter = u64::from_le_bytes(counter);
        let tag = reader.array().ok()?;
        let mut sealed = reader.rest().to_vec();
        sealer.open(Kind::Log, &Seal { salt, counter, tag }, &volume.0, &mut sealed).ok()?;
        Some(Opened { entry: Self::decode(&sealed)?, tag, salt })
    }

    pub(super) fn decode(opened: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(opened);
        let sequence = reader.u64().ok()?;
        let previous = reader.array().ok()?;
        let tree = reader.u64().ok()?;
        let durable = reader.u64().ok()?;
        let flags = reader.u8().ok()?;
        let data = reader.u8().ok()?;
        let length = usize::from(reader.u16().ok()?);
        let payload = reader.bytes(length).ok()?.to_vec();
        Some(Entry { sequence, previous, tree, durable, flags, data, payload })
    }
}
