//! Works on volumes, for `twine volume`.

use crate::host_storage::HostStorage;
use crate::mounts;
use crate::sealing_keys::SealingKeys;
use twine_engine::Identified;
use twine_hostfs::Folder;
use twine_protocol::key::{Scope, Sealing, VolumeKey};
use twine_protocol::launch::{End, VolumeSource};
use twine_protocol::task::{OpenVolume, VolumeTask};
use twine_protocol::wire::{Status, StreamKind, Unit};
use twine_sgx::host;
use twine_vfs::FileSystem;
use twine_volume::{Error, NewSlot, Storage, Volume};
use twine_volume_tool::{Console, Opening, Outside, StreamError};

/// Does a task on a volume.
pub(crate) fn run(task: &VolumeTask) -> End {
    let terminal = host().stream_kind(1) == Ok(StreamKind::Terminal);
    let mut streams = Streams { terminal, progress: task.progress };
    twine_volume_tool::run(task, &mut Host, &mut streams)
}

/// Returns the sealing keys for a new slot. Only a new slot may use the program that the host
/// names. To open a slot of a program, that program must run.
fn keys_for(key: &VolumeKey) -> Result<SealingKeys, Error> {
    if !matches!(key, VolumeKey::Sealed(Sealing { scope: Scope::Program, .. })) {
        return Ok(SealingKeys::of_any_program());
    }
    let program = host().program().map_err(|_| Error::Invalid("the program did not come"))?;
    if program.is_empty() {
        return Err(Error::Invalid("a key that is sealed to one program needs that program"));
    }
    Ok(SealingKeys::of_program(Identified::new(program).sha256()))
}

/// The host's files, with the keys that any program may have.
struct Host;

fn volume(
    volume: &OpenVolume,
    create: bool,
    opening: Opening,
    keys: SealingKeys,
) -> Result<Volume, Error> {
    let OpenVolume { storage, key, .. } = volume;
    let source =
        VolumeSource { storage: *storage, key: key.clone(), create, cache: None, main: None };
    mounts::volume(&source, opening, keys)
}

impl Outside for Host {
    fn open(&mut self, which: &OpenVolume, opening: Opening) -> Result<Volume, Error> {
        volume(which, false, opening, SealingKeys::of_any_program())
    }

    fn create(&mut self, which: &OpenVolume) -> Result<Volume, Error> {
        volume(which, true, Opening::ReadWrite, keys_for(&which.key)?)
    }

    fn new_slot(&mut self, key: &VolumeKey) -> Result<NewSlot, Error> {
        mounts::new_slot(key, keys_for(key)?)
    }

    fn sealing(&self, parameters: &[u8]) -> Option<Sealing> {
        SealingKeys::sealing(parameters)
    }

    fn storage(&mut self, number: u64) -> Box<dyn Storage> {
        Box::new(HostStorage::new(number))
    }

    fn folder(
        &mut self,
        number: u64,
        read_only: bool,
    ) -> Result<Box<dyn FileSystem>, twine_vfs::Error> {
        Ok(Box::new(Folder::open(host(), number, read_only)?))
    }
}

/// The standard streams.
struct Streams {
    terminal: bool,
    progress: bool,
}

fn failed(status: Status) -> StreamError {
    match status {
        Status::BrokenPipe => StreamError::Gone,
        Status::NoSpace | Status::FileTooBig => StreamError::NoSpace,
        _ => StreamError::Io,
    }
}

fn write(stream: u64, mut bytes: &[u8]) -> Result<(), StreamError> {
    while !bytes.is_empty() {
        match host().write(stream, bytes).map_err(failed)? {
            0 => return Err(StreamError::Io),
            count => bytes = bytes.get(count..).unwrap_or_default(),
        }
    }
    Ok(())
}

impl Console for Streams {
    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        write(1, bytes)
    }

    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, StreamError> {
        host().read(0, bytes).map_err(failed)
    }

    fn complain(&mut self, line: &str) {
        // Errors of the stream are ignored.
        let _ = write(2, format!("{line}\n").as_bytes());
    }

    fn confirm(&mut self, question: &str) -> Option<bool> {
        if host().stream_kind(0) != Ok(StreamKind::Terminal) {
            return None;
        }
        write(2, question.as_bytes()).ok()?;
        twine_volume_tool::confirmed(self)
    }

    fn is_terminal(&self) -> bool {
        self.terminal
    }

    fn wants_progress(&self) -> bool {
        self.progress
    }

    fn progress(&mut self, done: u64, total: u64, unit: Unit) {
        host().progress(done, total, unit);
    }
}
