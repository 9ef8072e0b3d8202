//! Keys of volumes, as the host passes them.

use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};

/// Minimum size of a key file, in bytes. The contents must be a key, not a passphrase.
pub const MIN_KEY_FILE_BYTES: usize = 32;

/// Limit on the size of a key file, in bytes.
pub const MAX_KEY_FILE_BYTES: usize = 64 << 10;

/// The key that opens a volume.
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
    /// Leaves the secret out.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            VolumeKey::Sealed(sealing) => f.debug_tuple("Sealed").field(sealing).finish(),
            VolumeKey::File(_) => f.write_str("File"),
            VolumeKey::Passphrase(_) => f.write_str("Passphrase"),
        }
    }
}

/// Which enclaves can derive a sealing key, and while they run which programs. The key's slot in
/// the volume records it. To open a volume, a request states the widest policy that it accepts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealing {
    /// Whether only this image can derive the key (KEYPOLICY.MRENCLAVE), or all newer images of its
    /// signer too (KEYPOLICY.MRSIGNER).
    pub this_image: bool,
    /// What the enclave must run.
    pub scope: Scope,
}

impl Sealing {
    /// The policy of a deployment's keys.
    pub const DEPLOYMENT: Sealing = Sealing { this_image: true, scope: Scope::Deployment };
}

/// What an enclave must run to derive a sealing key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Scope {
    /// The program that ran when the key was made.
    #[default]
    Program,
    /// Any program.
    AnyProgram,
    /// A program under a signed manifest of the same owner, name and generation. The key is always
    /// one of this image.
    Deployment,
}
