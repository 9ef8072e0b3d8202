//! What the enclave keeps in a state folder of the host, by names that the enclave chooses: records,
//! and storages.

use core::str;

/// Limit on the length of a name, in bytes.
pub const MAX_NAME: usize = 128;

/// Limit on the number of records that the enclave lists.
pub const MAX_RECORDS: usize = 1 << 16;

/// Returns the name that these bytes are: 1 to [`MAX_NAME`] lower-case letters, digits and hyphens.
/// So a name is one component of a path, and leads nowhere else. `None` for other bytes.
pub fn name(bytes: &[u8]) -> Option<&str> {
    let allowed = |byte: &u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let is_name = (1..=MAX_NAME).contains(&bytes.len()) && bytes.iter().all(allowed);
    str::from_utf8(bytes).ok().filter(|_| is_name)
}

/// Bits of the `flags` of `storage_open`.
pub mod open {
    /// Create the storage if there is none of this name.
    pub const CREATE: u64 = 1;
    /// Only read. Not together with [`CREATE`].
    pub const READ_ONLY: u64 = 2;
}

/// Bits of the `flags` of `record_write`.
pub mod write {
    /// The data start a new content.
    pub const FIRST: u64 = 1;
    /// The data end the new content, which replaces the old one.
    pub const LAST: u64 = 2;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_harmless_component_of_a_path() {
        for name in ["a", "-", "0", "z-9", &"x".repeat(MAX_NAME)] {
            assert_eq!(super::name(name.as_bytes()), Some(name));
        }
        let bad = ["", ".", "..", "a/b", "/", "a.b", "A", "a b", "a_b", "a\0", "ä", "a\n"];
        for name in bad.into_iter().chain([&*"x".repeat(MAX_NAME + 1)]) {
            assert_eq!(super::name(name.as_bytes()), None, "{name:?}");
        }
        for byte in 0x80..=0xff {
            assert_eq!(name(&[byte]), None);
        }
    }
}
