//! Unpacks files that come from a volume, into a folder of this machine.

use super::{HOLE, Problems, failed};
use crate::failure::Failure;
use crate::print::foreign;
use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps, chmodat, fchmod, futimens, linkat,
    mkdirat, openat, statat, symlinkat, unlinkat, utimensat,
};
use rustix::io::Errno;
use std::fs::{self, File};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use twine_channel::parcel::{Entry, Opener, Part, Step};

/// The size of the largest file that every file system can hold, FAT too.
const TAKEN_EVERYWHERE: u64 = (1 << 32) - 1;

const FOLDER: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Unpacks a parcel, whose bytes come in pieces.
pub(in super::super) struct Unpacker {
    opener: Opener,
    top: OwnedFd,
    /// The name of the one thing that comes. `None`: things keep their names.
    name: Option<String>,
    /// Whether that must be a folder.
    slash: bool,
    shown: PathBuf,
    levels: Vec<Level>,
    /// How many folders that are open in the parcel can't be filled. They are the last ones.
    skipped: u64,
    file: Open,
    /// The files with numbers: their paths from the top. `None` for those that were not written.
    numbered: Vec<Option<Vec<String>>>,
    problems: Problems,
}

/// A folder that is being filled.
struct Level {
    descriptor: OwnedFd,
    /// Its name in the folder above; empty for the top itself.
    name: String,
    /// The attributes that it gets at its end, if this made it.
    stamp: Option<Entry>,
    shown: PathBuf,
}

enum Open {
    None,
    Written(Written),
    /// It is not wanted any more. Whether it has a number.
    Skipped(bool),
}

struct Written {
    file: File,
    entry: Entry,
    name: String,
    /// How much of it has come.
    at: u64,
    /// Whether there was none before.
    new: bool,
    numbered: bool,
    shown: PathBuf,
}

/// What is at a name.
fn there(folder: BorrowedFd<'_>, name: &str) -> Result<Option<Stat>, Errno> {
    match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

fn times(entry: &Entry) -> Timestamps {
    let time = |nanoseconds: u64| Timespec {
        tv_sec: i64::try_from(nanoseconds / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: (nanoseconds % 1_000_000_000) as _,
    };
    Timestamps { last_access: time(entry.accessed), last_modification: time(entry.modified) }
}

fn refused(shown: &Path, why: &str) -> Failure {
    Failure::new(
        format!("{} {why}", foreign(&shown.display().to_string())),
        "remove what is there first, or choose another name",
    )
}

impl Unpacker {
    /// Prepares to copy to a path. `several` says that several things come.
    ///
    /// # Errors
    /// It can't be a target.
    pub(in super::super) fn new(
        text: &str,
        several: bool,
        problems: Problems,
    ) -> Result<Self, Failure> {
        let path = Path::new(text);
        let is_folder = fs::metadata(path).is_ok_and(|metadata| metadata.is_dir());
        if several && !is_folder {
            return Err(Failure::new(
                format!("{text} is not a directory, and cannot take several things"),
                "make the directory first",
            ));
        }
        let open = |path: &Path| {
            let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            rustix::fs::open(path, flags, Mode::empty()).map_err(|error| failed(path, error))
        };
        let (top, name) = if is_folder {
            (open(path)?, None)
        } else {
            // If the name is a link, the file that it leads to is written.
            let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
            let name = real.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
                Failure::new(format!("{text} is no name for a copy"), "choose another target")
            })?;
            (open(real.parent().unwrap_or(Path::new("/")))?, Some(name.to_owned()))
        };
        Ok(Unpacker {
            opener: Opener::default(),
            top,
            name,
            slash: text.ends_with('/'),
            shown: path.to_owned(),
            levels: Vec::new(),
            skipped: 0,
            file: Open::None,
            numbered: Vec::new(),
            problems,
        })
    }

    /// Whether everything has come.
    pub(in super::super) fn has_ended(&self) -> bool {
        self.opener.has_ended()
    }

    /// Takes bytes of the parcel.
    ///
    /// # Errors
    /// They are not a parcel.
    pub(in super::super) fn take(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.opener.push(bytes);
        loop {
            let part = self.opener.take().map_err(|error| {
                Failure::new(
                    format!("the host sent something that is not expected: {error}"),
                    "use a client and a host of the same release",
                )
            })?;
            let result = match part {
                None => return Ok(()),
                Some(Part::Step(step)) => self.step(step),
                Some(Part::Contents(bytes)) => self.contents(&bytes),
            };
            if let Err(failure) = result {
                self.problems.add(failure);
            }
        }
    }

    fn step(&mut self, step: Step) -> Result<(), Failure> {
        match step {
            Step::Directory(_) if self.skipped > 0 => {
                self.skipped += 1;
                Ok(())
            }
            Step::Directory(entry) => {
                let entered = self.directory(entry);
                self.skipped = u64::from(entered.is_err());
                entered
            }
            Step::Leave if self.skipped > 0 => {
                self.skipped -= 1;
                Ok(())
            }
            Step::Leave => self.leave(),
            Step::File { numbered, .. } if self.skipped > 0 => {
                self.file = Open::Skipped(numbered);
                Ok(())
            }
            Step::File { entry, size, numbered } => {
                self.file = Open::Skipped(numbered);
                self.file = Open::Written(self.open(entry, size, numbered)?);
                Ok(())
            }
            Step::Hole { length } => {
                if let Open::Written(file) = &mut self.file {
                    file.at += length;
                }
                Ok(())
            }
            Step::Closed => self.close(),
            Step::Broken => self.broken(),
            Step::Link { .. } | Step::Again { .. } if self.skipped > 0 => Ok(()),
            Step::Link { entry, target } => self.link(&entry, &target),
            Step::Again { name, number } => self.again(&name, number),
            Step::End => Ok(()),
        }
    }

    /// The folder that is being filled.
    fn folder(&self) -> BorrowedFd<'_> {
        self.levels.last().map_or(self.top.as_fd(), |level| level.descriptor.as_fd())
    }

    /// Where a name goes: the name there, and its path in messages.
    fn target(&self, name: &str, is_folder: bool) -> Result<(String, PathBuf), Failure> {
        match (self.levels.last(), &self.name) {
            (Some(level), _) => Ok((name.to_owned(), level.shown.join(name))),
            (None, None) => Ok((name.to_owned(), self.shown.join(name))),
            (None, Some(_)) if self.slash && !is_folder => {
                Err(refused(&self.shown, "is no directory"))
            }
            (None, Some(name)) => Ok((name.clone(), self.shown.clone())),
        }
    }

    fn directory(&mut self, entry: Entry) -> Result<(), Failure> {
        let (name, shown) = self.target(&entry.name, true)?;
        let at = |error: Errno| failed(&shown, error);
        if name.is_empty() {
            // The contents of a folder go into the target itself.
            let descriptor = rustix::io::fcntl_dupfd_cloexec(&self.top, 0).map_err(at)?;
            self.levels.push(Level { descriptor, name, stamp: None, shown });
            return Ok(());
        }
        let folder = self.folder();
        let made = match there(folder, &name).map_err(at)? {
            Some(stat) if kind(&stat) == FileType::Directory => false,
            Some(_) => {
                return Err(refused(
                    &shown,
                    "is not a directory, and a directory can't take its place",
                ));
            }
            None => {
                let mode = entry.mode.map_or(0o777, |mode| mode & 0o777 | 0o700);
                mkdirat(folder, &name, Mode::from_raw_mode(mode)).map_err(at)?;
                true
            }
        };
        let descriptor = openat(folder, &name, FOLDER, Mode::empty()).map_err(at)?;
        self.levels.push(Level { descriptor, name, stamp: made.then_some(entry), shown });
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Failure> {
        let Some(Level { name, stamp, shown, .. }) = self.levels.pop() else { return Ok(()) };
        let Some(entry) = stamp else { return Ok(()) };
        let stamped = entry
            .mode
            .map_or(Ok(()), |mode| {
                let mode = Mode::from_raw_mode(mode & 0o777);
                chmodat(self.folder(), &name, mode, AtFlags::empty())
            })
            .and_then(|()| {
                utimensat(self.folder(), &name, &times(&entry), AtFlags::SYMLINK_NOFOLLOW)
            });
        stamped.map_err(|error| failed(&shown, error))
    }

    fn open(&mut self, entry: Entry, size: u64, numbered: bool) -> Result<Written, Failure> {
        let (name, shown) = self.target(&entry.name, false)?;
        let at = |error: Errno| failed(&shown, error);
        let folder = self.folder();
        let found = there(folder, &name).map_err(at)?;
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let existing = match found.as_ref().map(kind) {
            Some(FileType::RegularFile) => true,
            // Never write through a link: it may lead anywhere.
            Some(FileType::Symlink) => {
                unlinkat(folder, &name, AtFlags::empty()).map_err(at)?;
                false
            }
            Some(FileType::Directory) => {
                return Err(refused(&shown, "is a directory, and nothing else can take its place"));
            }
            Some(_) => return Err(refused(&shown, "is neither file, folder nor symbolic link")),
            None => false,
        };
        let mode = entry.mode.map(|mode| Mode::from_raw_mode(mode & 0o777));
        let flags = flags | if existing { OFlags::TRUNC } else { OFlags::CREATE | OFlags::EXCL };
        let created = mode.unwrap_or(Mode::from_raw_mode(0o666));
        let file: File = openat(folder, &name, flags, created).map_err(at)?.into();
        if let Some(mode) = mode {
            fchmod(&file, mode).map_err(at)?;
        }
        if size > TAKEN_EVERYWHERE {
            // Fails before much is written, if the file system can't hold a file of this size.
            let taken = file.set_len(size).and_then(|()| file.set_len(0));
            taken.map_err(|error| failed(&shown, error))?;
        }
        Ok(Written { file, entry, name, at: 0, new: found.is_none(), numbered, shown })
    }

    fn contents(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let Open::Written(file) = &mut self.file else { return Ok(()) };
        let written = write_sparse(&file.file, file.at, bytes);
        file.at += bytes.len() as u64;
        let result = written.map_err(|error| failed(&file.shown, error));
        if result.is_err() {
            self.abandon()?;
        }
        result
    }

    fn close(&mut self) -> Result<(), Failure> {
        match std::mem::replace(&mut self.file, Open::None) {
            Open::None => Ok(()),
            Open::Skipped(numbered) => {
                self.number(numbered, None);
                Ok(())
            }
            Open::Written(Written { file, entry, name, at, numbered, shown, .. }) => {
                let path = self.levels.iter().map(|level| level.name.clone());
                let path = path.filter(|name| !name.is_empty()).chain([name]).collect();
                self.number(numbered, Some(path));
                let stamped = file.set_len(at).and_then(|()| Ok(futimens(&file, &times(&entry))?));
                stamped.map_err(|error| failed(&shown, error))
            }
        }
    }

    /// Ends a file whose rest does not come.
    fn broken(&mut self) -> Result<(), Failure> {
        let result = self.abandon();
        if let Open::Skipped(numbered) = std::mem::replace(&mut self.file, Open::None) {
            self.number(numbered, None);
        }
        result
    }

    /// Skips the rest of the file. If it is new, nothing of it stays.
    fn abandon(&mut self) -> Result<(), Failure> {
        let Open::Written(file) = std::mem::replace(&mut self.file, Open::None) else {
            return Ok(());
        };
        let Written { name, new, numbered, shown, .. } = file;
        self.file = Open::Skipped(numbered);
        if !new {
            return Ok(());
        }
        let removed = unlinkat(self.folder(), &name, AtFlags::empty());
        removed.map_err(|error| failed(&shown, error))
    }

    fn number(&mut self, numbered: bool, path: Option<Vec<String>>) {
        if numbered {
            self.numbered.push(path);
        }
    }

    /// Removes a file or link at a name.
    fn clear(&self, name: &str, shown: &Path) -> Result<(), Failure> {
        match there(self.folder(), name).map_err(|error| failed(shown, error))? {
            None => Ok(()),
            Some(stat) if kind(&stat) == FileType::Directory => {
                Err(refused(shown, "is a directory, and nothing else can take its place"))
            }
            Some(_) => unlinkat(self.folder(), name, AtFlags::empty())
                .map_err(|error| failed(shown, error)),
        }
    }

    fn link(&mut self, entry: &Entry, to: &str) -> Result<(), Failure> {
        let (name, shown) = self.target(&entry.name, false)?;
        self.clear(&name, &shown)?;
        symlinkat(to, self.folder(), &name)
            .and_then(|()| {
                let stamped =
                    utimensat(self.folder(), &name, &times(entry), AtFlags::SYMLINK_NOFOLLOW);
                // Not every system has times for symbolic links.
                if stamped == Err(Errno::NOTSUP) { Ok(()) } else { stamped }
            })
            .map_err(|error| failed(&shown, error))
    }

    fn again(&mut self, name: &str, number: u64) -> Result<(), Failure> {
        let (name, shown) = self.target(name, false)?;
        let at = |error: Errno| failed(&shown, error);
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let first = self.numbered.get(number).and_then(Option::as_deref);
        let Some((last, folders)) = first.and_then(<[String]>::split_last) else {
            return Err(at(Errno::NOENT));
        };
        let mut folder = rustix::io::fcntl_dupfd_cloexec(&self.top, 0).map_err(at)?;
        for name in folders {
            folder = openat(&folder, name, FOLDER, Mode::empty()).map_err(at)?;
        }
        let same = |stat: &Stat| (stat.st_dev, stat.st_ino);
        let first = there(folder.as_fd(), last).map_err(at)?;
        let found = there(self.folder(), &name).map_err(at)?;
        if found.is_some() && found.as_ref().map(same) == first.as_ref().map(same) {
            return Ok(());
        }
        self.clear(&name, &shown)?;
        linkat(&folder, last, self.folder(), &name, AtFlags::empty()).map_err(at)
    }
}

impl Drop for Unpacker {
    fn drop(&mut self) {
        // A file whose end did not come.
        if let Err(failure) = self.abandon() {
            self.problems.add(failure);
        }
    }
}

/// Writes bytes except long runs of zeros: the file reads as zero there.
fn write_sparse(file: &File, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
    let mut at = 0;
    while at < bytes.len() {
        let mut end = at;
        let mut pieces = bytes[at..].chunks(HOLE);
        while let Some(piece) = pieces.next().filter(|piece| piece.iter().any(|&byte| byte != 0)) {
            end += piece.len();
        }
        if end > at {
            file.write_all_at(&bytes[at..end], offset + at as u64)?;
        }
        // The piece that ended the run is zero.
        at = end + HOLE;
    }
    Ok(())
}
