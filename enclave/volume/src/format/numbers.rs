//! Numbers of inodes, and of the blocks of files.

use std::fmt;

const _: () = assert!(size_of::<usize>() == size_of::<u64>());

/// Converts a number to a length or index in memory.
#[expect(clippy::cast_possible_truncation, reason = "both have 64 bits: see the assertion above")]
pub(crate) const fn to_usize(number: u64) -> usize {
    number as usize
}

/// The number of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct InodeNo(pub(crate) u64);

impl InodeNo {
    /// Not an inode. Items of the whole volume have this number.
    pub(crate) const NONE: InodeNo = InodeNo(0);

    /// The root directory.
    pub(crate) const ROOT: InodeNo = InodeNo(1);
}

impl fmt::Display for InodeNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A block of a file, in the storage or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FileBlock {
    pub(crate) inode: InodeNo,
    /// The index of the block in the file, from 0.
    pub(crate) index: u64,
}

impl FileBlock {
    /// The least value, before all others.
    pub(crate) const MIN: FileBlock = FileBlock { inode: InodeNo(0), index: 0 };

    pub(crate) fn new(inode: InodeNo, index: u64) -> Self {
        FileBlock { inode, index }
    }
}
