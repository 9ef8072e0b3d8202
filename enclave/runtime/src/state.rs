//! What the enclave has its host keep while it holds deployments: programs, their code, volumes, and
//! deployments that may be started again without their owner, with their secrets.
//!
//! Each record is sealed for this image, under its own key and its own name, so the host can only
//! return what this image once kept under this name, or nothing. It can return an older record;
//! nothing here depends on having the newest. A program belongs to the owner who sent it: another
//! owner, who knows its hash only, can't run it.

use crate::code_cache::{self, Compilation};
use crate::mounts::Refused;
use crate::sealing_keys::{PARAMETER_BYTES, Purpose, SealingKeys, deployment_digest};
use graviola::aead::AesGcm;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use twine_boundary::{Access, Error, MappedFile};
use twine_channel::frame::MAX_MESSAGE;
use twine_channel::message::Deploy;
use twine_engine::{Compiled, Limits};
use twine_evidence::bytes::Digest;
use twine_evidence::cbor;
use twine_evidence::statement::Deployment;
use twine_evidence::terms::{MountKind, Terms};
use twine_hosting::{Id, Job, Kept, Secrets};
use twine_protocol::key::{Scope, Sealing};
use twine_protocol::wire::Status;
use twine_sgx::{Outside, host};
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"TWINEREC";
const NONCE: [u8; 12] = [0; 12];
const TAG_BYTES: usize = 16;

/// Limit on the size of a record, in bytes.
const MAX_RECORD: usize = 1 << 30;

/// Only this image may have what it kept.
const SEALING: Sealing = Sealing { this_image: true, scope: Scope::AnyProgram };

/// The host's state folder.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Owners with programs of theirs that are known to be there. Opening a record to know it takes
    /// as long as the program is large.
    known: Mutex<HashSet<(Digest, Digest)>>,
}

/// The files of a deployment's volumes. They are closed when this is dropped.
pub(crate) struct Volumes(Vec<(MappedFile<'static, Outside>, bool)>);

impl Volumes {
    /// Their numbers, in the order of the mounts, and whether each volume must be made.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = (u64, bool)> {
        self.0.iter().map(|(file, create)| (file.number(), *create))
    }
}

/// The name of a record of an owner's program.
fn name(kind: &str, owner: Digest, program: Digest) -> String {
    format!("{kind}-{}", Digest::of(&[owner.0, program.0].concat()))
}

/// How the names of records with deployments start.
const DEPLOYMENT: &str = "deployment-";

/// The name of the record of a deployment.
fn deployment_name(job: &Job) -> String {
    let Id { owner, name } = &job.id;
    format!("{DEPLOYMENT}{}", Digest::of(&[&owner.0[..], name.as_bytes()].concat()))
}

/// Reads the record of a deployment.
fn kept_deployment(name: &str) -> Option<Kept> {
    let record = host().record(name, MAX_RECORD).ok()??;
    let encoded = Zeroizing::new(open(name, record)?);
    let Deploy { manifest, secrets, .. } = cbor::decode(&encoded, MAX_MESSAGE).ok()?;
    Some(Kept { signed: manifest.0, secrets: Secrets(secrets) })
}

/// The name of the file of a deployment's volume.
fn volume_name(deployment: &Deployment, guest: &str) -> String {
    deployment_digest(deployment, guest).to_string()
}

/// Seals a record, which can be opened under its name only.
fn seal(name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let keys = SealingKeys::of_any_program();
    let (parameters, key) = keys.new_key(Purpose::Record, SEALING).ok()?;
    let head = [&MAGIC[..], &parameters].concat();
    let start = head.len() + TAG_BYTES;
    let mut sealed = Vec::new();
    sealed.try_reserve_exact(start + bytes.len()).ok()?;
    sealed.extend_from_slice(&head);
    sealed.extend_from_slice(&[0; TAG_BYTES]);
    sealed.extend_from_slice(bytes);
    let (tag, contents) = sealed.get_mut(head.len()..)?.split_first_chunk_mut()?;
    AesGcm::new(&*key).encrypt(&NONCE, name.as_bytes(), contents, tag);
    Some(sealed)
}

/// Opens a record that was sealed under this name.
fn open(name: &str, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
    let (head, rest) = sealed.split_at_mut_checked(MAGIC.len() + PARAMETER_BYTES)?;
    let parameters = head.strip_prefix(MAGIC)?;
    let keys = SealingKeys::of_any_program();
    let key = keys.present_key(Purpose::Record, SEALING, parameters).ok()?;
    let (tag, contents) = rest.split_first_chunk_mut::<TAG_BYTES>()?;
    AesGcm::new(&*key).decrypt(&NONCE, name.as_bytes(), contents, tag).ok()?;
    let length = contents.len();
    let start = sealed.len() - length;
    sealed.drain(..start);
    Some(sealed)
}

impl State {
    /// Opens the state folder.
    ///
    /// # Errors
    /// The host has none, or its answers are invalid.
    pub(crate) fn open() -> Result<Self, Error> {
        let refused = |status| Error::Refused { what: "the state folder", status };
        host().records().map_err(refused)?;
        Ok(State::default())
    }

    fn known(&self) -> MutexGuard<'_, HashSet<(Digest, Digest)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a program of an owner was kept. It may be gone later.
    pub(crate) fn has_program(&self, owner: Digest, program: Digest) -> bool {
        self.known().contains(&(owner, program)) || self.program(owner, program).is_some()
    }

    /// Returns a program of an owner that was kept.
    pub(crate) fn program(&self, owner: Digest, program: Digest) -> Option<Vec<u8>> {
        let name = name("program", owner, program);
        let record = host().record(&name, MAX_RECORD).ok().flatten();
        let bytes = record.and_then(|record| open(&name, record));
        let bytes = bytes.filter(|bytes| Digest::of(bytes) == program);
        match bytes {
            Some(_) => self.known().insert((owner, program)),
            None => self.known().remove(&(owner, program)),
        };
        bytes
    }

    /// Keeps a program of an owner. Returns whether the host does.
    pub(crate) fn keep_program(&self, owner: Digest, program: Digest, bytes: &[u8]) -> bool {
        let name = name("program", owner, program);
        let kept =
            seal(&name, bytes).is_some_and(|sealed| host().write_record(&name, &sealed).is_ok());
        if kept {
            self.known().insert((owner, program));
        }
        kept
    }

    /// Keeps a deployment with its secrets. Returns whether the host does.
    pub(crate) fn keep_deployment(&self, job: &Job) -> bool {
        let deploy = job.with_secrets(|secrets| Deploy {
            manifest: job.signed[..].into(),
            secrets: secrets.to_vec(),
            detach: true,
            replace: false,
            terminals: [false; 3],
        });
        let encoded = Zeroizing::new(cbor::encode(&deploy));
        drop(Secrets(deploy.secrets));
        let name = deployment_name(job);
        seal(&name, &encoded).is_some_and(|sealed| host().write_record(&name, &sealed).is_ok())
    }

    /// The deployments that were kept.
    pub(crate) fn kept_deployments(&self) -> Vec<Kept> {
        let names = host().records().unwrap_or_default();
        let names = names.into_iter().filter(|name| name.starts_with(DEPLOYMENT));
        names.filter_map(|name| kept_deployment(&name)).collect()
    }

    /// Returns the code of an owner's program, if it was kept for these settings.
    pub(crate) fn code(
        &self,
        owner: Digest,
        program: Digest,
        wanted: &Compilation,
    ) -> Option<Compiled> {
        let sealed = host().record(&name("code", owner, program), MAX_RECORD).ok()??;
        let compiled = code_cache::open(&sealed[..], &owner.0, wanted)?;
        (compiled.sha256() == program.0).then_some(compiled)
    }

    /// Keeps the code of an owner's program. Returns whether the host does.
    pub(crate) fn keep_code(&self, owner: Digest, compiled: &Compiled, limits: &Limits) -> bool {
        let name = name("code", owner, Digest(compiled.sha256()));
        let sealed = code_cache::seal(compiled, &owner.0, limits);
        sealed.is_some_and(|(length, pieces)| {
            let mut all = Vec::new();
            all.try_reserve_exact(length).is_ok() && {
                pieces.for_each(|piece| all.extend_from_slice(&piece));
                host().write_record(&name, &all).is_ok()
            }
        })
    }

    /// Opens the volumes of a deployment, and makes files for those that are not there.
    ///
    /// # Errors
    /// A volume is in use, or the host can't open it.
    pub(crate) fn open_volumes(
        &self,
        deployment: &Deployment,
        terms: &Terms,
    ) -> Result<Volumes, Refused> {
        let mut volumes = Volumes(Vec::new());
        let mounts = terms.mounts.iter().filter(|mount| mount.kind == MountKind::Volume);
        for mount in mounts {
            let name = volume_name(deployment, &mount.guest);
            let access = if mount.read_only { Access::Read } else { Access::Create };
            let opened = host().open_storage(&name, access).and_then(|mut file| {
                let size = file.size()?;
                Ok((file, size == 0))
            });
            let opened = opened.map_err(|status| Refused {
                cause: format!("the volume for {} can't be opened: {status:?}", mount.guest),
                remedy: match status {
                    Status::Missing => "deploy it once with a mount that can be written",
                    Status::InUse => "stop the deployment that uses it first",
                    Status::NoSpace => "have the operator make room on the host's disk",
                    _ => "ask the operator: the log of `twine host` says more",
                }
                .into(),
            })?;
            volumes.0.push(opened);
        }
        Ok(volumes)
    }

    /// Removes what is kept of a deployment, and if `volumes` is set its volumes.
    ///
    /// # Errors
    /// A file can't be removed.
    pub(crate) fn forget(&self, job: &Job, volumes: bool) -> Result<(), String> {
        match host().remove_record(&deployment_name(job)) {
            Ok(()) | Err(Status::Missing) => {}
            Err(status) => {
                return Err(format!("what is kept of it can't be removed: {status:?}"));
            }
        }
        let manifest = job.manifest.manifest();
        let deployment = manifest.deployment(job.manifest.owner());
        let mounts = manifest.terms.mounts.iter();
        for mount in mounts.filter(|mount| volumes && mount.kind == MountKind::Volume) {
            match host().remove_storage(&volume_name(&deployment, &mount.guest)) {
                Ok(()) | Err(Status::Missing) => {}
                Err(status) => {
                    return Err(format!(
                        "the volume for {} can't be removed: {status:?}",
                        mount.guest
                    ));
                }
            }
        }
        Ok(())
    }
}
