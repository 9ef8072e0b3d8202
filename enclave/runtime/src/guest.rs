//! What serves the imports `twine:attestation` of a program.

use crate::attestation::{self, identity};
use crate::peer::{self, Expected};
use crate::sealing_keys::{Purpose, SealingKeys};
use graviola::aead::AesGcm;
use std::fmt::Write;
use std::time::Duration;
use twine_boundary::Error as BoundaryError;
use twine_evidence::bytes::Bytes;
use twine_evidence::manifest::Identity;
use twine_evidence::statement::{Deployment, MAX_DATA_BYTES, MAX_NONCE_BYTES, Program, Said};
use twine_guest::{Allowance, Failure, Peer, Proof, SEAL_BYTES, Verified};
use twine_protocol::key::Sealing;
use twine_protocol::wire::{Clock, Status};
use twine_verifier::Policy;

const _: () = assert!(twine_guest::MAX_NONCE_BYTES as usize == MAX_NONCE_BYTES);
const _: () = assert!(twine_guest::MAX_DATA_BYTES as usize == MAX_DATA_BYTES);
const _: () = assert!(twine_guest::MAX_EVIDENCE_BYTES as u64 == twine_protocol::wire::MAX_EVIDENCE);

/// How sealed bytes begin.
const MAGIC: &[u8; 8] = b"TWINEAPP";
/// Each key seals once.
const NONCE: [u8; 12] = [0; 12];
const TAG_BYTES: usize = 16;

/// The enclave's part for one program.
pub(crate) struct Guest {
    program: Program,
    deployment: Option<Deployment>,
    keys: SealingKeys,
    allowance: Allowance,
}

impl Guest {
    /// Serves a program that was launched on these terms.
    pub(crate) fn new(program: Program, deployment: Option<Deployment>) -> Self {
        // No mount is at this path, and the purpose of the keys is another than that of volumes.
        let keys =
            SealingKeys::of_program(program.terms.program.0).in_deployment(deployment.as_ref(), "");
        Guest { program, deployment, keys, allowance: Allowance::new(now()) }
    }

    /// The policy of the keys for what the program seals: that of a volume without options.
    fn sealing(&self) -> Sealing {
        match self.deployment {
            Some(_) => Sealing::DEPLOYMENT,
            None => Sealing::default(),
        }
    }
}

fn now() -> Duration {
    Duration::from_nanos(twine_sgx::time(Clock::Monotonic).unwrap_or_default())
}

fn no_evidence(error: attestation::Error) -> Failure {
    match error {
        attestation::Error::TooLong(_) => Failure::TooBig,
        attestation::Error::Host(BoundaryError::Refused {
            status: Status::NotSupported, ..
        }) => Failure::NotSupported,
        attestation::Error::Request | attestation::Error::Key | attestation::Error::Host(_) => {
            Failure::Host
        }
    }
}

impl Proof for Guest {
    fn evidence(&mut self, nonce: Option<&[u8]>, data: &[u8]) -> Result<Vec<u8>, Failure> {
        if !self.allowance.take(now()) {
            return Err(Failure::Again);
        }
        let said = Said { nonce: nonce.map(Bytes::from), data: Bytes::from(data) };
        attestation::of_guest(self.program.clone(), self.deployment.clone(), said)
            .map_err(no_evidence)
    }

    fn verify(&mut self, peer: Peer<'_>) -> Result<Verified, Failure> {
        let policy =
            Policy::from_toml(peer.policy).map_err(|error| Failure::Policy(error.to_string()))?;
        let expected = Expected { nonce: peer.nonce, data: Some(peer.data), ..Expected::default() };
        match peer::verify(peer.evidence, &policy, expected) {
            Ok(verdict) => Ok(Verified { accepted: true, json: verdict.to_json() }),
            Err(peer::Refused::Evidence(verdict)) => {
                Ok(Verified { accepted: false, json: verdict.to_json() })
            }
            Err(_) => Err(Failure::Host),
        }
    }

    fn own_policy(&mut self, root: &str) -> Result<String, Failure> {
        let Identity { measurement, debug, .. } = identity();
        let Program { terms, engine } = &self.program;
        let mut policy = format!(
            "root = \"\"\"\n{root}\"\"\"\n\n\
             [enclave]\n\
             measurements = [\"{measurement}\"]\n\
             debug = {debug}\n\n\
             [launch]\n\
             kind = \"guest\"\n\
             programs = [\"{}\"]\n\
             writable-code = {}\n",
            terms.program, engine.writable_code,
        );
        if let Some(Deployment { owner, name, generation, .. }) = &self.deployment {
            // A name has letters, digits and signs that need no escape.
            let _ = write!(
                policy,
                "owners = [\"{owner}\"]\nname = \"{name}\"\ngeneration = {generation}\n"
            );
        }
        Ok(policy)
    }

    fn seal(&mut self, context: &[u8], bytes: &[u8]) -> Result<Vec<u8>, Failure> {
        let (parameters, key) =
            self.keys.new_key(Purpose::Guest, self.sealing()).map_err(|_| Failure::NotSupported)?;
        let length = u8::try_from(parameters.len()).map_err(|_| Failure::NotSupported)?;
        let mut sealed = [&MAGIC[..], &[length], &parameters[..]].concat();
        let start = sealed.len();
        sealed.extend_from_slice(&[0; TAG_BYTES]);
        sealed.extend_from_slice(bytes);
        let rest = sealed.get_mut(start..).unwrap_or_default();
        let (tag, contents) = rest.split_first_chunk_mut().ok_or(Failure::NotSupported)?;
        AesGcm::new(&*key).encrypt(&NONCE, context, contents, tag);
        debug_assert!(sealed.len() - bytes.len() <= SEAL_BYTES as usize);
        Ok(sealed)
    }

    fn unseal(&mut self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Failure> {
        let opened = || {
            let (length, rest) = sealed.strip_prefix(MAGIC)?.split_first()?;
            let (parameters, rest) = rest.split_at_checked(usize::from(*length))?;
            let (tag, contents) = rest.split_first_chunk::<TAG_BYTES>()?;
            let key = self.keys.key_for(Purpose::Guest, self.sealing(), parameters).ok()?;
            let mut contents = contents.to_vec();
            AesGcm::new(&*key).decrypt(&NONCE, context, &mut contents, tag).ok()?;
            Some(contents)
        };
        opened().ok_or(Failure::Damaged)
    }
}
