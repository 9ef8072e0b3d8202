//! What a client asks for, once it has proved who it is.

use crate::deployment::{Deployment, Id, Job, Secrets, allowed_memory};
use crate::deployments::{Deployments, NotTaken};
use crate::session::{Pending, Session, Shared, unexpected};
use crate::stdio::Stdio;
use std::sync::{Arc, Mutex};
use twine_channel::message::{Answer, Deploy, Request, Secret, Which};
use twine_evidence::access::Right;
use twine_evidence::manifest::Manifest;
use twine_evidence::owner::PublicKey;
use twine_evidence::signed::Signed;
use twine_evidence::terms::{MountKind, Stream};

/// Limit on the size of all secrets of a deployment, in bytes.
const MAX_SECRETS: usize = 256 << 10;

impl Session {
    /// Does what a client asks for.
    ///
    /// # Errors
    /// The request is refused.
    pub(crate) fn asked(
        &mut self,
        client: &PublicKey,
        request: Request,
        shared: &Shared,
    ) -> Result<(), NotTaken> {
        let table = &shared.deployments;
        match request {
            Request::Deploy(deploy) => self.deploy(client, deploy, shared),
            Request::List => {
                let now = shared.outside.now();
                let looks = |deployment: &Arc<Deployment>| {
                    deployment.job.manifest.manifest().may(Right::Look, client)
                };
                let all = table.all();
                let entries = all.iter().filter(|deployment| looks(deployment));
                let entries = entries.map(|deployment| deployment.entry(now)).collect();
                self.link().answer(&Answer::Listing(entries));
                self.done();
                Ok(())
            }
            Request::Logs { which, follow } => {
                let deployment = find(table, client, &which, Right::Look)?;
                self.watch(deployment, follow);
                Ok(())
            }
            Request::Attach { which, from } => {
                let deployment = find(table, client, &which, Right::Deploy)?;
                self.attach(deployment, from);
                Ok(())
            }
            Request::Stop { which, kill } => {
                let deployment = find(table, client, &which, Right::Stop)?;
                table.stop(&deployment, kill);
                self.done();
                Ok(())
            }
            Request::Remove { which, volumes } => {
                let deployment = find(table, client, &which, Right::Deploy)?;
                if !deployment.has_ended() || !deployment.is_alone() {
                    return Err(NotTaken::new(
                        format!("{} still runs", which.name),
                        "stop it first: `twine stop`",
                    ));
                }
                shared.outside.forget(&deployment.job, volumes).map_err(|cause| {
                    NotTaken::new(cause, "ask the operator: the log of `twine host` says more")
                })?;
                table.remove(&deployment);
                let owner = deployment.job.id.owner;
                let program = deployment.job.manifest.manifest().terms.program;
                if !table.names(owner, program) {
                    shared.outside.forget_program(owner, program);
                }
                self.done();
                Ok(())
            }
            Request::Volume(request) => self.on_volume(client, request, shared),
            _ => Err(unexpected()),
        }
    }

    fn deploy(
        &mut self,
        client: &PublicKey,
        deploy: Deploy,
        shared: &Shared,
    ) -> Result<(), NotTaken> {
        let Deploy { manifest: signed, secrets, detach, replace, terminals } = deploy;
        let job = job(signed.0, Secrets(secrets), terminals, !detach, Some(client), shared)?;
        let has = shared.outside.has_program(job.id.owner, job.manifest.manifest().terms.program);
        let pending = Pending { job, detach, replace };
        if has {
            return self.start(pending, None, shared);
        }
        self.want(pending, shared.outside.now());
        Ok(())
    }
}

/// Makes a job of a signed manifest and its secrets, if it may be held here, and if `client` may
/// start it; without a client, if it was kept. If `patient` is set, the program waits for a client
/// that takes its output.
///
/// # Errors
/// It may not.
pub(crate) fn job(
    signed: Vec<u8>,
    secrets: Secrets,
    terminals: [bool; 3],
    patient: bool,
    client: Option<&PublicKey>,
    shared: &Shared,
) -> Result<Job, NotTaken> {
    let manifest = opened(&signed, client.map(|client| (client, Right::Deploy)), shared)?;
    let terms = manifest.manifest();
    suits(terms)?;
    check_secrets(&secrets.0, terms)?;
    let owner = manifest.owner().id();
    shared.deployments.admits(owner, allowed_memory(&terms.terms))?;
    let stdio = Arc::new(Stdio::new(terms.terms.streams, terminals, patient));
    let id = Id { owner, name: terms.name.clone() };
    Ok(Job { id, manifest, signed, secrets: Mutex::new(secrets), program: Mutex::default(), stdio })
}

/// Opens a signed manifest that this enclave may follow, and that gives the client this right.
///
/// # Errors
/// It is none, or does not.
pub(crate) fn opened(
    signed: &[u8],
    client: Option<(&PublicKey, Right)>,
    shared: &Shared,
) -> Result<Signed, NotTaken> {
    let manifest = Signed::open(signed).map_err(|error| {
        NotTaken::new(
            error.to_string(),
            "sign the manifest with its owner's key: `twine manifest sign`",
        )
    })?;
    let terms = manifest.manifest();
    if !client.is_none_or(|(client, right)| terms.may(right, client)) {
        return Err(NotTaken::new(
            "the client's key is neither that of the manifest's owner nor one that it allows",
            "use the owner's key, or have the owner allow this one",
        ));
    }
    terms.allow(&terms.terms, &shared.outside.identity()).map_err(|refusal| {
        NotTaken::new(
            refusal.to_string(),
            "deploy it to an enclave that the manifest names, or have its owner add this one",
        )
    })?;
    Ok(manifest)
}

/// Checks that the secrets are those that the manifest names.
fn check_secrets(secrets: &[Secret], manifest: &Manifest) -> Result<(), NotTaken> {
    let mut named: Vec<_> = secrets.iter().map(|secret| &secret.name).collect();
    let mut wanted: Vec<_> = manifest.terms.secrets.iter().collect();
    named.sort_unstable();
    wanted.sort_unstable();
    if named != wanted {
        return Err(NotTaken::new(
            "the secrets are not those that the manifest names",
            "give a value for each secret of the manifest, and no others: --secret NAME=@FILE",
        ));
    }
    let size: usize = secrets.iter().map(|secret| secret.value.0.len()).sum();
    if size > MAX_SECRETS {
        return Err(NotTaken::new(
            format!("the secrets have {size} bytes; this host takes {MAX_SECRETS}"),
            "keep large data in a volume, and make a secret of its key",
        ));
    }
    Ok(())
}

/// Finds a deployment with which a client may do something. One that it may know nothing of is as
/// if it were not there.
fn find(
    table: &Deployments,
    client: &PublicKey,
    which: &Which,
    right: Right,
) -> Result<Arc<Deployment>, NotTaken> {
    let Which { owner, name } = which;
    let id = Id { owner: owner.unwrap_or_else(|| client.id()), name: name.clone() };
    let found = table.get(&id).filter(|deployment| {
        let manifest = deployment.job.manifest.manifest();
        manifest.may(right, client) || manifest.may(Right::Look, client)
    });
    let missing = || {
        NotTaken::new(
            format!("there is no deployment {name:?} of this owner here"),
            "`twine ps` lists those that this key may look at",
        )
    };
    let deployment = found.ok_or_else(missing)?;
    if !deployment.job.manifest.manifest().may(right, client) {
        return Err(NotTaken::new(
            format!("the manifest of {name} does not allow this to the client's key"),
            "have its owner do it, or allow it in the manifest",
        ));
    }
    Ok(deployment)
}

/// Checks that a deployment can be held by an enclave that gives its host nothing.
fn suits(manifest: &Manifest) -> Result<(), NotTaken> {
    let terms = &manifest.terms;
    let streams = terms.streams;
    if [streams.stdin, streams.stdout, streams.stderr].contains(&Stream::Host) {
        return Err(NotTaken::new(
            "the manifest leads a stream to the host, and a deployment elsewhere has none there",
            "write `owner` or `none` for the streams of the manifest",
        ));
    }
    if let Some(mount) = terms.mounts.iter().find(|mount| mount.kind == MountKind::Folder) {
        return Err(NotTaken::new(
            format!("the manifest mounts a folder of the host at {}", mount.guest),
            "mount a volume or memory there",
        ));
    }
    Ok(())
}
