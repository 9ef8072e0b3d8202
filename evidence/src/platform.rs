//! What an owner demands of the platform, before an enclave on it gets his deployment. The tools of
//! the owner check it: an enclave can't know it of itself.

use crate::bytes::Digest;
use minicbor::{Decode, Encode};
use std::fmt;

/// Limit on the number of platforms that a manifest names.
pub const MAX_PLATFORMS: usize = 1024;

/// What an owner demands of the platform, in the words of the verifier's policies. What is left out
/// has the policies' default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(map)]
pub struct Platform {
    /// The root of trust.
    #[cbor(n(0), skip_if = "Root::is_intel")]
    pub root: Root,
    /// The accepted TCB statuses, in their order and each once. If it is empty, they are
    /// [`TcbStatus::DEFAULT`].
    #[cbor(n(1), skip_if = "Vec::is_empty")]
    pub statuses: Vec<TcbStatus>,
    /// The least `tcbEvaluationDataNumber` of TCB info and QE identity.
    #[n(2)]
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "Option::is_none"))]
    pub least_evaluation_number: Option<u32>,
    /// The SHA-256 of the PPIDs of the accepted platforms, at most [`MAX_PLATFORMS`]. If it is empty,
    /// every genuine platform is accepted.
    #[cbor(n(3), skip_if = "Vec::is_empty")]
    pub ppid_hashes: Vec<Digest>,
}

/// The root of trust of a platform's evidence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[cbor(index_only)]
pub enum Root {
    /// Intel's: hardware.
    #[default]
    #[n(0)]
    Intel,
    /// The simulation's: everybody can sign under it. Evidence of hardware is refused.
    #[n(1)]
    Simulation,
}

/// What Intel says of a platform's security version. A platform that is revoked can't be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cbor(index_only)]
pub enum TcbStatus {
    /// Nothing is missing.
    #[n(0)]
    UpToDate,
    /// Programs need mitigations of their own.
    #[n(1)]
    SWHardeningNeeded,
    /// The firmware's settings are not secure.
    #[n(2)]
    ConfigurationNeeded,
    /// Both of these.
    #[n(3)]
    ConfigurationAndSWHardeningNeeded,
    /// Updates are missing.
    #[n(4)]
    OutOfDate,
    /// Updates are missing, and the firmware's settings are not secure.
    #[n(5)]
    OutOfDateConfigurationNeeded,
}

impl Platform {
    /// Whether all has its default.
    pub fn is_default(&self) -> bool {
        *self == Platform::default()
    }

    /// The accepted TCB statuses.
    pub fn accepted_statuses(&self) -> &[TcbStatus] {
        if self.statuses.is_empty() { &TcbStatus::DEFAULT } else { &self.statuses }
    }
}

impl Root {
    /// Whether it is the default.
    fn is_intel(&self) -> bool {
        *self == Root::Intel
    }
}

impl TcbStatus {
    /// All statuses, in their order.
    pub const ALL: [TcbStatus; 6] = [
        TcbStatus::UpToDate,
        TcbStatus::SWHardeningNeeded,
        TcbStatus::ConfigurationNeeded,
        TcbStatus::ConfigurationAndSWHardeningNeeded,
        TcbStatus::OutOfDate,
        TcbStatus::OutOfDateConfigurationNeeded,
    ];

    /// Those that are accepted if a manifest names none.
    pub const DEFAULT: [TcbStatus; 2] = [TcbStatus::UpToDate, TcbStatus::SWHardeningNeeded];
}

impl fmt::Display for TcbStatus {
    /// Writes the name as Intel has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
