//! The files that hold volumes. Each is locked, mapped for the enclave to read, and written by host
//! calls.

use crate::mapping::{Mapping, PAGE};
use crate::prefault::Prefault;
use crate::streams::status_of;
use crate::unread::Unread;
use crate::volume_file::VolumeFile;
use crate::word::shell_word;
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fmt, process, thread};
use twine_protocol::calls::HostRange;
use twine_protocol::wire::{AHEAD, Piece, Status};

/// The errors of opening the file of a volume.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The file can't be opened or created.
    #[error("the volume {path} can't be opened: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file does not exist.
    #[error("there is no volume {path}")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The path is a folder or a device.
    #[error("{path} is {what}, not a volume")]
    NotAFile {
        /// The path.
        path: PathBuf,
        /// The kind of file: "a folder" or "a device".
        what: &'static str,
    },
    /// Each time that the file was opened and locked, its name belonged to another file afterwards.
    #[error("another process keeps replacing the volume {path}")]
    Replaced {
        /// The file.
        path: PathBuf,
    },
    /// Another process uses the volume.
    #[error("the volume {path} is in use{by}")]
    InUse {
        /// The file.
        path: PathBuf,
        /// " by NAME (process N)", if the process is known.
        by: String,
    },
}

impl StorageError {
    /// Returns the remedy, in one line.
    pub fn remedy(&self) -> String {
        match self {
            StorageError::Open { source, .. } if crate::limits::remedy(source).is_some() => {
                crate::limits::remedy(source).unwrap_or_default().into()
            }
            StorageError::Open { source, .. } => match source.kind() {
                io::ErrorKind::PermissionDenied => {
                    "check the permissions of the file and its folder".into()
                }
                io::ErrorKind::ReadOnlyFilesystem => {
                    "name a file on a disk that can be written; one that exists can also be \
                     mounted read-only"
                        .into()
                }
                _ => "check the path: its folder must exist".into(),
            },
            StorageError::Missing { .. } => "create it first: `twine volume create`".into(),
            StorageError::NotAFile { what: "a folder", path } => format!(
                "name a file; to mount an ordinary, unprotected folder: --plain-dir {}",
                shell_word(path.display())
            ),
            StorageError::NotAFile { .. } => "name an ordinary file".into(),
            StorageError::Replaced { .. } => "find that process, and try again".into(),
            StorageError::InUse { .. } => {
                "wait for the other process or end it: only one process at a time can use a volume"
                    .into()
            }
        }
    }
}

/// The access to a volume's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read an existing file.
    Read,
    /// Read and write an existing file.
    Write,
    /// Read and write the file; create it if it does not exist.
    Create,
}

/// A file that holds a volume, or will hold one. It stays locked until this is dropped.
pub struct Storage {
    file: VolumeFile,
    path: PathBuf,
    writable: bool,
    empty: bool,
    mappings: Mutex<Vec<Mapped>>,
    unread: Unread,
    made: Mutex<Option<Notice>>,
    /// Whether the file was created for this volume, and its name may not be durable yet.
    unnamed: AtomicBool,
}

/// Keeps a storage locked after the storage was dropped.
#[derive(Debug)]
pub struct Locked(#[expect(dead_code, reason = "the lock ends with the descriptor")] File);

impl Locked {
    /// Opens and locks a file that need not hold a volume. A new file is for this user alone.
    pub(crate) fn file(path: &Path, access: Access) -> Result<Self, StorageError> {
        lock(path, access, open_private).map(Locked)
    }
}

/// A function to call once a volume exists.
type Notice = Box<dyn FnOnce() + Send>;

/// The first bytes of a volume. The enclave writes the header when everything else is durable, so that
/// a volume is created atomically.
const HEADER: &[u8; 8] = b"TWINEVOL";

/// The first bytes of a file in which a volume is being created, until its header is written.
const UNFINISHED: &[u8; 8] = b"TWINENEW";

/// Limit on the size of such a file before its first block is written, in bytes. All of them are zero.
const MAX_BLANK: u64 = 2 << 20;

/// Limit on how often a file is opened again because it was replaced in the meantime.
const MAX_TRIES: usize = 8;

/// Limit on the wait for a lock, in milliseconds, if no other process is known to hold it.
const MAX_LOCK_WAIT_MS: u32 = 100;

impl std::fmt::Debug for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Storage").field("path", &self.path).finish_non_exhaustive()
    }
}

/// A mapping of the file, with the thread that enters its pages.
#[derive(Debug)]
struct Mapped {
    // Dropped first, because it uses the mapping.
    prefault: Prefault,
    mapping: Mapping,
}

/// The smallest mapping, in bytes. Address space costs nothing, and few volumes grow beyond this.
const MIN_MAPPING: u64 = 64 << 30;

impl Storage {
    /// Opens and locks the file.
    ///
    /// # Errors
    /// If the file can't be opened, is not an ordinary file, or is used by another process.
    pub fn open(path: impl Into<PathBuf>, access: Access) -> Result<Self, StorageError> {
        Storage::open_with(path.into(), access, open)
    }

    /// Opens and locks the file. A new file is for this user alone.
    pub(crate) fn open_private(path: PathBuf, access: Access) -> Result<Self, StorageError> {
        Storage::open_with(path, access, open_private)
    }

    fn open_with(
        path: PathBuf,
        access: Access,
        open: impl FnMut(&Path, Access) -> io::Result<File>,
    ) -> Result<Self, StorageError> {
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(StorageError::NotAFile { path, what: "a folder" });
            }
            Ok(metadata) if !metadata.is_file() => {
                return Err(StorageError::NotAFile { path, what: "a device" });
            }
            _ => {}
        }
        let file = lock(&path, access, open)?;
        let failed = |source| failed(&path, access, source);
        let empty = is_empty(&file).map_err(failed)?;
        if empty && access == Access::Create {
            file.set_len(0).map_err(failed)?;
        }
        let writable = access != Access::Read;
        let file = VolumeFile::new(file);
        let storage = Storage {
            file,
            path,
            writable,
            empty,
            mappings: Mutex::default(),
            unread: Unread::default(),
            made: Mutex::default(),
            unnamed: AtomicBool::new(empty),
        };
        if !empty {
            // The enclave will request the mapping. Pages are entered while the enclave is loaded. If
            // mapping fails here, it fails again when the enclave requests it.
            let _ = storage.map();
        }
        Ok(storage)
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Keeps the file locked after this storage was dropped.
    ///
    /// # Errors
    /// The system's error.
    pub fn keep_locked(&self) -> io::Result<Locked> {
        // The lock belongs to the open file description, and stays until the last descriptor is
        // closed (flock(2)).
        self.file.file().try_clone().map(Locked)
    }

    /// Whether the file was empty when it was opened, or held a volume whose creation was interrupted.
    /// A volume must then be created in it.
    pub fn is_empty(&self) -> bool {
        self.empty
    }

    /// Calls `notice` once a volume was created in the file and is durable.
    pub fn when_made(&mut self, notice: impl FnOnce() + Send + 'static) {
        *self.made.get_mut().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(notice));
    }

    /// Makes the name of a new file durable too, after everything that was written became durable.
    fn synced(&self) -> Result<(), Status> {
        if self.unnamed.load(Ordering::Relaxed) {
            self.sync_name().map_err(|error| status(&error))?;
            self.unnamed.store(false, Ordering::Relaxed);
        }
        self.notify_made();
        Ok(())
    }

    /// Makes the file's name durable.
    fn sync_name(&self) -> io::Result<()> {
        // If the folder can't be opened, or the file system can't sync folders, sync the whole file
        // system.
        sync_folder(&self.path).or_else(|_| Ok(rustix::fs::syncfs(self.file.file())?))
    }

    fn notify_made(&self) {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if made.is_none() {
            return;
        }
        let mut start = [0; HEADER.len()];
        // If the header can't be read now, this is repeated after the next sync.
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
        // Allocates the blocks, so that a full disk is noticed here and not by a write.
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
        self.file.write(offset, bytes).map_err(|error| status(&error))?;
        self.mend(offset, bytes);
        Ok(())
    }

    /// Writes the pieces, which follow each other in `bytes`, each to its place.
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
        self.synced()
    }

    pub(crate) fn write_through(&self, offset: u64, bytes: &[u8]) -> Result<(), Status> {
        self.writable()?;
        self.file.write_through(offset, bytes).map_err(|error| status(&error))?;
        self.mend(offset, bytes);
        self.synced()
    }

    fn writable(&self) -> Result<(), Status> {
        if self.writable { Ok(()) } else { Err(Status::Denied) }
    }

    /// Returns a mapping of at least the file's present length.
    pub(crate) fn map(&self) -> Result<HostRange, Status> {
        let size = self.size()?.next_multiple_of(PAGE).max(PAGE);
        let mut mappings = self.mappings();
        if let Some(Mapped { mapping, .. }) = mappings.last()
            && mapping.length() >= size
        {
            return Ok(mapping.range());
        }
        let file = self.file.file();
        let preferred = size.checked_mul(2).unwrap_or(size).max(MIN_MAPPING);
        let mapping = Mapping::new(file, preferred)
            .or_else(|_| Mapping::new(file, size))
            .map_err(|error| status_of(&error))?;
        let range = mapping.range();
        let prefault = Prefault::new(mapping.address());
        prefault.enter(size.min(AHEAD));
        mappings.push(Mapped { prefault, mapping });
        Ok(range)
    }

    /// Enters the first `length` bytes of the mapping into the page tables, up to the end of the file.
    pub(crate) fn ahead(&self, length: u64) {
        let Ok(size) = self.size() else { return };
        if let Some(Mapped { prefault, mapping }) = self.mappings().last() {
            prefault.enter(length.min(size).min(mapping.length()));
        }
    }

    /// Reads all of `bytes` at `offset`.
    pub(crate) fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Status> {
        self.file.file().read_exact_at(bytes, offset).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Status::Short,
            _ => status(&error),
        })?;
        // If the enclave could not read these bytes before, the error was temporary.
        self.mend(offset, bytes);
        Ok(())
    }

    /// After the enclave touched a page that can't be read: replaces the page by zeros, and records
    /// that for the enclave. Returns whether the address is in a mapping of this file.
    pub(crate) fn patch(&self, address: u64) -> bool {
        let patched = self.mappings().iter().find_map(|mapped| mapped.mapping.patch(address));
        if let Some(offset) = patched {
            self.unread.add(offset);
        }
        patched.is_some()
    }

    /// Returns the record of pages that could not be read.
    pub(crate) fn unread(&self) -> &Unread {
        &self.unread
    }

    /// After these bytes of the file were read or written: maps the file's pages again if the mappings
    /// have zeros in their place.
    fn mend(&self, offset: u64, bytes: &[u8]) {
        self.unread.mend(offset..offset.saturating_add(bytes.len() as u64), |page| {
            let mappings = self.mappings();
            let mut covering =
                mappings.iter().filter(|mapped| page < mapped.mapping.length()).peekable();
            covering.peek().is_some()
                && covering.all(|mapped| mapped.mapping.mend(self.file.file(), page))
        });
    }
}

pub(crate) fn status(error: &io::Error) -> Status {
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

/// Opens the file of this name.
fn open(path: &Path, access: Access) -> io::Result<File> {
    open_with_mode(path, access, 0o666)
}

/// Opens the file of this name. A new file is for this user alone.
fn open_private(path: &Path, access: Access) -> io::Result<File> {
    open_with_mode(path, access, 0o600)
}

fn open_with_mode(path: &Path, access: Access, mode: u32) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .write(access != Access::Read)
        .create(access == Access::Create)
        .truncate(false)
        .mode(mode)
        .open(path)
}

/// Opens the file of this name with `open`, and locks it.
fn lock(
    path: &Path,
    access: Access,
    mut open: impl FnMut(&Path, Access) -> io::Result<File>,
) -> Result<File, StorageError> {
    let failed = |source| failed(path, access, source);
    for _ in 0..MAX_TRIES {
        let file = open(path, access).map_err(failed)?;
        match lock_file(&file, access) {
            Ok(None) => {}
            Ok(Some(by)) => return Err(StorageError::InUse { path: path.to_owned(), by }),
            Err(source) => return Err(failed(source)),
        }
        // The previous owner may have replaced the file (`re-key`) or removed it. Writes to this one
        // would be lost.
        if has_name(&file, path).map_err(failed)? {
            return Ok(file);
        }
    }
    Err(StorageError::Replaced { path: path.to_owned() })
}

/// Locks a file. Returns the owner, if another process has locked it.
///
/// A lock that this process has released can last a moment longer if another thread is starting a
/// program: until the program is executed, it holds all descriptors of this process.
fn lock_file(file: &File, access: Access) -> io::Result<Option<String>> {
    let mut waits = 0..MAX_LOCK_WAIT_MS;
    loop {
        let locked = match access {
            Access::Read => file.try_lock_shared(),
            Access::Write | Access::Create => file.try_lock(),
        };
        match locked {
            Ok(()) => return Ok(None),
            Err(TryLockError::Error(source)) => return Err(source),
            Err(TryLockError::WouldBlock) => {}
        }
        let owner = owner(file);
        let other = owner.as_ref().is_some_and(|owner| owner.process != process::id());
        if other || waits.next().is_none() {
            return Ok(Some(owner.map(|owner| owner.to_string()).unwrap_or_default()));
        }
        thread::sleep(Duration::from_millis(1));
    }
}

/// Returns the error for a file that can't be opened or locked.
fn failed(path: &Path, access: Access, source: io::Error) -> StorageError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound if access != Access::Create => StorageError::Missing { path },
        _ => StorageError::Open { path, source },
    }
}

/// Whether the path names this open file.
fn has_name(file: &File, path: &Path) -> io::Result<bool> {
    let inode = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let opened = inode(file.metadata()?);
    match fs::metadata(path) {
        Ok(named) => Ok(inode(named) == opened),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a file is empty, or holds a volume whose creation was interrupted. Such a volume never held
/// any files.
fn is_empty(file: &File) -> io::Result<bool> {
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(true);
    }
    let mut start = [0; UNFINISHED.len()];
    if length >= start.len() as u64 {
        file.read_exact_at(&mut start, 0)?;
    }
    if start != [0; UNFINISHED.len()] || length > MAX_BLANK {
        return Ok(start == *UNFINISHED);
    }
    let mut all = vec![0; length as usize];
    file.read_exact_at(&mut all, 0)?;
    Ok(all.iter().all(|&byte| byte == 0))
}

/// Removes a file in which no volume was created, unless another process uses it now.
pub fn remove_unmade(path: &Path) {
    // With the lock, no other process can create a volume in the file before it is removed.
    if let Ok(file) = lock(path, Access::Write, open)
        && is_empty(&file).is_ok_and(|empty| empty)
    {
        // An error does no harm: the next run creates a volume in such a file.
        let _ = fs::remove_file(path);
    }
}

/// Syncs the folder of a file, which makes the file's name durable.
///
/// # Errors
/// The system's error, if the folder can't be opened or its file system can't sync folders.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    // If the path is a link, the folder of the file that it leads to.
    let path = fs::canonicalize(path)?;
    File::open(path.parent().unwrap_or(&path))?.sync_all()
}

/// A process that has locked a file.
struct Owner {
    process: u32,
    name: String,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " by {} (process {})", self.name, self.process)
    }
}

/// Returns the process that has locked the file, by `/proc/locks` (proc(5)).
fn owner(file: &File) -> Option<Owner> {
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
    Some(Owner { process, name: name.trim().to_owned() })
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

    /// Opens a file that no other process uses, except perhaps a child that another test of this
    /// process has just started. Until the child runs its own program, it holds all descriptors,
    /// and so their locks.
    fn opened(path: &Path, access: Access) -> Storage {
        loop {
            match Storage::open(path, access) {
                Err(StorageError::InUse { .. }) => std::thread::yield_now(),
                result => return result.unwrap(),
            }
        }
    }

    #[test]
    fn written_bytes_appear_in_the_mapping_even_beyond_its_first_end() {
        let folder = folder("map");
        let storage = Storage::open(folder.join("volume"), Access::Create).unwrap();
        assert!(storage.is_empty());
        storage.resize(8192).unwrap();
        let HostRange { pointer: address, length } = storage.map().unwrap();
        assert!(length >= 8192);
        storage.resize(1 << 20).unwrap();
        storage.write((1 << 20) - 8, &7u64.to_le_bytes()).unwrap();
        storage.sync().unwrap();
        // SAFETY: the word is within the mapping and the file.
        let seen = unsafe { ((address + (1 << 20) - 8) as *const u64).read_volatile() };
        assert_eq!(seen, 7);
        // The mapping also shows writes that bypassed the page cache.
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

    /// Returns the word that the enclave sees at `offset` of the mapping.
    fn seen(storage: &Storage, offset: u64) -> u64 {
        let HostRange { pointer: address, length } = storage.map().unwrap();
        assert!(offset + 8 <= length);
        // SAFETY: the word is within the mapping. The caller knows that the file, or a page of
        // zeros, is there.
        unsafe { ((address + offset) as *const u64).read_volatile() }
    }

    fn is_unread(storage: &Storage, offset: u64) -> bool {
        let HostRange { pointer: address, length } = storage.unread().location();
        assert_eq!(length, 16);
        // SAFETY: the words belong to the storage, and nothing writes to them meanwhile.
        let words = unsafe { (address as *const [u64; 2]).read_volatile() };
        twine_protocol::wire::Unread::from_words(words).overlaps(offset, 8)
    }

    #[test]
    fn pages_of_a_truncated_file_are_reported_until_they_are_written_again() {
        let folder = folder("cut");
        let storage = Storage::open(folder.join("volume"), Access::Create).unwrap();
        storage.write(0, &[7; 4 * 4096]).unwrap();
        let address = storage.map().unwrap().pointer;
        // Another process truncates the file, and the enclave touches the missing pages.
        File::options().write(true).open(storage.path()).unwrap().set_len(4096).unwrap();
        for page in [1, 3] {
            assert!(storage.patch(address + page * 4096 + 80));
            assert_eq!(seen(&storage, page * 4096), 0);
            let mut bytes = [0; 4096];
            assert_eq!(storage.read(page * 4096, &mut bytes), Err(Status::Short));
            assert!(is_unread(&storage, page * 4096));
        }
        assert_eq!(storage.unread().count(), 2);
        assert!(!is_unread(&storage, 0) && storage.read(0, &mut [0; 4096]).is_ok());
        assert!(!storage.patch(address - 1));
        // These are all ways to write a block.
        storage.write(4096, &[1; 4096]).unwrap();
        assert!(!is_unread(&storage, 4096) && is_unread(&storage, 3 * 4096));
        storage.write_through(3 * 4096, &[3; 4096]).unwrap();
        assert!(!is_unread(&storage, 3 * 4096));
        assert_eq!(seen(&storage, 4096), u64::from_le_bytes([1; 8]));
        assert_eq!(seen(&storage, 3 * 4096), u64::from_le_bytes([3; 8]));
        drop(storage);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn an_unreadable_page_is_mapped_again_once_it_can_be_read() {
        let folder = folder("once");
        let storage = Storage::open(folder.join("volume"), Access::Create).unwrap();
        storage.write(0, &[7; 4 * 4096]).unwrap();
        let address = storage.map().unwrap().pointer;
        assert!(storage.patch(address + 4096));
        assert_eq!(seen(&storage, 4096), 0);
        let mut bytes = [0; 2 * 4096];
        storage.read(0, &mut bytes).unwrap();
        assert_eq!(bytes, [7; 2 * 4096]);
        assert!(!is_unread(&storage, 4096));
        assert_eq!(seen(&storage, 4096), u64::from_le_bytes([7; 8]));
        drop(storage);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn the_creation_notice_is_sent_once_when_the_header_is_durable() {
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
    fn locking_a_file_that_was_replaced_opens_the_new_file() {
        let folder = folder("replaced");
        let path = folder.join("volume");
        let replace = || {
            fs::write(folder.join("new"), b"new").unwrap();
            fs::rename(folder.join("new"), &path).unwrap();
        };
        fs::write(&path, b"old").unwrap();
        let mut opened = 0;
        let file = lock(&path, Access::Write, |path, access| {
            let file = open(path, access);
            opened += 1;
            if opened < 3 {
                replace();
            }
            file
        });
        assert_eq!(opened, 3);
        file.unwrap().write_all_at(b"N", 0).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"New");
        // A file that was removed is created again, or reported as missing.
        let removed = |access| {
            let mut first = true;
            lock(&path, access, |path, access| {
                let file = open(path, access);
                if std::mem::take(&mut first) {
                    fs::remove_file(path).unwrap();
                }
                file
            })
        };
        assert!(has_name(&removed(Access::Create).unwrap(), &path).unwrap());
        assert!(matches!(removed(Access::Write), Err(StorageError::Missing { .. })));
        fs::write(&path, b"old").unwrap();
        let always = lock(&path, Access::Write, |path, access| {
            let file = open(path, access);
            replace();
            file
        });
        assert!(matches!(always, Err(StorageError::Replaced { .. })), "{always:?}");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn only_unused_files_without_a_volume_are_removed() {
        let folder = folder("unmade");
        let path = folder.join("volume");
        let contents = [&b""[..], UNFINISHED, &[0; 4096], b"x", HEADER];
        for (contents, goes) in contents.iter().zip([true, true, true, false, false]) {
            fs::write(&path, contents).unwrap();
            let storage = opened(&path, Access::Write);
            remove_unmade(&path);
            assert!(path.exists());
            drop(storage);
            // A child of another test may hold the lock for a moment.
            for _ in 0..100 {
                drop(opened(&path, Access::Write));
                remove_unmade(&path);
                if !path.exists() {
                    break;
                }
            }
            assert_eq!(path.exists(), !goes, "{contents:?}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn opening_never_returns_a_file_that_has_lost_its_name() {
        let folder = folder("race");
        let path = folder.join("volume");
        fs::write(&path, b"").unwrap();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            // The thread locks before it renames, so the holder of the lock can rely on the name.
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let Ok(old) = Storage::open(&path, Access::Write) else { continue };
                    let kept = old.keep_locked().unwrap();
                    drop(old);
                    fs::write(folder.join("new"), b"").unwrap();
                    fs::rename(folder.join("new"), &path).unwrap();
                    drop(kept);
                }
            });
            let mut opened = 0;
            while opened < 300 {
                match Storage::open(&path, Access::Write) {
                    Ok(storage) => {
                        assert!(has_name(storage.file.file(), &path).unwrap());
                        opened += 1;
                    }
                    Err(StorageError::InUse { .. } | StorageError::Replaced { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_lock_that_is_kept_outlives_its_storage() {
        let folder = folder("kept");
        let path = folder.join("volume");
        let storage = Storage::open(&path, Access::Create).unwrap();
        let locked = storage.keep_locked().unwrap();
        drop(storage);
        let error = Storage::open(&path, Access::Write).unwrap_err();
        assert!(matches!(error, StorageError::InUse { .. }), "{error}");
        drop(locked);
        opened(&path, Access::Write);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn only_unfinished_volumes_are_truncated_and_created_again() {
        let folder = folder("unfinished");
        let path = folder.join("volume");
        let whole = |start: &[u8]| [start, &[7; 10_000]].concat();
        for (start, new) in
            [(&UNFINISHED[..], true), (&HEADER[..], false), (&b"some text"[..], false)]
        {
            for access in [Access::Read, Access::Write, Access::Create] {
                fs::write(&path, whole(start)).unwrap();
                let storage = opened(&path, access);
                let cut = new && access == Access::Create;
                assert_eq!(storage.is_empty(), new);
                drop(storage);
                let left = if cut { Vec::new() } else { whole(start) };
                assert_eq!(fs::read(&path).unwrap(), left);
            }
        }
        let is_new = |contents: &[u8]| {
            fs::write(&path, contents).unwrap();
            opened(&path, Access::Create).is_empty()
        };
        for length in 1..UNFINISHED.len() {
            assert!(!is_new(&UNFINISHED[..length]));
        }
        // These are as many zeros as a file may have before its first block is written.
        let most = vec![0; MAX_BLANK as usize];
        assert!(is_new(&most) && is_new(&most[1..]) && is_new(&[0; 3]));
        assert!(!is_new(&[&most[..], &[0]].concat()));
        for at in [3, 8, 4096, most.len() - 1] {
            let mut zeros = most.clone();
            zeros[at] = 1;
            assert!(!is_new(&zeros), "{at}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_new_name_is_made_durable_once_with_the_first_sync() {
        let folder = folder("name");
        let path = folder.join("volume");
        let unnamed = |storage: &Storage| storage.unnamed.load(Ordering::Relaxed);
        type Sync = fn(&Storage) -> Result<(), Status>;
        let ways: [Sync; 2] = [Storage::sync, |storage| storage.write_through(4096, &[1; 4096])];
        for sync in ways {
            let storage = opened(&path, Access::Create);
            storage.write(0, HEADER).unwrap();
            assert!(unnamed(&storage));
            sync(&storage).unwrap();
            assert!(!unnamed(&storage));
            drop(storage);
            assert!(!unnamed(&opened(&path, Access::Create)));
            fs::remove_file(&path).unwrap();
        }
        // A folder that is gone can't be synced, but its file system can.
        let storage = opened(&path, Access::Create);
        fs::remove_dir_all(&folder).unwrap();
        assert!(sync_folder(&path).is_err());
        assert_eq!((storage.sync(), unnamed(&storage)), (Ok(()), false));
    }

    #[test]
    fn a_second_writer_learns_the_owner_and_readers_share() {
        let folder = folder("lock");
        let path = folder.join("volume");
        let first = Storage::open(&path, Access::Create).unwrap();
        let error = Storage::open(&path, Access::Write).unwrap_err();
        let process = std::process::id();
        assert!(error.to_string().contains(&format!("process {process}")), "{error}");
        drop(first);
        let one = opened(&path, Access::Read);
        let two = opened(&path, Access::Read);
        assert!(Storage::open(&path, Access::Write).is_err());
        assert_eq!(one.write(0, &[1]), Err(Status::Denied));
        drop((one, two));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn folders_and_missing_files_are_different_errors() {
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
