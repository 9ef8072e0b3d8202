//! Files of this machine that hold volumes: locked, mapped for the enclave to read, written
//! by its host calls.

use crate::mapping::{Mapping, PAGE};
use crate::prefault::Prefault;
use crate::streams::status_of;
use crate::volume_file::VolumeFile;
use crate::word::shell_word;
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use twine_protocol::wire::{Piece, Status};

/// Why a file can't hold a volume for this process.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// It can't be opened or made.
    #[error("the volume {path} can't be opened: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not there.
    #[error("there is no volume {path}")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// It is a folder or a device.
    #[error("{path} is {what}, and no volume")]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What is there.
        what: &'static str,
    },
    /// Another process has it open.
    #[error("the volume {path} is in use{by}")]
    InUse {
        /// The file.
        path: PathBuf,
        /// Who has it, as " by NAME (process N)", where that is known.
        by: String,
    },
}

impl StorageError {
    /// What to do about it, in one line.
    pub fn remedy(&self) -> String {
        match self {
            StorageError::Open { source, .. } if crate::process::remedy(source).is_some() => {
                crate::process::remedy(source).unwrap_or_default().into()
            }
            StorageError::Open { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    "check who may read and write the file and its folder".into()
                }
                io::ErrorKind::ReadOnlyFilesystem => "mount it with --read-only".into(),
                _ => "check the path; its folder must exist".into(),
            },
            StorageError::Missing { .. } => "make it first: `twine volume create`".into(),
            StorageError::NotAFile { what: "a folder", path } => format!(
                "name a file; to pass an ordinary folder through unprotected: --plain-dir {}",
                shell_word(path.display())
            ),
            StorageError::NotAFile { .. } => "name an ordinary file".into(),
            StorageError::InUse { .. } => {
                "wait for the other process or end it: one process at a time can have a volume"
                    .into()
            }
        }
    }
}

/// How a volume's file is to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It is there, and only read.
    Read,
    /// It is there, and written too.
    Write,
    /// It is made where it is not there.
    Create,
}

/// A file that holds a volume, or will hold one. It is locked until it is dropped.
pub struct Storage {
    file: VolumeFile,
    path: PathBuf,
    writable: bool,
    empty: bool,
    mappings: Mutex<Vec<Mapped>>,
    made: Mutex<Option<Notice>>,
}

/// What is to be done once a volume exists.
type Notice = Box<dyn FnOnce() + Send>;

/// How a volume begins. Its header is written when all else is durable, so that a volume is there
/// whole or not at all.
const HEADER: &[u8; 8] = b"TWINEVOL";

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A mapping of the file, and what enters its pages.
#[derive(Debug)]
struct Mapped {
    // Dropped first: it works on the mapping.
    _prefault: Prefault,
    mapping: Mapping,
}

/// Address space costs nothing: so much is mapped that a volume seldom outgrows it.
const ROOM: u64 = 64 << 30;

impl Storage {
    /// Opens and locks the file.
    ///
    /// # Errors
    /// When it can't be opened, is no file, or somebody else has it.
    pub fn open(path: impl Into<PathBuf>, access: Access) -> Result<Self, StorageError> {
        let path = path.into();
        let open = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound if access != Access::Create => {
                StorageError::Missing { path: path.clone() }
            }
            _ => StorageError::Open { path: path.clone(), source },
        };
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(StorageError::NotAFile { path, what: "a folder" });
            }
            Ok(metadata) if !metadata.is_file() => {
                return Err(StorageError::NotAFile { path, what: "a device" });
            }
            _ => {}
        }
        let writable = access != Access::Read;
        let file = OpenOptions::new()
            .read(true)
            .write(writable)
            .create(access == Access::Create)
            .truncate(false)
            .open(&path)
            .map_err(open)?;
        let locked = if writable { file.try_lock() } else { file.try_lock_shared() };
        match locked {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let by = owner(&file).unwrap_or_default();
                return Err(StorageError::InUse { path, by });
            }
            Err(TryLockError::Error(source)) => return Err(open(source)),
        }
        let empty = file.metadata().map_err(open)?.len() == 0;
        let file = VolumeFile::new(file);
        let (mappings, made) = (Mutex::default(), Mutex::default());
        let storage = Storage { file, path, writable, empty, mappings, made };
        if !empty {
            // The enclave will ask for it. Until then its pages are entered, while the enclave
            // is loaded. If there can be no mapping, it is told when it asks.
            let _ = storage.map();
        }
        Ok(storage)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether nothing was in it when it was opened: a volume is to be made.
    pub fn is_empty(&self) -> bool {
        self.empty
    }

    /// Calls `notice` once a volume has been made in the file and is durable.
    pub fn when_made(&mut self, notice: impl FnOnce() + Send + 'static) {
        *self.made.get_mut().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(notice));
    }

    /// All that was written is durable.
    fn synced(&self) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.is_none() {
            return;
        }
        let mut start = [0; HEADER.len()];
        // What can't be read now is read after the next sync.
        if self.file.file().read_exact_at(&mut start, 0).is_ok()
            && start == *HEADER
            && let Some(notice) = made.take()
        {
            notice();
        }
    }

    fn mappings(&self) -> MutexGuard<'_, Vec<Mapped>> {
        self.mappings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn size(&self) -> Result<u64, Status> {
        self.file.file().metadata().map(|metadata| metadata.len()).map_err(|error| status(&error))
    }

    pub(crate) fn resize(&self, size: u64) -> Result<(), Status> {
        self.writable()?;
        // With room for it, so that a full disk is found out here and not by a write.
        let now = self.size()?;
        if size > now {
            let flags = rustix::fs::FallocateFlags::empty();
            match rustix::fs::fallocate(self.file.file(), flags, now, size - now) {
                Ok(()) => return Ok(()),
                Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
                Err(error) => return Err(status(&error.into())),
            }
        }
        self.file.file().set_len(size).map_err(|error| status(&error))
    }

    pub(crate) fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), Status> {
        self.writable()?;
        self.file.write(offset, bytes).map_err(|error| status(&error))
    }

    /// Writes pieces that follow each other in `bytes`, each to its place.
    pub(crate) fn write_pieces(
        &self,
        places: &[[u8; Piece::SIZE]],
        bytes: &[u8],
    ) -> Result<(), Status> {
        self.writable()?;
        let mut rest = bytes;
        for place in places {
            let Piece { offset, length } = Piece::from_bytes(place);
            let length = usize::try_from(length).map_err(|_| Status::Invalid)?;
            let (now, after) = rest.split_at_checked(length).ok_or(Status::Invalid)?;
            self.write(offset, now)?;
            rest = after;
        }
        if rest.is_empty() { Ok(()) } else { Err(Status::Invalid) }
    }

    pub(crate) fn sync(&self) -> Result<(), Status> {
        self.writable()?;
        self.file.sync().map_err(|error| status(&error))?;
        self.synced();
        Ok(())
    }

    pub(crate) fn write_through(&self, offset: u64, bytes: &[u8]) -> Result<(), Status> {
        self.writable()?;
        self.file.write_through(offset, bytes).map_err(|error| status(&error))?;
        self.synced();
        Ok(())
    }

    fn writable(&self) -> Result<(), Status> {
        if self.writable { Ok(()) } else { Err(Status::Denied) }
    }

    /// A mapping that covers the file as long as it is now.
    pub(crate) fn map(&self) -> Result<(u64, u64), Status> {
        let size = self.size()?.next_multiple_of(PAGE).max(PAGE);
        let mut mappings = self.mappings();
        if let Some(Mapped { mapping, .. }) = mappings.last()
            && mapping.length() >= size
        {
            return Ok((mapping.address() as u64, mapping.length()));
        }
        let file = self.file.file();
        let roomy = size.checked_mul(2).unwrap_or(size).max(ROOM);
        let mapping = Mapping::new(file, roomy)
            .or_else(|_| Mapping::new(file, size))
            .map_err(|error| status_of(&error))?;
        let answer = (mapping.address() as u64, mapping.length());
        let prefault = Prefault::start(mapping.address(), size as usize);
        mappings.push(Mapped { _prefault: prefault, mapping });
        Ok(answer)
    }

    /// See [`Mapping::patch`].
    pub(crate) fn patch(&self, address: u64) -> bool {
        self.mappings().iter().any(|mapped| mapped.mapping.patch(address))
    }
}

fn status(error: &io::Error) -> Status {
    if error.kind() == io::ErrorKind::InvalidInput {
        return Status::Invalid;
    }
    match error.raw_os_error() {
        Some(libc::ENOSPC | libc::EDQUOT) => Status::NoSpace,
        Some(libc::EFBIG) => Status::FileTooBig,
        Some(libc::EROFS | libc::EACCES | libc::EPERM | libc::EBADF) => Status::Denied,
        Some(libc::ENOMEM) => Status::NoMemory,
        _ => Status::Io,
    }
}

/// Who holds a lock on the file, as `/proc/locks` says (proc(5)).
fn owner(file: &File) -> Option<String> {
    let metadata = file.metadata().ok()?;
    let (major, minor) = (libc::major(metadata.dev()), libc::minor(metadata.dev()));
    let wanted = format!("{major:02x}:{minor:02x}:{}", metadata.ino());
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let process: u32 = locks.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        match fields[..] {
            [_, "FLOCK", _, _, process, inode, ..] if inode == wanted => process.parse().ok(),
            _ => None,
        }
    })?;
    let name = fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
    Some(format!(" by {} (process {process})", name.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder =
            std::env::temp_dir().join(format!("twine-storage-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn what_is_written_is_seen_in_the_mapping_also_beyond_its_first_end() {
        let folder = folder("map");
        let storage = Storage::open(folder.join("volume"), Access::Create).unwrap();
        assert!(storage.is_empty());
        storage.resize(8192).unwrap();
        let (address, length) = storage.map().unwrap();
        assert!(length >= 8192);
        storage.resize(1 << 20).unwrap();
        storage.write((1 << 20) - 8, &7u64.to_le_bytes()).unwrap();
        storage.sync().unwrap();
        // SAFETY: the word is within the mapping and the file.
        let seen = unsafe { ((address + (1 << 20) - 8) as *const u64).read_volatile() };
        assert_eq!(seen, 7);
        // Also what went past the page cache.
        let pages: Vec<u64> = (0..1024).collect();
        for words in [&pages[..], &pages[pages.as_ptr().align_offset(4096)..][..512]] {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            storage.write_through(8192, &bytes).unwrap();
            // SAFETY: as above.
            let seen = unsafe { ((address + 8192 + 80) as *const u64).read_volatile() };
            assert_eq!(seen, words[10]);
        }
        drop(storage);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn that_a_volume_is_made_is_told_once_and_when_its_header_is_durable() {
        let folder = folder("made");
        let mut storage = Storage::open(folder.join("volume"), Access::Create).unwrap();
        let told = std::sync::Arc::new(Mutex::new(0));
        let count = std::sync::Arc::clone(&told);
        storage.when_made(move || *count.lock().unwrap() += 1);
        let told = || *told.lock().unwrap();
        storage.sync().unwrap();
        storage.resize(8192).unwrap();
        storage.write_through(4096, HEADER).unwrap();
        assert_eq!(told(), 0);
        storage.write(0, HEADER).unwrap();
        assert_eq!(told(), 0);
        storage.sync().unwrap();
        assert_eq!(told(), 1);
        storage.sync().unwrap();
        storage.write_through(0, HEADER).unwrap();
        assert_eq!(told(), 1);
        drop(storage);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn pieces_go_to_their_places_or_are_refused() {
        let folder = folder("pieces");
        let storage = Storage::open(folder.join("volume"), Access::Create).unwrap();
        let place = |offset, length| Piece { offset, length }.to_bytes();
        let write = |places: &[_]| storage.write_pieces(places, b"abcdef");
        assert_eq!(write(&[place(10, 4), place(0, 2)]), Ok(()));
        assert_eq!(fs::read(storage.path()).unwrap(), b"ef\0\0\0\0\0\0\0\0abcd");
        for length in [5, 7, u64::MAX] {
            assert_eq!(write(&[place(0, length)]), Err(Status::Invalid));
        }
        assert_eq!(write(&[]), Err(Status::Invalid));
        for offset in [u64::MAX, u64::MAX - 5, 1 << 63] {
            assert_eq!(write(&[place(offset, 6)]), Err(Status::Invalid));
        }
        drop(storage);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_second_opener_is_told_who_has_it_and_readers_share() {
        let folder = folder("lock");
        let path = folder.join("volume");
        let first = Storage::open(&path, Access::Create).unwrap();
        let error = Storage::open(&path, Access::Write).unwrap_err();
        let process = std::process::id();
        assert!(error.to_string().contains(&format!("process {process}")), "{error}");
        drop(first);
        let one = Storage::open(&path, Access::Read).unwrap();
        let two = Storage::open(&path, Access::Read).unwrap();
        assert!(Storage::open(&path, Access::Write).is_err());
        assert_eq!(one.write(0, &[1]), Err(Status::Denied));
        drop((one, two));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn folders_and_missing_files_are_told_apart() {
        let folder = folder("kinds");
        let open = |path: &Path, access| Storage::open(path, access).unwrap_err();
        assert!(matches!(open(&folder, Access::Create), StorageError::NotAFile { .. }));
        assert!(matches!(open(&folder.join("no"), Access::Write), StorageError::Missing { .. }));
        assert!(matches!(
            open(&folder.join("no/volume"), Access::Create),
            StorageError::Open { .. }
        ));
        fs::remove_dir_all(folder).unwrap();
    }
}
