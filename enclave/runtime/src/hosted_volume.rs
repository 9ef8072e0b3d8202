//! Works on a volume of a deployment for a client elsewhere (`twine volume --at`).

use crate::host_storage::HostStorage;
use crate::hosted::told;
use crate::mounts;
use crate::sealing_keys::SealingKeys;
use crate::volume_file::VolumeFile;
use std::sync::Arc;
use twine_boundary::Access;
use twine_channel::message::End;
use twine_channel::volume::{self, Form, Work};
use twine_evidence::statement::Deployment;
use twine_hosting::{Over, Stdio, VolumeJob};
use twine_protocol::key::{Sealing, VolumeKey};
use twine_protocol::launch::VolumeSource;
use twine_protocol::task::{Location, OpenVolume, Operation, Repair, VolumeTask};
use twine_protocol::wire::{Status, Unit};
use twine_vfs::FileSystem;
use twine_volume::{Error, NewSlot, Piece, Storage, StorageError, Volume};
use twine_volume_tool::{Console, Opening, Outside, StreamError, Transfer};

/// The cache of the volume, in bytes. It is part of the memory that `twine_hosting` reserves.
const CACHE: u64 = 8 << 20;

/// Works on a volume until it is done, or the client is gone.
pub(crate) fn work(job: &VolumeJob) -> End {
    let manifest = job.manifest.manifest();
    let deployment = manifest.deployment(job.manifest.owner());
    match open(&deployment, job) {
        Ok(file) => on_file(job, &deployment, file),
        Err(status) => refused(&job.mount, status),
    }
}

fn on_file(job: &VolumeJob, deployment: &Deployment, file: VolumeFile) -> End {
    let keys = SealingKeys::of_any_program().in_deployment(Some(deployment), &job.mount);
    let which = OpenVolume {
        name: job.mount.clone(),
        storage: file.number(),
        key: VolumeKey::Sealed(Sealing::DEPLOYMENT),
        more_keys: Vec::new(),
        read_only: !job.work.changes(),
    };
    // What comes from a client ends by itself when the client is gone, and then cleans up.
    let ends =
        (!matches!(job.work, Work::Receive { .. } | Work::Write { .. })).then(|| job.stdio.clone());
    let mut around = Around { file, keys, ends };
    let mut streams = Streams(&job.stdio);
    let end = match task(&job.work) {
        Task::Transfer(transfer) => {
            twine_volume_tool::transfer(&which, &transfer, &mut around, &mut streams)
        }
        Task::Operation(operation) => {
            let task = VolumeTask { volume: which, operation, progress: false };
            twine_volume_tool::run(&task, &mut around, &mut streams)
        }
    };
    around.file.close();
    told(end)
}

/// What the tool does.
enum Task {
    Operation(Operation),
    Transfer(Transfer),
}

fn task(work: &Work) -> Task {
    let within = |paths: &[String]| paths.iter().cloned().map(Location::Volume).collect();
    Task::Operation(match work.clone() {
        Work::List { path, form } => {
            Operation::List { path, long: form == Form::Long, json: form == Form::Json }
        }
        Work::Tree { path, json } => Operation::Tree { path, json },
        Work::Print { paths } => Operation::Print { paths },
        Work::MakeDirectories { paths, parents } => Operation::MakeDirectories { paths, parents },
        Work::Remove { paths, recursive, force } => Operation::Remove { paths, recursive, force },
        Work::Move { sources, target } => Operation::Move { sources, target },
        Work::Copy { sources, target, recursive } => Operation::Copy {
            sources: within(&sources),
            target: Location::Volume(target),
            recursive,
        },
        Work::Write { target } => Operation::Copy {
            sources: vec![Location::Stream],
            target: Location::Volume(target),
            recursive: false,
        },
        Work::Send { sources, recursive } => {
            return Task::Transfer(Transfer::Send { sources, recursive });
        }
        Work::Receive { target, several } => {
            return Task::Transfer(Transfer::Receive { target, several });
        }
        Work::Info { json } => Operation::Info { header: false, json },
        Work::Check { json, repair } => {
            let repair = match repair {
                volume::Repair::No => Repair::No,
                volume::Repair::Ask => Repair::Ask,
                volume::Repair::Yes => Repair::Yes,
            };
            Operation::Check { json, repair }
        }
        Work::Compact { json } => Operation::Compact { json },
    })
}

/// Opens the file of the volume.
fn open(deployment: &Deployment, job: &VolumeJob) -> Result<VolumeFile, Status> {
    let access = match (job.work.makes(), job.work.changes()) {
        (true, _) => Access::Create,
        (false, true) => Access::Write,
        (false, false) => Access::Read,
    };
    let file = VolumeFile::open(deployment, &job.mount, access)?;
    if file.is_new() && !job.work.makes() { Err(Status::Missing) } else { Ok(file) }
}

fn refused(mount: &str, status: Status) -> End {
    let cause = match status {
        Status::Missing => format!("there is no volume for {mount} yet"),
        status => format!("the volume for {mount} can't be opened: {status:?}"),
    };
    let remedy = match status {
        Status::Missing => "deploy the program, or copy something into it: `twine volume cp`",
        Status::InUse => "stop the deployment that uses it first: `twine stop`",
        Status::NoSpace => "have the operator make room on the host's disk",
        _ => "ask the operator: the log of `twine host` says more",
    };
    End::Refused { cause, remedy: remedy.into() }
}

/// The file of the volume, and its key.
struct Around {
    file: VolumeFile,
    keys: SealingKeys,
    /// The streams whose end ends the work.
    ends: Option<Arc<Stdio>>,
}

impl Around {
    fn storage(&self) -> Box<dyn Storage> {
        let storage = HostStorage::new(self.file.number());
        match &self.ends {
            Some(stdio) => Box::new(Ending { storage, stdio: stdio.clone() }),
            None => Box::new(storage),
        }
    }

    fn volume(&self, which: &OpenVolume, create: bool, opening: Opening) -> Result<Volume, Error> {
        let source = VolumeSource {
            storage: which.storage,
            key: which.key.clone(),
            create,
            cache: Some(CACHE),
            main: None,
        };
        mounts::volume_in(self.storage(), &source, opening, self.keys)
    }
}

impl Outside for Around {
    fn open(&mut self, which: &OpenVolume, opening: Opening) -> Result<Volume, Error> {
        self.volume(which, self.file.is_new(), opening)
    }

    fn create(&mut self, which: &OpenVolume) -> Result<Volume, Error> {
        self.volume(which, true, Opening::ReadWrite)
    }

    fn new_slot(&mut self, _: &VolumeKey) -> Result<NewSlot, Error> {
        Err(Error::Invalid("a deployment's volume has one key"))
    }

    fn sealing(&self, parameters: &[u8]) -> Option<Sealing> {
        SealingKeys::sealing(parameters)
    }

    fn storage(&mut self, _: u64) -> Box<dyn Storage> {
        Around::storage(self)
    }

    fn folder(&mut self, _: u64, _: bool) -> Result<Box<dyn FileSystem>, twine_vfs::Error> {
        // Paths of the client are the client's, and those of the host nobody's.
        Err(twine_vfs::Error::NotFound)
    }
}

/// A storage that fails once the client is gone, as a disk that is taken away: the volume is then as
/// a commit left it.
struct Ending {
    storage: HostStorage,
    stdio: Arc<Stdio>,
}

impl Ending {
    fn go_on(&mut self) -> Result<&mut HostStorage, StorageError> {
        if self.stdio.is_over() { Err(StorageError::Io) } else { Ok(&mut self.storage) }
    }
}

impl Storage for Ending {
    fn size(&mut self) -> Result<u64, StorageError> {
        self.go_on()?.size()
    }

    fn set_size(&mut self, size: u64) -> Result<(), StorageError> {
        self.go_on()?.set_size(size)
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), StorageError> {
        self.go_on()?.read(offset, bytes)
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.go_on()?.write(offset, bytes)
    }

    fn write_pieces(&mut self, pieces: &[Piece], bytes: &[u8]) -> Result<(), StorageError> {
        self.go_on()?.write_pieces(pieces, bytes)
    }

    fn sync(&mut self) -> Result<(), StorageError> {
        self.go_on()?.sync()
    }

    fn write_through(&mut self, offset: u64, bytes: &[u8]) -> Result<(), StorageError> {
        self.go_on()?.write_through(offset, bytes)
    }
}

/// The streams of the client.
struct Streams<'a>(&'a Stdio);

fn gone(Over: Over) -> StreamError {
    StreamError::Gone
}

impl Streams<'_> {
    fn write_all(&self, stream: u64, mut bytes: &[u8]) -> Result<(), StreamError> {
        while !bytes.is_empty() {
            let count = self.0.write(stream, bytes).map_err(gone)?;
            bytes = bytes.get(count..).unwrap_or_default();
        }
        Ok(())
    }
}

impl Console for Streams<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.write_all(1, bytes)
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, StreamError> {
        self.0.read(bytes).map_err(gone)
    }

    fn complain(&mut self, line: &str) {
        // A client that is gone is told nothing.
        let _ = self.write_all(2, format!("{line}\n").as_bytes());
    }

    fn confirm(&mut self, question: &str) -> Option<bool> {
        if !self.0.is_terminal(0) {
            return None;
        }
        self.write_all(2, question.as_bytes()).ok()?;
        twine_volume_tool::confirmed(self)
    }

    fn is_terminal(&self) -> bool {
        self.0.is_terminal(1)
    }

    fn wants_progress(&self) -> bool {
        false
    }

    fn progress(&mut self, _: u64, _: u64, _: Unit) {}
}
