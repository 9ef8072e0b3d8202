//! Hooks that a fuzzer sets for its own thread, and that the rest of the crate calls.
//!
//! A volume by a hostile holder of the key is authentic, whatever it contains. But sealing and
//! opening take most of a mount's time, and a change of one block means that all blocks on the path
//! to it must be sealed again. So a quick seal replaces AES-GCM. Like AES-GCM, it refuses other
//! blocks, other seals and damage, but it protects nothing. Bytes that the fuzzer forged keep their
//! tag.

use crate::format::block::Kind;
use crate::format::pointer::{Salt, Tag};
use std::cell::{Cell, RefCell};

/// Sees bytes that are about to be sealed.
type Watch = Box<dyn FnMut(Kind, &mut [u8])>;

thread_local! {
    static NUMBERS: Cell<Option<u64>> = const { Cell::new(None) };
    static WATCH: RefCell<Option<Watch>> = const { RefCell::new(None) };
    static QUICK: RefCell<Option<Quick>> = const { RefCell::new(None) };
}

/// The state of quick seals.
#[derive(Default)]
struct Quick {
    /// Everything that was sealed, if that is to be kept.
    kept: Option<Vec<Sealed>>,
    forged: Vec<Forged>,
}

/// Something that was sealed.
pub(crate) struct Sealed {
    pub(crate) kind: Kind,
    /// The salt, counter and kind of the seal, as one number.
    nonce: u64,
    /// The plaintext.
    pub(crate) bytes: Vec<u8>,
}

/// Bytes that are accepted with the tag of others.
#[derive(PartialEq, Eq)]
struct Forged {
    nonce: u64,
    sum: u64,
}

/// Runs `work` with random bytes that are the same each time, so that an input always has the same
/// effect.
pub(crate) fn predictably<T>(work: impl FnOnce() -> T) -> T {
    NUMBERS.set(Some(1));
    let result = work();
    NUMBERS.set(None);
    result
}

/// Runs `work`, and shows everything that it seals to `watch`, in plaintext.
pub(crate) fn watching<T>(
    watch: impl FnMut(Kind, &mut [u8]) + 'static,
    work: impl FnOnce() -> T,
) -> T {
    WATCH.set(Some(Box::new(watch)));
    let result = work();
    WATCH.set(None);
    result
}

/// Runs `work` with quick seals. Also returns everything that it sealed, last first.
pub(crate) fn keeping<T>(work: impl FnOnce() -> T) -> (T, Vec<Sealed>) {
    QUICK.set(Some(Quick { kept: Some(Vec::new()), forged: Vec::new() }));
    let result = work();
    let mut sealed = QUICK.take().and_then(|quick| quick.kept).unwrap_or_default();
    sealed.reverse();
    (result, sealed)
}

/// Runs `work` with quick seals, and accepts these bytes in place of those that were sealed.
pub(crate) fn forging<T>(forged: &[(&Sealed, Vec<u8>)], work: impl FnOnce() -> T) -> T {
    let forged = forged
        .iter()
        .map(|(sealed, bytes)| Forged { nonce: sealed.nonce, sum: sum(sealed.nonce, bytes) })
        .collect();
    QUICK.set(Some(Quick { kept: None, forged }));
    let result = work();
    QUICK.set(None);
    result
}

impl Sealed {
    /// Converts other bytes, which replace these, to their form in the storage.
    pub(crate) fn conceal(&self, bytes: &mut [u8]) {
        mask(self.nonce, bytes);
    }
}

/// Fills `bytes` if they are to be predictable. Returns whether they are.
pub(crate) fn fill(bytes: &mut [u8]) -> bool {
    let Some(mut state) = NUMBERS.get() else { return false };
    for byte in bytes {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        *byte = (state >> 56) as u8;
    }
    NUMBERS.set(Some(state));
    true
}

/// Shows `bytes` that are about to be sealed to the watcher.
pub(crate) fn before_seal(kind: Kind, bytes: &mut [u8]) {
    WATCH.with_borrow_mut(|watch| {
        if let Some(watch) = watch {
            watch(kind, bytes);
        }
    });
}

/// Seals `bytes` quickly, if quick seals are on.
pub(crate) fn seal(kind: Kind, salt: &Salt, counter: u64, bytes: &mut [u8]) -> Option<Tag> {
    QUICK.with_borrow_mut(|quick| {
        let quick = quick.as_mut()?;
        let nonce = nonce(kind, salt, counter);
        if let Some(kept) = &mut quick.kept {
            kept.push(Sealed { kind, nonce, bytes: bytes.to_vec() });
        }
        let tag = tag(nonce, sum(nonce, bytes));
        mask(nonce, bytes);
        Some(tag)
    })
}

/// Opens `bytes` if quick seals are on. Returns whether they are authentic.
pub(crate) fn open(
    kind: Kind,
    salt: &Salt,
    counter: u64,
    wanted: &Tag,
    bytes: &mut [u8],
) -> Option<bool> {
    QUICK.with_borrow(|quick| {
        let quick = quick.as_ref()?;
        let nonce = nonce(kind, salt, counter);
        // If the nonce is wrong, the bytes do not matter.
        if wanted[..8] != nonce.to_le_bytes() {
            bytes.fill(0);
            return Some(false);
        }
        mask(nonce, bytes);
        let sum = sum(nonce, bytes);
        let is_it = *wanted == tag(nonce, sum) || quick.forged.contains(&Forged { nonce, sum });
        if !is_it {
            bytes.fill(0);
        }
        Some(is_it)
    })
}

fn tag(nonce: u64, sum: u64) -> Tag {
    (u128::from(sum) << 64 | u128::from(nonce)).to_le_bytes()
}

/// Combines kind, salt and counter into one number.
fn nonce(kind: Kind, salt: &Salt, counter: u64) -> u64 {
    sum(counter ^ u64::from(kind.code()) << 56, salt)
}

/// Makes equal bytes differ under different seals.
fn mask(nonce: u64, bytes: &mut [u8]) {
    if let Some(first) = bytes.first_chunk_mut::<8>() {
        *first = (u64::from_le_bytes(*first) ^ nonce).to_le_bytes();
    }
}

/// Returns a checksum. Collisions occur only if somebody searches for them.
fn sum(start: u64, bytes: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |lane: u64, word: u64| (lane ^ word).wrapping_mul(FACTOR).rotate_left(29);
    // Two lanes take little longer than one.
    let (mut one, mut other) = (start, !start);
    let (chunks, rest) = bytes.as_chunks::<16>();
    let mut add = |chunk: &[u8; 16]| {
        let both = u128::from_le_bytes(*chunk);
        one = step(one, both as u64);
        other = step(other, (both >> 64) as u64);
    };
    for chunk in chunks {
        add(chunk);
    }
    let mut last = [0; 16];
    last[..rest.len()].copy_from_slice(rest);
    add(&last);
    let all = step(step(bytes.len() as u64, one), other);
    all ^ all >> 32
}
