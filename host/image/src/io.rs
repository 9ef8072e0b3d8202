//! Reading small files, and writing files that are there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// All of a small file.
pub(crate) fn read_all(file: File) -> io::Result<Vec<u8>> {
    const ENOUGH: u64 = 1 << 20;
    let mut bytes = Vec::new();
    file.take(ENOUGH).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A file that is being written. Until it is kept it has another name, and if it is dropped
/// before, nothing remains of it.
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

    /// Gives the file its name, in place of what had it.
    pub(crate) fn keep(self) -> io::Result<()> {
        fs::rename(&self.draft, &self.path)
    }

    /// Gives the file its name, unless another has it. It is on the disk before it has it.
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
        // After `keep` there is nothing to remove; otherwise there is nobody to tell.
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
