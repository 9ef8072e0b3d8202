//! Shared by the tests: random numbers from a seed, a plain file tree in memory to compare with,
//! and steps that are applied to both trees.
#![allow(dead_code, unused_imports, reason = "each test uses some of it")]

mod bounded;
mod faulty;
mod flaky;
mod model;
mod page_cache;
mod recorder;
mod steps;

pub use bounded::{Bounded, Forgetful, Limited};
pub use faulty::Faulty;
pub use flaky::{Flaky, Wrong};
pub use model::{Model, Tree, tree_of};
pub use page_cache::PageCache;
pub use recorder::Recorder;
pub use steps::{Done, Player, Weights};

use std::ops::Range;
use twine_vfs::{Error, FileSystem, Inode};
use twine_volume::{NewSlot, Options, Secret, Storage, Volume};

/// The key file of all test volumes.
pub const KEY: [u8; 32] = [0x42; 32];

/// The blocks of the first copies of roots, of the ring, and of the second copies of roots, as in
/// `docs/volume-format.md`. Nodes and data follow.
pub const ROOTS: Range<usize> = 2..8;
pub const RING: Range<usize> = 8..128;
pub const ROOT_COPIES: Range<usize> = 128..134;

/// Random numbers from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number less than `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Returns true once in `times` calls, on average.
    pub fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    pub fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}

/// Returns the numbers below `count` in random order.
pub fn shuffled(count: u64, random: &mut Random) -> Vec<u64> {
    let mut order: Vec<u64> = (0..count).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, random.below(at as u64 + 1) as usize);
    }
    order
}

/// Returns the factor by which tests should run longer than by default: `TWINE_LONG`.
pub fn long() -> u64 {
    std::env::var("TWINE_LONG").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1)
}

pub fn options(cache_bytes: usize) -> Options {
    Options { cache_bytes, clock: Box::new(|| 1_000_000_000), ..Options::default() }
}

pub fn create(storage: impl Storage + 'static, cache_bytes: usize) -> Volume {
    let slots = [NewSlot::key_file(&KEY).unwrap()];
    Volume::create(Box::new(storage), &slots, options(cache_bytes)).unwrap()
}

pub fn try_open(
    storage: impl Storage + 'static,
    options: Options,
) -> Result<Volume, twine_volume::Error> {
    Volume::open(Box::new(storage), &mut Secret::key_file(&KEY), options)
}

pub fn open(storage: impl Storage + 'static, cache_bytes: usize) -> Volume {
    try_open(storage, options(cache_bytes)).unwrap()
}

/// Creates a file in the root directory.
pub fn file(volume: &mut Volume, name: &str) -> Inode {
    volume.create_file(volume.root(), name).unwrap()
}

/// Returns the file with this name in the root directory. Creates it if necessary.
pub fn find_or_make(volume: &mut Volume, name: &str) -> Result<Inode, Error> {
    let root = volume.root();
    match volume.lookup(root, name) {
        Err(_) => volume.create_file(root, name),
        found => found,
    }
}

/// Checks a volume: nothing is lost, the counts of blocks are consistent, and the model agrees.
pub fn assert_whole(volume: &mut Volume, model: &Model) {
    let report = volume.check(&mut |_| {}).unwrap();
    assert_eq!(report.findings, []);
    assert_eq!(report.files + report.directories + report.symbolic_links, model.nodes.len() as u64);
}
