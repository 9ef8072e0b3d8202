//! All entries that the log's blocks hold, read once when a volume is opened.

use super::chain::{Chain, Group};
use super::entry::{Entry, FIRST, LAST, Opened, TREE};
use super::{ring_block, ring_start};
use crate::error::{Error, Result};
use crate::format::block::{
    BLOCK_BYTES, Bytes, RING_BLOCKS, RING_START, ROOT_COPIES_START, ROOT_SLOTS, ROOTS_START,
};
use crate::format::identity::VolumeId;
use crate::format::pointer::{SALT_BYTES, Salt};
use crate::sealed_store::Store;

/// First block of the log.
const START: u64 = ROOTS_START;

/// Blocks of the log: the roots, the ring, and the second copies of the roots.
const BLOCKS: u64 = ROOT_SLOTS + RING_BLOCKS + ROOT_SLOTS;

/// A salt that shares so many bytes with another one is the same, with some of it damaged.
const SAME_SALT_BYTES: usize = 8;

/// How much is taken for absence that may be damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tolerance {
    /// Nothing: an error of the storage, or something authentic that is malformed, is an error.
    None,
    /// Both count as if nothing were there.
    Damage,
}

impl Tolerance {
    /// `absent` in place of an error that is tolerated.
    pub(crate) fn or<T>(self, result: Result<T>, absent: T) -> Result<T> {
        match (self, result) {
            (
                Tolerance::Damage,
                Err(Error::Storage { .. } | Error::Damaged { .. } | Error::NotAuthentic { .. }),
            ) => Ok(absent),
            (_, result) => result,
        }
    }
}

/// What a block of the log holds.
#[derive(Debug, Clone)]
enum Held {
    /// Zeros, as in a new volume.
    Nothing,
    /// An authentic entry.
    Entry(Box<Opened>),
    /// Something else: data, what is left of a write that a crash has cut, or damage. What would be
    /// the salt, if it is an entry.
    Other(Salt),
    /// An authentic entry that is malformed, which only a repair passes over. Its salt.
    Malformed(Salt),
}

impl Held {
    fn entry(&self) -> Option<&Opened> {
        match self {
            Held::Entry(opened) => Some(opened),
            Held::Nothing | Held::Other(_) | Held::Malformed(_) => None,
        }
    }
}

/// The authentic entries of a log.
pub(crate) struct Entries {
    /// By block, from [`START`] on.
    held: Vec<Held>,
}

/// What is newer than a state that was chosen.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Newer {
    /// Blocks of authentic entries with a larger number, or that are malformed.
    pub(crate) blocks: Vec<u64>,
    /// How many commits end in one of them.
    pub(crate) commits: u64,
    /// The largest number.
    pub(crate) sequence: u64,
    /// Entries that can't be read, and may be newer.
    pub(crate) unreadable: u64,
}

impl Entries {
    /// Reads and opens the log's blocks.
    pub(crate) fn read(store: &mut Store, volume: &VolumeId, tolerance: Tolerance) -> Result<Self> {
        let mut bytes = vec![0; BLOCKS as usize * BLOCK_BYTES];
        if let Err(error) = store.read(START, &mut bytes) {
            if tolerance == Tolerance::None {
                return Err(error);
            }
            // Block by block, so that one that can't be read costs no other.
            for (block, bytes) in (START..).zip(bytes.as_chunks_mut::<BLOCK_BYTES>().0) {
                if store.read(block, bytes).is_err() {
                    bytes.fill(0xff);
                }
            }
        }
        let open = |bytes: &Bytes| match Entry::open(&mut store.sealer, volume, bytes) {
            Ok(Some(opened)) => Ok(Held::Entry(Box::new(opened))),
            Ok(None) if *bytes == [0; BLOCK_BYTES] => Ok(Held::Nothing),
            Ok(None) => Ok(Held::Other(salt_of(bytes))),
            Err(error) => tolerance.or(Err(error), Held::Malformed(salt_of(bytes))),
        };
        let held = bytes.as_chunks::<BLOCK_BYTES>().0.iter().map(open).collect::<Result<_>>()?;
        Ok(Entries { held })
    }

    fn held(&self, block: u64) -> &Held {
        self.held.get((block - START) as usize).unwrap_or(&Held::Nothing)
    }

    /// The root that a copy of a slot names.
    fn root(&self, block: u64, slot: u64) -> Option<&Opened> {
        let opened = self.held(block).entry()?;
        let entry = &opened.entry;
        let fits = entry.flags == FIRST | LAST | TREE && entry.tree % ROOT_SLOTS == slot;
        fits.then_some(opened)
    }

    /// The roots of the slots that have one, the newest first.
    pub(crate) fn roots(&self, tolerance: Tolerance) -> Result<Vec<Group>> {
        let mut roots = Vec::new();
        for slot in 0..ROOT_SLOTS {
            let copies = [ROOTS_START + slot, ROOT_COPIES_START + slot];
            // A crash may have come between the two copies.
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

    /// The entry at a place of the ring.
    pub(super) fn at(&self, place: u64) -> Option<&Opened> {
        let opened = self.held(ring_block(place)).entry()?;
        let entry = &opened.entry;
        (entry.place == place && entry.flags & TREE == 0).then_some(opened)
    }

    fn all(&self) -> impl Iterator<Item = (u64, &Opened)> {
        (START..).zip(&self.held).filter_map(|(block, held)| Some((block, held.entry()?)))
    }

    /// The largest number of an entry, and of a tree commit.
    pub(crate) fn largest(&self) -> (u64, u64) {
        self.all().fold((0, 0), |(sequence, tree), (_, opened)| {
            (sequence.max(opened.entry.sequence), tree.max(opened.entry.tree))
        })
    }

    /// The largest number of a commit that an entry says was durable.
    pub(crate) fn durable_commit(&self) -> u64 {
        self.all().map(|(_, opened)| opened.entry.durable_commit.sequence).max().unwrap_or(0)
    }

    /// Whether the block of a place looks like an entry that this salt sealed, and does not open: it
    /// was not written whole, or it is damaged.
    fn is_unreadable(&self, place: u64, salt: &Salt) -> bool {
        let (Held::Other(held) | Held::Malformed(held)) = self.held(ring_block(place)) else {
            return false;
        };
        let same = held.iter().zip(salt).filter(|(one, other)| one == other).count();
        same >= SAME_SALT_BYTES
    }

    /// What is newer than a chain's last commit.
    pub(crate) fn newer_than(&self, chain: &Chain) -> Newer {
        let last = chain.last();
        let (sequence, tree) = (last.mark.sequence, last.tree);
        let mut newer = Newer::default();
        let mut next = vec![chain.end(), ring_start(chain.end())];
        next.dedup_by_key(|place| ring_block(*place));
        next.retain(|place| self.is_unreadable(*place, &last.salt));
        newer.unreadable += next.len() as u64;
        for (block, opened) in self.all().filter(|(_, opened)| opened.entry.sequence > sequence) {
            let second_copy = block >= ROOT_COPIES_START
                && self.held(block - ROOT_COPIES_START + ROOTS_START).entry().map(Opened::mark)
                    == Some(opened.mark());
            newer.blocks.push(block);
            newer.commits += u64::from(opened.entry.flags & LAST != 0 && !second_copy);
            newer.sequence = newer.sequence.max(opened.entry.sequence);
        }
        // Nothing else passes over them, so a repair must not leave them.
        let held = (START..).zip(&self.held);
        let malformed = held.filter(|(_, held)| matches!(held, Held::Malformed(_)));
        newer.blocks.extend(malformed.map(|(block, _)| block));
        for slot in 0..ROOT_SLOTS {
            let copies = [ROOTS_START + slot, ROOT_COPIES_START + slot];
            let is_newest = |block: &u64| {
                self.root(*block, slot).is_some_and(|opened| opened.entry.tree >= tree)
            };
            let other =
                |block: &u64| matches!(self.held(*block), Held::Other(_) | Held::Malformed(_));
            if copies.iter().any(other) && !copies.iter().any(is_newest) {
                newer.unreadable += 1;
            }
        }
        newer
    }
}

/// What is the salt of a block that holds an entry.
fn salt_of(bytes: &Bytes) -> Salt {
    let mut salt = Salt::default();
    salt.copy_from_slice(&bytes[..SALT_BYTES]);
    salt
}

/// The blocks of the two copies of a root.
pub(crate) fn root_blocks(tree: u64) -> [u64; 2] {
    [ROOTS_START + tree % ROOT_SLOTS, ROOT_COPIES_START + tree % ROOT_SLOTS]
}

/// The blocks that hold the same as one of the log's does: itself, and the other copy of a root.
pub(crate) fn copies_of(block: u64) -> Vec<u64> {
    let roots = [ROOTS_START, ROOT_COPIES_START];
    let slot =
        roots.iter().find_map(|start| block.checked_sub(*start).filter(|slot| *slot < ROOT_SLOTS));
    match slot {
        Some(slot) => {
            let mut copies = root_blocks(slot).to_vec();
            copies.sort_by_key(|copy| *copy != block);
            copies
        }
        None => vec![block],
    }
}

const _: () =
    assert!(ROOT_COPIES_START == RING_START + RING_BLOCKS && RING_START == START + ROOT_SLOTS);
