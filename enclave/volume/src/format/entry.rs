//! Encodes and decodes entries of the log.

use crate::format::block::BLOCK_BYTES;
use crate::format::bytes::{Reader, Short};
use crate::format::mark::Mark;
use crate::format::pointer::{SALT_BYTES, TAG_BYTES, Tag};
use crate::format::ring::RingPlace;

/// Number of bytes before the ciphertext: salt, counter, tag.
pub(crate) const CLEAR_BYTES: usize = SALT_BYTES + 6 + TAG_BYTES;

/// Number of bytes of a block that are ciphertext.
pub(crate) const SEALED_BYTES: usize = BLOCK_BYTES - CLEAR_BYTES;

/// Number of bytes before the payload of an entry.
const HEAD_BYTES: usize = 8 + TAG_BYTES + 8 + 8 + 8 + TAG_BYTES + 8 + 4;

/// Limit on the bytes of an entry's payload.
pub(crate) const PAYLOAD_BYTES: usize = SEALED_BYTES - HEAD_BYTES;

const _: () = assert!(PAYLOAD_BYTES <= u16::MAX as usize);

/// Flag of the first entry of a commit.
pub(crate) const FIRST: u8 = 1;
/// Flag of the last entry of a commit.
pub(crate) const LAST: u8 = 2;
/// Flag of the entry of a tree commit.
pub(crate) const TREE: u8 = 4;

/// The fields of an entry, except its own tag.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    pub(crate) sequence: u64,
    pub(crate) previous: Tag,
    /// The tree number of the tree commit that this entry is, or builds on.
    pub(crate) tree: u64,
    /// When this entry was written, these blocks were durable: every block sealed under this
    /// entry's salt with at most this counter, and every block sealed under any other salt.
    pub(crate) durable: u64,
    /// The last commit that was known to be durable when this entry was written.
    pub(crate) durable_commit: Mark,
    /// The place in the ring; 0 for a tree commit. Places grow from lap to lap, so that an entry of
    /// an earlier lap is not taken for one of this lap.
    pub(crate) place: RingPlace,
    pub(crate) flags: u8,
    /// Number of data blocks between this entry and the next one.
    pub(crate) data: u8,
    pub(crate) payload: Vec<u8>,
}

impl Entry {
    /// Encodes the entry at the start of `sealed`. The bytes after it stay as they are.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::indexing_slicing,
        reason = "a payload has at most `PAYLOAD_BYTES`"
    )]
    pub(crate) fn encode(&self, sealed: &mut [u8; SEALED_BYTES]) {
        sealed[..8].copy_from_slice(&self.sequence.to_le_bytes());
        sealed[8..24].copy_from_slice(&self.previous);
        sealed[24..32].copy_from_slice(&self.tree.to_le_bytes());
        sealed[32..40].copy_from_slice(&self.durable.to_le_bytes());
        sealed[40..48].copy_from_slice(&self.durable_commit.sequence.to_le_bytes());
        sealed[48..64].copy_from_slice(&self.durable_commit.tag);
        sealed[64..72].copy_from_slice(&self.place.0.to_le_bytes());
        sealed[72] = self.flags;
        sealed[73] = self.data;
        sealed[74..HEAD_BYTES].copy_from_slice(&(self.payload.len() as u16).to_le_bytes());
        sealed[HEAD_BYTES..HEAD_BYTES + self.payload.len()].copy_from_slice(&self.payload);
    }

    pub(crate) fn decode(opened: &[u8]) -> Result<Self, Short> {
        let mut reader = Reader::new(opened);
        let mut entry = Entry {
            sequence: reader.u64()?,
            previous: reader.array()?,
            tree: reader.u64()?,
            durable: reader.u64()?,
            durable_commit: Mark { sequence: reader.u64()?, tag: reader.array()? },
            place: RingPlace(reader.u64()?),
            flags: reader.u8()?,
            data: reader.u8()?,
            payload: Vec::new(),
        };
        let length = usize::from(reader.u16()?);
        entry.payload = reader.bytes(length)?.to_vec();
        Ok(entry)
    }
}
