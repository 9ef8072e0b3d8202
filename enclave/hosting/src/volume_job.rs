//! Work of a client on a volume of a deployment that does not run.
//!
//! It has streams as a program has, and takes a thread and memory as a program does. It is there for
//! one client: it ends when that is gone.

use crate::deployment::Id;
use crate::deployments::{Deployments, NotTaken};
use crate::outside::{Level, Outside};
use crate::requests::opened;
use crate::session::{Session, Shared};
use crate::stdio::Stdio;
use std::sync::Arc;
use std::thread;
use twine_channel::message::{End, OnVolume};
use twine_channel::volume::Work;
use twine_evidence::access::Right;
use twine_evidence::manifest::Manifest;
use twine_evidence::owner::PublicKey;
use twine_evidence::signed::Signed;
use twine_evidence::terms::{MountKind, Stream, Streams};

/// The memory that it may take, in bytes: the cache of the volume, buffers, and what a walk through
/// the tree keeps.
pub(crate) const MEMORY: u64 = 32 << 20;

/// Work on a volume.
#[derive(Debug)]
pub struct VolumeJob {
    /// Whose volume it is.
    pub id: Id,
    /// The manifest, whose owner has signed it.
    pub manifest: Signed,
    /// The path at which the manifest mounts the volume.
    pub mount: String,
    /// What to do.
    pub work: Work,
    /// The streams of the client.
    pub stdio: Arc<Stdio>,
}

impl VolumeJob {
    /// Whether it works on a volume of this deployment, which another manifest may mount too.
    pub(crate) fn is_of(&self, id: &Id, manifest: &Manifest) -> bool {
        self.id == *id
            && self.manifest.manifest().generation == manifest.generation
            && mounts(manifest, &self.mount)
    }

    /// Makes it end: its calls fail from now on.
    pub(crate) fn stop(&self) {
        self.stdio.stop();
    }

    /// Does it, and tells the client how it ended.
    pub(crate) fn run(&self, outside: &dyn Outside) {
        outside.log(Level::Info, &format!("{}: work on a volume", self.id));
        let end = outside.work(self);
        let end = if self.stdio.is_over() { End::Stopped } else { end };
        self.stdio.ended(end);
    }
}

/// Whether a manifest mounts a volume at this path.
fn mounts(manifest: &Manifest, path: &str) -> bool {
    let mut mounts = manifest.terms.mounts.iter();
    mounts.any(|mount| mount.kind == MountKind::Volume && mount.guest == path)
}

impl Session {
    /// Starts to work on a volume.
    ///
    /// # Errors
    /// It is not allowed, or can't be done now.
    pub(crate) fn on_volume(
        &mut self,
        client: &PublicKey,
        request: OnVolume,
        shared: &Shared,
    ) -> Result<(), NotTaken> {
        let OnVolume { manifest: signed, mount, work, terminals } = request;
        let manifest = opened(&signed.0, Some((client, Right::Files)), shared)?;
        let terms = manifest.manifest();
        if !mounts(terms, &mount) {
            return Err(NotTaken::new(
                format!("the manifest mounts no volume at {mount:?}"),
                "name the path of one of its mounts of kind `volume`",
            ));
        }
        let owner = manifest.owner().id();
        shared.deployments.admits(owner, Some(0))?;
        let id = Id { owner, name: terms.name.clone() };
        let stdin = if work.reads() { Stream::Owner } else { Stream::None };
        let streams = Streams { stdin, stdout: Stream::Owner, stderr: Stream::Owner };
        let stdio = Arc::new(Stdio::new(streams, terminals, true));
        let job = Arc::new(VolumeJob { id, manifest, mount, work, stdio });
        shared.deployments.begin(&job)?;
        self.work(job, shared.outside.now());
        Ok(())
    }
}

impl Deployments {
    /// Starts to work on a volume, on a thread of its own.
    ///
    /// # Errors
    /// A program or another client has the volume, there is a newer version of the manifest here, or
    /// there is no room.
    fn begin(self: &Arc<Self>, job: &Arc<VolumeJob>) -> Result<(), NotTaken> {
        self.reserve(job)?;
        let (table, copy) = (self.clone(), job.clone());
        let started = thread::Builder::new().spawn(move || {
            copy.run(table.outside());
            table.release(&copy);
        });
        started.map(drop).map_err(|_| {
            self.release(job);
            no_room()
        })
    }

    fn reserve(&self, job: &Arc<VolumeJob>) -> Result<(), NotTaken> {
        let mut table = self.table();
        let manifest = job.manifest.manifest();
        if table.closed {
            return Err(NotTaken::new("this host is about to stop", "try again in a moment"));
        }
        if let Some(found) = table.all.get(&job.id) {
            let other = found.job.manifest.manifest();
            if manifest.version < other.version {
                return Err(NotTaken::new(
                    format!(
                        "{} is here in version {}, and this manifest has version {}",
                        job.id.name, other.version, manifest.version
                    ),
                    "use the newest manifest",
                ));
            }
            if !found.has_ended() && job.is_of(&found.job.id, other) {
                return Err(NotTaken::new(
                    format!("{} runs, and has the volume for {}", job.id.name, job.mount),
                    "stop it first: `twine stop`",
                ));
            }
        }
        if table.jobs.iter().any(|other| other.is_of(&job.id, manifest) && other.mount == job.mount)
        {
            return Err(NotTaken::new(
                format!("another client works on the volume for {}", job.mount),
                "try again when it has ended",
            ));
        }
        let own = table.jobs.iter().filter(|other| other.id.owner == job.id.owner).count();
        if own >= self.admission().per_owner {
            return Err(NotTaken::new(
                format!("this owner works on {own} volumes at once, which is the limit here"),
                "try again when one of them has ended",
            ));
        }
        if !table.has_room(self.admission(), job.id.owner, MEMORY) {
            return Err(no_room());
        }
        table.take(job.id.owner, MEMORY);
        table.jobs.push(job.clone());
        Ok(())
    }

    fn release(self: &Arc<Self>, job: &Arc<VolumeJob>) {
        let mut table = self.table();
        table.jobs.retain(|other| !Arc::ptr_eq(other, job));
        table.give_back(job.id.owner, MEMORY);
        drop(table);
        self.start_waiting();
    }
}

fn no_room() -> NotTaken {
    NotTaken::new(
        "this host has no room for this at the moment: programs take its threads or its memory",
        "try again when one of them has ended",
    )
}
