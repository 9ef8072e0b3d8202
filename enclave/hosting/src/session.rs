//! One connection of a client, from its first message to its last.

use crate::attester::{Attester, Wanted};
use crate::budget::{Budget, Share};
use crate::deployment::{Deployment, Job};
use crate::deployments::{Deployments, NotTaken};
use crate::link::{Link, Standing};
use crate::outside::{Lost, Outside};
use crate::stdio::Stdio;
use crate::volume_job::VolumeJob;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use twine_channel::frame::{Decoder, Frame, Kind, MAX_EARLY_MESSAGE, MAX_MESSAGE};
use twine_channel::message::{Answer, Position, Request};
use twine_channel::{NONCE_BYTES, VERSION};
use twine_evidence::bytes::Digest;
use twine_evidence::channel::{self, EVIDENCE_LABEL, OWNER_LABEL, Role};
use twine_evidence::owner::PublicKey;

/// How long a client may take until its request is complete, apart from a program that it sends.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long the client may take to close a connection on which nothing more follows. If it were
/// closed here first, the last answer could be lost.
const LINGER: Duration = Duration::from_secs(2);

/// How long a client that follows a log may not read while something is there for it, and how long one
/// that works on a volume may neither read nor send, because it holds up others. One that is attached
/// may take its time: the program waits for it.
const STALL: Duration = Duration::from_secs(5 * 60);

/// The least speed of a program that a client sends, in bytes for each second.
const MIN_SPEED: u64 = 32 << 10;

/// Limit on the size of a program, in bytes.
const MAX_PROGRAM: u64 = 128 << 20;

/// Limit on the size of all programs that were sent and are not compiled yet, in bytes.
pub(crate) const MAX_PROGRAMS: u64 = 256 << 20;

/// Limit on the size of all long messages, in bytes. It is apart, because anybody may send one.
pub(crate) const MAX_MESSAGES: u64 = 64 << 20;

/// The size of messages that are not long, in bytes.
const SHORT: usize = 64 << 10;

/// A connection.
#[derive(Debug)]
pub(crate) struct Session {
    link: Arc<Link>,
    decoder: Decoder,
    /// The SHA-256 of the public key with which this enclave made the handshake.
    public: Digest,
    stage: Stage,
    /// When the patience with a client is over that has no complete request.
    deadline: Duration,
    /// What the memory for a long message is taken from, until what it asks for is done.
    message: Option<Share>,
    /// How many bytes the client's socket had taken when that was more than before.
    moved: (u64, Duration),
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
    Upload { pending: Box<Pending>, program: Vec<u8>, length: usize, share: Share },
    /// The client is attached to a deployment.
    Attached { deployment: Arc<Deployment> },
    /// The client follows the log of a deployment.
    Follows { deployment: Arc<Deployment> },
    /// The client works on a volume.
    Works { job: Arc<VolumeJob> },
    /// The last answer is on its way.
    Over,
}

/// A deployment whose program is not here yet.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(crate) job: Job,
    pub(crate) detach: bool,
    pub(crate) replace: bool,
}

/// What sessions share.
pub(crate) struct Shared {
    pub(crate) outside: Arc<dyn Outside>,
    pub(crate) deployments: Arc<Deployments>,
    pub(crate) attester: Attester,
    /// Memory for programs that are sent.
    pub(crate) programs: Budget,
    /// Memory for long messages.
    pub(crate) messages: Budget,
}

impl Session {
    pub(crate) fn new(link: Arc<Link>, public: Digest, now: Duration) -> Self {
        Session {
            link,
            decoder: Decoder::new(MAX_EARLY_MESSAGE),
            public,
            stage: Stage::Hello,
            deadline: now.saturating_add(PATIENCE),
            message: None,
            moved: (0, now),
        }
    }

    pub(crate) fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Whether the client has asked for nothing yet.
    pub(crate) fn is_early(&self) -> bool {
        matches!(self.stage, Stage::Hello | Stage::Prove { .. } | Stage::Ready { .. })
    }

    /// Whether the client is attached to a deployment, follows its log, or works on a volume.
    pub(crate) fn is_attached(&self) -> bool {
        self.streams().is_some()
    }

    /// The streams of which the client gets the output.
    fn streams(&self) -> Option<&Arc<Stdio>> {
        match &self.stage {
            Stage::Attached { deployment } | Stage::Follows { deployment } => {
                Some(&deployment.job.stdio)
            }
            Stage::Works { job } => Some(&job.stdio),
            _ => None,
        }
    }

    /// The streams to which the client sends input.
    fn fed(&self) -> Result<&Arc<Stdio>, NotTaken> {
        match &self.stage {
            Stage::Follows { .. } => Err(unexpected()),
            _ => self.streams().ok_or_else(unexpected),
        }
    }

    /// Looks how the connection is. Returns when it ends, if the client does nothing.
    ///
    /// # Errors
    /// The connection is lost, or its time is over.
    pub(crate) fn look(&mut self, now: Duration) -> Result<Option<Duration>, Lost> {
        let Standing { full, lost, finished, total } = self.link.standing();
        if lost {
            return Err(Lost);
        }
        let over = matches!(self.stage, Stage::Over);
        if self.moved.0 != total || (finished && !over) {
            self.moved = (total, now);
        }
        if finished && !over {
            // Another thread has sent the last answer.
            self.leave();
        }
        let after = |time| Some(self.moved.1.saturating_add(time));
        let deadline = match self.stage {
            Stage::Over if full => after(PATIENCE),
            Stage::Over => after(LINGER),
            Stage::Follows { .. } | Stage::Works { .. } if full => after(STALL),
            Stage::Works { ref job } if job.stdio.waits_for_client() => Some(self.deadline),
            Stage::Attached { .. } | Stage::Follows { .. } | Stage::Works { .. } => None,
            _ => Some(self.deadline),
        };
        match deadline {
            Some(deadline) if deadline <= now => Err(Lost),
            deadline => Ok(deadline),
        }
    }

    /// Receives what the client has sent, and does what it asks for.
    ///
    /// # Errors
    /// The connection is lost.
    pub(crate) fn receive(&mut self, shared: &Shared, buffer: &mut [u8]) -> Result<(), Lost> {
        let received = self.link.receive(buffer)?;
        self.decoder.push(&received.bytes);
        while !matches!(self.stage, Stage::Over) {
            match self.decoder.take() {
                Ok(Some(frame)) => self.take(frame, shared),
                Ok(None) if self.has_room(shared) => break,
                Ok(None) => self.refuse(&no_memory()),
                Err(error) => {
                    self.refuse(&NotTaken::new(error.to_string(), SAME_RELEASE));
                }
            }
        }
        if matches!(self.stage, Stage::Over) {
            // Nothing that follows is wanted.
            self.decoder = Decoder::new(MAX_EARLY_MESSAGE);
            self.link.finish();
        }
        if received.end { Err(Lost) } else { Ok(()) }
    }

    /// Whether there is memory for the message that comes.
    fn has_room(&mut self, shared: &Shared) -> bool {
        let announced = self.decoder.announced();
        if announced > SHORT && self.message.is_none() {
            self.message = shared.messages.take(announced as u64);
            return self.message.is_some();
        }
        true
    }

    /// Sends more of a program's output, after the socket has taken what waited.
    pub(crate) fn pump(&self) {
        if let Some(streams) = self.streams() {
            streams.pump();
        }
    }

    /// Ends what the client did. Returns the deployment to which it was attached, if it has got the
    /// end of that.
    fn leave(&mut self) -> Option<Arc<Deployment>> {
        self.message = None;
        let stage = std::mem::replace(&mut self.stage, Stage::Over);
        match stage {
            Stage::Attached { deployment } | Stage::Follows { deployment } => {
                let told = deployment.job.stdio.detach(&self.link);
                told.then_some(deployment)
            }
            Stage::Works { job } => {
                // It is there for this client alone.
                job.stop();
                job.stdio.detach(&self.link);
                None
            }
            _ => None,
        }
    }

    /// Ends the session.
    pub(crate) fn close(mut self) {
        // The client may not have got what was sent, so the end of a program is kept.
        self.leave();
        self.link.close();
    }

    fn refuse(&mut self, reason: &NotTaken) {
        let NotTaken { cause, remedy } = reason;
        self.link.answer(&Answer::refused(cause.clone(), remedy.clone()));
        self.leave();
    }

    /// Takes one frame.
    fn take(&mut self, frame: Frame, shared: &Shared) {
        let done = match frame.kind {
            Kind::Message => match Request::decode(&frame.body) {
                Ok(request) => self.request(request, shared),
                Err(error) => Err(NotTaken::new(error.to_string(), SAME_RELEASE)),
            },
            Kind::Input => self.input(&frame.body, shared),
            Kind::Program => self.program(&frame.body, shared),
            Kind::Output | Kind::Errors | Kind::Contents => Err(unexpected()),
        };
        if let Err(reason) = done {
            self.refuse(&reason);
        }
    }

    fn input(&mut self, bytes: &[u8], shared: &Shared) -> Result<(), NotTaken> {
        self.fed()?.feed(&self.link, bytes).map_err(|_| unexpected())?;
        self.deadline = shared.outside.now().saturating_add(STALL);
        Ok(())
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
        let Stage::Upload { pending, program, share, .. } = stage else {
            return Err(unexpected());
        };
        let Pending { job, .. } = &*pending;
        let expected = job.manifest.manifest().terms.program;
        let found = Digest::of(&program);
        if found != expected {
            return Err(NotTaken::new(
                format!("the program has the SHA-256 {found}; the manifest names {expected}"),
                "send the program that the manifest was made for",
            ));
        }
        let Pending { job, detach, replace } = *pending;
        let job = Job { program: Mutex::new(Some(program)), ..job };
        self.start(Pending { job, detach, replace }, Some(share), shared)
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
                // No other message is long.
                self.decoder.allow(MAX_EARLY_MESSAGE);
                self.asked(&client, request, shared)
            }
            (Stage::Wanted { .. }, Request::Upload { length }) => self.upload(length, shared),
            (Stage::Attached { .. } | Stage::Works { .. }, Request::InputEnd) => {
                self.fed()?.end_input(&self.link);
                Ok(())
            }
            (Stage::Attached { deployment }, Request::Interrupt) => {
                deployment.interrupt();
                Ok(())
            }
            (Stage::Works { job }, Request::Interrupt) => {
                job.stop();
                Ok(())
            }
            (Stage::Attached { .. } | Stage::Works { .. }, Request::Received(position)) => {
                self.fed()?.acknowledge(&self.link, position);
                self.deadline = shared.outside.now().saturating_add(STALL);
                Ok(())
            }
            (
                Stage::Attached { .. } | Stage::Follows { .. } | Stage::Works { .. },
                Request::Thanks,
            ) => {
                if let Some(deployment) = self.leave().filter(|told| told.is_foreground()) {
                    shared.deployments.remove(&deployment);
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
        let wanted =
            Wanted { link: self.link.clone(), key: self.public, nonce: nonce.clone(), channel };
        if !shared.attester.ask(wanted) {
            return Err(NotTaken::new(
                "too many clients ask for evidence at the moment",
                "try again in a moment",
            ));
        }
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

    fn upload(&mut self, length: u64, shared: &Shared) -> Result<(), NotTaken> {
        let size = usize::try_from(length).ok().filter(|_| (1..=MAX_PROGRAM).contains(&length));
        let size = size.ok_or_else(|| {
            NotTaken::new(
                format!("the program has {length} bytes; this host takes 1 to {MAX_PROGRAM}"),
                "make it smaller, for example without debug information: `wasm-tools strip`",
            )
        })?;
        let share = shared.programs.take(length).ok_or_else(no_memory)?;
        let mut program = Vec::new();
        program.try_reserve_exact(size).map_err(|_| no_memory())?;
        let Stage::Wanted { pending } = std::mem::replace(&mut self.stage, Stage::Over) else {
            return Err(unexpected());
        };
        let time = PATIENCE.saturating_add(Duration::from_secs(length / MIN_SPEED));
        self.deadline = shared.outside.now().saturating_add(time);
        self.stage = Stage::Upload { pending, program, length: size, share };
        Ok(())
    }

    /// Waits for the program of a deployment.
    pub(crate) fn want(&mut self, pending: Pending, now: Duration) {
        self.link.answer(&Answer::Wanted);
        self.deadline = now.saturating_add(PATIENCE);
        self.stage = Stage::Wanted { pending: Box::new(pending) };
    }

    /// Starts a deployment, whose program was sent if there is a share for it.
    pub(crate) fn start(
        &mut self,
        pending: Pending,
        share: Option<Share>,
        shared: &Shared,
    ) -> Result<(), NotTaken> {
        self.message = None;
        let Pending { job, detach, replace } = pending;
        let deployment = shared.deployments.start(job, share, !detach, replace)?;
        if detach {
            self.done();
        } else {
            self.attach(deployment, None);
        }
        Ok(())
    }

    /// Attaches the client to a deployment, of whose output it has got what is before `from`.
    pub(crate) fn attach(&mut self, deployment: Arc<Deployment>, from: Option<Position>) {
        deployment.job.stdio.attach(self.link.clone(), from);
        self.stage = Stage::Attached { deployment };
    }

    /// Attaches the client to its work on a volume.
    pub(crate) fn work(&mut self, job: Arc<VolumeJob>, now: Duration) {
        self.message = None;
        self.deadline = now.saturating_add(STALL);
        job.stdio.attach(self.link.clone(), None);
        self.stage = Stage::Works { job };
    }

    /// Sends the client what a deployment wrote, and with `follow` what it writes later.
    pub(crate) fn watch(&mut self, deployment: Arc<Deployment>, follow: bool) {
        deployment.job.stdio.watch(self.link.clone(), follow);
        self.stage = Stage::Follows { deployment };
    }

    /// Tells the client that its request was done.
    pub(crate) fn done(&mut self) {
        self.link.answer(&Answer::Done);
        self.leave();
    }
}

/// The remedy where the two sides do not understand each other.
const SAME_RELEASE: &str = "use a client and a host of the same release";

pub(crate) fn unexpected() -> NotTaken {
    NotTaken::new("the client sent something that is not expected here", SAME_RELEASE)
}

fn no_memory() -> NotTaken {
    NotTaken::new(
        "this host has no memory for what the client sends at the moment",
        "try again in a moment: others send programs too",
    )
}
