//! The table of deployments: who is admitted, what waits, and what runs.

use crate::budget::Share;
use crate::deployment::{Deployment, Due, Id, Job};
use crate::outside::{Level, Outside};
use crate::pulse::Pulse;
use crate::volume_job::VolumeJob;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use twine_channel::message::End;
use twine_evidence::bytes::Digest;

/// What the operator admits. The operator's machine enforces it; the enclave follows it so that
/// owners get clear answers.
#[derive(Debug, Clone, Default)]
pub struct Admission {
    /// Owners that may deploy, by the SHA-256 of their keys. Without any, everybody may.
    pub owners: Vec<Digest>,
    /// How many deployments there may be, of all owners.
    pub deployments: usize,
    /// How many deployments one owner may have, and on how many volumes one owner may work at once.
    pub per_owner: usize,
    /// How many programs may run at once. Each has a thread; two more are for connections and for
    /// evidence.
    pub running: usize,
    /// How much memory all programs that run may take, in bytes.
    pub memory: u64,
    /// How much memory one program may take, in bytes.
    pub each: u64,
    /// How much memory all programs of one owner that run may take, in bytes.
    pub each_owner: u64,
}

/// The table.
pub(crate) struct Deployments {
    outside: Arc<dyn Outside>,
    admission: Admission,
    /// Wakes the event loop, which ends what is over.
    pulse: Arc<Pulse>,
    table: Mutex<Table>,
}

impl std::fmt::Debug for Deployments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deployments").field("admission", &self.admission).finish_non_exhaustive()
    }
}

#[derive(Default)]
pub(crate) struct Table {
    pub(crate) all: BTreeMap<Id, Arc<Deployment>>,
    waiting: VecDeque<Arc<Deployment>>,
    /// Work on volumes.
    pub(crate) jobs: Vec<Arc<VolumeJob>>,
    running: usize,
    memory: u64,
    /// How much of it the programs and work of each owner take.
    shares: BTreeMap<Digest, u64>,
    /// Whether nothing more is started.
    pub(crate) closed: bool,
}

impl Table {
    /// Whether a thread and so much memory are left for this owner.
    pub(crate) fn has_room(&self, admission: &Admission, owner: Digest, bytes: u64) -> bool {
        let memory = self.memory.saturating_add(bytes);
        // One program always has room: `admits` has compared it with all memory.
        self.running < admission.running.max(1)
            && (memory <= admission.memory || self.running == 0)
            && !self.is_over_share(admission, owner, bytes)
    }

    /// Whether so much memory is more than what is left of this owner's share.
    fn is_over_share(&self, admission: &Admission, owner: Digest, bytes: u64) -> bool {
        let share = self.shares.get(&owner).copied().unwrap_or_default();
        share > 0 && share.saturating_add(bytes) > admission.each_owner
    }

    /// Takes a thread and memory.
    pub(crate) fn take(&mut self, owner: Digest, bytes: u64) {
        self.running += 1;
        self.memory = self.memory.saturating_add(bytes);
        let share = self.shares.entry(owner).or_default();
        *share = share.saturating_add(bytes);
    }

    /// Gives them back.
    pub(crate) fn give_back(&mut self, owner: Digest, bytes: u64) {
        self.running = self.running.saturating_sub(1);
        self.memory = self.memory.saturating_sub(bytes);
        if let Some(share) = self.shares.get_mut(&owner) {
            *share = share.saturating_sub(bytes);
            if *share == 0 {
                self.shares.remove(&owner);
            }
        }
    }
}

/// Why a deployment is not taken: cause and remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotTaken {
    pub(crate) cause: String,
    pub(crate) remedy: String,
}

impl NotTaken {
    pub(crate) fn new(cause: impl Into<String>, remedy: impl Into<String>) -> Self {
        NotTaken { cause: cause.into(), remedy: remedy.into() }
    }
}

impl Deployments {
    pub(crate) fn new(outside: Arc<dyn Outside>, admission: Admission, pulse: Arc<Pulse>) -> Self {
        Deployments { outside, admission, pulse, table: Mutex::default() }
    }

    pub(crate) fn outside(&self) -> &dyn Outside {
        &*self.outside
    }

    pub(crate) fn admission(&self) -> &Admission {
        &self.admission
    }

    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks that a deployment of this owner, which may take this much memory, would be admitted.
    ///
    /// # Errors
    /// The operator, or the size of the enclave, does not admit it.
    pub(crate) fn admits(&self, owner: Digest, memory: Option<u64>) -> Result<(), NotTaken> {
        let Admission { owners, each, each_owner, memory: all, .. } = &self.admission;
        if !owners.is_empty() && !owners.contains(&owner) {
            return Err(NotTaken::new(
                format!("this host does not admit the owner {owner}"),
                "ask its operator to add the key: `twine host --owner`",
            ));
        }
        let most = (*each).min(*each_owner).min(*all);
        match memory {
            None => Err(NotTaken::new(
                "the manifest sets no limit of memory, and many deployments share this enclave",
                "set one in the manifest: `memory` in [limits]",
            )),
            Some(memory) if memory > most => Err(NotTaken::new(
                format!("the manifest allows {memory} bytes of memory; this host has {most}"),
                "set smaller limits in the manifest (`memory` in [limits], `size` of mounts in \
                 memory), or ask the operator for more: `twine host --max-memory`",
            )),
            Some(_) => Ok(()),
        }
    }

    /// Takes a deployment, and starts it as soon as there is room. `share` is what its program takes.
    /// With `foreground`, it is there for one client; with `replace`, the one of this name that runs
    /// is ended.
    ///
    /// # Errors
    /// The enclave is full, or has another deployment of this name.
    pub(crate) fn start(
        self: &Arc<Self>,
        job: Job,
        share: Option<Share>,
        foreground: bool,
        replace: bool,
    ) -> Result<Arc<Deployment>, NotTaken> {
        let mut table = self.table();
        if table.closed {
            return Err(NotTaken::new("this host is about to stop", "try again in a moment"));
        }
        let name = &job.id.name;
        let other = table.all.get(&job.id).cloned();
        if let Some(other) = &other {
            let version = |job: &Job| job.manifest.manifest().version;
            let (old, new) = (version(&other.job), version(&job));
            if new < old {
                return Err(NotTaken::new(
                    format!("{name} is here in version {old}, and this manifest has version {new}"),
                    "have its owner sign a newer version",
                ));
            }
            if !other.has_ended() && !replace {
                return Err(NotTaken::new(
                    format!("{name} runs already"),
                    "attach to it (`twine attach`), stop it (`twine stop`), or replace it (`twine \
                     deploy --replace`)",
                ));
            }
        } else {
            self.has_place(&table, job.id.owner)?;
        }
        if let Some(other) =
            table.jobs.iter().find(|other| other.is_of(&job.id, job.manifest.manifest()))
        {
            return Err(NotTaken::new(
                format!("a client works on the volume for {}", other.mount),
                "try again when `twine volume` has ended",
            ));
        }
        let id = job.id.clone();
        let after = other.filter(|other| !other.has_ended());
        let deployment =
            Arc::new(Deployment::new(job, after.clone(), share, foreground, self.outside.now()));
        table.all.insert(id, deployment.clone());
        table.waiting.push_back(deployment.clone());
        drop(table);
        if let Some(other) = after {
            self.stop(&other, true);
        }
        self.start_waiting();
        Ok(deployment)
    }

    /// Checks that there is a place for one more deployment of an owner.
    fn has_place(&self, table: &Table, owner: Digest) -> Result<(), NotTaken> {
        let Admission { deployments, per_owner, .. } = self.admission;
        if table.all.len() >= deployments {
            return Err(NotTaken::new(
                format!("this host has its {deployments} deployments"),
                "remove some that have ended (`twine rm`), or try again later",
            ));
        }
        if table.all.keys().filter(|id| id.owner == owner).count() >= per_owner {
            return Err(NotTaken::new(
                format!("this owner has the {per_owner} deployments that one may have here"),
                "remove some that have ended: `twine rm`",
            ));
        }
        Ok(())
    }

    /// Takes the next deployment that waits, if there is room for it.
    fn next(&self) -> Option<Arc<Deployment>> {
        let mut table = self.table();
        if table.closed {
            return None;
        }
        let fits = |job: &Job| table.has_room(&self.admission, job.id.owner, job.memory());
        // Nobody overtakes one that waits for room, but those whose owner has no share left.
        let mut alone = table.waiting.iter().enumerate().filter(|(_, waiting)| waiting.is_alone());
        let at = alone.find(|(_, waiting)| {
            !table.is_over_share(&self.admission, waiting.job.id.owner, waiting.job.memory())
        });
        let (at, deployment) = at.filter(|(_, waiting)| fits(&waiting.job))?;
        let (owner, memory) = (deployment.job.id.owner, deployment.job.memory());
        table.take(owner, memory);
        table.waiting.remove(at)
    }

    /// Starts threads for deployments that wait, as long as there is room.
    pub(crate) fn start_waiting(self: &Arc<Self>) {
        while let Some(deployment) = self.next() {
            let table = self.clone();
            let first = deployment.clone();
            let started = thread::Builder::new().spawn(move || table.work(first));
            if started.is_err() {
                // All threads are taken. The next one that is free takes it.
                let mut table = self.table();
                table.give_back(deployment.job.id.owner, deployment.job.memory());
                table.waiting.push_front(deployment);
                return;
            }
        }
    }

    /// Runs a deployment, and then others that wait.
    fn work(self: Arc<Self>, first: Arc<Deployment>) {
        let mut next = Some(first);
        while let Some(deployment) = next {
            self.run(&deployment);
            let mut table = self.table();
            table.give_back(deployment.job.id.owner, deployment.job.memory());
            drop(table);
            self.pulse.wake();
            next = self.next();
            // One that ends may leave room for several.
            self.start_waiting();
        }
    }

    fn run(&self, deployment: &Arc<Deployment>) {
        let outside = &*self.outside;
        let id = &deployment.job.id;
        let end = if deployment.is_stopped() {
            End::Stopped
        } else {
            outside.log(Level::Info, &format!("{id}: started"));
            let kept = match deployment.may_be_resumed() {
                true => outside
                    .keep(&deployment.job)
                    .map_err(|cause| format!("it can't be resumed: {cause}")),
                // An older version may have been kept, also by an older image.
                false => outside.forget(&deployment.job, false),
            };
            if let Err(cause) = kept {
                outside.log(Level::Warning, &format!("{id}: {cause}"));
            }
            let mut started = |control| {
                deployment.started(control, outside.now());
                self.pulse.wake();
            };
            outside.run(&deployment.job, &mut started)
        };
        // Before another version may start, which is kept under the same name. A host that stops starts
        // it again the next time.
        if deployment.may_be_resumed()
            && !self.table().closed
            && let Err(cause) = outside.forget(&deployment.job, false)
        {
            outside.log(Level::Warning, &format!("{id}: {cause}"));
        }
        // What a program returns may be for its owner only.
        let summary = deployment.ended(end, outside.now());
        outside.log(Level::Info, &format!("{id}: {summary}"));
        self.pulse.wake();
    }

    /// A deployment.
    pub(crate) fn get(&self, id: &Id) -> Option<Arc<Deployment>> {
        self.table().all.get(id).cloned()
    }

    /// All deployments.
    pub(crate) fn all(&self) -> Vec<Arc<Deployment>> {
        self.table().all.values().cloned().collect()
    }

    /// Whether a deployment of an owner has this program.
    pub(crate) fn names(&self, owner: Digest, program: Digest) -> bool {
        let has = |found: &Arc<Deployment>| {
            found.job.id.owner == owner && found.job.manifest.manifest().terms.program == program
        };
        self.table().all.values().any(has)
    }

    /// Forgets a deployment, if it has ended and no other took its place.
    pub(crate) fn remove(&self, deployment: &Arc<Deployment>) {
        let mut table = self.table();
        let id = &deployment.job.id;
        let is_it = table.all.get(id).is_some_and(|found| Arc::ptr_eq(found, deployment));
        if is_it && deployment.has_ended() {
            table.all.remove(id);
        }
    }

    /// Ends a deployment: with `kill` at once, or else as an interrupt does.
    pub(crate) fn stop(&self, deployment: &Arc<Deployment>, kill: bool) {
        if kill {
            deployment.stop();
        } else {
            deployment.interrupt();
        }
        self.drop_waiting(deployment);
    }

    /// Ends a deployment that still waits for room.
    fn drop_waiting(&self, deployment: &Arc<Deployment>) {
        let mut table = self.table();
        let before = table.waiting.len();
        table.waiting.retain(|waiting| !Arc::ptr_eq(waiting, deployment));
        let waited = table.waiting.len() != before;
        drop(table);
        if waited {
            deployment.ended(End::Stopped, self.outside.now());
        }
    }

    /// Starts nothing more, and ends what waits, and work on volumes.
    pub(crate) fn close(&self) {
        let mut table = self.table();
        table.closed = true;
        let waiting = std::mem::take(&mut table.waiting);
        let jobs = table.jobs.clone();
        drop(table);
        jobs.iter().for_each(|job| job.stop());
        for deployment in waiting {
            deployment.stop();
            deployment.ended(End::Stopped, self.outside.now());
        }
    }

    /// How many programs run, and how much work on volumes.
    pub(crate) fn running(&self) -> usize {
        self.table().running
    }

    /// Ends programs whose time is over, and the wait for clients that are away for too long. Returns
    /// the time until the next one is due.
    pub(crate) fn look(self: &Arc<Self>, now: Duration) -> Option<Duration> {
        let mut next = None;
        for deployment in self.all() {
            match deployment.look(now) {
                Due::In(time) => next = Some(next.map_or(time, |next: Duration| next.min(time))),
                Due::Never => {}
                Due::Removal => self.remove(&deployment),
            }
        }
        // No thread could be started for them before, or what was before them went.
        self.start_waiting();
        next
    }
}
