//! Pointers: the number of a block, with the tag, salt and counter that open it.

use crate::format::block::{BlockNo, MAX_BLOCKS};
use crate::format::bytes::{Reader, Short};

/// Size of an encoded pointer in bytes.
pub(crate) const POINTER_BYTES: usize = 40;

/// Size of a salt in bytes.
pub(crate) const SALT_BYTES: usize = 12;

/// Size of an authentication tag in bytes.
pub(crate) const TAG_BYTES: usize = 16;

/// The salt under which a mount seals.
pub(crate) type Salt = [u8; SALT_BYTES];

/// An authentication tag.
pub(crate) type Tag = [u8; TAG_BYTES];

/// The parent's reference to a block. Whoever trusts the pointer need not trust the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pointer {
    /// The number of the block.
    pub(crate) block: BlockNo,
    /// The counter of the seal, from 1; 0 for a node that is only in memory.
    pub(crate) counter: u64,
    /// The salt of the mount that sealed the block.
    pub(crate) salt: Salt,
    /// The tag of the seal.
    pub(crate) tag: Tag,
}

impl Pointer {
    /// A pointer to a node that has a block, but was not sealed since its last change.
    pub(crate) fn unsealed(block: BlockNo) -> Self {
        Pointer { block, counter: 0, salt: [0; SALT_BYTES], tag: [0; TAG_BYTES] }
    }

    pub(crate) fn is_sealed(&self) -> bool {
        self.counter != 0
    }

    pub(crate) fn encode(&self) -> [u8; POINTER_BYTES] {
        debug_assert!(self.block.0 < MAX_BLOCKS && self.counter < 1 << 48);
        let mut bytes = [0; POINTER_BYTES];
        bytes[..6].copy_from_slice(&self.block.0.to_le_bytes()[..6]);
        bytes[6..12].copy_from_slice(&self.counter.to_le_bytes()[..6]);
        bytes[12..24].copy_from_slice(&self.salt);
        bytes[24..].copy_from_slice(&self.tag);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; POINTER_BYTES]) -> Self {
        let mut reader = Reader::new(bytes);
        Self::read(&mut reader).expect("the array has the length of a pointer")
    }

    pub(crate) fn read(reader: &mut Reader<'_>) -> Result<Self, Short> {
        let block = BlockNo(u48(reader.array()?));
        let counter = u48(reader.array()?);
        Ok(Pointer { block, counter, salt: reader.array()?, tag: reader.array()? })
    }
}

fn u48(bytes: [u8; 6]) -> u64 {
    let mut wide = [0; 8];
    wide[..6].copy_from_slice(&bytes);
    u64::from_le_bytes(wide)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_is_read_as_it_was_written() {
        let pointer = Pointer {
            block: BlockNo(0x1234_5678_9abc),
            counter: 0xffff_ffff_ffff,
            salt: [3; SALT_BYTES],
            tag: [9; TAG_BYTES],
        };
        assert_eq!(Pointer::decode(&pointer.encode()), pointer);
    }
}
