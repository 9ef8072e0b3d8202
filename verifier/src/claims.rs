//! Evidence in CBOR, as interoperable RA-TLS has it: a quote, and the claims that the quote's report
//! data binds.
//!
//! The format is `60000([quote: bstr, claims: bstr])`, and `claims` holds a map with text for keys
//! (Confidential Computing Consortium, "Interoperable RA-TLS", evidence formats). Integers, floating
//! point and nesting may occur in claims of others, which are skipped. Lengths are definite, a key
//! occurs once, and nothing follows.

use crate::cbor::{CborError, Reader};
use crate::crypto::{sha256, sha384, sha512};
use std::collections::BTreeSet;
use std::fmt;

/// The tag of evidence with a quote, registered with IANA.
pub(crate) const TAG_QUOTE: u64 = 60000;

/// How many claims a map may have.
pub(crate) const MAX_CLAIMS: u64 = 256;

/// The claims that came with a quote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    encoded: Vec<u8>,
    key_hash: Option<KeyHash>,
    nonce: Option<Vec<u8>>,
    twine: Option<Vec<u8>>,
    others: Vec<String>,
}

impl Claims {
    /// Reads the map of claims.
    ///
    /// # Errors
    /// [`CborError`] if the bytes are not such a map.
    pub fn parse(encoded: &[u8]) -> Result<Claims, CborError> {
        let mut reader = Reader::new(encoded);
        let count = reader.map()?;
        if count > MAX_CLAIMS {
            return Err(CborError::TooMany { count });
        }
        let mut claims = Claims {
            encoded: encoded.to_vec(),
            key_hash: None,
            nonce: None,
            twine: None,
            others: Vec::new(),
        };
        let mut names = BTreeSet::new();
        for _ in 0..count {
            let name = reader.text()?;
            if !names.insert(name) {
                return Err(CborError::Duplicate { name: name.to_owned() });
            }
            match name {
                "pubkey-hash" => claims.key_hash = Some(KeyHash::parse(reader.bytes()?)?),
                "nonce" => claims.nonce = Some(reader.bytes()?.to_vec()),
                "twine" => claims.twine = Some(reader.bytes()?.to_vec()),
                _ => {
                    reader.skip(0)?;
                    claims.others.push(name.to_owned());
                }
            }
        }
        reader.end()?;
        Ok(claims)
    }

    /// Returns the claim `pubkey-hash`: the hash of a key, which whoever has the key proves to be in
    /// the enclave.
    pub fn key_hash(&self) -> Option<&KeyHash> {
        self.key_hash.as_ref()
    }

    /// Returns the claim `nonce`: the bytes that a relying party asked for.
    pub fn nonce(&self) -> Option<&[u8]> {
        self.nonce.as_deref()
    }

    /// Returns the claim `twine`: the statement of what was launched, encoded.
    pub fn twine(&self) -> Option<&[u8]> {
        self.twine.as_deref()
    }

    /// Returns the names of all other claims. No check looks at them.
    pub fn others(&self) -> &[String] {
        &self.others
    }

    /// Returns the report data that binds these claims: their SHA-256, then 32 zero bytes.
    pub fn report_data(&self) -> [u8; 64] {
        let mut data = [0; 64];
        data[..32].copy_from_slice(&sha256(&self.encoded));
        data
    }
}

/// The hash of a public key, which is encoded as a SubjectPublicKeyInfo in DER (RFC 5280, 4.1.2.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyHash {
    /// SHA-256, number 1.
    Sha256([u8; 32]),
    /// SHA-384, number 7.
    Sha384([u8; 48]),
    /// SHA-512, number 8.
    Sha512([u8; 64]),
}

impl KeyHash {
    /// Reads the claim's content, which is CBOR once more: `[algorithm: uint, hash: bstr]`.
    fn parse(encoded: &[u8]) -> Result<KeyHash, CborError> {
        let mut reader = Reader::new(encoded);
        let found = reader.array()?;
        if found != 2 {
            return Err(CborError::Items { found });
        }
        let algorithm = reader.unsigned()?;
        let hash = reader.bytes()?;
        reader.end()?;
        let unknown = |_| CborError::KeyHash { algorithm, length: hash.len() };
        match algorithm {
            1 => hash.try_into().map(KeyHash::Sha256).map_err(unknown),
            7 => hash.try_into().map(KeyHash::Sha384).map_err(unknown),
            8 => hash.try_into().map(KeyHash::Sha512).map_err(unknown),
            _ => Err(CborError::KeyHash { algorithm, length: hash.len() }),
        }
    }

    /// Returns the SHA-256 of the key, if that is the algorithm.
    pub(crate) fn sha256(&self) -> Option<[u8; 32]> {
        match self {
            KeyHash::Sha256(hash) => Some(*hash),
            KeyHash::Sha384(_) | KeyHash::Sha512(_) => None,
        }
    }

    /// Returns whether this is the hash of a key, in DER.
    pub fn is_of(&self, public_key: &[u8]) -> bool {
        match self {
            KeyHash::Sha256(hash) => *hash == sha256(public_key),
            KeyHash::Sha384(hash) => *hash == sha384(public_key),
            KeyHash::Sha512(hash) => *hash == sha512(public_key),
        }
    }
}

impl fmt::Display for KeyHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, hash) = match self {
            KeyHash::Sha256(hash) => ("SHA-256", &hash[..]),
            KeyHash::Sha384(hash) => ("SHA-384", &hash[..]),
            KeyHash::Sha512(hash) => ("SHA-512", &hash[..]),
        };
        write!(out, "{name} {}", hex::encode(hash))
    }
}

/// Reads `60000([quote, claims])`, and returns the quote and the claims, which are not looked at.
pub(crate) fn quote_and_claims(encoded: &[u8]) -> Result<(&[u8], &[u8]), CborError> {
    let mut reader = Reader::new(encoded);
    let found = reader.tag()?;
    if found != TAG_QUOTE {
        return Err(CborError::Tag { found });
    }
    let found = reader.array()?;
    if found != 2 {
        return Err(CborError::Items { found });
    }
    let quote = reader.bytes()?;
    let claims = reader.bytes()?;
    reader.end()?;
    Ok((quote, claims))
}
