//! The file of a program's cached code. The enclave seals the code, so that the host can lose or
//! damage it, but neither read nor forge it.

use crate::mapping::Mapping;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use twine_protocol::calls::HostRange;
use twine_protocol::wire::{MAX_CODE, Status};

/// The file for the cached code of one program.
#[derive(Debug)]
pub struct CodeFile {
    path: PathBuf,
    loaded: Mutex<Option<Mapping>>,
    buffer: Mutex<Vec<u64>>,
    error: Mutex<Option<Arc<io::Error>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CodeFile {
    /// Represents the file at `path`. Neither the file nor its folder must exist yet.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        CodeFile {
            path: path.into(),
            loaded: Mutex::default(),
            buffer: Mutex::default(),
            error: Mutex::default(),
        }
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Maps the contents. The mapping stays until the next call. Returns [`HostRange::NONE`] if
    /// there is no file.
    pub(crate) fn load(&self) -> HostRange {
        let mut loaded = lock(&self.loaded);
        *loaded = None;
        let Ok(file) = File::open(&self.path) else { return HostRange::NONE };
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let Ok(mapping) = Mapping::new(&file, length) else { return HostRange::NONE };
        mapping.populate();
        let range = mapping.range();
        *loaded = Some(mapping);
        range
    }

    /// See [`Mapping::patch`]. Returns whether the address is in the mapping of this file. With zeros
    /// in it, the code is not authentic, and the enclave compiles the program again.
    pub(crate) fn patch(&self, address: u64) -> bool {
        lock(&self.loaded).as_ref().is_some_and(|mapping| mapping.patch(address).is_some())
    }

    /// Allocates memory for new contents. Returns [`HostRange::NONE`] if there is not enough
    /// memory.
    pub(crate) fn buffer(&self, length: u64) -> HostRange {
        if length > MAX_CODE {
            return HostRange::NONE;
        }
        let words = (length as usize).div_ceil(8);
        let mut memory = lock(&self.buffer);
        memory.clear();
        if memory.try_reserve_exact(words).is_err() {
            return HostRange::NONE;
        }
        memory.resize(words, 0);
        HostRange { pointer: memory.as_ptr() as u64, length }
    }

    /// Stores the contents that the enclave has written to the buffer.
    pub(crate) fn store(&self, length: u64) -> Result<(), Status> {
        let memory = lock(&self.buffer);
        let length = usize::try_from(length).map_err(|_| Status::Invalid)?;
        // SAFETY: every word is eight valid bytes.
        let (_, bytes, _) = unsafe { memory.align_to::<u8>() };
        let bytes = bytes.get(..length).ok_or(Status::Invalid)?;
        write(&self.path, bytes).map_err(|error| {
            *lock(&self.error) = Some(Arc::new(error));
            Status::Io
        })
    }

    /// Returns the error of [`Self::store`], if it failed.
    pub(crate) fn error(&self) -> Option<Arc<io::Error>> {
        lock(&self.error).clone()
    }
}

/// Writes a file atomically.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        // A new folder is for this user alone.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let part = path.with_extension(format!("{}.part", std::process::id()));
    let written = fs::write(&part, bytes).and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_code_is_loaded_and_a_new_file_is_empty() {
        let folder = std::env::temp_dir().join(format!("twine-code-{}", std::process::id()));
        let file = CodeFile::new(folder.join("deep/er/code"));
        assert_eq!(file.load(), HostRange::NONE);
        assert_eq!(file.buffer(MAX_CODE + 1), HostRange::NONE);
        let HostRange { pointer: address, length } = file.buffer(13);
        assert_eq!(length, 13);
        // SAFETY: the buffer has two words and stays until the next call.
        unsafe { std::slice::from_raw_parts_mut(address as *mut u8, 13) }.fill(7);
        assert_eq!(file.store(17), Err(Status::Invalid));
        assert_eq!(file.store(13), Ok(()));
        let HostRange { pointer: address, length } = file.load();
        assert_eq!(length, 13);
        // SAFETY: as above.
        assert_eq!(unsafe { std::slice::from_raw_parts(address as *const u8, 13) }, [7; 13]);
        fs::remove_dir_all(folder).unwrap();
    }
}
