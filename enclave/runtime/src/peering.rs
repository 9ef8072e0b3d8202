//! Evidence of a deployment for the other ends of its attested connections, and the verification of
//! theirs.

use crate::attestation;
use crate::certificate::RunKey;
use crate::peer::{self, Expected as Wanted};
use twine_evidence::bytes::Digest;
use twine_evidence::manifest::Manifest;
use twine_evidence::sockets::Peers;
use twine_evidence::statement::{Kind, Subject};
use twine_hosting::{Attestation, Expected, TlsIdentity};
use twine_verifier::{Hex, LaunchRules, Policy};

/// Limit on the size of evidence in a certificate, in bytes. A message of a TLS handshake has at most
/// 65,535.
const MAX_IN_CERTIFICATE: usize = 60_000;

/// What a deployment proves, and what it accepts.
#[derive(Debug)]
pub(crate) struct Peering {
    /// The target of the quoting enclave.
    target: Vec<u8>,
    /// The launch.
    subject: Subject,
    manifest: Manifest,
    /// The SHA-256 of the owner's public key.
    owner: Digest,
}

impl Peering {
    pub(crate) fn new(
        target: Vec<u8>,
        subject: Subject,
        manifest: Manifest,
        owner: Digest,
    ) -> Self {
        Peering { target, subject, manifest, owner }
    }

    /// The policy for these peers. What they leave open is as in this deployment's manifest.
    fn policy(&self, peers: &Peers) -> Policy {
        let Peers { owner, deployments, images, least_version, stale: _ } = peers;
        let mut policy = Policy::for_host(&self.manifest);
        if !images.is_empty() {
            policy.enclave.images.clone_from(images);
        }
        let writable_code = self.manifest.demands.allow_writable_code;
        policy.launch = Some(LaunchRules {
            kind: Some(Kind::Deployment),
            owners: vec![Hex(owner.unwrap_or(self.owner).0)],
            name: match &deployments[..] {
                [name] => Some(name.clone()),
                _ => None,
            },
            least_version: Some(*least_version),
            writable_code,
            ..LaunchRules::default()
        });
        policy
    }

    fn accept(&self, evidence: &[u8], peers: &Peers, wanted: Wanted<'_>) -> Result<(), String> {
        let verdict = peer::verify(evidence, &self.policy(peers), wanted);
        let verdict = verdict.map_err(|refused| refused.to_string())?;
        let launch = verdict.facts().and_then(|facts| facts.launch.as_ref());
        let deployment = launch.and_then(|launch| launch.statement.subject.deployment());
        let name = deployment.map(|deployment| &deployment.name);
        match name.is_some_and(|name| peers.deployments.contains(name)) {
            true => Ok(()),
            false => Err("it is of a deployment that the manifest does not name here".into()),
        }
    }
}

impl Attestation for Peering {
    fn identity(&self) -> Result<TlsIdentity, String> {
        let failed = || "the CPU returns no random bytes, or the host no time".to_owned();
        let key = RunKey::new().map_err(|_| failed())?;
        let public = key.digest();
        let evidence = attestation::of_deployment(&self.target, &self.subject, public, None)?;
        if evidence.len() > MAX_IN_CERTIFICATE {
            return Err(format!(
                "the evidence has {} bytes, and a certificate has room for {MAX_IN_CERTIFICATE}: \
                 give the program fewer arguments, variables or roots",
                evidence.len()
            ));
        }
        let certificate = key.certificate(evidence).map_err(|_| failed())?;
        Ok(TlsIdentity { certificate, key: key.into_key(), public })
    }

    fn evidence(&self, key: Digest, nonce: &[u8], channel: Digest) -> Result<Vec<u8>, String> {
        let bound = Some((nonce.to_vec(), channel));
        attestation::of_deployment(&self.target, &self.subject, key, bound)
    }

    fn verify(&self, evidence: &[u8], peers: &Peers, expected: Expected<'_>) -> Result<(), String> {
        let Expected { public_key, nonce, channel } = expected;
        let wanted = Wanted {
            nonce: Some(nonce),
            data: None,
            public_key: Some(public_key),
            channel: Some(channel),
        };
        self.accept(evidence, peers, wanted)
    }

    fn verify_certificate(&self, certificate: &[u8], peers: &Peers) -> Result<(), String> {
        self.accept(certificate, peers, Wanted::default())
    }
}
