//! Encodes and decodes the values of directory entries.

use crate::error::{Error, Result};
use crate::format::attributes::{kind_code, kind_from_code};
use crate::format::numbers::InodeNo;
use twine_vfs::FileKind;

/// Number of bytes before the name.
const HEAD_BYTES: usize = 9;

/// Decodes an entry's value: inode, kind, and name. The name is UTF-8, but may be invalid.
pub(crate) fn parse(value: &[u8]) -> Result<(InodeNo, FileKind, &str)> {
    let damaged = || Error::damaged("a directory entry is not valid");
    let (inode, rest) = value.split_first_chunk::<8>().ok_or_else(damaged)?;
    let (kind, name) = rest.split_first().ok_or_else(damaged)?;
    let kind = kind_from_code(*kind).ok_or_else(damaged)?;
    let name = str::from_utf8(name).map_err(|_| damaged())?;
    Ok((InodeNo(u64::from_le_bytes(*inode)), kind, name))
}

/// Encodes an entry's value.
pub(crate) fn value(inode: InodeNo, kind: FileKind, name: &str) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEAD_BYTES + name.len());
    value.extend_from_slice(&inode.0.to_le_bytes());
    value.push(kind_code(kind));
    value.extend_from_slice(name.as_bytes());
    value
}
