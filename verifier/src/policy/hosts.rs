//! What an owner accepts of an enclave that waits for deployments, before it gets his.

use super::{
    ClaimRules, CollateralRules, EnclaveRules, LaunchRules, PlatformRules, Policy, Root, TcbRules,
    TcbStatus,
};
use crate::bytes::Hex;
use twine_evidence::manifest::Manifest;
use twine_evidence::platform;
use twine_evidence::statement::Kind;

impl Policy {
    /// Returns the policy by which an owner, or whoever deploys for him, verifies an enclave that waits
    /// for deployments: an image that the manifest allows, on a platform that it accepts. What the
    /// manifest leaves open has the value that policies have by default.
    ///
    /// That code is not writable while it runs, the enclave itself sees to: the manifest tells it, and no
    /// program runs yet.
    pub fn for_host(manifest: &Manifest) -> Policy {
        let wanted = &manifest.platform;
        Policy {
            root: match wanted.root {
                platform::Root::Intel => Root::Intel,
                platform::Root::Simulation => Root::Simulation,
            },
            enclave: EnclaveRules {
                images: manifest.images.clone(),
                debug: manifest.demands.allow_debug,
                ..EnclaveRules::default()
            },
            claims: ClaimRules::default(),
            launch: Some(LaunchRules {
                kind: Some(Kind::Host),
                writable_code: manifest.demands.allow_writable_code,
                ..LaunchRules::default()
            }),
            tcb: TcbRules {
                statuses: wanted.accepted_statuses().iter().copied().map(status).collect(),
                least_evaluation_number: wanted.least_evaluation_number,
                ..TcbRules::default()
            },
            collateral: CollateralRules::default(),
            platform: PlatformRules {
                ppid_hashes: wanted.ppid_hashes.iter().map(|hash| Hex(hash.0)).collect(),
                ..PlatformRules::default()
            },
        }
    }
}

/// Returns the verifier's name of a status.
fn status(status: platform::TcbStatus) -> TcbStatus {
    use platform::TcbStatus as Named;
    match status {
        Named::UpToDate => TcbStatus::UpToDate,
        Named::SWHardeningNeeded => TcbStatus::SWHardeningNeeded,
        Named::ConfigurationNeeded => TcbStatus::ConfigurationNeeded,
        Named::ConfigurationAndSWHardeningNeeded => TcbStatus::ConfigurationAndSWHardeningNeeded,
        Named::OutOfDate => TcbStatus::OutOfDate,
        Named::OutOfDateConfigurationNeeded => TcbStatus::OutOfDateConfigurationNeeded,
    }
}
