//! Encodes and decodes the attributes of inodes.

use crate::error::{Error, Result};
use crate::format::bytes::{Reader, Short};
use crate::format::limits::{MAX_FILE_BYTES, MAX_TARGET_BYTES};
use crate::format::numbers::InodeNo;
use twine_vfs::{FileKind, Mode};

/// The attributes of an inode, as stored in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) kind: FileKind,
    pub(crate) mode: Option<Mode>,
    /// Number of names; 0 for an inode that exists only while it is held.
    pub(crate) links: u64,
    /// Size of a file or of a link's target in bytes.
    pub(crate) size: u64,
    pub(crate) accessed: u64,
    pub(crate) modified: u64,
    pub(crate) changed: u64,
    /// The parent of a directory; [`InodeNo::NONE`] for others.
    pub(crate) parent: InodeNo,
}

const BYTES: usize = 8 + 6 * 8;

/// Distinguishes a mode without permissions from an unknown mode.
const MODE_IS_KNOWN: u16 = 1 << 15;

/// Encodes a mode.
#[expect(clippy::cast_possible_truncation, reason = "a mode has nine bits")]
fn mode_code(mode: Option<Mode>) -> u16 {
    mode.map_or(0, |mode| mode.bits() as u16 | MODE_IS_KNOWN)
}

fn mode_from_code(code: u16) -> Option<Mode> {
    (code & MODE_IS_KNOWN != 0).then(|| Mode::new(code.into()))
}

impl Attributes {
    pub(crate) fn encode(&self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[0] = kind_code(self.kind);
        bytes[2..4].copy_from_slice(&mode_code(self.mode).to_le_bytes());
        let numbers =
            [self.links, self.size, self.accessed, self.modified, self.changed, self.parent.0];
        for (number, place) in numbers.iter().zip(bytes[8..].as_chunks_mut::<8>().0) {
            *place = number.to_le_bytes();
        }
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(bytes);
        let mut read = || {
            let kind = kind_from_code(reader.u8()?).ok_or(Short)?;
            reader.bytes(1)?;
            let mode = mode_from_code(reader.u16()?);
            reader.bytes(4)?;
            Ok(Attributes {
                kind,
                mode,
                links: reader.u64()?,
                size: reader.u64()?,
                accessed: reader.u64()?,
                modified: reader.u64()?,
                changed: reader.u64()?,
                parent: InodeNo(reader.u64()?),
            })
        };
        let attributes: Self =
            read().map_err(|_: Short| Error::damaged("an inode is not valid"))?;
        let most = match attributes.kind {
            FileKind::File => MAX_FILE_BYTES,
            FileKind::SymbolicLink => MAX_TARGET_BYTES as u64,
            FileKind::Directory => 0,
        };
        if attributes.size > most {
            return Err(Error::damaged("an inode has a size that none of its kind can have"));
        }
        Ok(attributes)
    }
}

/// Encodes the kind of an inode.
pub(crate) fn kind_code(kind: FileKind) -> u8 {
    match kind {
        FileKind::File => 1,
        FileKind::Directory => 2,
        FileKind::SymbolicLink => 3,
    }
}

pub(crate) fn kind_from_code(code: u8) -> Option<FileKind> {
    match code {
        1 => Some(FileKind::File),
        2 => Some(FileKind::Directory),
        3 => Some(FileKind::SymbolicLink),
        _ => None,
    }
}
