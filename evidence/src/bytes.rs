//! Byte strings: hashes, and arguments and variables, which need not be text.

use graviola::hashing::{Hash, Sha256};
use minicbor::{Decode, Decoder, Encode, Encoder};
use std::fmt;

/// A SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Hashes bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut digest = [0; 32];
        digest.copy_from_slice(Sha256::hash(bytes).as_ref());
        Digest(digest)
    }

    /// Reads 64 hexadecimal digits. `None` if `text` is anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        from_hex(text)?.try_into().ok().map(Digest)
    }
}

/// Reads hexadecimal digits, two for each byte. `None` if `text` is anything else.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit =
        |digit: &u8| char::from(*digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect()
}

/// Writes bytes as hexadecimal digits in lower case.
pub fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<C> Encode<C> for Digest {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Digest {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        let bytes = decoder.bytes()?;
        bytes.try_into().map(Digest).map_err(|_| minicbor::decode::Error::message("not 32 bytes"))
    }
}

/// A byte string of any length.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// Shows the bytes as text, with escapes for those that are not printable.
    pub fn escaped(&self) -> String {
        match std::str::from_utf8(&self.0) {
            Ok(text) => text.escape_debug().to_string(),
            Err(_) => self.0.escape_ascii().to_string(),
        }
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Bytes(bytes.to_vec())
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Bytes(text.as_bytes().to_vec())
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escaped())
    }
}

impl<C> Encode<C> for Bytes {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        encoder.bytes(&self.0)?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Bytes {
    fn decode(decoder: &mut Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
        // `bytes` refuses a length that is more than what follows, before memory is taken.
        decoder.bytes().map(Bytes::from)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for Digest {
    /// Hexadecimal digits.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Writes bytes that are never text, such as a key, as hexadecimal digits.
#[cfg(feature = "serde")]
pub(crate) fn as_hex<S: serde::Serializer>(
    bytes: &Bytes,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&to_hex(&bytes.0))
}

/// Writes byte strings as [`as_hex`] does.
#[cfg(feature = "serde")]
pub(crate) fn each_as_hex<S: serde::Serializer>(
    list: &[Bytes],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(list.iter().map(|bytes| to_hex(&bytes.0)))
}

/// Writes bytes that may be absent as [`as_hex`] does.
#[cfg(feature = "serde")]
pub(crate) fn as_hex_if_any<S: serde::Serializer>(
    bytes: &Option<Bytes>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serde::Serialize::serialize(&bytes.as_ref().map(|bytes| to_hex(&bytes.0)), serializer)
}

#[cfg(feature = "serde")]
impl serde::Serialize for Bytes {
    /// The text, or `{"hex": ...}` if the bytes are not UTF-8.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        if let Ok(text) = std::str::from_utf8(&self.0) {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("hex", &to_hex(&self.0))?;
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_64_hexadecimal_digits_and_nothing_else() {
        let digest = Digest::of(b"abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), text);
        assert_eq!(Digest::from_hex(text), Some(digest));
        assert_eq!(Digest::from_hex(&text.to_uppercase()), Some(digest));
        for wrong in ["", "ab", &text[1..], &format!("{text}00"), &text.replace('b', "g")] {
            assert_eq!(Digest::from_hex(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_with_escapes() {
        assert_eq!(Bytes::from("a\nb").escaped(), "a\\nb");
        assert_eq!(Bytes(vec![0xff, b'a']).escaped(), "\\xffa");
    }
}
