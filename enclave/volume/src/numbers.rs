//! Maps by numbers of the volume's own, which need no protection against collisions that somebody
//! makes: inodes, blocks and regions are given by the volume, and a program that chooses offsets of
//! its files slows down itself.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// Mixes numbers.
#[derive(Default)]
pub(crate) struct Mixer(u64);

/// The hash function.
pub(crate) type Mixing = BuildHasherDefault<Mixer>;

/// A map with few instructions for each search.
pub(crate) type FastMap<K, V> = HashMap<K, V, Mixing>;

/// A set of that kind.
pub(crate) type FastSet<K> = HashSet<K, Mixing>;

impl Hasher for Mixer {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0.rotate_left(5) ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
