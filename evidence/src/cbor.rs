//! Deterministic CBOR (RFC 8949, section 4.2.1): shortest forms, definite lengths, keys of maps in
//! order. One value has one encoding, and bytes in any other encoding are refused.

use minicbor::{Decode, Encode};
use std::fmt;

/// Why bytes are not the encoding of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The bytes are not CBOR, or not a value of the type. The text says what was found.
    Malformed(String),
    /// The bytes are a value in another encoding than the deterministic one, contain something
    /// that this version does not know, or more bytes follow.
    NotCanonical,
    /// The bytes are more than the limit for this type.
    TooLong {
        /// The number of bytes.
        length: usize,
        /// The limit.
        limit: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Malformed(what) => write!(f, "malformed CBOR: {what}"),
            Error::NotCanonical => f.write_str(
                "CBOR in another form than the deterministic one, or with parts that are not known",
            ),
            Error::TooLong { length, limit } => {
                write!(f, "{length} bytes, where at most {limit} are allowed")
            }
        }
    }
}

impl std::error::Error for Error {}

/// Encodes a value.
pub fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    minicbor::to_vec(value).expect("writing to a Vec has no error of its own")
}

/// Decodes a value, whose deterministic encoding must be all of `bytes`.
///
/// # Errors
/// The bytes are more than `limit`, or anything but that encoding.
pub fn decode<'b, T: Decode<'b, ()> + Encode<()>>(
    bytes: &'b [u8],
    limit: usize,
) -> Result<T, Error> {
    if bytes.len() > limit {
        return Err(Error::TooLong { length: bytes.len(), limit });
    }
    let value: T = minicbor::decode(bytes).map_err(|error| Error::Malformed(error.to_string()))?;
    // The encoder knows one form only. Whatever else the decoder accepts differs from it.
    if encode(&value) == bytes { Ok(value) } else { Err(Error::NotCanonical) }
}
