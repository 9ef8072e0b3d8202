//! Ordinary folders of this machine, which a program accesses through the host call `folder`.
//!
//! Each inode that the enclave uses is held by a descriptor (`O_PATH`), so that a path is never
//! resolved twice, with different results. A name is a single component, and no symbolic link is
//! followed: the enclave resolves paths.

use rustix::fs::{
    self, AtFlags, FallocateFlags, FileType, Mode, OFlags, RawDir, SeekFrom, Stat, Timespec,
    Timestamps,
};
use rustix::io::Errno;
use std::collections::HashMap;
use std::collections::hash_map::Entry as HeldEntry;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use twine_protocol::folder::{
    Answer, Attributes, Entry, Failure, Kind, MAX_DATA, MAX_MESSAGE, Request, Time,
};
use twine_protocol::wire::Status;

/// A folder of this machine that a program may use.
#[derive(Debug)]
pub struct Folder {
    root: u64,
    device: u64,
    read_only: bool,
    /// Devices and inodes that the program must not reach.
    refused: Vec<(u64, u64)>,
    held: Mutex<HashMap<u64, Held>>,
}

/// An inode that the enclave holds.
#[derive(Debug)]
struct Held {
    /// A descriptor of the inode, which stays valid when its names change.
    path: OwnedFd,
    /// The file opened for reading and writing, at the first access to its data.
    data: Option<OwnedFd>,
    count: u64,
}

type Result<T, E = Errno> = std::result::Result<T, E>;

const PATH: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The bits of a mode that a program can set: no set-user-ID, set-group-ID or sticky bit.
const PERMISSIONS: u32 = 0o777;

/// The file systems by which programs talk to the kernel: `PROC_SUPER_MAGIC` and `SYSFS_MAGIC` of
/// Linux.
const KERNEL_INTERFACES: [i64; 2] = [0x9fa0, 0x6265_6572];

/// Limit on the encoded size of a directory entry without its name, in bytes.
const ENTRY_BYTES: usize = 40;

/// The enclave's cookies are the system's plus this number, because the enclave uses the first few
/// itself.
const FIRST_COOKIE: u64 = 4;

impl Folder {
    /// Opens the folder at `path`.
    ///
    /// # Errors
    /// If the folder can't be opened, or the path is not a folder.
    pub fn open(path: &Path, read_only: bool) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let path = fs::open(path, flags, Mode::empty())?;
        let stat = fs::fstat(&path)?;
        let root = stat.st_ino;
        let held = HashMap::from([(root, Held { path, data: None, count: 1 })]);
        let (device, refused) = (stat.st_dev, Vec::new());
        Ok(Folder { root, device, read_only, refused, held: Mutex::new(held) })
    }

    /// Refuses a file or a folder to the program, under each of its names, and all that is in it.
    /// The program still sees the name. A file that comes later to the same path is not refused.
    ///
    /// # Errors
    /// If there is no such file or folder.
    pub fn refuse(&mut self, path: &Path) -> io::Result<()> {
        let stat = fs::stat(path)?;
        self.refused.push((stat.st_dev, stat.st_ino));
        Ok(())
    }

    /// Serves the request in the first `length` bytes of `buffer`, and writes the answer there.
    /// Returns the length of the answer, without the data after it.
    ///
    /// # Errors
    /// [`Status::Invalid`] if the request is malformed. An error of the system is an answer.
    pub fn serve(&self, buffer: &mut [u8], length: usize) -> Result<u64, Status> {
        let (request, data) =
            Request::decode(buffer.get(..length).ok_or(Status::Invalid)?).ok_or(Status::Invalid)?;
        let mut read = Vec::new();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = Tree { folder: self, held: &mut held }
            .answer(request, data, &mut read)
            .unwrap_or_else(|errno| Answer::Failed(failure(errno)));
        let message = answer.encode();
        let at = message.len().next_multiple_of(8);
        if message.len() > MAX_MESSAGE || at + read.len() > buffer.len() {
            return Err(Status::Invalid);
        }
        buffer[..message.len()].copy_from_slice(&message);
        buffer[at..at + read.len()].copy_from_slice(&read);
        Ok(message.len() as u64)
    }

    /// Checks that the program may reach an inode: none of those that are refused, and none of
    /// procfs and sysfs that are mounted below the folder. Through procfs, a program could write
    /// the memory of this process.
    fn check_access(&self, path: &OwnedFd, stat: &Stat) -> Result<()> {
        let is_foreign = stat.st_dev != self.device;
        if self.refused.contains(&(stat.st_dev, stat.st_ino))
            || is_foreign && KERNEL_INTERFACES.contains(&fs::fstatfs(path)?.f_type)
        {
            return Err(Errno::ACCESS);
        }
        Ok(())
    }

    /// Returns the enclave's number for an inode: the system's number, made distinct if the inode
    /// is on another file system that is mounted below the folder.
    fn number(&self, stat: &Stat) -> u64 {
        if stat.st_dev == self.device {
            stat.st_ino
        } else {
            stat.st_ino ^ stat.st_dev.rotate_right(16) ^ (1 << 63)
        }
    }
}

struct Tree<'a> {
    folder: &'a Folder,
    held: &'a mut HashMap<u64, Held>,
}

impl Tree<'_> {
    fn answer(&mut self, request: Request, data: &[u8], read: &mut Vec<u8>) -> Result<Answer> {
        if self.folder.read_only && changes(&request) {
            return Err(Errno::ROFS);
        }
        match request {
            Request::Root => return Ok(Answer::Inode(self.folder.root)),
            Request::Lookup(directory, name) => {
                let path =
                    fs::openat(self.path(directory)?, component(&name)?, PATH, Mode::empty())?;
                return Ok(Answer::Inode(self.hold(path, None)?));
            }
            Request::Release(inode) => self.release(inode),
            Request::Attributes(inode) => {
                return Ok(Answer::Attributes(attributes(&fs::fstat(self.path(inode)?)?)?));
            }
            Request::SetTimes(inode, accessed, modified) => {
                let times =
                    Timestamps { last_access: time(accessed)?, last_modification: time(modified)? };
                fs::utimensat(fs::CWD, proc_path(self.path(inode)?), &times, AtFlags::empty())?;
            }
            Request::SetMode(inode, mode) => self.set_mode(inode, mode)?,
            Request::CreateFile(directory, name, mode) => {
                return Ok(Answer::Inode(self.create_file(directory, &name, mode)?));
            }
            Request::CreateDirectory(directory, name, mode) => {
                let at_first = Mode::from_raw_mode(mode.unwrap_or(0o777) & PERMISSIONS);
                fs::mkdirat(self.path(directory)?, component(&name)?, at_first)?;
                if let Some(mode) = mode {
                    let made = fs::openat(self.path(directory)?, &name, PATH, Mode::empty())?;
                    change_mode(made.as_fd(), mode)?;
                }
            }
            Request::CreateSymbolicLink(directory, name, target) => {
                fs::symlinkat(target, self.path(directory)?, component(&name)?)?;
            }
            Request::ReadLink(inode) => {
                self.must_be(inode, Kind::SymbolicLink)?;
                let target = fs::readlinkat(self.path(inode)?, "", Vec::new())?;
                return Ok(Answer::Target(target.into_string().map_err(|_| Errno::ILSEQ)?));
            }
            Request::Link(inode, directory, name) => {
                let (old, new) = (proc_path(self.path(inode)?), self.path(directory)?);
                fs::linkat(fs::CWD, old, new, component(&name)?, AtFlags::SYMLINK_FOLLOW)?;
            }
            Request::Unlink(directory, name) => {
                self.check_name(directory, &name)?;
                fs::unlinkat(self.path(directory)?, component(&name)?, AtFlags::empty())?;
            }
            Request::RemoveDirectory(directory, name) => {
                self.check_name(directory, &name)?;
                fs::unlinkat(self.path(directory)?, component(&name)?, AtFlags::REMOVEDIR)?;
            }
            Request::Rename(from, from_name, to, to_name) => {
                self.check_name(from, &from_name)?;
                self.check_name(to, &to_name)?;
                let (from, to) = (self.path(from)?, self.path(to)?);
                fs::renameat(from, component(&from_name)?, to, component(&to_name)?)?;
            }
            Request::Entries(directory, cookie) => {
                return Ok(Answer::Entries(self.entries(directory, cookie)?));
            }
            Request::Read(inode, offset, length) => {
                read.resize((length as usize).min(MAX_DATA), 0);
                let file = self.file(inode)?;
                let count = rustix::io::pread(file, &mut read[..], offset)?;
                read.truncate(count);
                return Ok(Answer::Count(count as u64));
            }
            Request::NextData(inode, offset) => {
                return Ok(Answer::Data(
                    match fs::seek(self.file(inode)?, SeekFrom::Data(offset)) {
                        Ok(at) => Some(at),
                        Err(Errno::NXIO) => None,
                        // Some file systems do not report holes.
                        Err(_) => Some(offset),
                    },
                ));
            }
            Request::Write(inode, offset, length) => {
                let data = data.get(..length as usize).ok_or(Errno::INVAL)?;
                let count = rustix::io::pwrite(self.file(inode)?, data, offset)?;
                return Ok(Answer::Count(count as u64));
            }
            Request::SetSize(inode, size) => {
                let file = self.file(inode)?;
                fs::ftruncate(file, size).map_err(|error| match fs::fcntl_getfl(file) {
                    // If this process may not write the file, `data` has opened it for reading
                    // only.
                    Ok(flags) if !flags.intersects(OFlags::RDWR) => Errno::ACCESS,
                    _ => error,
                })?;
            }
            Request::Allocate(inode, offset, length) => {
                fs::fallocate(self.file(inode)?, FallocateFlags::empty(), offset, length)?;
            }
            Request::Sync(inode, true) => fs::fdatasync(self.data(inode)?)?,
            Request::Sync(inode, false) => fs::fsync(self.data(inode)?)?,
            Request::Usage => {
                let stat = fs::fstatvfs(self.path(self.folder.root)?)?;
                let bytes = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
                let used = bytes(stat.f_blocks.saturating_sub(stat.f_bfree));
                return Ok(Answer::Usage(used, bytes(stat.f_blocks)));
            }
        }
        Ok(Answer::Done)
    }

    fn path(&self, inode: u64) -> Result<BorrowedFd<'_>> {
        self.held.get(&inode).map(|held| held.path.as_fd()).ok_or(Errno::INVAL)
    }

    /// Checks that the program may change the name of an inode.
    fn check_name(&self, directory: u64, name: &str) -> Result<()> {
        if self.folder.refused.is_empty() {
            return Ok(());
        }
        match fs::openat(self.path(directory)?, component(name)?, PATH, Mode::empty()) {
            Ok(path) => self.folder.check_access(&path, &fs::fstat(&path)?),
            // The change fails likewise, or makes the name.
            Err(_) => Ok(()),
        }
    }

    /// Holds the inode of a descriptor, and returns its number.
    fn hold(&mut self, path: OwnedFd, data: Option<OwnedFd>) -> Result<u64> {
        let stat = fs::fstat(&path)?;
        kind(&stat)?;
        self.folder.check_access(&path, &stat)?;
        let number = self.folder.number(&stat);
        match self.held.entry(number) {
            HeldEntry::Occupied(mut held) => held.get_mut().count += 1,
            HeldEntry::Vacant(slot) => {
                slot.insert(Held { path, data, count: 1 });
            }
        }
        Ok(number)
    }

    fn release(&mut self, inode: u64) {
        if inode == self.folder.root {
            return;
        }
        if let HeldEntry::Occupied(mut held) = self.held.entry(inode) {
            held.get_mut().count -= 1;
            if held.get().count == 0 {
                held.remove();
            }
        }
    }

    fn set_mode(&self, inode: u64, mode: u32) -> Result<()> {
        let path = self.path(inode)?;
        if kind(&fs::fstat(path)?)? == Kind::SymbolicLink {
            return Err(Errno::OPNOTSUPP);
        }
        change_mode(path, mode)
    }

    fn create_file(&mut self, directory: u64, name: &str, mode: Option<u32>) -> Result<u64> {
        let flags =
            OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let at_first = Mode::from_raw_mode(mode.unwrap_or(0o666) & PERMISSIONS);
        let data = fs::openat(self.path(directory)?, component(name)?, flags, at_first)?;
        if let Some(mode) = mode {
            change_mode(data.as_fd(), mode)?;
        }
        let path =
            fs::open(proc_path(data.as_fd()), PATH.difference(OFlags::NOFOLLOW), Mode::empty())?;
        self.hold(path, Some(data))
    }

    /// Checks the kind of an inode, because the system would report another error.
    fn must_be(&self, inode: u64, wanted: Kind) -> Result<()> {
        match (kind(&fs::fstat(self.path(inode)?)?)?, wanted) {
            (kind, wanted) if kind == wanted => Ok(()),
            (_, Kind::Directory) => Err(Errno::NOTDIR),
            (Kind::Directory, Kind::File) => Err(Errno::ISDIR),
            _ => Err(Errno::INVAL),
        }
    }

    /// Returns a descriptor for the contents of a file.
    fn file(&mut self, inode: u64) -> Result<BorrowedFd<'_>> {
        self.must_be(inode, Kind::File)?;
        self.data(inode)
    }

    /// Returns a descriptor for the contents of a file or a directory. It allows writing if that is
    /// possible.
    fn data(&mut self, inode: u64) -> Result<BorrowedFd<'_>> {
        let writable = !self.folder.read_only;
        let held = self.held.get_mut(&inode).ok_or(Errno::INVAL)?;
        if held.data.is_none() {
            let path = proc_path(held.path.as_fd());
            let open = |flags| fs::open(&path, flags | OFlags::CLOEXEC, Mode::empty());
            let opened = match kind(&fs::fstat(&held.path)?)? {
                Kind::SymbolicLink => Err(Errno::INVAL),
                // This also opens a directory that was removed.
                Kind::Directory => {
                    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
                    fs::openat(&held.path, ".", flags, Mode::empty())
                }
                Kind::File if !writable => open(OFlags::RDONLY),
                Kind::File => match open(OFlags::RDWR) {
                    Err(Errno::ACCESS | Errno::ROFS | Errno::PERM | Errno::TXTBSY) => {
                        open(OFlags::RDONLY)
                    }
                    opened => opened,
                },
            };
            held.data = Some(opened?);
        }
        held.data.as_ref().map(AsFd::as_fd).ok_or(Errno::INVAL)
    }

    fn entries(&mut self, directory: u64, cookie: u64) -> Result<Vec<Entry>> {
        self.must_be(directory, Kind::Directory)?;
        let (folder, fd) = (self.folder, self.data(directory)?);
        fs::seek(fd, SeekFrom::Start(cookie.saturating_sub(FIRST_COOKIE)))?;
        let mut space = [const { MaybeUninit::uninit() }; 16 << 10];
        let mut entries = Vec::new();
        let mut room = MAX_MESSAGE - ENTRY_BYTES;
        let mut names = RawDir::new(fd, &mut space);
        while let Some(entry) = names.next() {
            let entry = match entry {
                // A removed directory has no entries.
                Err(Errno::NOENT) => break,
                entry => entry?,
            };
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let Some(rest) = room.checked_sub(name.count_bytes() + ENTRY_BYTES) else { break };
            // Skips an entry that is gone by now, or whose kind or name programs cannot have.
            let Ok(stat) = fs::statat(fd, name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let (Ok(kind), Ok(name)) = (kind(&stat), name.to_str()) else { continue };
            room = rest;
            entries.push(Entry {
                name: name.to_owned(),
                inode: folder.number(&stat),
                kind,
                cookie: entry.next_entry_cookie().saturating_add(FIRST_COOKIE),
            });
        }
        Ok(entries)
    }
}

/// Whether a request changes something, so that a read-only folder refuses it.
fn changes(request: &Request) -> bool {
    !matches!(
        request,
        Request::Root
            | Request::Lookup(..)
            | Request::Release(_)
            | Request::Attributes(_)
            | Request::ReadLink(_)
            | Request::Entries(..)
            | Request::Read(..)
            | Request::NextData(..)
            | Request::Sync(..)
            | Request::Usage
    )
}

/// Checks that a name is a single component that does not lead out of its directory.
fn component(name: &str) -> Result<&str> {
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        return Err(Errno::INVAL);
    }
    Ok(name)
}

/// Sets the permission bits of an inode, including bits that the process's umask denies to new
/// files.
fn change_mode(fd: BorrowedFd<'_>, mode: u32) -> Result<()> {
    match fs::chmod(proc_path(fd), Mode::from_raw_mode(mode & PERMISSIONS)) {
        // A file system without modes has its own rules of access.
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        result => result,
    }
}

/// Returns a path that names the inode of a descriptor.
fn proc_path(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn kind(stat: &Stat) -> Result<Kind> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(Kind::File),
        FileType::Directory => Ok(Kind::Directory),
        FileType::Symlink => Ok(Kind::SymbolicLink),
        _ => Err(Errno::OPNOTSUPP),
    }
}

fn attributes(stat: &Stat) -> Result<Attributes> {
    let kind = kind(stat)?;
    let time = |seconds: i64, nanoseconds: u64| {
        u64::try_from(seconds)
            .unwrap_or(0)
            .saturating_mul(1_000_000_000)
            .saturating_add(nanoseconds)
    };
    Ok(Attributes {
        kind,
        mode: stat.st_mode & PERMISSIONS,
        size: if kind == Kind::Directory { 0 } else { stat.st_size as u64 },
        links: stat.st_nlink,
        accessed: time(stat.st_atime, stat.st_atime_nsec),
        modified: time(stat.st_mtime, stat.st_mtime_nsec),
        changed: time(stat.st_ctime, stat.st_ctime_nsec),
    })
}

fn time(time: Time) -> Result<Timespec> {
    Ok(match time {
        Time::Keep => Timespec { tv_sec: 0, tv_nsec: fs::UTIME_OMIT },
        Time::Now => Timespec { tv_sec: 0, tv_nsec: fs::UTIME_NOW },
        Time::At(at) => Timespec {
            tv_sec: (at / 1_000_000_000).cast_signed(),
            tv_nsec: (at % 1_000_000_000).cast_signed(),
        },
    })
}

fn failure(errno: Errno) -> Failure {
    match errno {
        Errno::NOENT => Failure::NotFound,
        Errno::EXIST => Failure::Exists,
        Errno::NOTDIR => Failure::NotDirectory,
        Errno::ISDIR => Failure::IsDirectory,
        Errno::NOTEMPTY => Failure::NotEmpty,
        Errno::NAMETOOLONG => Failure::NameTooLong,
        Errno::INVAL | Errno::ILSEQ => Failure::Invalid,
        Errno::PERM => Failure::NotPermitted,
        Errno::ACCESS | Errno::BADF => Failure::Denied,
        Errno::ROFS => Failure::ReadOnly,
        Errno::NOSPC | Errno::DQUOT => Failure::NoSpace,
        Errno::FBIG => Failure::FileTooBig,
        Errno::MLINK => Failure::TooManyLinks,
        Errno::LOOP => Failure::Loop,
        Errno::MFILE | Errno::NFILE => Failure::TooManyOpen,
        Errno::NOMEM => Failure::NoMemory,
        Errno::OPNOTSUPP => Failure::NotSupported,
        _ => Failure::Io,
    }
}
