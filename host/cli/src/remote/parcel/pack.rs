//! Packs files of this machine, as they are read.

use super::{Problems, entry, failed};
use crate::failure::Failure;
use crate::volume::uncopyable::{Uncopyable, why};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, SeekFrom, Stat, fstat, openat, statat};
use rustix::io::Errno;
use std::collections::{HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use twine_channel::frame::{Kind, MAX_PIECE, head};
use twine_channel::parcel::{MAX_NUMBERED, MAX_TARGET, Step};

/// Something to copy: a name in a folder.
#[derive(Debug)]
pub(in super::super) struct Source {
    folder: OwnedFd,
    entry: OsString,
    /// Its name in the copy; empty if its contents are to be copied without itself.
    name: String,
    shown: PathBuf,
}

const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Returns the last component of a path.
fn last(path: &Path) -> Result<String, Failure> {
    let name = path.file_name().map_or(Some(""), OsStr::to_str);
    name.map(str::to_owned).ok_or_else(|| Uncopyable::not_utf_8(path.to_owned()).failure())
}

impl Source {
    /// Finds what a user names.
    ///
    /// # Errors
    /// It is not there, or a folder without `recursive`.
    pub(in super::super) fn find(text: &str, recursive: bool) -> Result<Self, Failure> {
        let path = Path::new(text);
        let contents = [".", ".."].contains(&text) || text.ends_with("/.") || text.ends_with("/..");
        let metadata = fs::symlink_metadata(path).map_err(|error| failed(path, error))?;
        // A link is followed, unless the copy is recursive. A slash at the end follows it in any case.
        let follow = metadata.is_symlink() && (!recursive || text.ends_with('/'));
        let real = match follow {
            true => fs::canonicalize(path).map_err(|error| failed(path, error))?,
            false => path.to_owned(),
        };
        let found = fs::symlink_metadata(&real).map_err(|error| failed(path, error))?;
        if found.is_dir() && !recursive {
            return Err(Failure::new(
                format!("{text} is a directory"),
                "give --recursive for directories",
            ));
        }
        if let Some(why) = why(&real, found.file_type()) {
            return Err(Uncopyable::new(path.to_owned(), why).failure());
        }
        let name = if contents { String::new() } else { last(path)? };
        let (parent, entry) = match (contents, real.file_name()) {
            (false, Some(entry)) => (real.parent().unwrap_or(Path::new("/")), entry),
            _ => (&*real, OsStr::new(".")),
        };
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        let folder = rustix::fs::open(parent, FOLDER, Mode::empty());
        let folder = folder.map_err(|error| failed(parent, error))?;
        Ok(Source { folder, entry: entry.to_owned(), name, shown: path.to_owned() })
    }
}

/// A parcel, which is made while it is read.
pub(in super::super) struct Packer {
    sources: VecDeque<Source>,
    folders: Vec<Folder>,
    file: Option<Open>,
    /// The numbers of files with several names.
    numbers: HashMap<(u64, u64), u64>,
    made: Vec<u8>,
    /// How much of it was read.
    read: usize,
    ended: bool,
    problems: Problems,
}

/// A folder whose entries are being packed.
struct Folder {
    descriptor: OwnedFd,
    rest: std::vec::IntoIter<OsString>,
    shown: PathBuf,
}

/// A file that is being packed.
struct Open {
    file: File,
    offset: u64,
    shown: PathBuf,
}

impl Packer {
    pub(in super::super) fn new(sources: Vec<Source>, problems: Problems) -> Self {
        Packer {
            sources: sources.into(),
            folders: Vec::new(),
            file: None,
            numbers: HashMap::new(),
            made: Vec::new(),
            read: 0,
            ended: false,
            problems,
        }
    }

    fn step(&mut self, step: &Step) {
        self.made.extend(step.to_frame());
    }

    /// Makes the next frames.
    fn next(&mut self) {
        if self.file.is_some() {
            return self.contents();
        }
        let result = match self.folders.last_mut() {
            Some(folder) => match folder.rest.next() {
                Some(name) => self.in_folder(&name),
                None => {
                    self.folders.pop();
                    self.step(&Step::Leave);
                    Ok(())
                }
            },
            None => match self.sources.pop_front() {
                Some(source) => {
                    self.item(&source.folder, &source.entry, &source.name, &source.shown)
                }
                None => {
                    self.ended = true;
                    self.step(&Step::End);
                    Ok(())
                }
            },
        };
        if let Err(failure) = result {
            self.problems.add(failure);
        }
    }

    fn in_folder(&mut self, name: &OsStr) -> Result<(), Failure> {
        let Some(Folder { descriptor, shown, .. }) = self.folders.last() else { return Ok(()) };
        let shown = shown.join(name);
        let Some(text) = name.to_str() else {
            return Err(Uncopyable::not_utf_8(shown).failure());
        };
        let folder = rustix::io::fcntl_dupfd_cloexec(descriptor, 0);
        let folder = folder.map_err(|error| failed(&shown, error))?;
        self.item(&folder, name, text, &shown)
    }

    fn item(
        &mut self,
        folder: &OwnedFd,
        entry: &OsStr,
        name: &str,
        shown: &Path,
    ) -> Result<(), Failure> {
        let at = |error: Errno| failed(shown, error);
        let stat = statat(folder, entry, AtFlags::SYMLINK_NOFOLLOW).map_err(at)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => self.folder(folder, entry, name, shown),
            FileType::RegularFile => self.open(folder, entry, name, shown),
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(folder, entry, Vec::new()).map_err(at)?;
                let target = target
                    .into_string()
                    .ok()
                    .filter(|target| !target.is_empty() && target.len() <= MAX_TARGET);
                let target = target.ok_or_else(|| {
                    Uncopyable::new(shown.to_owned(), "where it leads is not UTF-8").failure()
                })?;
                self.step(&Step::Link { entry: super::entry(name, &stat), target });
                Ok(())
            }
            _ => Err(Uncopyable::special(shown.to_owned()).failure()),
        }
    }

    fn folder(
        &mut self,
        folder: &OwnedFd,
        entry_name: &OsStr,
        name: &str,
        shown: &Path,
    ) -> Result<(), Failure> {
        let at = |error: Errno| failed(shown, error);
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let descriptor = openat(folder, entry_name, flags, Mode::empty()).map_err(at)?;
        let stat = fstat(&descriptor).map_err(at)?;
        let mut names = Vec::new();
        for item in Dir::read_from(&descriptor).map_err(at)? {
            let item = item.map_err(at)?;
            let name = item.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                names.push(OsStr::from_bytes(name).to_owned());
            }
        }
        names.sort_unstable();
        self.step(&Step::Directory(entry(name, &stat)));
        self.folders.push(Folder { descriptor, rest: names.into_iter(), shown: shown.to_owned() });
        Ok(())
    }

    fn open(
        &mut self,
        folder: &OwnedFd,
        entry_name: &OsStr,
        name: &str,
        shown: &Path,
    ) -> Result<(), Failure> {
        let at = |error: Errno| failed(shown, error);
        // Should it be a pipe by now, nobody waits for its other end.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(folder, entry_name, flags, Mode::empty()).map_err(at)?;
        let stat: Stat = fstat(&file).map_err(at)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Uncopyable::special(shown.to_owned()).failure());
        }
        let key = (stat.st_dev, stat.st_ino);
        if let Some(number) = self.numbers.get(&key) {
            self.step(&Step::Again { name: name.to_owned(), number: *number });
            return Ok(());
        }
        let count = self.numbers.len() as u64;
        let numbered = stat.st_nlink > 1 && count < MAX_NUMBERED;
        if numbered {
            self.numbers.insert(key, count);
        }
        let size = u64::try_from(stat.st_size).unwrap_or_default();
        self.step(&Step::File { entry: entry(name, &stat), size, numbered });
        self.file = Some(Open { file: file.into(), offset: 0, shown: shown.to_owned() });
        Ok(())
    }

    /// Packs the next piece of the file that is open.
    fn contents(&mut self) {
        let Some(Open { file, offset, shown }) = &mut self.file else { return };
        let (from, packed) = (*offset, piece(file, offset, &mut self.made));
        let problem = packed.as_ref().err().map(|error| {
            let error = io::Error::from(error.kind());
            failed(shown, error)
        });
        match packed {
            Ok(true) if *offset > from => return,
            Ok(_) => self.step(&Step::Closed),
            Err(_) => self.step(&Step::Broken),
        }
        self.file = None;
        if let Some(problem) = problem {
            self.problems.add(problem);
        }
    }
}

/// Packs the next piece of a file. Returns whether more may follow.
fn piece(file: &File, offset: &mut u64, made: &mut Vec<u8>) -> io::Result<bool> {
    let hole = |offset: &mut u64, end: u64, made: &mut Vec<u8>| {
        if let Some(length @ 1..) = end.checked_sub(*offset) {
            made.extend(Step::Hole { length }.to_frame());
            *offset = end;
        }
    };
    match rustix::fs::seek(file, SeekFrom::Data(*offset)) {
        Ok(data) => hole(offset, data, made),
        // The rest is a hole.
        Err(Errno::NXIO) => {
            hole(offset, file.metadata()?.len(), made);
            return Ok(false);
        }
        // A file system that knows no holes.
        Err(_) => {}
    }
    let mut bytes = vec![0; MAX_PIECE];
    let count = loop {
        match file.read_at(&mut bytes, *offset) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    if count > 0 {
        made.extend_from_slice(&head(Kind::Contents, count));
        made.extend_from_slice(&bytes[..count]);
        *offset += count as u64;
    }
    Ok(count > 0)
}

impl Read for Packer {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.made.len() - self.read < bytes.len() && !self.ended {
            self.made.drain(..self.read);
            self.read = 0;
            self.next();
        }
        let count = bytes.len().min(self.made.len() - self.read);
        bytes[..count].copy_from_slice(&self.made[self.read..][..count]);
        self.read += count;
        Ok(count)
    }
}
