//! The kinds of key slots.

use std::fmt;

/// The kind of key that opens a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SlotKind {
    /// A key that the caller derives from parameters that only the caller understands.
    Sealed,
    /// The contents of a key file.
    KeyFile,
    /// A passphrase, hashed with Argon2id.
    Passphrase,
}

impl SlotKind {
    pub(crate) fn code(self) -> u8 {
        match self {
            SlotKind::Sealed => 1,
            SlotKind::KeyFile => 2,
            SlotKind::Passphrase => 3,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(SlotKind::Sealed),
            2 => Some(SlotKind::KeyFile),
            3 => Some(SlotKind::Passphrase),
            _ => None,
        }
    }
}

impl fmt::Display for SlotKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SlotKind::Sealed => "sealing key",
            SlotKind::KeyFile => "key file",
            SlotKind::Passphrase => "passphrase",
        })
    }
}
