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
    Ed25519VerifyingKey::from_bytes(key).ok().map(Arc::new).map(Verifier::Ed25519)
}

impl PublicKey {
    /// Takes a DER-encoded SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).
    ///
    /// # Errors
    /// It is not a key of P-256 or Ed25519, or in another form.
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
