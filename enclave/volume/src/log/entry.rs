//! Entries of the log: blocks that chain to each other.

use crate::anchor::Mark;
use crate::crypto::{Seal, Sealer};
use crate::error::{Error, Result};
use crate::format::block::{BLOCK_BYTES, Bytes, Kind};
use crate::format::bytes::{Reader, Short};
use crate::format::identity::VolumeId;
use crate::format::pointer::{SALT_BYTES, Salt, TAG_BYTES, Tag};

/// Bytes in the clear: salt, counter, tag.
const CLEAR_BYTES: usize = SALT_BYTES + 6 + TAG_BYTES;

/// Bytes before the payload of an entry.
const HEAD_BYTES: usize = 8 + TAG_BYTES + 8 + 8 + 8 + TAG_BYTES + 8 + 4;

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
    /// When this entry was written, every block sealed under its salt with a counter at most this
    /// was durable, and every block sealed under any other salt.
    pub(super) durable: u64,
    /// The last commit that was known to be durable then.
    pub(super) durable_commit: Mark,
    /// Its place in the ring. Places grow from lap to lap, so that an entry of an earlier lap is
    /// not taken for one of this lap. 0 for an entry that names a root.
    pub(super) place: u64,
    pub(super) flags: u8,
    /// Blocks of data between this entry and what follows.
    pub(super) data: u8,
    pub(super) payload: Vec<u8>,
}

/// An entry that is authentic.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) entry: Entry,
    pub(super) tag: Tag,
    pub(super) salt: Salt,
}

impl Opened {
    /// Which entry this is.
    pub(super) fn mark(&self) -> Mark {
        Mark { sequence: self.entry.sequence, tag: self.tag }
    }
}

/// Whether a block is the entry with this tag.
///
/// # Errors
/// For an authentic entry that is malformed.
pub(crate) fn is_entry(
    sealer: &mut Sealer,
    volume: &VolumeId,
    block: &Bytes,
    tag: &Tag,
) -> Result<bool> {
    Ok(Entry::open(sealer, volume, block)?.is_some_and(|opened| opened.tag == *tag))
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
        sealed[40..48].copy_from_slice(&self.durable_commit.sequence.to_le_bytes());
        sealed[48..64].copy_from_slice(&self.durable_commit.tag);
        sealed[64..72].copy_from_slice(&self.place.to_le_bytes());
        sealed[72] = self.flags;
        sealed[73] = self.data;
        // At most PAYLOAD_BYTES.
        sealed[74..HEAD_BYTES].copy_from_slice(&(self.payload.len() as u16).to_le_bytes());
        sealed[HEAD_BYTES..HEAD_BYTES + self.payload.len()].copy_from_slice(&self.payload);
        let seal = sealer.seal(Kind::Log, &volume.0, sealed)?;
        block[..12].copy_from_slice(&seal.salt);
        block[12..18].copy_from_slice(&seal.counter.to_le_bytes()[..6]);
        block[18..34].copy_from_slice(&seal.tag);
        Ok(seal.tag)
    }

    /// Opens a block; nothing if it holds no authentic entry.
    ///
    /// # Errors
    /// For an authentic entry that is malformed.
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
        Ok(Some(Opened { entry: Self::decode(&sealed).map_err(malformed)?, tag, salt }))
    }

    pub(super) fn decode(opened: &[u8]) -> Result<Self, Short> {
        let mut reader = Reader::new(opened);
        let mut entry = Entry {
            sequence: reader.u64()?,
            previous: reader.array()?,
            tree: reader.u64()?,
            durable: reader.u64()?,
            durable_commit: Mark { sequence: reader.u64()?, tag: reader.array()? },
            place: reader.u64()?,
            flags: reader.u8()?,
            data: reader.u8()?,
            payload: Vec::new(),
        };
        let length = usize::from(reader.u16()?);
        entry.payload = reader.bytes(length)?.to_vec();
        Ok(entry)
    }
}
