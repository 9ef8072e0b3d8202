//! Keys of the tree's items, and their order.

use crate::format::numbers::{FileBlock, InodeNo};

/// Size of a key in bytes.
pub(crate) const KEY_BYTES: usize = 17;

/// Number of blocks of a file whose pointers are in one item. Three full items fit into a node.
pub(crate) const GROUP: u64 = 32;

/// The subject of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// The attributes of an inode.
    Attributes,
    /// A piece of a symbolic link's target.
    Target,
    /// The start of a file that consists of nothing else.
    Inline,
    /// The pointers to the data of a group of blocks.
    Extents,
    /// An entry of a directory.
    Entry,
    /// The bitmap of a region's blocks in use; of inode 0.
    Region,
    /// The mark of an inode that waits to be removed or cut; of inode 0.
    Orphan,
}

impl Subject {
    fn code(self) -> u8 {
        match self {
            Subject::Attributes => 1,
            Subject::Target => 2,
            Subject::Inline => 3,
            Subject::Extents => 4,
            Subject::Entry => 5,
            Subject::Region => 6,
            Subject::Orphan => 7,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Subject::Attributes,
            2 => Subject::Target,
            3 => Subject::Inline,
            4 => Subject::Extents,
            5 => Subject::Entry,
            6 => Subject::Region,
            7 => Subject::Orphan,
            _ => return None,
        })
    }
}

/// An item's key. Keys are ordered by (inode, subject, offset).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    pub(crate) inode: InodeNo,
    pub(crate) subject: Subject,
    pub(crate) offset: u64,
}

impl Key {
    /// The least key.
    pub(crate) const MIN: Key =
        Key { inode: InodeNo::NONE, subject: Subject::Attributes, offset: 0 };

    pub(crate) fn new(inode: InodeNo, subject: Subject, offset: u64) -> Self {
        Key { inode, subject, offset }
    }

    /// The key of the pointers of a block's group.
    pub(crate) fn extents(at: FileBlock) -> Self {
        Key::new(at.inode, Subject::Extents, at.index / GROUP)
    }

    /// The key of an inode's attributes.
    pub(crate) fn attributes(inode: InodeNo) -> Self {
        Key::new(inode, Subject::Attributes, 0)
    }

    /// The key of a small file's contents.
    pub(crate) fn inline(inode: InodeNo) -> Self {
        Key::new(inode, Subject::Inline, 0)
    }

    /// The key of a region's bitmap.
    pub(crate) fn region(number: u64) -> Self {
        Key::new(InodeNo::NONE, Subject::Region, number)
    }

    /// The key of the mark of an inode that waits to be removed or cut.
    pub(crate) fn orphan(inode: InodeNo) -> Self {
        Key::new(InodeNo::NONE, Subject::Orphan, inode.0)
    }

    /// Encodes a key. The bytes have the same order as the keys.
    pub(crate) fn encode(&self) -> [u8; KEY_BYTES] {
        let mut bytes = [0; KEY_BYTES];
        bytes[..8].copy_from_slice(&self.inode.0.to_be_bytes());
        bytes[8] = self.subject.code();
        bytes[9..].copy_from_slice(&self.offset.to_be_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; KEY_BYTES]) -> Option<Self> {
        let (inode, subject, offset) = parts(bytes);
        Some(Key { inode: InodeNo(inode), subject: Subject::from_code(subject)?, offset })
    }

    pub(crate) fn parts(&self) -> (u64, u8, u64) {
        (self.inode.0, self.subject.code(), self.offset)
    }
}

pub(crate) fn parts(bytes: &[u8; KEY_BYTES]) -> (u64, u8, u64) {
    let mut reader = [0; 8];
    reader.copy_from_slice(&bytes[..8]);
    let inode = u64::from_be_bytes(reader);
    reader.copy_from_slice(&bytes[9..]);
    (inode, bytes[8], u64::from_be_bytes(reader))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_of_keys_are_in_their_order() {
        let keys = [
            Key::MIN,
            Key::new(InodeNo(0), Subject::Orphan, 9),
            Key::new(InodeNo(1), Subject::Attributes, 0),
            Key::new(InodeNo(1), Subject::Entry, 255),
            Key::new(InodeNo(1), Subject::Entry, 256),
            Key::new(InodeNo(256), Subject::Attributes, 0),
        ];
        for pair in keys.windows(2) {
            assert!(pair[0] < pair[1]);
            assert!(pair[0].encode() < pair[1].encode());
            assert_eq!(Key::decode(&pair[0].encode()), Some(pair[0]));
        }
    }
}
