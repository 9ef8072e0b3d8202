//! The file in which a program's compiled code is kept from one run to the next. The enclave
//! sealed it, so it can be lost or damaged, but neither read nor forged.

use crate::mapping::Mapping;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use twine_protocol::wire::{MAX_CODE, Status};

/// Where the compiled code of one program is kept.
#[derive(Debug)]
pub struct CodeFile {
    path: PathBuf,
    kept: Mutex<Option<Mapping>>,
    buffer: Mutex<Vec<u64>>,
    not_kept: Mutex<Option<Arc<io::Error>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl CodeFile {
    /// A file, which need not be there, in a folder that need not be there either.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        CodeFile {
            path: path.into(),
            kept: Mutex::default(),
            buffer: Mutex::default(),
            not_kept: Mutex::default(),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its contents in memory, which stay until the next call: address and length; null if
    /// there is none.
    pub(crate) fn load(&self) -> (u64, u64) {
        let mut kept = lock(&self.kept);
        *kept = None;
        let Ok(file) = File::open(&self.path) else { return (0, 0) };
        let length = file.metadata().map_or(0, |metadata| metadata.len());
        let Ok(mapping) = Mapping::new(&file, length) else { return (0, 0) };
        mapping.populate();
        let address = mapping.address() as u64;
        *kept = Some(mapping);
        (address, length)
    }

    /// See [`Mapping::patch`]; whether the address is of a mapping of this file. The enclave finds
    /// code with zeros in it not authentic, and compiles anew.
    pub(crate) fn patch(&self, address: u64) -> bool {
        lock(&self.kept).as_ref().is_some_and(|mapping| mapping.patch(address).is_some())
    }

    /// Memory for new contents: address and length; null if there is none.
    pub(crate) fn buffer(&self, length: u64) -> (u64, u64) {
        if length > MAX_CODE {
            return (0, 0);
        }
        let words = (length as usize).div_ceil(8);
        let mut memory = lock(&self.buffer);
        memory.clear();
        if memory.try_reserve_exact(words).is_err() {
            return (0, 0);
        }
        memory.resize(words, 0);
        (memory.as_ptr() as u64, length)
    }

    /// Keeps what the enclave has written to the buffer.
    pub(crate) fn store(&self, length: u64) -> Result<(), Status> {
        let memory = lock(&self.buffer);
        let length = usize::try_from(length).map_err(|_| Status::Invalid)?;
        // SAFETY: any word is eight bytes.
        let (_, bytes, _) = unsafe { memory.align_to::<u8>() };
        let bytes = bytes.get(..length).ok_or(Status::Invalid)?;
        write(&self.path, bytes).map_err(|error| {
            *lock(&self.not_kept) = Some(Arc::new(error));
            Status::Io
        })
    }

    /// Why contents that were to be kept were not.
    pub(crate) fn not_kept(&self) -> Option<Arc<io::Error>> {
        lock(&self.not_kept).clone()
    }
}

/// Writes a file whole or not at all.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        // Where nobody said otherwise, what a user caches is that user's alone.
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
    fn what_was_stored_is_loaded_and_nothing_is_there_before() {
        let folder = std::env::temp_dir().join(format!("twine-code-{}", std::process::id()));
        let file = CodeFile::new(folder.join("deep/er/code"));
        assert_eq!(file.load(), (0, 0));
        assert_eq!(file.buffer(MAX_CODE + 1), (0, 0));
        let (address, length) = file.buffer(13);
        assert_eq!(length, 13);
        // SAFETY: the buffer has two words and stays until the next call.
        unsafe { std::slice::from_raw_parts_mut(address as *mut u8, 13) }.fill(7);
        assert_eq!(file.store(17), Err(Status::Invalid));
        assert_eq!(file.store(13), Ok(()));
        let (address, length) = file.load();
        assert_eq!(length, 13);
        // SAFETY: as above.
        assert_eq!(unsafe { std::slice::from_raw_parts(address as *const u8, 13) }, [7; 13]);
        fs::remove_dir_all(folder).unwrap();
    }
}
