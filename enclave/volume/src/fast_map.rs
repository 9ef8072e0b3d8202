//! Maps and sets for the volume's own numbers: inodes, blocks and regions. Their hash function
//! takes few instructions.
//!
//! Whoever made a volume by hand chose these numbers. With a known hash function, they could choose
//! numbers that all collide, so that each search takes linear time. So each map has a random seed.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher};

/// Computes the hash of a number.
pub(crate) struct Mixer(u64);

/// The hash function of a map, with its seed.
#[derive(Clone)]
pub(crate) struct Mixing(u64);

impl Default for Mixing {
    fn default() -> Self {
        Mixing(RandomState::new().build_hasher().finish())
    }
}

impl BuildHasher for Mixing {
    type Hasher = Mixer;

    fn build_hasher(&self) -> Mixer {
        Mixer(self.0)
    }
}

/// A map with a fast hash function.
pub(crate) type FastMap<K, V> = HashMap<K, V, Mixing>;

/// A set with a fast hash function.
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
        self.write_u64(number.cast_unsigned() as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn numbers_that_collide_in_one_map_do_not_in_another() {
        // The inverse of the factor, by Newton's method.
        let factor: u64 = 0x9e37_79b9_7f4a_7c15;
        let inverse = (0..6).fold(factor, |inverse, _| {
            inverse.wrapping_mul(2_u64.wrapping_sub(factor.wrapping_mul(inverse)))
        });
        assert_eq!(factor.wrapping_mul(inverse), 1);
        // Products with two equal halves: with seed 0, the lower half of each hash is 0.
        let chosen: Vec<u64> =
            (0..4096).map(|half: u64| (half << 32 | half).wrapping_mul(inverse)).collect();
        let places = |mixing: &Mixing| {
            let low = |number: &u64| mixing.hash_one(*number) as u32;
            chosen.iter().map(low).collect::<BTreeSet<u32>>().len()
        };
        assert_eq!(places(&Mixing(0)), 1);
        for _ in 0..100 {
            let found = places(&Mixing::default());
            assert!(found > 1000, "{found}");
        }
    }
}
