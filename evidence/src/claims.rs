//! The claims that a report vouches for, and evidence, in the form of the Confidential Computing
//! Consortium's interoperable RA-TLS ("Interoperable RA-TLS certificate evidence formats").

use crate::bytes::Digest;
use minicbor::data::Tag;
use minicbor::encode::{Error, Write};
use minicbor::{Encode, Encoder};

/// The tag of evidence with a quote of a TEE.
pub const EVIDENCE_TAG: u64 = 60000;

/// The number of SHA-256 among the algorithms of `pubkey-hash`.
pub const SHA256_ALGORITHM: u64 = 1;

/// The claims that an enclave makes. In this map each key is a text, and each value is a byte
/// string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The SHA-256 of the public key that the evidence is for, as a DER-encoded
    /// SubjectPublicKeyInfo, or [`no_key`].
    pub key: Digest,
    /// The nonce of whoever asked for evidence.
    pub nonce: Option<Vec<u8>>,
    /// The launch statement, encoded.
    pub statement: Vec<u8>,
}

/// The `pubkey-hash` of evidence of what a program says: the SHA-256 of a text, which is no key. So this
/// evidence vouches for nobody's key, whoever reads it.
pub fn no_key() -> Digest {
    Digest::of(b"twine-no-key-v1")
}

impl<C> Encode<C> for Claims {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, _: &mut C) -> Result<(), Error<W::Error>> {
        // The keys in order: shorter ones first, then by their bytes.
        e.map(2 + u64::from(self.nonce.is_some()))?;
        if let Some(nonce) = &self.nonce {
            e.str("nonce")?.bytes(nonce)?;
        }
        e.str("twine")?.bytes(&self.statement)?;
        let mut hash = Encoder::new(Vec::new());
        let _ = hash.array(2).and_then(|e| e.u64(SHA256_ALGORITHM)?.bytes(&self.key.0));
        e.str("pubkey-hash")?.bytes(&hash.into_writer())?.ok()
    }
}

impl Claims {
    /// The claims as bytes.
    pub fn encode(&self) -> Vec<u8> {
        crate::cbor::encode(self)
    }
}

/// The REPORTDATA of a report that vouches for encoded claims: their SHA-256, and 32 zeros.
pub fn report_data(claims: &[u8]) -> [u8; 64] {
    let mut data = [0; 64];
    let (hash, _) = data.split_at_mut(32);
    hash.copy_from_slice(&Digest::of(claims).0);
    data
}

/// Makes evidence of a quote and the encoded claims that it vouches for:
/// `60000([quote, claims])`.
pub fn evidence(quote: &[u8], claims: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    encoder
        .tag(Tag::new(EVIDENCE_TAG))
        .and_then(|e| e.array(2)?.bytes(quote)?.bytes(claims))
        .expect("writing to a Vec has no error of its own");
    encoder.into_writer()
}
