//! Blocks, and where the fixed ones lie.

/// Bytes of a block, the unit of everything that the storage holds.
pub const BLOCK_BYTES: usize = 4096;

/// The bytes of a block in memory.
pub(crate) type Bytes = [u8; BLOCK_BYTES];

/// A block in memory, on the heap.
pub(crate) type Block = Box<Bytes>;

/// Block of the first copy of the header; the second follows.
pub(crate) const HEADER_START: u64 = 0;

/// Copies of the header.
pub(crate) const HEADER_COPIES: u64 = 2;

/// First of the blocks for the entries of commits that write the tree.
pub(crate) const ROOTS_START: u64 = 2;

/// Blocks for those entries, which take them in turn.
pub(crate) const ROOT_SLOTS: u64 = 6;

/// First of the blocks for the second copies of those entries. They lie far from the first ones, so
/// that one fault of a disk does not hit both.
pub(crate) const ROOT_COPIES_START: u64 = RING_START + RING_BLOCKS;

/// First block of the ring of other commits.
pub(crate) const RING_START: u64 = ROOTS_START + ROOT_SLOTS;

/// Blocks of that ring.
pub(crate) const RING_BLOCKS: u64 = 120;

/// Blocks that are never given to nodes, or to data for good.
pub(crate) const RESERVED_BLOCKS: u64 = ROOT_COPIES_START + ROOT_SLOTS;

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

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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

/// Where a block lies in the storage.
pub(crate) fn offset(block: u64) -> u64 {
    block * BLOCK_BYTES as u64
}

/// Blocks in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) start: u64,
    pub(crate) count: u32,
}

impl Run {
    /// Its blocks, in order.
    pub(crate) fn blocks(self) -> std::ops::Range<u64> {
        self.start..self.start + u64::from(self.count)
    }
}

/// Blocks that a number of bytes takes.
pub(crate) fn blocks(bytes: u64) -> u64 {
    bytes.div_ceil(BLOCK_BYTES as u64)
}

/// Whether a block is of the ring.
pub(crate) fn is_in_ring(block: u64) -> bool {
    (RING_START..RING_START + RING_BLOCKS).contains(&block)
}
