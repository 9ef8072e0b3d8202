//! Blocks, and where the fixed ones lie.

use std::fmt;
use std::ops::Add;

/// Bytes of a block, the unit of everything that the storage holds.
pub const BLOCK_BYTES: usize = 4096;

/// The number of a block of the storage, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlockNo(pub(crate) u64);

impl BlockNo {
    /// The first byte of the block in the storage.
    pub(crate) fn offset(self) -> u64 {
        self.0 * BLOCK_BYTES as u64
    }
}

impl Add<u64> for BlockNo {
    type Output = BlockNo;

    fn add(self, blocks: u64) -> BlockNo {
        BlockNo(self.0 + blocks)
    }
}

impl fmt::Display for BlockNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The bytes of a block in memory.
pub(crate) type Bytes = [u8; BLOCK_BYTES];

/// A block in memory, on the heap.
pub(crate) type Block = Box<Bytes>;

/// Block of the first copy of the header; the second follows.
pub(crate) const HEADER_START: BlockNo = BlockNo(0);

/// Copies of the header.
pub(crate) const HEADER_COPIES: u64 = 2;

/// First of the blocks for the entries of commits that write the tree.
pub(crate) const ROOTS_START: BlockNo = BlockNo(HEADER_COPIES);

/// Blocks for those entries, which take them in turn.
pub(crate) const ROOT_SLOTS: u64 = 6;

/// First block of the ring of other commits.
pub(crate) const RING_START: BlockNo = BlockNo(ROOTS_START.0 + ROOT_SLOTS);

/// Blocks of that ring.
pub(crate) const RING_BLOCKS: u64 = 120;

/// First of the blocks for the second copies of the entries of commits that write the tree. They
/// lie far from the first ones, so that one fault of a disk does not hit both.
pub(crate) const ROOT_COPIES_START: BlockNo = BlockNo(RING_START.0 + RING_BLOCKS);

/// Blocks that are never given to nodes, or to data for good.
pub(crate) const RESERVED_BLOCKS: u64 = ROOT_COPIES_START.0 + ROOT_SLOTS;

/// The first block for nodes and data.
pub(crate) const FIRST_FREE: BlockNo = BlockNo(RESERVED_BLOCKS);

/// Block numbers are smaller than this.
pub(crate) const MAX_BLOCKS: u64 = 1 << 48;

/// What a block holds. It is part of the nonce, so that a block of one kind never opens as
/// one of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Contents of a file.
    Data,
    /// A node of the tree.
    Node,
    /// An entry of the log.
    Log,
}

impl Kind {
    pub(crate) fn code(self) -> u8 {
        match self {
            Kind::Data => 1,
            Kind::Node => 2,
            Kind::Log => 3,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Data => "data",
            Kind::Node => "tree node",
            Kind::Log => "log entry",
        })
    }
}

/// A block of zeros.
pub(crate) fn zeroed() -> Block {
    Box::new([0; BLOCK_BYTES])
}

/// Bytes of so many blocks.
pub(crate) fn bytes_of(blocks: u64) -> u64 {
    blocks * BLOCK_BYTES as u64
}

/// Blocks that a number of bytes takes.
pub(crate) fn blocks_of(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_BYTES as u64)
}

/// Blocks in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: BlockNo,
    pub(crate) count: u32,
}

impl Run {
    /// A run of one block.
    pub(crate) fn one(start: BlockNo) -> Self {
        Run { start, count: 1 }
    }

    /// The block after the last one.
    pub(crate) fn end(self) -> BlockNo {
        self.start + u64::from(self.count)
    }

    /// Its blocks, in order.
    pub(crate) fn blocks(self) -> impl DoubleEndedIterator<Item = BlockNo> {
        (self.start.0..self.end().0).map(BlockNo)
    }
}

/// Whether a block is of the ring.
pub(crate) fn is_in_ring(block: BlockNo) -> bool {
    (RING_START.0..RING_START.0 + RING_BLOCKS).contains(&block.0)
}

/// Whether a block may hold a node of a volume with so many blocks.
pub(crate) fn may_hold_node(block: BlockNo, blocks: u64) -> bool {
    (RESERVED_BLOCKS..blocks).contains(&block.0)
}

/// Whether a block may hold data of a file of a volume with so many blocks.
pub(crate) fn may_hold_data(block: BlockNo, blocks: u64) -> bool {
    is_in_ring(block) || may_hold_node(block, blocks)
}
