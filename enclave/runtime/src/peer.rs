//! Verifies evidence of peers, inside.
//!
//! The host gives collateral and the time. Collateral is signed, so the host can only keep it back, or
//! give older collateral that its clock makes current: then a peer whose platform, or whose TCB, has been
//! revoked since is accepted. The policy's `least-evaluation-number` bounds that.

use std::fmt;
use std::time::Duration;
use twine_boundary::Error as BoundaryError;
use twine_evidence::bytes::Digest;
use twine_protocol::wire::{Clock, Issuer, MAX_COLLATERAL};
use twine_sgx::host;
use twine_verifier::{
    Ca, Collateral, CollateralError, Evidence, MAX_COLLATERAL_BYTES, Moment, Platform, Policy,
    Request, Root, Roots, Tee, Verdict,
};

const _: () = assert!(MAX_COLLATERAL == MAX_COLLATERAL_BYTES as u64);

/// The root of software SGX. Everybody can sign under it, and only policies that name it accept that.
const SIMULATION_ROOT: &[u8] = include_bytes!("../../../sgx-sim/quoting/src/root.der");

/// What the evidence must contain beside what the policy demands.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Expected<'a> {
    /// The nonce that the peer was asked with.
    pub(crate) nonce: Option<&'a [u8]>,
    /// What the peer's program must say.
    pub(crate) data: Option<&'a [u8]>,
    /// The peer's public key: a SubjectPublicKeyInfo in DER.
    pub(crate) public_key: Option<&'a [u8]>,
    /// What binds the evidence to the connection (`twine_evidence::channel::binder`).
    pub(crate) channel: Option<Digest>,
}

/// Why a peer is not accepted.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The evidence does not pass the checks, which the verdict lists with their reasons.
    Evidence(Box<Verdict>),
    /// The host has no collateral for the peer's platform.
    NoCollateral,
    /// What the host gave as collateral is none.
    Collateral(CollateralError),
    /// The host did not answer as it must.
    Host(BoundaryError),
    /// The host does not tell the time.
    NoTime,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Evidence(verdict) => {
                f.write_str(verdict.refused().unwrap_or("the quote could not be verified"))
            }
            Refused::NoCollateral => {
                f.write_str("the host has no collateral for the platform of the evidence")
            }
            Refused::Collateral(error) => error.fmt(f),
            Refused::Host(error) => error.fmt(f),
            Refused::NoTime => f.write_str("the host does not tell the time"),
        }
    }
}

/// Verifies evidence by a policy. Returns the verdict only if it accepts.
///
/// # Errors
/// [`Refused`]: the evidence is refused, or the host gives no collateral to verify it by.
pub(crate) fn verify(
    evidence: &[u8],
    policy: &Policy,
    expected: Expected<'_>,
) -> Result<Verdict, Refused> {
    let at = now()?;
    let roots = Roots::with_simulation(SIMULATION_ROOT.to_vec());
    let platform = Evidence::parse(evidence)
        .ok()
        .and_then(|evidence| evidence.certified_platform(policy, &roots, at));
    let collateral = collateral(platform.as_ref(), policy)?;
    let verdict = twine_verifier::verify(&Request {
        evidence,
        collateral: &collateral,
        policy,
        roots: &roots,
        at,
        nonce: expected.nonce,
        data: expected.data,
        public_key: expected.public_key,
        channel: expected.channel.map(|Digest(channel)| channel),
        report_data: None,
    });
    match verdict.is_accepted() {
        true => Ok(verdict),
        false => Err(Refused::Evidence(Box::new(verdict))),
    }
}

/// The time of the host's clock.
fn now() -> Result<Moment, Refused> {
    let nanoseconds = twine_sgx::time(Clock::Realtime).map_err(|_| Refused::NoTime)?;
    Ok(Moment(Duration::from_nanos(nanoseconds).as_secs()))
}

/// Returns the host's collateral for a platform. Where no collateral makes the evidence good, it is that
/// of the simulation, for which the host asks nobody: the verdict says what is wrong.
fn collateral(platform: Option<&Platform>, policy: &Policy) -> Result<Collateral, Refused> {
    let (fmspc, issuer) = match platform {
        Some(Platform { fmspc, ca, tee: Tee::Sgx }) if policy.root != Root::Simulation => (
            *fmspc,
            match ca {
                Ca::Processor => Issuer::Processor,
                Ca::Platform => Issuer::Platform,
            },
        ),
        _ => ([0; 6], Issuer::Simulation),
    };
    let json = host().collateral(fmspc, issuer).map_err(Refused::Host)?;
    Collateral::from_json(&json.ok_or(Refused::NoCollateral)?).map_err(Refused::Collateral)
}
