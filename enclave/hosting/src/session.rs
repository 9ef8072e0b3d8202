//! One connection of a client, from its first message to its last.

use crate::deployment::{Deployment, Id, Job, Secrets};
use crate::deployments::{Deployments, NotTaken};
use crate::link::Link;
use crate::outside::{Level, Lost, Outside};
use crate::stdio::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use twine_channel::frame::{Decoder, Frame, Kind, MAX_EARLY_MESSAGE, MAX_MESSAGE};
use twine_channel::message::{Answer, Deploy, Request, Which};
use twine_channel::{NONCE_BYTES, VERSION};
use twine_evidence::access::Right;
use twine_evidence::bytes::Digest;
use twine_evidence::channel::{self, EVIDENCE_LABEL, OWNER_LABEL, Role};
use twine_evidence::manifest::Manifest;
use twine_evidence::owner::PublicKey;
use twine_evidence::signed::Signed;
use twine_evidence::terms::{MountKind, Stream};

/// How long a client may take until it has proved who it is, and how long it may be silent until
/// its request is complete.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long the client may take to close a connection on which nothing more follows. If it were
/// closed here first, the last answer could be lost.
const LINGER: Duration = Duration::from_secs(2);

/// Limit on the size of a program, in bytes.
const MAX_PROGRAM: u64 = 512 << 20;

/// A connection.
#[derive(Debug)]
pub(crate) struct Session {
    link: Arc<Link>,
    decoder: Decoder,
    /// The SHA-256 of the public key with which this enclave made the handshake.
    public: Digest,
    stage: Stage,
    /// When the patience with the client is over.
    deadline: Option<Duration>,
    /// Whether the client was told that nothing more follows.
    finished: bool,
}

#[derive(Debug)]
enum Stage {
    /// Waits for the client's nonce.
    Hello,
    /// Waits for the proof of who the client is.
    Prove { nonce: Vec<u8> },
    /// Waits for a request.
    Ready { client: PublicKey },
    /// Waits for the program of a deployment.
    Wanted { pending: Box<Pending> },
    /// Receives it.
    Upload { pending: Box<Pending>, program: Vec<u8>, length: usize },
    /// The client is attached to a deployment.
    Attached { deployment: Arc<Deployment>, foreground: bool },
    /// The client follows the log of a deployment.
    Follows { deployment: Arc<Deployment> },
    /// The last answer is on its way.
    Over,
}

/// A deployment whose program is not here yet.
#[derive(Debug)]
struct Pending {
    job: Job,
    detach: bool,
    replace: bool,
}

/// What sessions share.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) outside: Arc<dyn Outside>,
    pub(crate) deployments: Arc<Deployments>,
}

impl Session {
    pub(crate) fn new(link: Arc<Link>, public: Digest, now: Duration) -> Self {
        Session {
            link,
            decoder: Decoder::new(MAX_EARLY_MESSAGE),
            public,
            stage: Stage::Hello,
            deadline: Some(now.saturating_add(PATIENCE)),
            finished: false,
        }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Whether the client has not proved who it is.
    pub(crate) fn is_early(&self) -> bool {
        matches!(self.stage, Stage::Hello | Stage::Prove { .. })
    }

    /// Whether the client is attached to a deployment, or follows its log.
    pub(crate) fn is_attached(&self) -> bool {
        matches!(self.stage, Stage::Attached { .. } | Stage::Follows { .. })
    }

    /// Whether all is said, and the connection ends once it is sent.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.stage, Stage::Over)
    }

    /// When the connection ends if the client says nothing.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    /// Receives what the client has sent, and does what it asks for.
    ///
    /// # Errors
    /// The connection is lost.
    pub(crate) fn receive(&mut self, shared: &Shared, buffer: &mut [u8]) -> Result<(), Lost> {
        let received = self.link.receive(buffer)?;
        self.decoder.push(&received.bytes);
        loop {
            if self.is_over() {
                // Nothing of it is wanted any more.
                self.decoder = Decoder::new(MAX_EARLY_MESSAGE);
                break;
            }
            match self.decoder.next() {
                Ok(Some(frame)) => self.take(frame, shared),
                Ok(None) => break,
                Err(error) => {
                    self.refuse(&NotTaken::new(error.to_string(), SAME_RELEASE));
                }
            }
        }
        if self.is_over() && !self.finished {
            self.finished = true;
            self.deadline = Some(shared.outside.now().saturating_add(LINGER));
            self.link.finish();
        }
        if received.end { Err(Lost) } else { Ok(()) }
    }

    /// Sends more of a program's output, after the socket has taken what waited.
    pub(crate) fn pump(&self) {
        match &self.stage {
            Stage::Attached { deployment, .. } | Stage::Follows { deployment } => {
                deployment.job.stdio.pump();
            }
            _ => {}
        }
    }

    /// Ends the session.
    pub(crate) fn close(self, shared: &Shared) {
        if let Stage::Attached { deployment, .. } | Stage::Follows { deployment } = &self.stage {
            deployment.job.stdio.detach(&self.link);
        }
        if let Stage::Attached { deployment, foreground: true } = &self.stage
            && deployment.has_ended()
            && deployment.job.stdio.is_told()
        {
            shared.deployments.remove(deployment);
        }
        self.link.close();
    }

    fn refuse(&mut self, reason: &NotTaken) {
        let NotTaken { cause, remedy } = reason;
        self.link.answer(&Answer::refused(cause.clone(), remedy.clone()));
        self.stage = Stage::Over;
    }

    /// Takes one frame.
    fn take(&mut self, frame: Frame, shared: &Shared) {
        if self.deadline.is_some() && !self.is_early() {
            self.deadline = Some(shared.outside.now().saturating_add(PATIENCE));
        }
        let done = match frame.kind {
            Kind::Message => match Request::decode(&frame.body) {
                Ok(request) => self.request(request, shared),
                Err(error) => Err(NotTaken::new(error.to_string(), SAME_RELEASE)),
            },
            Kind::Input => self.input(&frame.body),
            Kind::Program => self.program(&frame.body, shared),
            Kind::Output | Kind::Errors => Err(unexpected()),
        };
        if let Err(reason) = done {
            self.refuse(&reason);
        }
    }

    fn input(&mut self, bytes: &[u8]) -> Result<(), NotTaken> {
        let Stage::Attached { deployment, .. } = &self.stage else { return Err(unexpected()) };
        deployment.job.stdio.feed(bytes).map_err(|_| unexpected())
    }

    fn program(&mut self, bytes: &[u8], shared: &Shared) -> Result<(), NotTaken> {
        let Stage::Upload { program, length, .. } = &mut self.stage else {
            return Err(unexpected());
        };
        if program.len() + bytes.len() > *length {
            return Err(unexpected());
        }
        program.extend_from_slice(bytes);
        if program.len() < *length {
            return Ok(());
        }
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        let Stage::Upload { pending, program, .. } = stage else { return Err(unexpected()) };
        let Pending { job, detach, replace } = *pending;
        let expected = job.manifest.manifest().terms.program;
        let found = Digest::of(&program);
        if found != expected {
            return Err(NotTaken::new(
                format!("the program has the SHA-256 {found}; the manifest names {expected}"),
                "send the program that the manifest was made for",
            ));
        }
        let job = Job { program: Mutex::new(Some(program)), ..job };
        self.start(job, detach, replace, shared)
    }

    fn request(&mut self, request: Request, shared: &Shared) -> Result<(), NotTaken> {
        match (&mut self.stage, request) {
            (Stage::Hello, Request::Hello { version, nonce }) => {
                self.hello(version, nonce.0, shared)
            }
            (Stage::Prove { nonce }, Request::Prove { key, signature }) => {
                let nonce = std::mem::take(nonce);
                self.prove(&nonce, &key.0, &signature.0)
            }
            (Stage::Ready { client }, request) => {
                let client = client.clone();
                self.asked(&client, request, shared)
            }
            (Stage::Wanted { .. }, Request::Upload { length }) => self.upload(length),
            (Stage::Attached { deployment, .. }, Request::InputEnd) => {
                deployment.job.stdio.end_input();
                Ok(())
            }
            (Stage::Attached { deployment, .. }, Request::Interrupt) => {
                deployment.interrupt();
                Ok(())
            }
            (Stage::Attached { deployment, .. }, Request::Received(position)) => {
                deployment.job.stdio.acknowledge(position);
                Ok(())
            }
            // Who only looks holds nothing back, and has no input.
            (Stage::Follows { .. }, Request::Received(_) | Request::InputEnd) => Ok(()),
            (Stage::Attached { .. } | Stage::Follows { .. }, Request::Thanks) => {
                let stage = std::mem::replace(&mut self.stage, Stage::Over);
                if let Stage::Attached { deployment, foreground } = stage {
                    let told = deployment.job.stdio.is_told();
                    deployment.job.stdio.detach(&self.link);
                    if foreground && told {
                        shared.deployments.remove(&deployment);
                    }
                } else if let Stage::Follows { deployment } = stage {
                    deployment.job.stdio.detach(&self.link);
                }
                Ok(())
            }
            _ => Err(unexpected()),
        }
    }

    /// Makes evidence for this connection and the client's nonce.
    fn hello(&mut self, version: u32, nonce: Vec<u8>, shared: &Shared) -> Result<(), NotTaken> {
        if version != VERSION {
            return Err(NotTaken::new(
                format!("the client speaks version {version} of the protocol, this host {VERSION}"),
                SAME_RELEASE,
            ));
        }
        if nonce.len() != NONCE_BYTES {
            return Err(unexpected());
        }
        let exporter = self.link.exporter(EVIDENCE_LABEL, &nonce).map_err(|Lost| unexpected())?;
        let channel = channel::binder(Role::Server, self.public, None, &exporter);
        let made = shared.outside.evidence(self.public, &nonce, channel);
        let evidence = made.map_err(|cause| {
            shared.outside.log(Level::Error, &format!("no evidence was made: {cause}"));
            NotTaken::new(
                "this host can make no evidence at the moment",
                "ask its operator: the log of `twine host` says why",
            )
        })?;
        self.link.answer(&Answer::Evidence { evidence: evidence[..].into() });
        self.stage = Stage::Prove { nonce };
        Ok(())
    }

    /// Checks the client's proof of who it is.
    fn prove(&mut self, nonce: &[u8], key: &[u8], signature: &[u8]) -> Result<(), NotTaken> {
        let exporter = self.link.exporter(OWNER_LABEL, nonce).map_err(|Lost| unexpected())?;
        let wrong = || {
            NotTaken::new(
                "the client did not prove that it has its key",
                "use the private key that belongs to the public one",
            )
        };
        let client = PublicKey::from_der(key).map_err(|_| wrong())?;
        client.verify(&channel::owner_message(&exporter), signature).map_err(|_| wrong())?;
        self.link.answer(&Answer::Welcome);
        self.decoder.allow(MAX_MESSAGE);
        self.stage = Stage::Ready { client };
        Ok(())
    }

    fn asked(
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
                    may(deployment.job.manifest.manifest(), Right::Look, client)
                };
                let all = table.all();
                let entries = all.iter().filter(|deployment| looks(deployment));
                let entries = entries.map(|deployment| deployment.entry(now)).collect();
                self.link.answer(&Answer::Listing(entries));
                self.link.answer(&Answer::Done);
                self.stage = Stage::Over;
                Ok(())
            }
            Request::Logs { which, follow } => {
                let deployment = find(table, client, &which, Right::Look)?;
                if follow {
                    deployment.job.stdio.watch(self.link.clone());
                    self.deadline = None;
                    self.stage = Stage::Follows { deployment };
                } else {
                    deployment.job.stdio.show(&self.link);
                    self.link.answer(&Answer::Done);
                    self.stage = Stage::Over;
                }
                Ok(())
            }
            Request::Attach { which, from } => {
                let deployment = find(table, client, &which, Right::Deploy)?;
                self.attach(deployment, from, from.is_some());
                Ok(())
            }
            Request::Stop { which, kill } => {
                let deployment = find(table, client, &which, Right::Stop)?;
                if kill {
                    deployment.stop();
                    table.drop_waiting(&deployment);
                } else {
                    deployment.interrupt();
                }
                self.link.answer(&Answer::Done);
                self.stage = Stage::Over;
                Ok(())
            }
            Request::Remove { which, volumes } => {
                let deployment = find(table, client, &which, Right::Deploy)?;
                if !deployment.has_ended() {
                    return Err(NotTaken::new(
                        format!("{} still runs", which.name),
                        "stop it first: `twine stop`",
                    ));
                }
                shared.outside.forget(&deployment.job, volumes).map_err(|cause| {
                    NotTaken::new(cause, "ask the operator: the log of `twine host` says more")
                })?;
                table.remove(&deployment);
                self.link.answer(&Answer::Done);
                self.stage = Stage::Over;
                Ok(())
            }
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
        let secrets = Secrets(secrets);
        let manifest = Signed::open(&signed.0).map_err(|error| {
            NotTaken::new(
                error.to_string(),
                "sign the manifest with its owner's key: `twine manifest sign`",
            )
        })?;
        let terms = manifest.manifest();
        if !may(terms, Right::Deploy, client) {
            return Err(NotTaken::new(
                "the client's key is neither that of the manifest's owner nor one that it allows",
                "use the owner's key, or have the owner allow this one",
            ));
        }
        suits(terms)?;
        terms.allow(&terms.terms, &shared.outside.identity()).map_err(|refusal| {
            NotTaken::new(
                refusal.to_string(),
                "deploy it to an enclave that the manifest names, or have its owner add this one",
            )
        })?;
        let mut named: Vec<_> = secrets.0.iter().map(|secret| &secret.name).collect();
        let mut wanted: Vec<_> = terms.terms.secrets.iter().collect();
        named.sort_unstable();
        wanted.sort_unstable();
        if named != wanted {
            return Err(NotTaken::new(
                "the secrets are not those that the manifest names",
                "give a value for each secret of the manifest, and no others: --secret NAME=@FILE",
            ));
        }
        let owner = manifest.owner().id();
        shared.deployments.admits(owner, terms.terms.limits.memory)?;
        let stdio = Arc::new(Stdio::new(terms.terms.streams, terminals, !detach));
        let id = Id { owner, name: terms.name.clone() };
        let has = shared.outside.has_program(owner, terms.terms.program);
        let job = Job { id, manifest, signed: signed.0, secrets, program: Mutex::new(None), stdio };
        if has {
            return self.start(job, detach, replace, shared);
        }
        self.link.answer(&Answer::Wanted);
        self.stage = Stage::Wanted { pending: Box::new(Pending { job, detach, replace }) };
        Ok(())
    }

    fn upload(&mut self, length: u64) -> Result<(), NotTaken> {
        let too_large = || {
            NotTaken::new(
                format!("a program of {length} bytes is too large for this host"),
                format!("at most {MAX_PROGRAM} bytes are taken, if the enclave has the memory"),
            )
        };
        let size = usize::try_from(length).ok().filter(|_| (1..=MAX_PROGRAM).contains(&length));
        let size = size.ok_or_else(too_large)?;
        let mut program = Vec::new();
        program.try_reserve_exact(size).map_err(|_| too_large())?;
        match std::mem::replace(&mut self.stage, Stage::Over) {
            Stage::Wanted { pending } => {
                self.stage = Stage::Upload { pending, program, length: size };
                Ok(())
            }
            _ => Err(unexpected()),
        }
    }

    fn start(
        &mut self,
        job: Job,
        detach: bool,
        replace: bool,
        shared: &Shared,
    ) -> Result<(), NotTaken> {
        let deployment = shared.deployments.start(job, replace)?;
        if detach {
            self.link.answer(&Answer::Done);
            self.stage = Stage::Over;
        } else {
            self.attach(deployment, None, true);
        }
        Ok(())
    }

    fn attach(
        &mut self,
        deployment: Arc<Deployment>,
        from: Option<twine_channel::message::Position>,
        foreground: bool,
    ) {
        // The other client's connection stays until it ends it: nothing more is sent on it.
        drop(deployment.job.stdio.attach(self.link.clone(), from));
        self.deadline = None;
        self.stage = Stage::Attached { deployment, foreground };
    }
}

/// The remedy where the two sides do not understand each other.
const SAME_RELEASE: &str = "use a client and a host of the same release";

fn unexpected() -> NotTaken {
    NotTaken::new("the client sent something that is not expected here", SAME_RELEASE)
}

/// Whether a client may do something with a deployment.
fn may(manifest: &Manifest, right: Right, client: &PublicKey) -> bool {
    manifest.may(right, client)
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
        may(manifest, right, client) || may(manifest, Right::Look, client)
    });
    let missing = || {
        NotTaken::new(
            format!("there is no deployment {:?} of this owner here", name),
            "`twine ps` lists those that this key may look at",
        )
    };
    let deployment = found.ok_or_else(missing)?;
    if !may(deployment.job.manifest.manifest(), right, client) {
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
    if terms.listeners > 0 {
        return Err(NotTaken::new(
            "the manifest has listening sockets, which this host does not offer",
            "run it with `twine run --manifest`, or sign a manifest without them",
        ));
    }
    Ok(())
}
