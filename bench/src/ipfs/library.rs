//! What the library's surroundings do for each node, besides reading and writing it: how memory is
//! cleared, how the cipher is called, and how keys are made. Each piece is work that is really done.
//!
//! - *Clearing.* The `memset` in the SDK's sources was a loop over single bytes, for builds without a
//!   string library of Intel's; today's is as fast as any. `memset_s` calls it, and so does the code
//!   that is generated for calls of the host: a buffer that the host is to fill is cleared before the
//!   call. A version of the sources forbade to optimise that loop, which takes some ten times as long
//!   and does not fit what was measured of the library, so here it is optimised.
//! - *The cipher.* Each call allocates a context, expands the key, and clears and frees the context
//!   again, byte by byte in 2020. It has instructions for 128 bits at a time, and few powers of the
//!   hash key: a cipher that prepares more for each key, as the volume's does, loses more than it
//!   gains on a node with a key of its own.
//! - *Keys.* A node that is written gets a key by CMAC of its number and 16 random bytes, under a key
//!   of the session that changes after 65,536 of them.

use aes::Aes128;
use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{Aes128Gcm, KeyInit};
use cmac::{Cmac, Mac};
use std::hint::black_box;
use std::io;

/// How the library behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As of 2020: nodes are cleared before and after use and copied from a cleared buffer of the
    /// host's, and all clearing is by single bytes.
    Stock,
    /// The same as the research system changed it: nodes are not cleared, and are opened from where
    /// the host has put them. An enclave that does so reads memory twice that the host can change in
    /// between.
    Changed,
    /// As of today: all is cleared as in 2020, by a fast `memset`.
    Today,
}

/// The authentication tag does not match.
#[derive(Debug)]
pub(crate) struct NotAuthentic;

/// Bytes of the cipher's context, about: the key expanded for both directions, counters, powers
/// of the hash key.
const CONTEXT: usize = 784;

impl Manner {
    /// Nodes, and the buffers that they come through.
    pub(crate) fn clears_nodes(self) -> bool {
        self != Manner::Changed
    }

    pub(crate) fn clear(self, memory: &mut [u8]) {
        match self {
            Manner::Stock | Manner::Changed => clear_bytes(memory),
            Manner::Today => memory.fill(0),
        }
        // Compilers must not see that nobody reads the zeros.
        black_box(memory);
    }

    /// Calls the cipher with a context of its own.
    fn with_context<T>(self, key: &[u8; 16], work: impl FnOnce(Aes128Gcm) -> T) -> T {
        let mut context = black_box(Box::new([0; CONTEXT]));
        let done = work(Aes128Gcm::new(key.into()));
        self.clear(&mut *context);
        done
    }

    /// Opens bytes into others of the same number.
    pub(crate) fn open(
        self,
        key: &[u8; 16],
        nonce: &[u8; 12],
        sealed: &[u8],
        plain: &mut [u8],
        tag: &[u8; 16],
    ) -> Result<(), NotAuthentic> {
        let bytes = InOutBuf::new(sealed, plain).map_err(|_| NotAuthentic)?;
        self.with_context(key, |cipher| {
            cipher.decrypt_inout_detached(nonce.into(), &[], bytes, tag.into())
        })
        .map_err(|_| NotAuthentic)
    }

    /// Seals bytes into others of the same number; the tag.
    pub(crate) fn seal(
        self,
        key: &[u8; 16],
        nonce: &[u8; 12],
        plain: &[u8],
        sealed: &mut [u8],
    ) -> [u8; 16] {
        let bytes = InOutBuf::new(plain, sealed).expect("both have the same length");
        self.with_context(key, |cipher| {
            cipher.encrypt_inout_detached(nonce.into(), &[], bytes).expect("a node is short")
        })
        .into()
    }
}

#[inline(never)]
#[allow(unsafe_code, reason = "a loop of plain stores would be compiled to a call of memset")]
fn clear_bytes(memory: &mut [u8]) {
    for byte in memory {
        // SAFETY: `byte` is an exclusive reference, so it can be written through.
        unsafe { std::ptr::write_volatile(byte, 0) };
    }
}

/// Makes the keys of nodes.
#[derive(Debug)]
pub(crate) struct Keys {
    session: [u8; 16],
    used: u32,
}

/// Keys that one of a session makes.
const USES: u32 = 65_536;

impl Keys {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Keys { session: derive(&[0; 16], b"session", 0)?, used: 0 })
    }

    /// A key that nothing else is sealed with.
    pub(crate) fn make(&mut self, place: u64) -> io::Result<[u8; 16]> {
        if self.used == USES {
            *self = Keys::new()?;
        }
        self.used += 1;
        derive(&self.session, b"node", place)
    }
}

/// A key by CMAC as NIST SP 800-108 has it: of a counter, a label, a number, random bytes, and how many
/// bits are made.
fn derive(key: &[u8; 16], label: &[u8], place: u64) -> io::Result<[u8; 16]> {
    let mut random = [0; 16];
    graviola::random::fill(&mut random).map_err(|_| io::Error::other("no random numbers"))?;
    let mut input = [0; 112];
    input[..4].copy_from_slice(&1_u32.to_le_bytes());
    input[4..4 + label.len()].copy_from_slice(label);
    input[68..76].copy_from_slice(&place.to_le_bytes());
    input[76..92].copy_from_slice(&random);
    input[108..].copy_from_slice(&128_u32.to_le_bytes());
    let mut mac = <Cmac<Aes128> as KeyInit>::new(key.into());
    mac.update(&input);
    Ok(mac.finalize().into_bytes().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANNERS: [Manner; 3] = [Manner::Stock, Manner::Changed, Manner::Today];

    #[test]
    fn all_variants_clear_every_byte() {
        for manner in MANNERS {
            let mut memory = [0xff; 1001];
            manner.clear(&mut memory);
            assert_eq!(memory, [0; 1001], "{manner:?}");
        }
    }

    /// Test case 2 of the specification of GCM.
    #[test]
    fn all_variants_seal_by_the_standard_and_open_only_authentic_nodes() {
        let sealed_zeros = 0x0388_dace_60b6_a392_f328_c2b9_71b2_fe78_u128.to_be_bytes();
        let expected = 0xab6e_47d4_2cec_13bd_f53a_67b2_1257_bddf_u128.to_be_bytes();
        for manner in MANNERS {
            let (mut sealed, mut plain) = ([0xff; 16], [0xff; 16]);
            let mut tag = manner.seal(&[0; 16], &[0; 12], &[0; 16], &mut sealed);
            assert_eq!((sealed, tag), (sealed_zeros, expected), "{manner:?}");
            manner.open(&[0; 16], &[0; 12], &sealed, &mut plain, &tag).unwrap();
            assert_eq!(plain, [0; 16]);
            tag[3] ^= 1;
            assert!(manner.open(&[0; 16], &[0; 12], &sealed, &mut plain, &tag).is_err());
        }
    }

    #[test]
    fn node_keys_are_unique_and_session_keys_expire() {
        let mut keys = Keys::new().unwrap();
        assert_ne!(keys.make(1).unwrap(), keys.make(1).unwrap());
        let session = keys.session;
        keys.used = USES;
        keys.make(1).unwrap();
        assert_ne!(keys.session, session);
        assert_eq!(keys.used, 1);
    }
}
