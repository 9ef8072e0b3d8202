//! What the platform's certificate says of the platform.

use crate::bytes::Hex;
use crate::collateral::Collateral;
use crate::crypto::sha256;
use crate::evidence::Evidence;
use crate::facts::PlatformFacts;
use dcap_qvl::{PckCertFlag, QuoteClaims};

/// A platform, by its certificate.
pub(crate) struct PlatformIdentity {
    pub(crate) facts: PlatformFacts,
    pub(crate) cpu_svn: [u8; 16],
    pub(crate) pce_svn: u16,
}

impl PlatformIdentity {
    /// Returns the platform of the certificate that `dcap-qvl` verified. No other reading of the chain
    /// may take its place: two readers of PEM could find two different certificates in one text.
    pub(crate) fn verified(claims: &QuoteClaims) -> PlatformIdentity {
        let pck = &claims.platform.pck;
        let flag = |flag| match flag {
            PckCertFlag::True => Some(true),
            PckCertFlag::False => Some(false),
            PckCertFlag::Undefined => None,
        };
        PlatformIdentity {
            facts: PlatformFacts {
                fmspc: Hex(pck.fmspc),
                ppid_hash: Hex(sha256(&pck.ppid)),
                instance: pck.platform_instance_id.map(Hex),
                smt: flag(pck.smt_enabled),
                dynamic: flag(pck.dynamic_platform),
                cached_keys: flag(pck.cached_keys),
            },
            cpu_svn: pck.cpu_svn,
            pce_svn: pck.pce_svn,
        }
    }

    /// Returns the platform that evidence claims to be of, for the explanation of a refusal; `None` if
    /// the certificate can't be read.
    pub(crate) fn claimed(
        evidence: &Evidence,
        collateral: &Collateral,
    ) -> Option<PlatformIdentity> {
        let pck = evidence.pck_chain(collateral).ok()?.pck_extension()?;
        let instance = pck.platform_instance_id;
        Some(PlatformIdentity {
            facts: PlatformFacts {
                fmspc: Hex(pck.fmspc),
                ppid_hash: Hex(sha256(&pck.ppid)),
                instance: instance.and_then(|bytes| bytes.try_into().ok()).map(Hex),
                smt: pck.smt_enabled,
                dynamic: pck.dynamic_platform,
                cached_keys: pck.cached_keys,
            },
            cpu_svn: pck.cpu_svn,
            pce_svn: pck.pce_svn,
        })
    }
}
