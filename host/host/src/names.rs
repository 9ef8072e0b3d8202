//! A folder in which names are created and removed durably.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A folder of this user alone.
#[derive(Debug)]
pub(crate) struct Names {
    path: PathBuf,
    folder: File,
}

impl Names {
    /// Opens the folder, and creates it durably if it does not exist.
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let is_new = !path.exists();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        let folder = File::open(&path)?;
        if is_new {
            // The folders above it can be new too.
            rustix::fs::syncfs(&folder)?;
        }
        Ok(Names { path, folder })
    }

    /// Returns the path of the folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.path
    }

    /// Returns the path of a file in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Returns when all changes of names are durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        // If the file system can't sync folders, sync the whole file system.
        self.folder.sync_all().or_else(|_| Ok(rustix::fs::syncfs(&self.folder)?))
    }
}
