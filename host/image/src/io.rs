//! Reads small files, and writes files atomically.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Reads a small file.
pub(crate) fn read_all(file: File) -> io::Result<Vec<u8>> {
    const ENOUGH: u64 = 1 << 20;
    let mut bytes = Vec::new();
    file.take(ENOUGH).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file that is written under a temporary name. Dropping it removes the file, unless it was kept.
pub(crate) struct Draft {
    file: File,
    draft: PathBuf,
    path: PathBuf,
}

impl Draft {
    pub(crate) fn create(path: &Path, mode: u32) -> io::Result<Draft> {
        let name = path.file_name().ok_or(ErrorKind::InvalidInput)?;
        let mut attempt = 0;
        loop {
            let mut draft = std::ffi::OsString::from(".");
            draft.push(name);
            draft.push(format!(".{}.{attempt}", std::process::id()));
            let draft = path.with_file_name(draft);
            match OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft) {
                Ok(file) => {
                    return Ok(Draft { file, draft, path: path.into() });
                }
                Err(e) if e.kind() == ErrorKind::AlreadyExists && attempt < 100 => attempt += 1,
                Err(e) => return Err(e),
            }
        }
    }

    /// Gives the file its name, and replaces another file of that name.
    pub(crate) fn keep(self) -> io::Result<()> {
        fs::rename(&self.draft, &self.path)
    }

    /// Syncs the file, then gives it its name, unless another file has that name.
    pub(crate) fn keep_if_first(self) -> io::Result<()> {
        self.file.sync_all()?;
        match fs::hard_link(&self.draft, &self.path) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => Err(e),
            _ => Ok(()),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After `keep` there is nothing to remove. Other errors can't be reported here.
        let _ = fs::remove_file(&self.draft);
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
