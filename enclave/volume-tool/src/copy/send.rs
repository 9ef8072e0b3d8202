//! Sends files to a client elsewhere, as a parcel on the standard output.

use super::data::buffer;
use crate::error::{At, Error, Result};
use crate::job::{Job, Tree};
use crate::list::below;
use crate::path::{last_name, locate};
use crate::walk::{Item, Step as WalkStep, Walk};
use std::collections::HashMap;
use twine_channel::frame::{Kind, head};
use twine_channel::parcel::{Entry, MAX_NUMBERED, MAX_TARGET, Step, is_name};
use twine_vfs::{Attributes, FileKind, Inode};

/// The size of a piece of contents, in bytes. One that is all zeros is a hole.
const PIECE: usize = 32 << 10;

/// The size in bytes from which frames that wait are written.
const FULL: usize = 128 << 10;

/// Sends the files and directories at these paths, as `cp` finds them.
pub(crate) fn send(
    job: &mut Job<'_>,
    tree: &mut Tree<'_>,
    sources: &[String],
    recursive: bool,
) -> Result<()> {
    let mut sender = Sender {
        job,
        tree,
        waiting: Vec::new(),
        buffer: buffer(),
        numbers: HashMap::new(),
        count: 0,
    };
    for source in sources {
        let result = sender.source(source, recursive);
        sender.job.attempt(result)?;
    }
    sender.step(&Step::End)?;
    sender.flush()
}

struct Sender<'j, 'c, 't, 'f> {
    job: &'j mut Job<'c>,
    tree: &'t mut Tree<'f>,
    /// Frames that were not written yet.
    waiting: Vec<u8>,
    buffer: Vec<u8>,
    /// The numbers of files with several names.
    numbers: HashMap<Inode, u64>,
    count: u64,
}

impl Sender<'_, '_, '_, '_> {
    fn flush(&mut self) -> Result<()> {
        let result = self.job.console.write(&self.waiting);
        self.waiting.clear();
        Ok(result?)
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.waiting.extend_from_slice(bytes);
        if self.waiting.len() >= FULL { self.flush() } else { Ok(()) }
    }

    fn step(&mut self, step: &Step) -> Result<()> {
        self.put(&step.to_frame())
    }

    fn source(&mut self, path: &str, recursive: bool) -> Result<()> {
        let shown = self.tree.place(path);
        let inode = locate(self.tree.files, path, !recursive)
            .and_then(|spot| spot.found(self.tree.files))
            .at(|| shown.clone())?;
        let name = last_name(path);
        let kind = self.tree.files.attributes(inode).map(|attributes| attributes.kind);
        let result = match kind {
            Ok(FileKind::Directory) if recursive => return self.directory(name, inode, &shown),
            Ok(FileKind::Directory) => Err(Error::Directory { place: shown }),
            Ok(_) => self.leaf(name, inode, &shown),
            Err(error) => Err(error).at(|| shown),
        };
        self.tree.files.release(inode);
        result
    }

    /// Sends a directory with everything below it. Takes over the hold on it.
    fn directory(&mut self, name: &str, directory: Inode, shown: &str) -> Result<()> {
        let mut walk = Walk::new(directory, false);
        let result = self.enter(name, directory, shown).and_then(|()| self.below(&mut walk, shown));
        walk.end(self.tree.files);
        result
    }

    fn enter(&mut self, name: &str, directory: Inode, shown: &str) -> Result<()> {
        let attributes = self.tree.files.attributes(directory).at(|| shown.to_owned())?;
        self.step(&Step::Directory(entry(name, &attributes)))
    }

    fn below(&mut self, walk: &mut Walk, shown: &str) -> Result<()> {
        loop {
            let step = walk.next(self.tree.files).at(|| below(shown, &walk.path("")));
            let result = match step {
                Ok(None) => return self.step(&Step::Leave),
                Ok(Some(WalkStep::Left(_))) => self.step(&Step::Leave),
                Ok(Some(WalkStep::Item(item))) => self.item(walk, &item, shown),
                Err(error) => Err(error),
            };
            self.job.attempt(result)?;
        }
    }

    fn item(&mut self, walk: &mut Walk, item: &Item, top: &str) -> Result<()> {
        let shown = below(top, &walk.path(&item.name));
        let Some(directory) = walk.directory() else { return Ok(()) };
        let files = &mut *self.tree.files;
        if item.kind == FileKind::Directory {
            walk.enter(files, &item.name).at(|| shown.clone())?;
            let entered = match walk.directory() {
                Some(inode) => self.enter(&item.name, inode, &shown),
                None => Ok(()),
            };
            if entered.is_err() {
                walk.skip(self.tree.files);
            }
            return entered;
        }
        let inode = files.lookup(directory, &item.name).at(|| shown.clone())?;
        let result = self.leaf(&item.name, inode, &shown);
        self.tree.files.release(inode);
        result
    }

    /// Sends a file or symbolic link.
    fn leaf(&mut self, name: &str, inode: Inode, shown: &str) -> Result<()> {
        let place = || shown.to_owned();
        if !is_name(name) {
            return Err(Error::NoName { place: place() });
        }
        let attributes = self.tree.files.attributes(inode).at(place)?;
        if attributes.kind == FileKind::SymbolicLink {
            let target = self.tree.files.read_link(inode).at(place)?;
            if target.is_empty() || target.len() > MAX_TARGET {
                return Err(twine_vfs::Error::Invalid).at(place);
            }
            return self.step(&Step::Link { entry: entry(name, &attributes), target });
        }
        if let Some(number) = self.numbers.get(&inode) {
            return self.step(&Step::Again { name: name.to_owned(), number: *number });
        }
        let numbered = attributes.links > 1 && self.count < MAX_NUMBERED;
        if numbered {
            self.numbers.insert(inode, self.count);
            self.count += 1;
        }
        let size = attributes.size;
        self.step(&Step::File { entry: entry(name, &attributes), size, numbered })?;
        match self.contents(inode, shown) {
            Ok(()) => self.step(&Step::Closed),
            Err(error @ Error::Stream(_)) => Err(error),
            Err(error) => {
                self.step(&Step::Broken)?;
                Err(error)
            }
        }
    }

    fn contents(&mut self, inode: Inode, shown: &str) -> Result<()> {
        let place = || shown.to_owned();
        let (mut offset, mut sent) = (0, 0);
        loop {
            let files = &mut *self.tree.files;
            let Some(at) = files.next_data(inode, offset).at(place)? else {
                let end = offset.max(files.attributes(inode).at(place)?.size);
                return self.hole(end - sent);
            };
            let mut buffer = std::mem::take(&mut self.buffer);
            let read = files.read(inode, at, &mut buffer).at(place);
            let put = read.and_then(|count| {
                self.data(at, buffer.get(..count).unwrap_or_default(), &mut sent)?;
                Ok(count)
            });
            let whole = buffer.len();
            self.buffer = buffer;
            let count = put?;
            offset = at + count as u64;
            if count < whole {
                return self.hole(offset - sent);
            }
        }
    }

    /// Sends bytes of a file at a place, except long runs of zeros. `sent` is how much of it was sent.
    fn data(&mut self, at: u64, bytes: &[u8], sent: &mut u64) -> Result<()> {
        let mut place = at;
        for piece in bytes.chunks(PIECE) {
            if piece.iter().any(|&byte| byte != 0) {
                self.hole(place - *sent)?;
                self.waiting.extend_from_slice(&head(Kind::Contents, piece.len()));
                self.put(piece)?;
                *sent = place + piece.len() as u64;
            }
            place += piece.len() as u64;
        }
        Ok(())
    }

    fn hole(&mut self, length: u64) -> Result<()> {
        if length == 0 { Ok(()) } else { self.step(&Step::Hole { length }) }
    }
}

fn entry(name: &str, attributes: &Attributes) -> Entry {
    Entry {
        name: name.to_owned(),
        mode: attributes.mode.map(|mode| mode.bits()),
        accessed: attributes.accessed,
        modified: attributes.modified,
    }
}
