//! A strict reader of CBOR (RFC 8949): definite lengths only, and nothing is allocated.

use crate::claims::{MAX_CLAIMS, TAG_QUOTE};
use crate::text::Quoted;
use minicbor::Decoder;
use minicbor::data::Type;

/// How deep arrays, maps and tags may nest in a claim of others.
const MAX_DEPTH: usize = 16;

/// Why bytes are not evidence in CBOR.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CborError {
    /// The bytes end early, have the wrong type, or a length that the bytes can't hold.
    #[error("at byte {at}: {problem}")]
    Syntax {
        /// The offset, in bytes from the start of the item.
        at: usize,
        /// What the decoder met.
        problem: String,
    },
    /// The tag is not that of a quote.
    #[error("tag {found} is not {TAG_QUOTE}, the tag of a quote")]
    Tag {
        /// The tag.
        found: u64,
    },
    /// The array does not have two items.
    #[error("the array has {found} items, not a quote and claims")]
    Items {
        /// How many items it has.
        found: u64,
    },
    /// A string, an array or a map does not say its length first.
    #[error("at byte {at}: the length is indefinite")]
    Indefinite {
        /// The offset, in bytes from the start of the item.
        at: usize,
    },
    /// Something follows the item.
    #[error("{count} bytes follow")]
    Trailing {
        /// How many bytes follow.
        count: usize,
    },
    /// A key occurs twice in the map of claims.
    #[error("the claim {name} occurs twice", name = Quoted(name))]
    Duplicate {
        /// The key.
        name: String,
    },
    /// The map has too many claims.
    #[error("{count} claims; the limit is {MAX_CLAIMS}")]
    TooMany {
        /// How many claims it announces.
        count: u64,
    },
    /// A claim nests too deep.
    #[error("at byte {at}: more than {MAX_DEPTH} levels deep")]
    TooDeep {
        /// The offset, in bytes from the start of the item.
        at: usize,
    },
    /// `pubkey-hash` names an unknown algorithm, or a hash of another length than the algorithm's.
    #[error("`pubkey-hash` has algorithm {algorithm} and {length} bytes")]
    KeyHash {
        /// The algorithm's number with IANA ("Named Information Hash Algorithm").
        algorithm: u64,
        /// The hash's length in bytes.
        length: usize,
    },
}

/// Reads items from bytes.
pub(crate) struct Reader<'b> {
    decoder: Decoder<'b>,
}

impl<'b> Reader<'b> {
    pub(crate) fn new(bytes: &'b [u8]) -> Self {
        Reader { decoder: Decoder::new(bytes) }
    }

    /// Reads the head of a map, and returns how many pairs follow.
    pub(crate) fn map(&mut self) -> Result<u64, CborError> {
        let at = self.decoder.position();
        self.item(Decoder::map)?.ok_or(CborError::Indefinite { at })
    }

    /// Reads the head of an array, and returns how many items follow.
    pub(crate) fn array(&mut self) -> Result<u64, CborError> {
        let at = self.decoder.position();
        self.item(Decoder::array)?.ok_or(CborError::Indefinite { at })
    }

    /// Reads a tag. Its content follows.
    pub(crate) fn tag(&mut self) -> Result<u64, CborError> {
        self.item(Decoder::tag).map(|tag| tag.as_u64())
    }

    /// Reads an integer that is not negative.
    pub(crate) fn unsigned(&mut self) -> Result<u64, CborError> {
        self.item(Decoder::u64)
    }

    /// Reads a string of bytes.
    pub(crate) fn bytes(&mut self) -> Result<&'b [u8], CborError> {
        self.is_definite()?;
        self.item(Decoder::bytes)
    }

    /// Reads a text.
    pub(crate) fn text(&mut self) -> Result<&'b str, CborError> {
        self.is_definite()?;
        self.item(Decoder::str)
    }

    /// Reads an item of any kind that lies `depth` levels deep, and forgets it.
    pub(crate) fn skip(&mut self, depth: usize) -> Result<(), CborError> {
        let at = self.decoder.position();
        if depth > MAX_DEPTH {
            return Err(CborError::TooDeep { at });
        }
        self.is_definite()?;
        let count = match self.item(|decoder| decoder.datatype())? {
            Type::Array => self.array()?,
            // A count of pairs that overflows is more than the bytes hold in any case.
            Type::Map => self.map()?.saturating_mul(2),
            Type::Tag => {
                self.tag()?;
                1
            }
            _ => {
                self.item(Decoder::skip)?;
                0
            }
        };
        // Each item takes a byte at least, so an absurd count fails at the end of the bytes.
        for _ in 0..count {
            self.skip(depth + 1)?;
        }
        Ok(())
    }

    /// Checks that nothing follows.
    pub(crate) fn end(&self) -> Result<(), CborError> {
        match self.decoder.input().len() - self.decoder.position() {
            0 => Ok(()),
            count => Err(CborError::Trailing { count }),
        }
    }

    /// Checks that the next item says its length first.
    fn is_definite(&mut self) -> Result<(), CborError> {
        let at = self.decoder.position();
        match self.item(|decoder| decoder.datatype())? {
            Type::BytesIndef | Type::StringIndef | Type::ArrayIndef | Type::MapIndef => {
                Err(CborError::Indefinite { at })
            }
            _ => Ok(()),
        }
    }

    fn item<T>(
        &mut self,
        read: impl FnOnce(&mut Decoder<'b>) -> Result<T, minicbor::decode::Error>,
    ) -> Result<T, CborError> {
        let at = self.decoder.position();
        read(&mut self.decoder)
            .map_err(|error| CborError::Syntax { at, problem: error.to_string() })
    }
}
