//! What the enclave has its host keep while it holds deployments: programs, their code, volumes, and
//! deployments that may be started again without their owner, with their secrets.
//!
//! Each record is sealed for this image, under its own key and its own name, so the host can only
//! return what this image once kept under this name, or nothing. It can return an older record;
//! nothing here depends on having the newest. A program belongs to the owner who sent it: another
//! owner, who knows its hash only, can't run it. A record of an older image opens after that image has
//! handed its key over ([`crate::takeover`]), and is then sealed anew.

use crate::code_cache::{self, Compilation};
use crate::mounts::Refused;
use crate::record::{self, Record};
use crate::sealing_keys::deployment_digest;
use crate::takeover::{self, Takeover};
use crate::volume_file::VolumeFile;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use twine_boundary::{Access, Error};
use twine_channel::frame::MAX_MESSAGE;
use twine_channel::message::Deploy;
use twine_engine::{Compiled, Limits};
use twine_evidence::bytes::Digest;
use twine_evidence::cbor;
use twine_evidence::statement::Deployment;
use twine_evidence::terms::{MountKind, Terms};
use twine_hosting::{Id, Job, Kept, Secrets};
use twine_protocol::wire::Status;
use twine_sgx::host;
use zeroize::Zeroizing;

/// The host's state folder.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Owners with programs of theirs that are known to be there. Opening a record to know it takes
    /// as long as the program is large.
    known: Mutex<HashSet<(Digest, Digest)>>,
}

/// The files of a deployment's volumes. They are closed when this is dropped.
pub(crate) struct Volumes(Vec<VolumeFile>);

impl Volumes {
    /// Their numbers, in the order of the mounts, and whether each volume must be made.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = (u64, bool)> {
        self.0.iter().map(|file| (file.number(), file.is_new()))
    }

    /// Closes them, and removes those that were made for a program that does not start.
    pub(crate) fn discard(self) {
        self.0.into_iter().for_each(VolumeFile::discard);
    }
}

/// The name of a record of an owner's program.
pub(crate) fn name(kind: &str, owner: Digest, program: Digest) -> String {
    format!("{kind}-{}", Digest::of(&[owner.0, program.0].concat()))
}

/// The name of the record with an owner's program.
pub(crate) fn program_name(owner: Digest, program: Digest) -> String {
    name("program", owner, program)
}

/// How the names of records with deployments start.
const DEPLOYMENT: &str = "deployment-";

/// The name of the record of a deployment.
pub(crate) fn deployment_name(owner: Digest, name: &str) -> String {
    format!("{DEPLOYMENT}{}", Digest::of(&[&owner.0[..], name.as_bytes()].concat()))
}

/// Reads the record of a deployment. `None` if it is gone.
///
/// # Errors
/// Why it is not there for this image, in one line.
fn kept_deployment(name: &str) -> Result<Option<Kept>, String> {
    let encoded = match record::read(name) {
        Record::Missing => return Ok(None),
        Record::Own(encoded) => encoded,
        Record::Former { image, sealed } => {
            let encoded = takeover::kept(name, image, &sealed)
                .map_err(|cause| format!("{name} is of the image {image}, and {cause}"))?;
            // If it can't be kept, the next host takes it over again.
            record::write(name, &encoded);
            encoded
        }
        Record::Unreadable(cause) => return Err(format!("{name} can't be read: {cause}")),
    };
    decoded(&encoded).map(Some).ok_or_else(|| format!("{name} is damaged"))
}

/// Decodes the contents of a deployment's record.
pub(crate) fn decoded(encoded: &[u8]) -> Option<Kept> {
    let Deploy { manifest, secrets, .. } = cbor::decode(encoded, MAX_MESSAGE).ok()?;
    Some(Kept { signed: manifest.0, secrets: Secrets(secrets) })
}

/// The name of the file of a deployment's volume.
pub(crate) fn volume_name(deployment: &Deployment, guest: &str) -> String {
    deployment_digest(deployment, guest).to_string()
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

    /// Whether this image has kept a program of an owner. It may be gone later.
    pub(crate) fn has_program(&self, owner: Digest, program: Digest) -> bool {
        self.known().contains(&(owner, program)) || self.program(owner, program, None).is_some()
    }

    /// Returns a program of an owner that was kept: with `takeover` also by an older image.
    pub(crate) fn program(
        &self,
        owner: Digest,
        program: Digest,
        takeover: Option<&Takeover<'_>>,
    ) -> Option<Vec<u8>> {
        let name = program_name(owner, program);
        let bytes = match record::read(&name) {
            Record::Own(mut bytes) => Some(std::mem::take(&mut *bytes)),
            Record::Former { image, sealed } => takeover.and_then(|takeover| {
                let bytes = takeover.program(&name, image, sealed).ok()?;
                // If it can't be kept, the next run takes it over again.
                record::write(&name, &bytes);
                Some(bytes)
            }),
            Record::Missing | Record::Unreadable(_) => None,
        };
        let bytes = bytes.filter(|bytes| Digest::of(bytes) == program);
        match bytes {
            Some(_) => self.known().insert((owner, program)),
            None => self.known().remove(&(owner, program)),
        };
        bytes
    }

    /// Keeps a program of an owner. Returns whether the host does.
    pub(crate) fn keep_program(&self, owner: Digest, program: Digest, bytes: &[u8]) -> bool {
        let kept = record::write(&program_name(owner, program), bytes);
        if kept {
            self.known().insert((owner, program));
        }
        kept
    }

    /// Removes what is kept of a program of an owner.
    pub(crate) fn remove_program(&self, owner: Digest, program: Digest) {
        self.known().remove(&(owner, program));
        for kind in ["program", "code"] {
            // What can't be removed is of no use to anybody else.
            let _ = host().remove_record(&name(kind, owner, program));
        }
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
        record::write(&deployment_name(job.id.owner, &job.id.name), &encoded)
    }

    /// The deployments that were kept, or why one of them is not there for this image, in one line.
    pub(crate) fn kept_deployments(&self) -> Vec<Result<Kept, String>> {
        let names = match host().records() {
            Ok(names) => names,
            Err(status) => return vec![Err(format!("the records can't be listed: {status:?}"))],
        };
        let names = names.into_iter().filter(|name| name.starts_with(DEPLOYMENT));
        names.filter_map(|name| kept_deployment(&name).transpose()).collect()
    }

    /// Returns the code of an owner's program, if it was kept for these settings.
    pub(crate) fn code(
        &self,
        owner: Digest,
        program: Digest,
        wanted: &Compilation,
    ) -> Option<Compiled> {
        let sealed = host().record(&name("code", owner, program), record::MAX_BYTES).ok()??;
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
            let open = |access| VolumeFile::open(deployment, &mount.guest, access);
            // The enclave itself may write to the volume of a mount that only reads: see `mounts`.
            let opened = match open(if mount.read_only { Access::Write } else { Access::Create }) {
                Err(Status::Denied) if mount.read_only => open(Access::Read),
                opened => opened,
            };
            let opened = opened.map_err(|status| Refused {
                cause: format!("the volume for {} can't be opened: {status:?}", mount.guest),
                remedy: match status {
                    Status::Missing => "deploy it once with a mount that can be written",
                    Status::InUse => "stop the deployment that uses it first",
                    Status::NoSpace => "have the operator make room on the host's disk",
                    _ => "ask the operator: the log of `twine host` says more",
                }
                .into(),
            });
            match opened {
                Ok(file) => volumes.0.push(file),
                Err(refused) => {
                    volumes.discard();
                    return Err(refused);
                }
            }
        }
        Ok(volumes)
    }

    /// Removes what is kept of a deployment, and if `volumes` is set its volumes.
    ///
    /// # Errors
    /// A file can't be removed.
    pub(crate) fn forget(&self, job: &Job, volumes: bool) -> Result<(), String> {
        let Id { owner, name } = &job.id;
        match host().remove_record(&deployment_name(*owner, name)) {
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
