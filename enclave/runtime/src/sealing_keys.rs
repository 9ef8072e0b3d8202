//! Sealing keys with a policy: for which image, for which program, and for what purpose. They seal
//! the keys of volumes, compiled code, records, and what programs seal.

use graviola::hashing::Sha256;
use graviola::hashing::hmac::Hmac;
use twine_evidence::bytes::Digest;
use twine_evidence::statement::Deployment;
use twine_protocol::key::{Scope, Sealing};
use twine_sgx::{Holder, KeyRefused, KeyRequest, Svn};
use twine_volume::{Error, KeyEncryptionKey, NewSlot, Refusal};

/// Version of the parameters of a key that never moves to another image.
const VERSION: u8 = 1;

/// Version of the parameters of a key that can be handed over: a volume's of a deployment, and a
/// record's.
const MOVABLE: u8 = 2;

const THIS_IMAGE: u8 = 1;
const ANY_PROGRAM: u8 = 2;
const DEPLOYMENT: u8 = 4;

/// The purpose of a key. Keys of different purposes differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The keys of volumes.
    Volume,
    /// Compiled code.
    Code,
    /// Records of an enclave that holds deployments.
    Record,
    /// What a program seals for its own use.
    Guest,
}

/// Size of the parameters of a key that never moves to another image, in bytes.
pub(crate) const PARAMETER_BYTES: usize = 52;

/// Size of the parameters of a key that can be handed over, in bytes.
pub(crate) const MOVABLE_PARAMETER_BYTES: usize = PARAMETER_BYTES + 40;

/// The parameters of a key, from which it can be derived again. They are not secret, and not
/// trusted: wrong parameters lead to a wrong key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Parameters {
    sealing: Sealing,
    svn: Svn,
    keyid: [u8; 32],
    movable: Option<Movable>,
}

/// What the parameters of a key that can be handed over say besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Movable {
    /// The image that derives the key.
    image: Digest,
    /// The version of the manifest under which the key was made. The key depends on it, and no older
    /// version gets it. 0 for records.
    version: u64,
}

impl Parameters {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![if self.movable.is_some() { MOVABLE } else { VERSION }];
        bytes.push(flags(self.sealing));
        bytes.extend_from_slice(&self.svn.isvsvn.to_le_bytes());
        bytes.extend_from_slice(&self.svn.cpusvn);
        bytes.extend_from_slice(&self.keyid);
        if let Some(Movable { image, version }) = self.movable {
            bytes.extend_from_slice(&version.to_le_bytes());
            bytes.extend_from_slice(&image.0);
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (head, more) = bytes.split_first_chunk::<PARAMETER_BYTES>()?;
        let (head, keyid) = head.split_last_chunk::<32>()?;
        let (head, cpusvn) = head.split_last_chunk::<16>()?;
        let &[version, flags, low, high] = head else { return None };
        let movable = match (version, more.split_first_chunk::<8>()) {
            (VERSION, None) if more.is_empty() => None,
            (MOVABLE, Some((version, image))) => Some(Movable {
                image: Digest(image.try_into().ok()?),
                version: u64::from_le_bytes(*version),
            }),
            _ => return None,
        };
        let scope = match flags & !THIS_IMAGE {
            0 => Scope::Program,
            ANY_PROGRAM => Scope::AnyProgram,
            DEPLOYMENT => Scope::Deployment,
            _ => return None,
        };
        if movable.is_some() != (scope == Scope::Deployment) {
            return None;
        }
        let sealing = Sealing { this_image: flags & THIS_IMAGE != 0, scope };
        let isvsvn = u16::from_le_bytes([low, high]);
        let svn = Svn { isvsvn, cpusvn: *cpusvn };
        Some(Parameters { sealing, svn, keyid: *keyid, movable })
    }
}

fn flags(sealing: Sealing) -> u8 {
    let scope = match sealing.scope {
        Scope::Program => 0,
        Scope::AnyProgram => ANY_PROGRAM,
        Scope::Deployment => DEPLOYMENT,
    };
    (u8::from(sealing.this_image) * THIS_IMAGE) | scope
}

/// What the sealing keys of a deployment depend on: owner, generation and name, and the path of the
/// mount, so that the host cannot swap the volumes of two mounts. The program is not in it, so an owner
/// can update that.
pub(crate) fn deployment_digest(deployment: &Deployment, guest: &str) -> Digest {
    let Deployment { owner, name, generation, .. } = deployment;
    let path = Digest::of(guest.as_bytes());
    // Before the name, each part has a fixed size.
    Digest::of(&[&owner.0[..], &generation.to_le_bytes(), &path.0, name.as_bytes()].concat())
}

/// The sealing keys that a program in this enclave may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SealingKeys {
    program: Option<[u8; 32]>,
    deployment: Option<Bound>,
}

/// What the movable keys of a deployment's mount, or of a record, depend on.
#[derive(Debug, Clone, Copy)]
struct Bound {
    to: Digest,
    /// The version of the manifest. It gets the keys of older versions too.
    version: u64,
}

impl SealingKeys {
    /// The keys for the program with this SHA-256.
    pub(crate) fn of_program(program: [u8; 32]) -> Self {
        SealingKeys { program: Some(program), deployment: None }
    }

    /// Adds the keys of the deployment under which the program runs, for the volume of the mount
    /// at this path.
    pub(crate) fn in_deployment(self, deployment: Option<&Deployment>, guest: &str) -> Self {
        let deployment = deployment.map(|deployment| Bound {
            to: deployment_digest(deployment, guest),
            version: deployment.version,
        });
        SealingKeys { deployment, ..self }
    }

    /// The keys for this enclave itself, without a program: only keys that any program may have.
    pub(crate) fn of_any_program() -> Self {
        SealingKeys { program: None, deployment: None }
    }

    /// Derives a new key, and makes the slot of a volume that records its parameters.
    ///
    /// # Errors
    /// The CPU returns no randomness, or this enclave cannot derive such a key.
    pub(crate) fn new_slot(&self, sealing: Sealing) -> Result<NewSlot, Error> {
        let (parameters, key) = self
            .new_key(Purpose::Volume, sealing)
            .map_err(|_| Error::Invalid("this enclave can't derive such a sealing key"))?;
        NewSlot::sealed(&parameters, key)
    }

    /// Derives a new key, and returns its parameters.
    pub(crate) fn new_key(
        &self,
        purpose: Purpose,
        sealing: Sealing,
    ) -> Result<(Vec<u8>, KeyEncryptionKey), Refusal> {
        let mut keyid = [0; 32];
        graviola::random::fill(&mut keyid)
            .map_err(|_| Refusal("the CPU gives no random bytes".into()))?;
        let movable = match (sealing.scope, self.deployment) {
            (Scope::Deployment, Some(Bound { version, .. })) => {
                Some(Movable { image: SealingKeys::own_image(), version })
            }
            _ => None,
        };
        let parameters = Parameters { sealing, svn: Svn::present(), keyid, movable };
        Ok((parameters.encode(), self.derive(purpose, &parameters)?))
    }

    /// Derives a new key for the record with this name, and returns its parameters.
    pub(crate) fn new_record_key(name: &str) -> Result<(Vec<u8>, KeyEncryptionKey), Refusal> {
        SealingKeys::of_record(name).new_key(Purpose::Record, Sealing::DEPLOYMENT)
    }

    /// Derives the key of the record with this name, also under an older CPUSVN or ISVSVN: as with
    /// volumes, whoever broke these can make up a record, until it is sealed anew.
    ///
    /// # Errors
    /// The reason, in words.
    pub(crate) fn record_key(name: &str, parameters: &[u8]) -> Result<KeyEncryptionKey, Refusal> {
        let keys = SealingKeys::of_record(name);
        keys.movable_key(Purpose::Record, parameters)
    }

    /// Whether the key of a record is one that would be made now.
    pub(crate) fn is_present_record(parameters: &[u8]) -> bool {
        SealingKeys::of_record("").is_present(parameters)
    }

    /// The keys of a record, which depend on its name as those of a volume do on its mount.
    fn of_record(name: &str) -> Self {
        let bound = Bound { to: Digest::of(name.as_bytes()), version: 0 };
        SealingKeys { program: None, deployment: Some(bound) }
    }

    /// Derives a key that this enclave may hand over, for a volume of a deployment.
    ///
    /// # Errors
    /// The reason, in words.
    pub(crate) fn volume_key(
        deployment: &Deployment,
        guest: &str,
        parameters: &[u8],
    ) -> Result<KeyEncryptionKey, Refusal> {
        let keys = SealingKeys::of_any_program().in_deployment(Some(deployment), guest);
        keys.movable_key(Purpose::Volume, parameters)
    }

    fn movable_key(
        &self,
        purpose: Purpose,
        parameters: &[u8],
    ) -> Result<KeyEncryptionKey, Refusal> {
        match Parameters::decode(parameters) {
            Some(parameters) if parameters.sealing == Sealing::DEPLOYMENT => {
                self.derive(purpose, &parameters)
            }
            _ => Err(Refusal("its parameters are of another version, or damaged".into())),
        }
    }

    /// Derives the key of a volume from a slot's parameters. Refuses a key that more enclaves or
    /// programs can derive than `asked` allows.
    ///
    /// # Errors
    /// The reason, in words.
    pub(crate) fn key(
        &self,
        asked: Sealing,
        parameters: &[u8],
    ) -> Result<KeyEncryptionKey, Refusal> {
        self.key_for(Purpose::Volume, asked, parameters)
    }

    /// Does the same for a purpose.
    pub(crate) fn key_for(
        &self,
        purpose: Purpose,
        asked: Sealing,
        parameters: &[u8],
    ) -> Result<KeyEncryptionKey, Refusal> {
        let parameters = Parameters::decode(parameters)
            .ok_or_else(|| Refusal("its parameters are of another version, or damaged".into()))?;
        let Sealing { this_image, scope } = parameters.sealing;
        let wrong = match (asked.scope, scope) {
            (Scope::Program, Scope::Program)
            | (Scope::AnyProgram, Scope::Program | Scope::AnyProgram)
            | (Scope::Deployment, Scope::Deployment) => None,
            (Scope::Program, Scope::AnyProgram) => {
                Some("it is sealed to any program, and a key of one program was asked for")
            }
            (Scope::Deployment, Scope::Program | Scope::AnyProgram) => {
                Some("it is not sealed to a deployment, and a key of one was asked for")
            }
            (Scope::Program | Scope::AnyProgram, Scope::Deployment) => {
                Some("it is sealed to a deployment, and no key of one was asked for")
            }
        };
        if let Some(wrong) = wrong {
            return Err(Refusal(wrong.into()));
        }
        if asked.this_image && !this_image {
            return Err(Refusal(
                "it is sealed to all images of a signer, and a key of one image was asked for"
                    .into(),
            ));
        }
        self.derive(purpose, &parameters)
    }

    /// Derives a key from parameters that must have this policy, and the present CPUSVN and ISVSVN.
    /// Keys of older versions may be known to somebody who broke these versions.
    pub(crate) fn present_key(
        &self,
        purpose: Purpose,
        sealing: Sealing,
        parameters: &[u8],
    ) -> Result<KeyEncryptionKey, Refusal> {
        match Parameters::decode(parameters) {
            Some(parameters) if parameters.sealing != sealing => {
                Err(Refusal("its parameters are of another policy".into()))
            }
            Some(Parameters { svn, .. }) if svn != Svn::present() => {
                Err(Refusal("it was sealed under another CPUSVN or ISVSVN".into()))
            }
            Some(parameters) => self.derive(purpose, &parameters),
            None => Err(Refusal("its parameters are of another version, or damaged".into())),
        }
    }

    /// Returns who can derive the key of a slot. `None` if the slot's parameters are malformed.
    pub(crate) fn sealing(parameters: &[u8]) -> Option<Sealing> {
        Parameters::decode(parameters).map(|parameters| parameters.sealing)
    }

    /// Whether a key is one that would be made now: by this image, under the present CPUSVN and
    /// ISVSVN, and the present version of the manifest.
    pub(crate) fn is_present(&self, parameters: &[u8]) -> bool {
        let Some(Parameters { svn, movable, .. }) = Parameters::decode(parameters) else {
            return false;
        };
        let version = self.deployment.map_or(0, |bound| bound.version);
        let is_present =
            |movable: Movable| movable == Movable { image: SealingKeys::own_image(), version };
        svn == Svn::present() && movable.is_none_or(is_present)
    }

    /// Returns which image derives a key that can be handed over.
    pub(crate) fn image(parameters: &[u8]) -> Option<Digest> {
        Parameters::decode(parameters)?.movable.map(|movable| movable.image)
    }

    /// Returns the version of the manifest that last opened the volume with this slot, if it is newer
    /// than the present one.
    pub(crate) fn newer_version(&self, parameters: &[u8]) -> Option<u64> {
        let version = Parameters::decode(parameters)?.movable?.version;
        self.deployment.is_some_and(|bound| bound.version < version).then_some(version)
    }

    fn derive(
        &self,
        purpose: Purpose,
        parameters: &Parameters,
    ) -> Result<KeyEncryptionKey, Refusal> {
        let sealing = parameters.sealing;
        let bound_to = match sealing.scope {
            Scope::AnyProgram => None,
            Scope::Program => Some(self.program.ok_or_else(|| {
                Refusal("it is sealed to one program, and nothing else may have it".into())
            })?),
            Scope::Deployment => Some(self.check_movable(parameters)?.0),
        };
        // A deployment does not depend on who has the signing key of the image.
        let of_image = sealing.this_image || sealing.scope == Scope::Deployment;
        let holder = if of_image { Holder::Image } else { Holder::Signer };
        let request = KeyRequest { holder, svn: parameters.svn, keyid: parameters.keyid };
        let sealing_key = request.derive().map_err(|error| {
            Refusal(match error {
                KeyRefused::NewerIsvsvn => {
                    "it was sealed by a newer version of this enclave".into()
                }
                KeyRefused::NewerCpusvn => {
                    "it was sealed on a CPU with newer firmware, or on another machine".into()
                }
                KeyRefused::Other(code) => format!("the CPU refused the key (error {code})"),
            })
        })?;
        let mut hmac = Hmac::<Sha256>::new(*sealing_key);
        hmac.update(match purpose {
            Purpose::Volume => "twine sealing key 1",
            Purpose::Code => "twine code key 1",
            Purpose::Record => "twine record key 1",
            Purpose::Guest => "twine guest key 1",
        });
        hmac.update([flags(sealing)]);
        if let Some(bound_to) = bound_to {
            hmac.update(bound_to);
        }
        if let Some(Movable { version, .. }) = parameters.movable {
            hmac.update(version.to_le_bytes());
        }
        let mut key = KeyEncryptionKey::default();
        key.copy_from_slice(hmac.finish().as_ref());
        Ok(key)
    }

    /// Checks that this enclave, under this version of the manifest, may have a movable key. Returns
    /// what the key is bound to.
    fn check_movable(&self, parameters: &Parameters) -> Result<Digest, Refusal> {
        let bound = self.deployment.ok_or_else(|| {
            Refusal(
                "it is sealed to a deployment, and this is no run under its signed manifest".into(),
            )
        })?;
        let Some(Movable { image, version }) = parameters.movable else {
            return Err(Refusal("its parameters are of another version, or damaged".into()));
        };
        if version > bound.version {
            return Err(Refusal(format!(
                "version {version} of the manifest has opened it, and this is version {}",
                bound.version
            )));
        }
        if image != SealingKeys::own_image() {
            return Err(Refusal(format!("it is sealed to the image with MRENCLAVE {image}")));
        }
        Ok(bound.to)
    }

    /// MRENCLAVE of this enclave.
    pub(crate) fn own_image() -> Digest {
        Digest(twine_sgx::Identity::present().measurement)
    }
}
