//! Writes CBOR, right or wrong (RFC 8949).

use super::pki::sha256;

/// The head of an item: its major type and its number, in the shortest form.
pub fn head(major: u8, number: u64) -> Vec<u8> {
    let major = major << 5;
    match number {
        0..=23 => vec![major | number as u8],
        24..=0xff => vec![major | 24, number as u8],
        0x100..=0xffff => [&[major | 25], &(number as u16).to_be_bytes()[..]].concat(),
        0x1_0000..=0xffff_ffff => [&[major | 26], &(number as u32).to_be_bytes()[..]].concat(),
        _ => [&[major | 27], &number.to_be_bytes()[..]].concat(),
    }
}

pub fn bytes(content: &[u8]) -> Vec<u8> {
    [head(2, content.len() as u64), content.to_vec()].concat()
}

pub fn text(content: &str) -> Vec<u8> {
    [head(3, content.len() as u64), content.as_bytes().to_vec()].concat()
}

/// A map, whose keys are texts and whose values are encoded.
pub fn map(pairs: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let pairs_encoded = pairs.iter().flat_map(|(key, value)| [text(key), value.clone()].concat());
    [head(5, pairs.len() as u64), pairs_encoded.collect()].concat()
}

/// `60000([quote, claims])`.
pub fn evidence(quote: &[u8], claims: &[u8]) -> Vec<u8> {
    [head(6, 60000), head(4, 2), bytes(quote), bytes(claims)].concat()
}

/// The value of `pubkey-hash`.
pub fn key_hash(algorithm: u64, hash: &[u8]) -> Vec<u8> {
    bytes(&[head(4, 2), head(0, algorithm), bytes(hash)].concat())
}

/// The pair `pubkey-hash` of a key, by SHA-256.
pub fn pubkey(info: &[u8]) -> (&'static str, Vec<u8>) {
    ("pubkey-hash", key_hash(1, &sha256(info)))
}
