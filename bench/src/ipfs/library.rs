//! The library's work for each node besides reading and writing it: clearing memory, calling the
//! cipher, and making keys. The model really does each piece of this work.
//!
//! - *Clearing.* The `memset` in the SDK's sources was a loop over single bytes, for builds without
//!   a string library from Intel; today's is as fast as any. `memset_s` calls it, and so does the
//!   generated code for host calls: it clears a buffer before the call in which the host fills it.
//!   One version of the sources forbade optimising that loop, which makes it about ten times as
//!   slow and does not fit the times measured with the library. So it is optimised here.
//! - *The cipher.* Each call allocates a context, expands the key, and clears and frees the context
//!   again, byte by byte in 2020. It has instructions for 128 bits at a time, and few powers of the
//!   hash key. A cipher that prepares more for each key, as the volume's does, loses more than it
//!   gains on a node with a key of its own.
//! - *Keys.* Each write of a node derives a key by CMAC from its number and 16 random bytes, under
//!   a session key that changes after 65,536 of them.

use aes::Aes128;
use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{Aes128Gcm, KeyInit};
use cmac::{Cmac, Mac};
use std::hint::black_box;
use std::io;

/// The variants of the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// The library of 2020: nodes are cleared before and after use and copied from a cleared buffer
    /// of the host. All clearing is by single bytes.
    Stock,
    /// The same with the research system's changes: nodes are not cleared, and are decrypted where
    /// the host has put them. Such an enclave reads memory twice, and the host can change it in
    /// between.
    Changed,
    /// Today's library: it clears all that the library of 2020 clears, by a fast `memset`.
    Today,
}

/// The authentication tag does not match.
#[derive(Debug)]
pub(crate) struct NotAuthentic;

/// The approximate size of the cipher's context, in bytes: the key expanded for both directions,
/// counters, powers of the hash key.
const CONTEXT: usize = 784;

impl Manner {
    /// Whether nodes, and the buffers that they pass through, are cleared.
    pub(crate) fn clears_nodes(self) -> bool {
        self != Manner::Changed
    }

    pub(crate) fn clear(self, memory: &mut [u8]) {
        match self {
            Manner::Stock | Manner::Changed => clear_bytes(memory),
            Manner::Today => memory.fill(0),
        }
        // The compiler must not see that nothing reads the zeros.
        black_box(memory);
    }

    /// Calls the cipher with a new context.
    fn with_context<T>(self, key: &[u8; 16], work: impl FnOnce(Aes128Gcm) -> T) -> T {
        let mut context = black_box(Box::new([0; CONTEXT]));
        let done = work(Aes128Gcm::new(key.into()));
        self.clear(&mut *context);
        done
    }

    /// Decrypts bytes into an output of the same length.
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

    /// Encrypts bytes into an output of the same length. Returns the tag.
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

/// The number of keys that one session key makes.
const USES: u32 = 65_536;

impl Keys {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Keys { session: derive(&[0; 16], b"session", 0)?, used: 0 })
    }

    /// Returns a key that seals nothing else.
    pub(crate) fn make(&mut self, place: u64) -> io::Result<[u8; 16]> {
        if self.used == USES {
            *self = Keys::new()?;
        }
        self.used += 1;
        derive(&self.session, b"node", place)
    }
}

/// Derives a key by CMAC according to NIST SP 800-108, from a counter, a label, a number, random
/// bytes, and the number of bits.
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

    /// This is test case 2 of the GCM specification.
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
