//! One deployment: what its owner wants to run here, and how far that is.

use crate::budget::Share;
use crate::stdio::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use twine_channel::message::{End, Entry, Secret, State};
use twine_evidence::bytes::Digest;
use twine_evidence::manifest::Restart;
use twine_evidence::signed::Signed;
use twine_evidence::terms::{MountKind, Terms};
use zeroize::Zeroize;

/// Ends or interrupts a program that runs, from another thread.
pub trait Control: Send {
    /// Raises SIGINT in the program, or makes it trap if it does not handle that. Returns whether it
    /// traps.
    fn interrupt(&self) -> bool;

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
    /// The values of the secrets that the manifest names, until they are taken.
    pub(crate) secrets: Mutex<Secrets>,
    /// The program's bytes, if a client sent them, until they are taken.
    pub(crate) program: Mutex<Option<Vec<u8>>>,
    /// The program's standard streams.
    pub stdio: Arc<Stdio>,
}

/// Secrets of a program. They are overwritten when they are dropped.
#[derive(Debug, Default)]
pub struct Secrets(pub Vec<Secret>);

impl Drop for Secrets {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|secret| secret.value.0.zeroize());
    }
}

/// A deployment that was kept, to be started again without its owner.
#[derive(Debug)]
pub struct Kept {
    /// The signed manifest, encoded.
    pub signed: Vec<u8>,
    /// The values of the secrets that it names.
    pub secrets: Secrets,
}

impl Job {
    /// Passes the values of the secrets to `read`.
    pub fn with_secrets<T>(&self, read: impl FnOnce(&[Secret]) -> T) -> T {
        read(&self.secrets.lock().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Takes the values of the secrets. The program is run once, so nobody needs them later.
    pub fn take_secrets(&self) -> Secrets {
        std::mem::take(&mut *self.secrets.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes the program's bytes, if a client sent them.
    pub fn take_program(&self) -> Option<Vec<u8>> {
        self.program.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The memory that the deployment may take, in bytes: what the manifest allows and what the
    /// enclave needs for a program.
    pub(crate) fn memory(&self) -> u64 {
        let allowed = allowed_memory(&self.manifest.manifest().terms).unwrap_or(u64::MAX);
        allowed.saturating_add(OVERHEAD)
    }
}

/// The memory that the terms allow a program, in bytes: its linear memories and its file trees in
/// memory. `None` if the linear memories have no limit.
pub(crate) fn allowed_memory(terms: &Terms) -> Option<u64> {
    let trees = terms.mounts.iter().filter(|mount| mount.kind == MountKind::Memory);
    let trees = trees.filter_map(|mount| mount.size).fold(0, u64::saturating_add);
    Some(terms.limits.memory?.saturating_add(trees))
}

/// What a program takes beside its linear memories and file trees, in bytes: caches of its volumes,
/// tables, and what the engine knows of it.
const OVERHEAD: u64 = 16 << 20;

/// How long a program that wants its client waits for one.
const ABSENCE: Duration = Duration::from_secs(5 * 60);

/// A deployment in the table of this enclave.
pub(crate) struct Deployment {
    pub(crate) job: Job,
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
    /// An older version that must end first, because both use the same volumes.
    after: Option<Arc<Deployment>>,
    control: Option<Box<dyn Control>>,
    end: Option<End>,
    /// Whether somebody interrupted it before it could be.
    interrupted: bool,
    /// Whether that ends it, because it does not handle interrupts.
    cut: bool,
    /// Whether somebody stopped it.
    stopped: bool,
    /// When the program's time is over, by the host's clock.
    deadline: Option<Duration>,
    /// Whether its time was over.
    late: bool,
    /// Whether it is there for one client: it goes once that has got its end.
    foreground: bool,
    /// Since when that client is away.
    absent: Option<Duration>,
    /// The memory that its program takes until it is compiled.
    share: Option<Share>,
}

/// What is due for a deployment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Nothing, for so long.
    In(Duration),
    /// Nothing.
    Never,
    /// It is to be removed.
    Removal,
}

impl Deployment {
    /// Makes a deployment, which starts once `after` has ended. `share` is what its program takes.
    /// With `foreground`, it is there for one client.
    pub(crate) fn new(
        job: Job,
        after: Option<Arc<Deployment>>,
        share: Option<Share>,
        foreground: bool,
        now: Duration,
    ) -> Self {
        let stage = Stage {
            state: State::Starting,
            since: now,
            after,
            control: None,
            end: None,
            interrupted: false,
            cut: false,
            stopped: false,
            deadline: None,
            late: false,
            foreground,
            absent: None,
            share,
        };
        Deployment { job, stage: Mutex::new(stage) }
    }

    /// Whether no older version runs.
    pub(crate) fn is_alone(&self) -> bool {
        let mut stage = self.stage();
        if stage.after.as_ref().is_some_and(|other| other.has_ended()) {
            // Nothing of it is needed any more.
            stage.after = None;
        }
        stage.after.is_none()
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
        stage.share = None;
        if stage.stopped {
            control.end();
        } else if stage.interrupted {
            stage.cut = control.interrupt();
        }
        let ends = stage.cut;
        stage.control = Some(control);
        drop(stage);
        if ends {
            self.job.stdio.stop();
        }
    }

    /// Records the end of the program, and tells clients.
    pub(crate) fn ended(&self, end: End, now: Duration) -> &'static str {
        // Nobody needs these any more.
        drop((self.job.take_secrets(), self.job.take_program()));
        let mut stage = self.stage();
        let end = match end {
            // Whatever it made of its last moments.
            _ if stage.stopped => End::Stopped,
            _ if stage.cut && !stage.late => End::Interrupted,
            End::Trapped { backtrace, .. } if stage.late => End::Trapped {
                cause: "the program ran longer than its manifest allows".into(),
                backtrace,
            },
            end => end,
        };
        let summary = summary(&end);
        stage.control = None;
        stage.deadline = None;
        stage.share = None;
        stage.state = State::Ended;
        stage.since = now;
        stage.end = Some(end.clone());
        drop(stage);
        self.job.stdio.ended(end);
        summary
    }

    /// Raises SIGINT in the program, or as soon as it runs.
    pub(crate) fn interrupt(&self) {
        let mut stage = self.stage();
        stage.interrupted = true;
        let ends = stage.control.as_ref().is_some_and(|control| control.interrupt());
        stage.cut |= ends;
        drop(stage);
        if ends {
            // It may wait for something, and would go on with it.
            self.job.stdio.stop();
        }
        self.job.stdio.interrupt();
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

    /// Whether its manifest lets a host start it again without its owner.
    pub(crate) fn may_be_resumed(&self) -> bool {
        self.job.manifest.manifest().restart == Restart::Always
    }

    /// Whether somebody stopped it.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stage().stopped
    }

    /// Ends the program if its time is over, and the wait for its client if that is away for too
    /// long. Returns what is due next.
    pub(crate) fn look(&self, now: Duration) -> Due {
        let attached = self.job.stdio.is_attached();
        let mut stage = self.stage();
        let time = stage.deadline.map(|deadline| deadline.saturating_sub(now));
        let late = time.is_some_and(|time| time.is_zero());
        if late {
            stage.deadline = None;
            stage.late = true;
            if let Some(control) = &stage.control {
                control.end();
            }
        }
        let mut absence = None;
        if stage.foreground && !attached {
            let absent = *stage.absent.get_or_insert(now);
            absence = Some(absent.saturating_add(ABSENCE).saturating_sub(now));
        } else {
            stage.absent = None;
        }
        let gone = absence.is_some_and(|absence| absence.is_zero());
        let ended = stage.state == State::Ended;
        if gone {
            stage.foreground = false;
        }
        drop(stage);
        if late {
            self.job.stdio.stop();
        }
        if gone && ended {
            return Due::Removal;
        }
        if gone {
            self.job.stdio.give_up();
        }
        let next = time.into_iter().chain(absence).filter(|time| !time.is_zero()).min();
        next.map_or(Due::Never, Due::In)
    }

    /// Whether it goes once its client has got its end.
    pub(crate) fn is_foreground(&self) -> bool {
        self.stage().foreground
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.stage().state == State::Ended
    }

    /// The deployment for a listing.
    pub(crate) fn entry(&self, now: Duration) -> Entry {
        let manifest = self.job.manifest.manifest();
        let attached = self.job.stdio.is_attached();
        let stage = self.stage();
        Entry {
            owner: self.job.id.owner,
            name: self.job.id.name.clone(),
            version: manifest.version,
            program: manifest.terms.program,
            state: stage.state,
            end: stage.end.as_ref().map(brief),
            seconds: now.saturating_sub(stage.since).as_secs(),
            attached,
        }
    }
}

/// How a program ended, without what may be long.
fn brief(end: &End) -> End {
    match end {
        End::Exited { code, .. } => End::Exited { code: *code, results: Vec::new() },
        End::Trapped { cause, .. } => End::Trapped { cause: cause.clone(), backtrace: Vec::new() },
        End::Refused { .. } | End::Stopped | End::Interrupted => end.clone(),
    }
}

/// How a program ended, without anything that it returned.
fn summary(end: &End) -> &'static str {
    match end {
        End::Exited { .. } => "ended",
        End::Trapped { .. } => "trapped",
        End::Refused { .. } => "refused",
        End::Stopped => "stopped",
        End::Interrupted => "interrupted",
    }
}
