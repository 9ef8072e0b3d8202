//! An ordinary folder of the host as a file system.
//!
//! The host can read and change these files as it likes; a program gets such a folder only if the
//! user asked for it (`--plain-dir`). This crate ensures that the host's answers can do no more
//! than lie about files. It checks that counts, names, cookies and kinds are as [`FileSystem`]
//! promises; otherwise the operation fails with [`Error::Io`].
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    warn(
        unreachable_pub,
        clippy::cast_lossless,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::print_stderr,
        clippy::print_stdout,
        clippy::string_slice,
        clippy::unwrap_used
    )
)]

#[cfg(feature = "fuzzing")]
#[allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "in a function for fuzz targets, a panic is a finding"
)]
pub mod fuzzing;

use twine_boundary::{Boundary, FolderError};
use twine_protocol::calls::RawCall;
use twine_protocol::folder::{self, Answer, Failure, Kind, MAX_DATA, Request, Time};
use twine_vfs::{
    Attributes, Change, Entry, Error, FileKind, FileSystem, Inode, Mode, Result, Stamp, Usage,
    check_name,
};

/// Limit on the size of a symbolic link's target, in bytes (`PATH_MAX` without its NUL).
const MAX_TARGET_BYTES: usize = 4095;

/// Limit on sizes and offsets, which are signed on the host (`off_t`).
const MAX_OFFSET: u64 = i64::MAX as u64;

/// The first cookie of an entry. The cookies below it are for WASI.
const FIRST_COOKIE: u64 = 4;

/// A folder of the host.
#[derive(Debug)]
pub struct Folder<'a, R> {
    boundary: &'a Boundary<R>,
    number: u64,
    root: Inode,
    read_only: bool,
}

impl<'a, R: RawCall> Folder<'a, R> {
    /// Opens the folder with this number in the launch request.
    ///
    /// # Errors
    /// The host has no such folder.
    pub fn open(boundary: &'a Boundary<R>, number: u64, read_only: bool) -> Result<Self> {
        let mut folder = Folder { boundary, number, root: Inode(0), read_only };
        folder.root = folder.inode(&Request::Root)?;
        Ok(folder)
    }

    fn ask(&self, request: &Request, out: &[u8], into: &mut [u8]) -> Result<(Answer, usize)> {
        self.boundary.folder(self.number, request, out, into).map_err(|error| match error {
            FolderError::Failed(failure) => failed(failure),
            FolderError::TooLarge => Error::Invalid,
            _ => Error::Io,
        })
    }

    fn answer(&self, request: &Request) -> Result<Answer> {
        self.ask(request, &[], &mut []).map(|(answer, _)| answer)
    }

    fn inode(&self, request: &Request) -> Result<Inode> {
        match self.answer(request)? {
            Answer::Inode(inode) => Ok(Inode(inode)),
            _ => Err(Error::Io),
        }
    }

    fn change(&self, request: &Request) -> Result<()> {
        if self.read_only {
            return Err(Error::ReadOnly);
        }
        self.done(request)
    }

    fn done(&self, request: &Request) -> Result<()> {
        match self.answer(request)? {
            Answer::Done => Ok(()),
            _ => Err(Error::Io),
        }
    }

    fn make_file(&self, directory: Inode, name: &str, mode: Option<u32>) -> Result<Inode> {
        if self.read_only {
            return Err(Error::ReadOnly);
        }
        self.inode(&Request::CreateFile(directory.0, Self::name(name)?, mode))
    }

    /// Checks a name, which ensures that a message can hold it.
    fn name(name: &str) -> Result<String> {
        check_name(name)?;
        Ok(name.to_owned())
    }
}

impl<R: RawCall + Send + Sync> FileSystem for Folder<'_, R> {
    fn root(&self) -> Inode {
        self.root
    }

    fn read_only(&self) -> bool {
        self.read_only
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn lookup(&mut self, directory: Inode, name: &str) -> Result<Inode> {
        self.inode(&Request::Lookup(directory.0, Self::name(name)?))
    }

    fn release(&mut self, inode: Inode) {
        // No data are lost if the host keeps it open.
        let _ = self.done(&Request::Release(inode.0));
    }

    fn attributes(&mut self, inode: Inode) -> Result<Attributes> {
        match self.answer(&Request::Attributes(inode.0))? {
            Answer::Attributes(folder::Attributes {
                kind,
                mode,
                size,
                links,
                accessed,
                modified,
                changed,
            }) => {
                let kind = file_kind(kind);
                let links = if kind == FileKind::Directory { links.min(1) } else { links };
                let mode = (kind != FileKind::SymbolicLink).then(|| Mode::new(mode));
                Ok(Attributes { kind, mode, size, links, accessed, modified, changed })
            }
            _ => Err(Error::Io),
        }
    }

    fn set_times(&mut self, inode: Inode, accessed: Stamp, modified: Stamp) -> Result<()> {
        self.change(&Request::SetTimes(inode.0, time(accessed), time(modified)))
    }

    fn set_mode(&mut self, inode: Inode, mode: Mode) -> Result<()> {
        self.change(&Request::SetMode(inode.0, mode.bits()))
    }

    fn create_file(&mut self, directory: Inode, name: &str) -> Result<Inode> {
        self.make_file(directory, name, None)
    }

    fn create_directory(&mut self, directory: Inode, name: &str) -> Result<()> {
        self.change(&Request::CreateDirectory(directory.0, Self::name(name)?, None))
    }

    // The mode is set in the same call: in between, other users of the machine could open the file.
    fn create_file_with(&mut self, directory: Inode, name: &str, mode: Mode) -> Result<Inode> {
        self.make_file(directory, name, Some(mode.bits()))
    }

    fn create_directory_with(&mut self, directory: Inode, name: &str, mode: Mode) -> Result<()> {
        let name = Self::name(name)?;
        self.change(&Request::CreateDirectory(directory.0, name, Some(mode.bits())))
    }

    fn create_symbolic_link(&mut self, directory: Inode, name: &str, target: &str) -> Result<()> {
        if target.len() > MAX_TARGET_BYTES {
            return Err(Error::NameTooLong);
        }
        let name = Self::name(name)?;
        self.change(&Request::CreateSymbolicLink(directory.0, name, target.to_owned()))
    }

    fn read_link(&mut self, inode: Inode) -> Result<String> {
        match self.answer(&Request::ReadLink(inode.0))? {
            Answer::Target(target) if target.len() <= MAX_TARGET_BYTES => Ok(target),
            _ => Err(Error::Io),
        }
    }

    fn link(&mut self, inode: Inode, directory: Inode, name: &str) -> Result<()> {
        self.change(&Request::Link(inode.0, directory.0, Self::name(name)?))
    }

    fn unlink(&mut self, directory: Inode, name: &str) -> Result<()> {
        self.change(&Request::Unlink(directory.0, Self::name(name)?))
    }

    fn remove_directory(&mut self, directory: Inode, name: &str) -> Result<()> {
        self.change(&Request::RemoveDirectory(directory.0, Self::name(name)?))
    }

    fn rename(&mut self, from: Inode, from_name: &str, to: Inode, to_name: &str) -> Result<()> {
        let (from_name, to_name) = (Self::name(from_name)?, Self::name(to_name)?);
        self.change(&Request::Rename(from.0, from_name, to.0, to_name))
    }

    fn entries(
        &mut self,
        directory: Inode,
        cookie: u64,
        each: &mut dyn FnMut(Entry<'_>) -> bool,
    ) -> Result<()> {
        let mut cookie = cookie;
        // No entry has a cookie above the host's largest offset.
        while cookie <= MAX_OFFSET {
            let Answer::Entries(entries) = self.answer(&Request::Entries(directory.0, cookie))?
            else {
                return Err(Error::Io);
            };
            if entries.is_empty() {
                return Ok(());
            }
            for entry in &entries {
                if check_name(&entry.name).is_err() || entry.cookie < FIRST_COOKIE {
                    return Err(Error::Io);
                }
                cookie = entry.cookie;
                let entry = Entry {
                    name: &entry.name,
                    inode: Inode(entry.inode),
                    kind: file_kind(entry.kind),
                    cookie,
                };
                if !each(entry) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn read(&mut self, inode: Inode, offset: u64, bytes: &mut [u8]) -> Result<usize> {
        let mut done = 0;
        while done < bytes.len() && offset.saturating_add(done as u64) <= MAX_OFFSET {
            let end = bytes.len().min(done + MAX_DATA);
            let part = bytes.get_mut(done..end).ok_or(Error::Io)?;
            let at = offset + done as u64;
            let request = Request::Read(inode.0, at, part.len() as u64);
            let (answer, count) = self.ask(&request, &[], part)?;
            if !matches!(answer, Answer::Count(_)) {
                return Err(Error::Io);
            }
            if count == 0 {
                break;
            }
            done += count;
        }
        Ok(done)
    }

    fn next_data(&mut self, inode: Inode, offset: u64) -> Result<Option<u64>> {
        match self.answer(&Request::NextData(inode.0, offset))? {
            Answer::Data(at) if at.is_none_or(|at| at >= offset) => Ok(at),
            _ => Err(Error::Io),
        }
    }

    fn write(&mut self, inode: Inode, offset: u64, bytes: &[u8]) -> Result<usize> {
        if self.read_only {
            return Err(Error::ReadOnly);
        }
        within(offset, bytes.len() as u64)?;
        let mut done = 0;
        while done < bytes.len() {
            let end = bytes.len().min(done + MAX_DATA);
            let part = bytes.get(done..end).ok_or(Error::Io)?;
            let at = offset + done as u64;
            let request = Request::Write(inode.0, at, part.len() as u64);
            let Answer::Count(count) = self.ask(&request, part, &mut [])?.0 else {
                return Err(Error::Io);
            };
            let count = usize::try_from(count).ok();
            done += count.filter(|count| (1..=part.len()).contains(count)).ok_or(Error::Io)?;
        }
        Ok(done)
    }

    fn set_size(&mut self, inode: Inode, size: u64) -> Result<()> {
        within(size, 0)?;
        self.change(&Request::SetSize(inode.0, size))
    }

    fn allocate(&mut self, inode: Inode, offset: u64, length: u64) -> Result<()> {
        within(offset, length)?;
        self.change(&Request::Allocate(inode.0, offset, length))
    }

    fn sync(&mut self, inode: Inode, change: Change) -> Result<()> {
        self.done(&Request::Sync(inode.0, change == Change::Data))
    }

    fn sync_all(&mut self) -> Result<()> {
        // The kernel keeps data that are not synced when a program ends.
        Ok(())
    }

    fn usage(&mut self) -> Result<Usage> {
        match self.answer(&Request::Usage)? {
            Answer::Usage(used, size) => Ok(Usage { used, size }),
            _ => Err(Error::Io),
        }
    }
}

/// Checks that a file can have `length` bytes at `offset`.
fn within(offset: u64, length: u64) -> Result<()> {
    let end = offset.checked_add(length).filter(|&end| end <= MAX_OFFSET);
    end.map(drop).ok_or(Error::FileTooBig)
}

fn file_kind(kind: Kind) -> FileKind {
    match kind {
        Kind::File => FileKind::File,
        Kind::Directory => FileKind::Directory,
        Kind::SymbolicLink => FileKind::SymbolicLink,
    }
}

fn time(stamp: Stamp) -> Time {
    match stamp {
        Stamp::Keep => Time::Keep,
        Stamp::Now => Time::Now,
        Stamp::At(at) => Time::At(at),
    }
}

fn failed(failure: Failure) -> Error {
    match failure {
        Failure::NotFound => Error::NotFound,
        Failure::Exists => Error::Exists,
        Failure::NotDirectory => Error::NotDirectory,
        Failure::IsDirectory => Error::IsDirectory,
        Failure::NotEmpty => Error::NotEmpty,
        Failure::NameTooLong => Error::NameTooLong,
        Failure::Invalid => Error::Invalid,
        Failure::NotPermitted => Error::NotPermitted,
        Failure::Denied => Error::Denied,
        Failure::ReadOnly => Error::ReadOnly,
        Failure::NoSpace => Error::NoSpace,
        Failure::FileTooBig => Error::FileTooBig,
        Failure::TooManyLinks => Error::TooManyLinks,
        Failure::Loop => Error::Loop,
        Failure::TooManyOpen => Error::TooManyOpen,
        Failure::NoMemory => Error::NoMemory,
        Failure::NotSupported => Error::NotSupported,
        Failure::Io => Error::Io,
    }
}
