//! Blocks, and the places of those with a fixed purpose.

use std::fmt;
use std::ops::Add;

/// Size of a block in bytes. Everything in the storage consists of blocks.
pub const BLOCK_BYTES: usize = 4096;

/// The number of a block of the storage, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlockNo(pub(crate) u64);

impl BlockNo {
    /// Returns the offset of the block in the storage, in bytes.
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

/// A block on the heap.
pub(crate) type Block = Box<Bytes>;

/// The block of the first copy of the header. The second copy is the next block.
pub(crate) const HEADER_START: BlockNo = BlockNo(0);

/// Number of copies of the header.
pub(crate) const HEADER_COPIES: u64 = 2;

/// The first block for the entries of tree commits.
pub(crate) const ROOTS_START: BlockNo = BlockNo(HEADER_COPIES);

/// Number of blocks for the entries of tree commits, which take turns in them.
pub(crate) const ROOT_SLOTS: u64 = 6;

/// The first block of the ring, which holds the change commits.
pub(crate) const RING_START: BlockNo = BlockNo(ROOTS_START.0 + ROOT_SLOTS);

/// Number of blocks in the ring.
pub(crate) const RING_BLOCKS: u64 = 120;

/// The first block for the second copies of the entries of tree commits. They lie far from the
/// first copies, so that one fault of a disk does not hit both.
pub(crate) const ROOT_COPIES_START: BlockNo = BlockNo(RING_START.0 + RING_BLOCKS);

/// Number of blocks at the start that never hold nodes, and hold data only in the ring.
pub(crate) const RESERVED_BLOCKS: u64 = ROOT_COPIES_START.0 + ROOT_SLOTS;

/// The first block for nodes and data.
pub(crate) const FIRST_FREE: BlockNo = BlockNo(RESERVED_BLOCKS);

/// All block numbers are smaller than this.
pub(crate) const MAX_BLOCKS: u64 = 1 << 48;

/// The kind of a block. The nonce contains it, so that a block of one kind never opens as another
/// kind.
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

/// Returns a block of zeros.
pub(crate) fn zeroed() -> Block {
    Box::new([0; BLOCK_BYTES])
}

/// Returns the number of bytes in `blocks` blocks.
pub(crate) fn bytes_of(blocks: u64) -> u64 {
    blocks * BLOCK_BYTES as u64
}

/// Returns the number of blocks that `bytes` bytes take.
pub(crate) fn blocks_of(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_BYTES as u64)
}

/// Adjacent blocks.
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

    /// Returns the block after the last one.
    pub(crate) fn end(self) -> BlockNo {
        self.start + u64::from(self.count)
    }

    /// Returns the blocks, in order.
    pub(crate) fn blocks(self) -> impl DoubleEndedIterator<Item = BlockNo> {
        (self.start.0..self.end().0).map(BlockNo)
    }
}

/// Whether a block lies in the ring.
pub(crate) fn is_in_ring(block: BlockNo) -> bool {
    (RING_START.0..RING_START.0 + RING_BLOCKS).contains(&block.0)
}

/// Whether a block may hold a node in a volume of `blocks` blocks.
pub(crate) fn may_hold_node(block: BlockNo, blocks: u64) -> bool {
    (RESERVED_BLOCKS..blocks).contains(&block.0)
}

/// Whether a block may hold data of a file in a volume of `blocks` blocks.
pub(crate) fn may_hold_data(block: BlockNo, blocks: u64) -> bool {
    is_in_ring(block) || may_hold_node(block, blocks)
}
