//! Atomic files: each is written under a temporary name, then renamed.

use crate::failure::Failure;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A new file. It has a temporary name until it is committed, and is removed if it is not.
#[derive(Debug)]
pub(super) struct AtomicFile {
    name: PathBuf,
    path: PathBuf,
}

impl AtomicFile {
    /// Makes a new file. No file may have this name yet.
    pub(super) fn new(name: &Path) -> Result<Self, Failure> {
        if fs::symlink_metadata(name).is_ok() {
            return Err(exists(name));
        }
        Self::replacing(name)
    }

    /// Makes a file that will replace the one of this name.
    pub(super) fn replacing(name: &Path) -> Result<Self, Failure> {
        // If the name is a link, replace the file that it leads to.
        let name = fs::canonicalize(name).unwrap_or_else(|_| name.to_owned());
        let last = name.file_name().ok_or_else(|| {
            Failure::new(format!("{} is not the name of a file", name.display()), "name a file")
        })?;
        let mut other = OsString::from(".");
        other.push(last);
        other.push(format!(".{}.part", std::process::id()));
        let path = name.with_file_name(other);
        Ok(AtomicFile { name, path })
    }

    /// Returns the temporary path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the final path.
    pub(super) fn name(&self) -> &Path {
        &self.name
    }

    /// If `code` is success, gives the file its name, and makes that durable. Never replaces another
    /// file.
    pub(super) fn commit(self, code: ExitCode) -> Result<ExitCode, Failure> {
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
        match fs::hard_link(&self.path, &self.name) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(exists(&self.name));
            }
            // Some file systems have no links.
            Err(_) => fs::rename(&self.path, &self.name).map_err(|error| self.failed(&error))?,
        }
        self.sync_folder(code)
    }

    /// If `code` is success, replaces the file of this name, and makes that durable.
    pub(super) fn replace(self, code: ExitCode) -> Result<ExitCode, Failure> {
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
        fs::metadata(&self.name)
            .and_then(|old| fs::set_permissions(&self.path, old.permissions()))
            .and_then(|()| fs::rename(&self.path, &self.name))
            .map_err(|error| self.failed(&error))?;
        self.sync_folder(code)
    }

    /// Makes the file's name durable.
    fn sync_folder(&self, code: ExitCode) -> Result<ExitCode, Failure> {
        twine_host::sync_folder(&self.name).map_err(|error| self.failed(&error))?;
        Ok(code)
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::system(
            format!("{} can't be created: {error}", self.name.display()),
            error,
            "check the folder and its permissions",
        )
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        // An error means that the file was never created, or was renamed.
        let _ = fs::remove_file(&self.path);
    }
}

fn exists(name: &Path) -> Failure {
    Failure::new(
        format!("{} already exists", name.display()),
        "name another file; this command overwrites nothing",
    )
}
