//! Receives files of a client elsewhere, as a parcel on the standard input.

use super::data;
use super::item::{Copier, Target};
use crate::console::Console;
use crate::error::{At, Error, Result, on_the_way};
use crate::job::{Job, Tree};
use crate::list::below;
use crate::path::{Spot, locate};
use twine_channel::parcel::{Entry, Opener, Part, Step};
use twine_vfs::{Error as FilesError, FileKind, FileSystem, Inode, Mode, Stamp};

/// How much of the standard input is read at a time, in bytes.
const PIECE: usize = 64 << 10;

/// Copies what comes to a path, as `cp` does. `several` says that several things come.
pub(crate) fn receive(
    job: &mut Job<'_>,
    tree: &mut Tree<'_>,
    target: &str,
    several: bool,
) -> Result<()> {
    let shown = tree.place(target);
    let spot = on_the_way(locate(tree.files, target, true), || shown.clone())?;
    let kind = match spot.inode {
        Some(inode) => tree.files.attributes(inode).map(|attributes| Some(attributes.kind)),
        None => Ok(None),
    };
    let result = match kind.at(|| shown.clone()) {
        Ok(Some(FileKind::Directory)) => receive_at(job, tree, Top::Into(&spot), &shown),
        Ok(_) if several => Err(Error::TargetNotDirectory { place: shown }),
        Ok(_) => receive_at(job, tree, Top::As(&spot), &shown),
        Err(error) => Err(error),
    };
    spot.release(tree.files);
    result
}

fn receive_at(job: &mut Job<'_>, tree: &mut Tree<'_>, top: Top<'_>, shown: &str) -> Result<()> {
    let copier = Copier::new(job, std::slice::from_mut(tree));
    let mut receiver = Receiver {
        copier,
        opener: Opener::default(),
        piece: vec![0; PIECE],
        top,
        shown,
        levels: Vec::new(),
        skipped: 0,
        file: Open::None,
        numbered: Vec::new(),
    };
    let result = receiver.all();
    let ended = receiver.end();
    result.and(ended)
}

/// Where the top of a parcel goes.
#[derive(Clone, Copy)]
enum Top<'s> {
    /// Into this directory.
    Into(&'s Spot),
    /// To this name.
    As(&'s Spot),
}

/// A directory that is being filled, held.
struct Level {
    inode: Inode,
    shown: String,
    /// The attributes that it gets at its end, if this made it.
    stamp: Option<Entry>,
    /// Whether this holds it.
    held: bool,
}

/// The file that comes.
enum Open {
    None,
    /// It is written.
    Written(Written),
    /// It is not wanted any more. Whether it has a number.
    Skipped(bool),
}

struct Written {
    inode: Inode,
    target: Target,
    entry: Entry,
    /// How much of it has come.
    at: u64,
    /// Whether there was none before.
    new: bool,
    numbered: bool,
}

struct Receiver<'s, 'j, 'c, 't, 'f> {
    copier: Copier<'j, 'c, 't, 'f>,
    opener: Opener,
    piece: Vec<u8>,
    top: Top<'s>,
    shown: &'s str,
    levels: Vec<Level>,
    /// How many directories that are open in the parcel can't be filled. They are the last ones.
    skipped: u64,
    file: Open,
    /// The files with numbers, held. `None` for those that could not be written.
    numbered: Vec<Option<Inode>>,
}

impl Receiver<'_, '_, '_, '_, '_> {
    fn files(&mut self) -> &mut dyn FileSystem {
        self.copier.files(0)
    }

    /// Receives everything.
    fn all(&mut self) -> Result<()> {
        while !self.opener.has_ended() {
            let taken = self.opener.take().map_err(|error| Error::Parcel(error.to_string()))?;
            let result = match taken {
                Some(Part::Step(step)) => self.step(step),
                Some(Part::Contents(bytes)) => self.contents(&bytes),
                None => {
                    self.read()?;
                    continue;
                }
            };
            self.copier.job.attempt(result)?;
        }
        Ok(())
    }

    fn read(&mut self) -> Result<()> {
        let console: &mut dyn Console = self.copier.job.console;
        let count = console.read(&mut self.piece)?;
        match self.piece.get(..count) {
            None | Some([]) => Err(Error::CutOff),
            Some(bytes) => {
                self.opener.push(bytes);
                Ok(())
            }
        }
    }

    /// Ends what is open, and releases all holds.
    fn end(&mut self) -> Result<()> {
        let result = self.broken();
        for inode in std::mem::take(&mut self.numbered).into_iter().flatten() {
            self.files().release(inode);
        }
        for level in std::mem::take(&mut self.levels) {
            if level.held {
                self.files().release(level.inode);
            }
        }
        result
    }

    fn step(&mut self, step: Step) -> Result<()> {
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
            Step::Link { entry, target: to } => self.link(&entry, &to),
            Step::Again { name, number } => self.again(&name, number),
            Step::End => Ok(()),
        }
    }

    /// Where a name goes.
    fn target(&self, name: &str, is_directory: bool) -> Result<Target> {
        let (directory, name, shown) = match (self.levels.last(), self.top) {
            (Some(level), _) => (level.inode, name, below(&level.shown, name)),
            (None, Top::Into(spot)) => {
                let missing = || Error::NoDirectory { place: self.shown.to_owned() };
                (spot.inode.ok_or_else(missing)?, name, below(self.shown, name))
            }
            (None, Top::As(spot)) => {
                if spot.slash && !is_directory {
                    return Err(FilesError::NotDirectory).at(|| self.shown.to_owned());
                }
                (spot.directory, spot.name.as_str(), self.shown.to_owned())
            }
        };
        Ok(Target { tree: 0, directory, name: name.to_owned(), shown })
    }

    fn directory(&mut self, entry: Entry) -> Result<()> {
        let target = self.target(&entry.name, true)?;
        if target.name.is_empty() {
            // The contents of a directory go into the target itself.
            let Target { directory: inode, .. } = target;
            let shown = self.shown.to_owned();
            self.levels.push(Level { inode, shown, stamp: None, held: false });
            return Ok(());
        }
        let (inode, made) = self.copier.directory(&target, entry.mode.map(Mode::new))?;
        let stamp = made.then_some(entry);
        self.levels.push(Level { inode, shown: target.shown, stamp, held: true });
        Ok(())
    }

    fn leave(&mut self) -> Result<()> {
        let Some(Level { inode, shown, stamp, held }) = self.levels.pop() else { return Ok(()) };
        let result = stamp.map_or(Ok(()), |entry| {
            let mode = entry.mode.map(Mode::new);
            mode.map_or(Ok(()), |mode| self.files().set_mode(inode, mode))?;
            self.stamp(inode, &entry)
        });
        if held {
            self.files().release(inode);
        }
        result.at(|| shown)
    }

    fn stamp(&mut self, inode: Inode, entry: &Entry) -> twine_vfs::Result<()> {
        self.files().set_times(inode, Stamp::At(entry.accessed), Stamp::At(entry.modified))
    }

    fn open(&mut self, entry: Entry, size: u64, numbered: bool) -> Result<Written> {
        let target = self.target(&entry.name, false)?;
        let new = !self.copier.is_there(&target)?;
        let inode = self.copier.empty_file(None, &target, entry.mode.map(Mode::new))?;
        match data::check_size(self.files(), inode, size) {
            Ok(()) => Ok(Written { inode, target, entry, at: 0, new, numbered }),
            Err(error) => {
                self.files().release(inode);
                Err(error).at(|| target.shown)
            }
        }
    }

    fn contents(&mut self, bytes: &[u8]) -> Result<()> {
        let Open::Written(Written { inode, at, target, .. }) = &mut self.file else {
            return Ok(());
        };
        let (inode, offset, shown) = (*inode, *at, target.shown.clone());
        *at += bytes.len() as u64;
        let written = data::write_sparse(self.files(), inode, offset, bytes);
        if written.is_err() {
            // The rest of it is not wanted.
            self.abandon()?;
        }
        written.at(|| shown)
    }

    fn close(&mut self) -> Result<()> {
        match std::mem::replace(&mut self.file, Open::None) {
            Open::None => Ok(()),
            Open::Skipped(numbered) => {
                self.number(numbered, None);
                Ok(())
            }
            Open::Written(file) => {
                let Written { inode, at, numbered, .. } = file;
                let result =
                    self.files().set_size(inode, at).and_then(|()| self.stamp(inode, &file.entry));
                if !numbered {
                    self.files().release(inode);
                }
                self.number(numbered, Some(inode));
                result.at(|| file.target.shown)
            }
        }
    }

    /// Ends a file whose rest does not come.
    fn broken(&mut self) -> Result<()> {
        let result = self.abandon();
        if let Open::Skipped(numbered) = std::mem::replace(&mut self.file, Open::None) {
            self.number(numbered, None);
        }
        result
    }

    /// Skips the rest of the file. If it is new, nothing of it stays.
    fn abandon(&mut self) -> Result<()> {
        let Open::Written(file) = std::mem::replace(&mut self.file, Open::None) else {
            return Ok(());
        };
        let Written { inode, target, new, numbered, .. } = file;
        self.file = Open::Skipped(numbered);
        self.files().release(inode);
        if !new {
            return Ok(());
        }
        let Target { directory, name, shown, .. } = target;
        self.files().unlink(directory, &name).at(|| shown)
    }

    fn number(&mut self, numbered: bool, inode: Option<Inode>) {
        if numbered {
            self.numbered.push(inode);
        }
    }

    fn link(&mut self, entry: &Entry, to: &str) -> Result<()> {
        let target = self.target(&entry.name, false)?;
        self.copier.clear(&target)?;
        let Target { directory, name, shown, .. } = target;
        let place = || shown.clone();
        let files = self.files();
        files.create_symbolic_link(directory, &name, to).at(place)?;
        let inode = files.lookup(directory, &name).at(place)?;
        let result = self.stamp(inode, entry);
        self.files().release(inode);
        result.at(place)
    }

    fn again(&mut self, name: &str, number: u64) -> Result<()> {
        let target = self.target(name, false)?;
        let number = usize::try_from(number).unwrap_or(usize::MAX);
        let first = self.numbered.get(number).copied().flatten();
        let first = first.ok_or(FilesError::NotFound).at(|| target.shown.clone())?;
        if let Some((inode, _)) = self.copier.there(&target)? {
            self.files().release(inode);
            if inode == first {
                return Ok(());
            }
        }
        self.copier.clear(&target)?;
        let Target { directory, name, shown, .. } = target;
        self.files().link(first, directory, &name).at(|| shown)
    }
}
