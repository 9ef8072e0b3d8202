//! Manifests with their owner's signature: COSE_Sign1 (RFC 9052, section 4.2), with the algorithm
//! in the protected header, and nothing in the other one.

use crate::bytes::Bytes;
use crate::cbor;
use crate::manifest::{self, Invalid, Manifest};
use crate::owner::{Algorithm, BadSignature, PublicKey};
use minicbor::data::Tag;
use minicbor::{Decode, Decoder, Encode, Encoder};
use std::fmt;

/// The tag of COSE_Sign1.
const TAG: u64 = 18;

/// The label of the algorithm in a header (RFC 9052, section 3.1).
const ALGORITHM: u8 = 1;

/// The size of a signature of either algorithm, in bytes.
pub const SIGNATURE_BYTES: usize = 64;

/// Limit on the size of a signed manifest, in bytes.
pub const MAX_BYTES: usize = manifest::MAX_BYTES + 256;

/// A manifest and the signature that came with it, which is not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Envelope {
    protected: Bytes,
    payload: Bytes,
    signature: Bytes,
}

/// A manifest whose owner has signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    manifest: Manifest,
    owner: PublicKey,
}

/// Why bytes are not a manifest with its owner's signature.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The envelope is not COSE_Sign1 as this version writes it.
    Envelope(cbor::Error),
    /// The manifest in it is malformed.
    Manifest(cbor::Error),
    /// The manifest is not valid.
    Invalid(Invalid),
    /// The algorithm in the header is not that of the owner's key.
    Algorithm,
    /// The signature is not the owner's, or the manifest was changed after it was signed.
    Signature,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Envelope(error) => write!(f, "it is not a signed manifest: {error}"),
            Error::Manifest(error) => write!(f, "the signed manifest is damaged: {error}"),
            Error::Invalid(error) => error.fmt(f),
            Error::Algorithm => {
                f.write_str("the manifest's signature is of another algorithm than its owner's key")
            }
            Error::Signature => f.write_str(
                "the manifest's signature is not its owner's, or the manifest was changed after it \
                 was signed",
            ),
        }
    }
}

impl std::error::Error for Error {}

impl From<Invalid> for Error {
    fn from(error: Invalid) -> Self {
        Error::Invalid(error)
    }
}

impl From<BadSignature> for Error {
    fn from(BadSignature: BadSignature) -> Self {
        Error::Signature
    }
}

impl<C> Encode<C> for Envelope {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.tag(Tag::new(TAG))?.array(4)?.bytes(&self.protected.0)?.map(0)?;
        e.bytes(&self.payload.0)?.bytes(&self.signature.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Envelope {
    fn decode(d: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let wrong = minicbor::decode::Error::message;
        if d.tag()? != Tag::new(TAG) || d.array()? != Some(4) {
            return Err(wrong("not COSE_Sign1"));
        }
        let protected = d.bytes()?.into();
        if d.map()? != Some(0) {
            return Err(wrong("headers that are not protected"));
        }
        Ok(Envelope { protected, payload: d.bytes()?.into(), signature: d.bytes()?.into() })
    }
}

fn protected_header(algorithm: Algorithm) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder
        .map(1)
        .and_then(|e| e.u8(ALGORITHM)?.i64(algorithm.number()))
        .expect("writing to a Vec has no error of its own");
    encoder.into_writer()
}

/// Returns the bytes that are signed: Sig_structure (RFC 9052, section 4.4).
fn to_sign(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder
        .array(4)
        .and_then(|e| e.str("Signature1")?.bytes(protected)?.bytes(&[])?.bytes(payload))
        .expect("writing to a Vec has no error of its own");
    encoder.into_writer()
}

impl Signed {
    /// Signs a manifest with its owner's key: `sign` makes the signature of a message, of
    /// [`SIGNATURE_BYTES`] bytes (for P-256 in the fixed form of RFC 9053, section 2.1).
    ///
    /// # Errors
    /// The manifest is not valid, or `sign` used another key than the owner's.
    pub fn sign(
        manifest: &Manifest,
        sign: impl FnOnce(&[u8]) -> [u8; SIGNATURE_BYTES],
    ) -> Result<Vec<u8>, Error> {
        let owner = manifest.check()?;
        let (protected, payload) = (protected_header(owner.algorithm()), manifest.encode());
        let message = to_sign(&protected, &payload);
        let signature = sign(&message);
        owner.verify(&message, &signature)?;
        Ok(cbor::encode(&Envelope {
            protected: Bytes(protected),
            payload: Bytes(payload),
            signature: Bytes(signature.to_vec()),
        }))
    }

    /// Decodes a signed manifest, which must be all of `bytes`, and verifies its owner's signature.
    ///
    /// # Errors
    /// The bytes are not a valid manifest with its owner's signature.
    pub fn open(bytes: &[u8]) -> Result<Self, Error> {
        let envelope: Envelope = cbor::decode(bytes, MAX_BYTES).map_err(Error::Envelope)?;
        let manifest = Manifest::decode(&envelope.payload.0).map_err(Error::Manifest)?;
        let owner = manifest.check()?;
        if envelope.protected.0 != protected_header(owner.algorithm()) {
            return Err(Error::Algorithm);
        }
        owner
            .verify(&to_sign(&envelope.protected.0, &envelope.payload.0), &envelope.signature.0)?;
        Ok(Signed { manifest, owner })
    }

    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Its owner.
    pub fn owner(&self) -> &PublicKey {
        &self.owner
    }
}
