//! Files that come to be whole or not at all: made under another name, then renamed.

use crate::failure::Failure;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A new file. It has another name until it is kept, and is removed if it is not.
#[derive(Debug)]
pub(super) struct AtomicFile {
    name: PathBuf,
    path: PathBuf,
}

impl AtomicFile {
    /// For a name that nothing has.
    pub(super) fn new(name: &Path) -> Result<Self, Failure> {
        if fs::symlink_metadata(name).is_ok() {
            return Err(exists(name));
        }
        Self::replacing(name)
    }

    /// To take the place of a file.
    pub(super) fn replacing(name: &Path) -> Result<Self, Failure> {
        // The file itself, where the name is a link to it.
        let name = fs::canonicalize(name).unwrap_or_else(|_| name.to_owned());
        let last = name.file_name().ok_or_else(|| {
            Failure::new(format!("{} is no name for a file", name.display()), "name a file")
        })?;
        let mut other = OsString::from(".");
        other.push(last);
        other.push(format!(".{}.part", std::process::id()));
        let path = name.with_file_name(other);
        Ok(AtomicFile { name, path })
    }

    /// Where it is until it is kept.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The name that it will have.
    pub(super) fn name(&self) -> &Path {
        &self.name
    }

    /// Gives it its name if all went well, and does not take another file's.
    pub(super) fn commit(self, code: ExitCode) -> Result<ExitCode, Failure> {
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
        match fs::hard_link(&self.path, &self.name) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(exists(&self.name));
            }
            // Not every file system has links.
            Err(_) => fs::rename(&self.path, &self.name).map_err(|error| self.failed(&error))?,
        }
        self.sync_folder(code)
    }

    /// Puts it in the place of the file that has its name, if all went well.
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

    /// Makes its name durable.
    fn sync_folder(&self, code: ExitCode) -> Result<ExitCode, Failure> {
        twine_host::sync_folder(&self.name).map_err(|error| self.failed(&error))?;
        Ok(code)
    }

    fn failed(&self, error: &io::Error) -> Failure {
        Failure::system(
            format!("{} can't be made: {error}", self.name.display()),
            error,
            "check the folder and its permissions",
        )
    }
}

impl Drop for AtomicFile {
    fn drop(&mut self) {
        // It may never have been made, and after it was kept only its name is left.
        let _ = fs::remove_file(&self.path);
    }
}

fn exists(name: &Path) -> Failure {
    Failure::new(
        format!("{} is already there", name.display()),
        "name another file; nothing is ever overwritten",
    )
}
