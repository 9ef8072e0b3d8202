//! The entries in all blocks of the log, read once when a volume is opened.

use super::group::{Group, root_blocks};
use super::sealed_entry::{self, Opened};
use super::tolerance::Tolerance;
use crate::error::Result;
use crate::format::block::{
    BLOCK_BYTES, BlockNo, Bytes, RING_BLOCKS, RING_START, ROOT_COPIES_START, ROOT_SLOTS,
    ROOTS_START,
};
use crate::format::entry::{FIRST, LAST, TREE};
use crate::format::identity::VolumeId;
use crate::format::numbers::to_usize;
use crate::format::pointer::{SALT_BYTES, Salt};
use crate::format::ring::RingPlace;
use crate::sealed_store::SealedStore;

/// The first block of the log.
const START: BlockNo = ROOTS_START;

/// Number of blocks in the log: the roots, the ring, and the second copies of the roots.
const BLOCKS: u64 = ROOT_SLOTS + RING_BLOCKS + ROOT_SLOTS;

/// The contents of a block of the log.
#[derive(Debug, Clone)]
pub(super) enum Held {
    /// Zeros, as in a new volume.
    Nothing,
    /// An authentic entry.
    Entry(Box<Opened>),
    /// Anything else: data, an incomplete write before a crash, or damage. With the salt that the
    /// block has if it is an entry.
    Other(Salt),
    /// An authentic entry that is malformed, with its salt. Only a repair ignores it.
    Malformed(Salt),
}

impl Held {
    pub(super) fn entry(&self) -> Option<&Opened> {
        match self {
            Held::Entry(opened) => Some(opened),
            Held::Nothing | Held::Other(_) | Held::Malformed(_) => None,
        }
    }
}

/// The authentic entries of a log.
pub(crate) struct Entries {
    /// What each block holds, from [`START`] on.
    held: Vec<Held>,
}

impl Entries {
    /// Reads and opens all blocks of the log.
    pub(crate) fn read(
        store: &mut SealedStore,
        volume: &VolumeId,
        tolerance: Tolerance,
    ) -> Result<Self> {
        let mut bytes = vec![0; to_usize(BLOCKS) * BLOCK_BYTES];
        if let Err(error) = store.read(START, &mut bytes) {
            if tolerance == Tolerance::None {
                return Err(error);
            }
            // Reads block by block, so that one unreadable block makes no other unreadable.
            for (block, bytes) in blocks().zip(bytes.as_chunks_mut::<BLOCK_BYTES>().0) {
                if store.read(block, bytes).is_err() {
                    bytes.fill(0xff);
                }
            }
        }
        let open = |bytes: &Bytes| match sealed_entry::open(store.sealer_mut(), volume, bytes) {
            Ok(Some(opened)) => Ok(Held::Entry(Box::new(opened))),
            Ok(None) if *bytes == [0; BLOCK_BYTES] => Ok(Held::Nothing),
            Ok(None) => Ok(Held::Other(salt_of(bytes))),
            Err(error) => tolerance.or(Err(error), Held::Malformed(salt_of(bytes))),
        };
        let held = bytes.as_chunks::<BLOCK_BYTES>().0.iter().map(open).collect::<Result<_>>()?;
        Ok(Entries { held })
    }

    pub(super) fn held(&self, block: BlockNo) -> &Held {
        self.held.get(to_usize(block.0 - START.0)).unwrap_or(&Held::Nothing)
    }

    /// Returns what each block holds.
    pub(super) fn all_held(&self) -> impl Iterator<Item = (BlockNo, &Held)> {
        blocks().zip(&self.held)
    }

    /// Returns the root in a block, if the block holds a root that belongs into `slot`.
    pub(super) fn root(&self, block: BlockNo, slot: u64) -> Option<&Opened> {
        let opened = self.held(block).entry()?;
        let entry = &opened.entry;
        let fits = entry.flags == FIRST | LAST | TREE && entry.tree % ROOT_SLOTS == slot;
        fits.then_some(opened)
    }

    /// Returns the newer copy of the root in each slot, newest root first.
    pub(crate) fn roots(&self, tolerance: Tolerance) -> Result<Vec<Group>> {
        let mut roots = Vec::new();
        for slot in 0..ROOT_SLOTS {
            let copies = [ROOTS_START + slot, ROOT_COPIES_START + slot];
            // The copies differ if a crash came between their writes.
            let newer = copies
                .iter()
                .filter_map(|block| self.root(*block, slot))
                .max_by_key(|opened| opened.entry.tree);
            if let Some(opened) = newer {
                roots.extend(tolerance.or(Group::of_tree(opened).map(Some), None)?);
            }
        }
        roots.sort_unstable_by_key(|root| std::cmp::Reverse(root.tree));
        Ok(roots)
    }

    /// Returns the entry at a place in the ring.
    pub(super) fn at(&self, place: RingPlace) -> Option<&Opened> {
        let opened = self.held(place.block()).entry()?;
        let entry = &opened.entry;
        (entry.place == place && entry.flags & TREE == 0).then_some(opened)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (BlockNo, &Opened)> {
        blocks().zip(&self.held).filter_map(|(block, held)| Some((block, held.entry()?)))
    }

    /// Returns the largest sequence number of an entry, and the largest tree number.
    pub(crate) fn largest(&self) -> (u64, u64) {
        self.all().fold((0, 0), |(sequence, tree), (_, opened)| {
            (sequence.max(opened.entry.sequence), tree.max(opened.entry.tree))
        })
    }

    /// Returns the largest sequence number of a commit that an entry calls durable.
    pub(crate) fn durable_commit(&self) -> u64 {
        self.all().map(|(_, opened)| opened.entry.durable_commit.sequence).max().unwrap_or(0)
    }
}

/// Returns the salt of a block, if the block is an entry.
fn salt_of(bytes: &Bytes) -> Salt {
    let mut salt = Salt::default();
    salt.copy_from_slice(&bytes[..SALT_BYTES]);
    salt
}

/// Returns the blocks from the log's first block on.
fn blocks() -> impl Iterator<Item = BlockNo> {
    (START.0..).map(BlockNo)
}

/// Returns the blocks with the same contents: the block itself and, for a root, then the other
/// copy.
pub(crate) fn copies_of(block: BlockNo) -> Vec<BlockNo> {
    let slot = [ROOTS_START, ROOT_COPIES_START].iter().find_map(|start| {
        let slot = block.0.checked_sub(start.0)?;
        (slot < ROOT_SLOTS).then_some(slot)
    });
    match slot {
        Some(slot) => {
            let mut copies = root_blocks(slot).to_vec();
            copies.sort_by_key(|copy| *copy != block);
            copies
        }
        None => vec![block],
    }
}

const _: () = assert!(
    ROOT_COPIES_START.0 == RING_START.0 + RING_BLOCKS && RING_START.0 == START.0 + ROOT_SLOTS
);
