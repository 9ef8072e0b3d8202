//! Who may do what with a deployment, besides its owner, who may do everything.

use crate::bytes::Bytes;
use minicbor::{Decode, Encode};
use std::fmt;

/// Limit on the number of keys in each list.
pub const MAX_KEYS: usize = 64;

/// What somebody else than the owner may do with a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Right {
    /// Start it, with values for its secrets, and attach to those of its streams that lead to the
    /// owner.
    Deploy,
    /// See its state, and its log.
    Look,
    /// Stop it.
    Stop,
    /// Read and change the files of its volumes while it does not run.
    Files,
}

impl Right {
    /// All rights.
    pub const ALL: [Right; 4] = [Right::Deploy, Right::Look, Right::Stop, Right::Files];

    /// The word of a manifest.
    pub fn name(self) -> &'static str {
        match self {
            Right::Deploy => "deploy",
            Right::Look => "look",
            Right::Stop => "stop",
            Right::Files => "files",
        }
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The public keys of those who have rights: DER-encoded SubjectPublicKeyInfos of P-256 or Ed25519, at
/// most [`MAX_KEYS`] for each right. No right contains another one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Access {
    /// Who has [`Right::Deploy`].
    #[cbor(n(0), skip_if = "Vec::is_empty")]
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::bytes::each_as_hex"))]
    pub deploy: Vec<Bytes>,
    /// Who has [`Right::Look`].
    #[cbor(n(1), skip_if = "Vec::is_empty")]
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::bytes::each_as_hex"))]
    pub look: Vec<Bytes>,
    /// Who has [`Right::Stop`].
    #[cbor(n(2), skip_if = "Vec::is_empty")]
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::bytes::each_as_hex"))]
    pub stop: Vec<Bytes>,
    /// Who has [`Right::Files`].
    #[cbor(n(3), skip_if = "Vec::is_empty")]
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::bytes::each_as_hex"))]
    pub files: Vec<Bytes>,
}

impl Access {
    /// Whether nobody but the owner has any right.
    pub fn is_none(&self) -> bool {
        Right::ALL.iter().all(|right| self.keys(*right).is_empty())
    }

    /// The keys that have a right.
    pub fn keys(&self, right: Right) -> &[Bytes] {
        match right {
            Right::Deploy => &self.deploy,
            Right::Look => &self.look,
            Right::Stop => &self.stop,
            Right::Files => &self.files,
        }
    }
}
