//! Public keys of owners, who sign manifests: P-256 (ECDSA with SHA-256) or Ed25519.

use crate::bytes::Digest;
use graviola::hashing::Sha256;
use graviola::signing::ecdsa::{P256, VerifyingKey};
use graviola::signing::eddsa::Ed25519VerifyingKey;
use std::fmt;
use std::sync::Arc;

/// The bytes of a P-256 key's SubjectPublicKeyInfo before its point (RFC 5480, section 2). DER has
/// no other form for it.
const P256_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The bytes of an Ed25519 key's SubjectPublicKeyInfo before the key (RFC 8410, section 4).
const ED25519_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The points of Ed25519 that have a small order (RFC 8032, section 5.1), by their y-coordinate in
/// little-endian, with each encoding of it: 1, 0, p - 1, p, p + 1, and those of order 8. As keys, they
/// are worth nothing: for them, everybody can make signatures.
const SMALL_ORDER: [[u8; 32]; 7] = [
    y(1, 0, 0),
    y(0, 0, 0),
    y(0xec, 0xff, 0x7f),
    y(0xed, 0xff, 0x7f),
    y(0xee, 0xff, 0x7f),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
];

/// Returns a coordinate by its first byte, all in the middle, and its last byte.
const fn y(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

/// Whether a key of Ed25519 is one of [`SMALL_ORDER`], with either sign of its x-coordinate.
fn has_small_order(key: &[u8; 32]) -> bool {
    let mut y = *key;
    y[31] &= 0x7f;
    SMALL_ORDER.contains(&y)
}

/// A signature algorithm, with its number in COSE (RFC 9053, section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// The number in COSE's registry.
    pub fn number(self) -> i64 {
        match self {
            Algorithm::Es256 => -7,
            Algorithm::EdDsa => -8,
        }
    }
}

/// The public key of an owner.
#[derive(Clone)]
pub struct PublicKey {
    der: Vec<u8>,
    verifier: Verifier,
}

/// Why a public key is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsupported;

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is not the public key of P-256 or Ed25519 in DER")
    }
}

impl std::error::Error for Unsupported {}

/// A signature does not belong to a key and a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadSignature;

impl fmt::Display for BadSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the signature is wrong")
    }
}

impl std::error::Error for BadSignature {}

/// A key that is ready to verify with. It is shared, because graviola's keys can't be cloned.
#[derive(Clone)]
enum Verifier {
    P256(Arc<VerifyingKey<P256>>),
    Ed25519(Arc<Ed25519VerifyingKey>),
}

fn verifier(der: &[u8]) -> Option<Verifier> {
    if let Some(point) = der.strip_prefix(&P256_PREFIX) {
        // The length is checked here, because the prefix promises it.
        let point: &[u8; 65] = point.try_into().ok()?;
        return VerifyingKey::from_x962_uncompressed(point).ok().map(Arc::new).map(Verifier::P256);
    }
    let key: &[u8; 32] = der.strip_prefix(&ED25519_PREFIX)?.try_into().ok()?;
    if has_small_order(key) {
        return None;
    }
    Ed25519VerifyingKey::from_bytes(key).ok().map(Arc::new).map(Verifier::Ed25519)
}

impl PublicKey {
    /// Takes a DER-encoded SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
    ///
    /// # Errors
    /// It is not a key of P-256 or Ed25519, in another form, or one for which everybody can make
    /// signatures.
    pub fn from_der(der: &[u8]) -> Result<Self, Unsupported> {
        let verifier = verifier(der).ok_or(Unsupported)?;
        Ok(PublicKey { der: der.to_vec(), verifier })
    }

    /// The key as a DER-encoded SubjectPublicKeyInfo.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The algorithm of its signatures.
    pub fn algorithm(&self) -> Algorithm {
        match self.verifier {
            Verifier::P256(_) => Algorithm::Es256,
            Verifier::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// The name of the key: the SHA-256 of its DER.
    pub fn id(&self) -> Digest {
        Digest::of(&self.der)
    }

    /// Verifies a signature of 64 bytes, for P-256 in the fixed form of COSE (RFC 9053, section
    /// 2.1).
    ///
    /// # Errors
    /// The signature is wrong.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), BadSignature> {
        let verified = match &self.verifier {
            Verifier::P256(key) => key.verify::<Sha256>(&[message], signature),
            Verifier::Ed25519(key) => key.verify(signature, message),
        };
        verified.map_err(|_| BadSignature)
    }
}

/// A key has one DER.
impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.algorithm(), self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A signature for a key of order 1, 2, 4 or 8, made without any private key: R is the neutral
    /// element and S is 0, so that it is right wherever the hash of the message is a multiple of the
    /// key's order.
    #[test]
    fn keys_for_which_everybody_can_sign_are_no_keys_of_owners() {
        let mut signature = [0; 64];
        signature[0] = 1;
        for key in SMALL_ORDER {
            for sign in [0, 0x80] {
                let mut key = key;
                key[31] |= sign;
                let der = [&ED25519_PREFIX[..], &key].concat();
                assert_eq!(PublicKey::from_der(&der), Err(Unsupported), "{key:02x?}");
                // Where the library takes the key, it takes such a signature for some message.
                let Ok(forged) = Ed25519VerifyingKey::from_bytes(&key) else { continue };
                let mut messages = (0..100_u8).map(|byte| [byte]);
                assert!(messages.any(|message| forged.verify(&signature, &message).is_ok()));
            }
        }
    }
}
