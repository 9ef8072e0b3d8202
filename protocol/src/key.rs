//! Keys of volumes, as the host names them.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// A key file has at least this many bytes: it is a key, not a passphrase.
pub const MIN_KEY_FILE_BYTES: usize = 32;

/// A key file has at most this many bytes.
pub const MAX_KEY_FILE_BYTES: usize = 64 << 10;

/// What opens a volume.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum VolumeKey {
    /// A key that only an enclave can derive.
    Sealed(Sealing),
    /// The contents of a key file.
    File(Vec<u8>),
    /// A passphrase.
    Passphrase(String),
}

impl core::fmt::Debug for VolumeKey {
    /// Without the secret.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            VolumeKey::Sealed(sealing) => f.debug_tuple("Sealed").field(sealing).finish(),
            VolumeKey::File(_) => f.write_str("File"),
            VolumeKey::Passphrase(_) => f.write_str("Passphrase"),
        }
    }
}

/// Which enclaves, running which programs, can derive a sealing key. It is asked for when
/// a volume is made or a key is added; the volume itself says it afterwards.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealing {
    /// Enclaves of this very image only (KEYPOLICY.MRENCLAVE), not all newer ones of its
    /// signer (KEYPOLICY.MRSIGNER).
    pub this_image: bool,
    /// Any program, not just the one that runs.
    pub any_program: bool,
}
