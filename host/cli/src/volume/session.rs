//! Runs an operation on volumes in the enclave.

use super::Common;
use super::atomic_file::AtomicFile;
use super::progress::ProgressLine;
use crate::failure::Failure;
use crate::key::Key;
use crate::program::Program;
use crate::run;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use twine_host::{Access, Locked, Resources, Storage};
use twine_protocol::key::VolumeKey;
use twine_protocol::launch::{End, Launch};
use twine_protocol::task::{OpenVolume, Operation, Task, VolumeTask};

/// An operation that is being prepared.
pub(super) struct Session {
    common: Common,
    pub(super) resources: Resources,
    /// The program that keys are sealed to; empty if there is none.
    pub(super) program: Program,
}

impl Session {
    pub(super) fn new(common: Common) -> Self {
        Session { common, resources: Resources::default(), program: Vec::new().into() }
    }

    fn number(&mut self, storage: Storage) -> u64 {
        self.resources.storages.push(storage);
        self.resources.storages.len() as u64 - 1
    }

    /// Opens an existing volume.
    pub(super) fn open(
        &mut self,
        path: &Path,
        access: Access,
        key: &Key,
    ) -> Result<OpenVolume, Failure> {
        let storage = self.number_of(path, access)?;
        Ok(OpenVolume {
            name: path.display().to_string(),
            storage,
            key: key.get(path, false)?,
            more_keys: Vec::new(),
            read_only: access == Access::Read,
        })
    }

    fn number_of(&mut self, path: &Path, access: Access) -> Result<u64, Failure> {
        let storage = Storage::open(path, access)?;
        Ok(self.number(storage))
    }

    /// Keeps a volume locked after the operation, until the returned lock is dropped.
    pub(super) fn keep_locked(&self, volume: &OpenVolume) -> Result<Option<Locked>, Failure> {
        let storage =
            usize::try_from(volume.storage).ok().and_then(|at| self.resources.storages.get(at));
        storage.map(Storage::keep_locked).transpose().map_err(|error| {
            Failure::system(
                format!("{} can't be kept locked: {error}", volume.name),
                &error,
                "close other files, and try again",
            )
        })
    }

    /// Opens the file of a volume that the operation creates.
    pub(super) fn make(
        &mut self,
        file: &AtomicFile,
        (key, more_keys): (VolumeKey, Vec<VolumeKey>),
    ) -> Result<OpenVolume, Failure> {
        let storage = self.number_of(file.path(), Access::Create)?;
        let name = file.name().display().to_string();
        Ok(OpenVolume { name, storage, key, more_keys, read_only: false })
    }

    /// Runs the operation, and returns the command's exit code.
    pub(super) fn run(
        mut self,
        volume: OpenVolume,
        operation: Operation,
    ) -> Result<ExitCode, Failure> {
        let (image, platform) = self.common.target.choose(self.program.len(), self.common.quiet)?;
        let progress = !self.common.quiet && std::io::stderr().is_terminal();
        if progress {
            self.resources.progress = Some(Box::new(ProgressLine::default()));
        }
        let task = Task::Volume(Box::new(VolumeTask { volume, operation, progress }));
        let launch = Launch { task, ..Launch::default() };
        let platform = run::usable_platform(platform, &launch, self.common.quiet)?;
        let program = self.program.into_host_program()?;
        let report = twine_host::run(&image, platform, &launch, program, self.resources)?;
        match report.outcome.end {
            End::Exited { code, .. } => Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))),
            End::Refused { cause, remedy } => Err(Failure::new(cause, remedy)),
            End::Trapped { cause, .. } => {
                Err(Failure::new(cause, "this is a bug in Twine or in the image: please report it"))
            }
        }
    }
}
