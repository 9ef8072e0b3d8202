//! One deployment: what its owner wants to run here, and how far that is.

use crate::stdio::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use twine_channel::message::{End, Entry, Secret, State};
use twine_evidence::bytes::Digest;
use twine_evidence::signed::Signed;
use zeroize::Zeroize;

/// Ends or interrupts a program that runs, from another thread.
pub trait Control: Send {
    /// Raises SIGINT in the program, or ends it if it does not handle that.
    fn interrupt(&self);

    /// Makes the program trap.
    fn end(&self);
}

/// Names a deployment in this enclave.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    /// The SHA-256 of its owner's public key.
    pub owner: Digest,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for Id {
    /// For the host's log: the start of the owner's digest, and the name.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let owner: String = self.owner.to_string().chars().take(16).collect();
        write!(f, "{owner}/{}", self.name)
    }
}

/// What to run.
#[derive(Debug)]
pub struct Job {
    /// Which deployment it is.
    pub id: Id,
    /// The manifest, whose owner has signed it.
    pub manifest: Signed,
    /// The signed manifest, encoded.
    pub signed: Vec<u8>,
    /// The values of the secrets that the manifest names.
    pub secrets: Secrets,
    /// The program's bytes, if a client sent them.
    pub program: Mutex<Option<Vec<u8>>>,
    /// The program's standard streams.
    pub stdio: Arc<Stdio>,
}

/// Secrets of a program. They are overwritten when they are dropped.
#[derive(Debug)]
pub struct Secrets(pub Vec<Secret>);

impl Drop for Secrets {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|secret| secret.value.0.zeroize());
    }
}

impl Job {
    /// The memory that the deployment may take, in bytes: the manifest's limit and what the enclave
    /// needs for a program.
    pub(crate) fn memory(&self) -> u64 {
        let limit = self.manifest.manifest().terms.limits.memory.unwrap_or(u64::MAX);
        limit.saturating_add(OVERHEAD)
    }
}

/// What a program takes beside its linear memories, in bytes: caches of its volumes, tables, and
/// what the engine knows of it.
const OVERHEAD: u64 = 16 << 20;

/// A deployment in the table of this enclave.
pub(crate) struct Deployment {
    pub(crate) job: Arc<Job>,
    /// An older version that must end first, because both use the same volumes.
    after: Option<Arc<Deployment>>,
    stage: Mutex<Stage>,
}

impl std::fmt::Debug for Deployment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deployment").field("id", &self.job.id).finish_non_exhaustive()
    }
}

struct Stage {
    state: State,
    since: Duration,
    control: Option<Box<dyn Control>>,
    end: Option<End>,
    /// Whether somebody stopped it.
    stopped: bool,
    /// When the program's time is over, by the host's clock.
    deadline: Option<Duration>,
}

impl Deployment {
    pub(crate) fn new(job: Job, after: Option<Arc<Deployment>>, now: Duration) -> Self {
        let stage = Stage {
            state: State::Starting,
            since: now,
            control: None,
            end: None,
            stopped: false,
            deadline: None,
        };
        Deployment { job: Arc::new(job), after, stage: Mutex::new(stage) }
    }

    /// Whether nothing keeps it from being started.
    pub(crate) fn may_start(&self) -> bool {
        self.after.as_ref().is_none_or(|other| other.has_ended())
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that the program runs.
    pub(crate) fn started(&self, control: Box<dyn Control>, now: Duration) {
        let mut stage = self.stage();
        let timeout = self.job.manifest.manifest().terms.limits.timeout;
        stage.deadline = timeout.map(|timeout| now.saturating_add(Duration::from_nanos(timeout)));
        stage.state = State::Running;
        stage.since = now;
        if stage.stopped {
            control.end();
        }
        stage.control = Some(control);
    }

    /// Records the end of the program, and returns it as clients learn it.
    pub(crate) fn ended(&self, end: End, now: Duration) -> End {
        let mut stage = self.stage();
        stage.control = None;
        stage.deadline = None;
        let end = match (end, stage.stopped) {
            (End::Trapped { .. } | End::Refused { .. }, true) => End::Stopped,
            (end, _) => end,
        };
        stage.state = State::Ended;
        stage.since = now;
        stage.end = Some(end.clone());
        end
    }

    /// Raises SIGINT in the program.
    pub(crate) fn interrupt(&self) {
        if let Some(control) = &self.stage().control {
            control.interrupt();
        }
    }

    /// Ends the program.
    pub(crate) fn stop(&self) {
        let mut stage = self.stage();
        stage.stopped = true;
        if let Some(control) = &stage.control {
            control.end();
        }
        drop(stage);
        self.job.stdio.stop();
    }

    /// Whether somebody stopped it.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stage().stopped
    }

    /// Ends the program if its time is over. Returns the time that is left.
    pub(crate) fn time_left(&self, now: Duration) -> Option<Duration> {
        let mut stage = self.stage();
        let left = stage.deadline?.saturating_sub(now);
        if !left.is_zero() {
            return Some(left);
        }
        stage.deadline = None;
        if let Some(control) = &stage.control {
            control.end();
        }
        drop(stage);
        self.job.stdio.stop();
        None
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.stage().state == State::Ended
    }

    /// The deployment for a listing.
    pub(crate) fn entry(&self, now: Duration) -> Entry {
        let manifest = self.job.manifest.manifest();
        let stage = self.stage();
        Entry {
            owner: self.job.id.owner,
            name: self.job.id.name.clone(),
            version: manifest.version,
            program: manifest.terms.program,
            state: stage.state,
            end: stage.end.clone(),
            seconds: now.saturating_sub(stage.since).as_secs(),
            attached: self.job.stdio.is_attached(),
        }
    }
}
