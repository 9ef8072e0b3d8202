//! Encodes and decodes the payloads of commits.

use crate::format::bytes::{Reader, Short};
use crate::format::item::KEY_BYTES;
use crate::format::numbers::InodeNo;
use crate::format::pointer::{POINTER_BYTES, Pointer};
use crate::format::ring::RingPlace;
use crate::format::root::Root;

/// The state of the volume that every commit contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct State {
    /// Number of blocks of the storage that belong to the volume.
    pub(crate) blocks: u64,
    /// Number of blocks in use, including the reserved ones. Meaningful only in a tree commit.
    pub(crate) used: u64,
    pub(crate) next_inode: InodeNo,
    /// The MAC of the header that belongs to this state.
    pub(crate) header: [u8; 32],
    pub(crate) root: Root,
    /// The place in the ring where the change commits on this tree begin.
    pub(crate) log: RingPlace,
}

impl State {
    pub(crate) fn encode(&self, to: &mut Vec<u8>) {
        for number in [self.blocks, self.used, self.next_inode.0] {
            to.extend_from_slice(&number.to_le_bytes());
        }
        to.extend_from_slice(&self.header);
        to.extend_from_slice(&self.root.pointer.encode());
        to.push(self.root.levels);
        to.extend_from_slice(&self.log.0.to_le_bytes());
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Short> {
        Ok(State {
            blocks: reader.u64()?,
            used: reader.u64()?,
            next_inode: InodeNo(reader.u64()?),
            header: reader.array()?,
            root: Root { pointer: Pointer::read(reader)?, levels: reader.u8()? },
            log: RingPlace(reader.u64()?),
        })
    }
}

/// Size of an encoded [`State`] in bytes.
pub(crate) const STATE_BYTES: usize = 3 * 8 + 32 + POINTER_BYTES + 1 + 8;

/// A change in a change commit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    /// The item has this value.
    Put { key: [u8; KEY_BYTES], value: &'a [u8] },
    /// The item does not exist.
    Take { key: [u8; KEY_BYTES] },
    /// At the positions in `changed` are these pointers, or nothing. `pointers` has one for each
    /// position in `present`, in order.
    Pointers { key: [u8; KEY_BYTES], changed: u32, present: u32, pointers: Vec<Pointer> },
}

impl<'a> Record<'a> {
    #[expect(clippy::cast_possible_truncation, reason = "the values of items fit into a node")]
    pub(crate) fn encode(&self, to: &mut Vec<u8>) {
        match self {
            Record::Put { key, value } => {
                to.push(1);
                to.extend_from_slice(key);
                to.extend_from_slice(&(value.len() as u16).to_le_bytes());
                to.extend_from_slice(value);
            }
            Record::Take { key } => {
                to.push(2);
                to.extend_from_slice(key);
            }
            Record::Pointers { key, changed, present, pointers } => {
                to.push(3);
                to.extend_from_slice(key);
                to.extend_from_slice(&changed.to_le_bytes());
                to.extend_from_slice(&present.to_le_bytes());
                pointers.iter().for_each(|pointer| to.extend_from_slice(&pointer.encode()));
            }
        }
    }

    fn read(reader: &mut Reader<'a>) -> Result<Self, Short> {
        Ok(match reader.u8()? {
            1 => {
                let key = reader.array()?;
                let length = usize::from(reader.u16()?);
                Record::Put { key, value: reader.bytes(length)? }
            }
            2 => Record::Take { key: reader.array()? },
            3 => {
                let key = reader.array()?;
                let changed = reader.u32()?;
                let present = reader.u32()?;
                let pointers = (0..present.count_ones())
                    .map(|_| Pointer::read(reader))
                    .collect::<Result<_, _>>()?;
                Record::Pointers { key, changed, present, pointers }
            }
            _ => return Err(Short),
        })
    }
}

/// Decodes all records of a commit.
pub(crate) fn records(stream: &[u8]) -> Result<Vec<Record<'_>>, Short> {
    let mut reader = Reader::new(stream);
    let mut records = Vec::new();
    while !reader.is_empty() {
        records.push(Record::read(&mut reader)?);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::block::BlockNo;

    #[test]
    fn records_are_read_as_they_were_written() {
        let pointer = Pointer { block: BlockNo(1000), counter: 7, salt: [1; 12], tag: [2; 16] };
        let all = [
            Record::Put { key: [3; 17], value: b"value" },
            Record::Take { key: [4; 17] },
            Record::Pointers { key: [5; 17], changed: 7, present: 5, pointers: vec![pointer; 2] },
        ];
        let mut stream = Vec::new();
        all.iter().for_each(|record| record.encode(&mut stream));
        assert_eq!(records(&stream).unwrap(), all);
        for cut in 1..stream.len() {
            if let Ok(fewer) = records(&stream[..cut]) {
                assert!(fewer.len() < all.len());
            }
        }
    }

    #[test]
    fn a_state_has_the_length_that_commits_count_with() {
        let state = State {
            blocks: 1,
            used: 2,
            next_inode: InodeNo(3),
            header: [4; 32],
            root: Root { pointer: Pointer::unsealed(BlockNo(5)), levels: 6 },
            log: RingPlace(7),
        };
        let mut bytes = Vec::new();
        state.encode(&mut bytes);
        assert_eq!(bytes.len(), STATE_BYTES);
        assert_eq!(State::read(&mut Reader::new(&bytes)), Ok(state));
    }
}
