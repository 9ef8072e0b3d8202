//! Copies an item: a file, a symbolic link, or a directory with everything below it.

use super::data::{self, File};
use super::meter::Meter;
use crate::change::make_way;
use crate::error::{At, Error, Result};
use crate::job::{Job, Tree};
use crate::list::below;
use crate::walk::{Item, Step, Walk};
use std::collections::HashMap;
use twine_vfs::{Attributes, Error as FilesError, FileKind, FileSystem, Inode, Mode, Stamp};

/// An item to copy. The caller holds it.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    pub(crate) tree: usize,
    pub(crate) inode: Inode,
    pub(crate) shown: String,
}

/// The target of a copy: a name in a directory that the caller holds.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) tree: usize,
    pub(crate) directory: Inode,
    pub(crate) name: String,
    pub(crate) shown: String,
}

/// The copy of a file with several names; held.
struct Linked {
    inode: Inode,
    /// How many of its names were not copied yet.
    names: u64,
}

/// Limit on the number of such copies held in a folder of the host, where each needs descriptors.
/// Beyond it, each further name becomes a file of its own.
const MAX_LINKED: usize = 256;

/// Copies items.
pub(crate) struct Copier<'j, 'c, 't, 'f> {
    pub(crate) job: &'j mut Job<'c>,
    pub(crate) trees: &'t mut [Tree<'f>],
    pub(crate) meter: Meter,
    buffer: Vec<u8>,
    /// The copies of files with several names, held, by tree and inode. Further names are linked to
    /// them.
    linked: HashMap<(usize, Inode), Linked>,
}

#[expect(clippy::indexing_slicing, reason = "`found` returns only numbers of existing trees")]
impl<'j, 'c, 't, 'f> Copier<'j, 'c, 't, 'f> {
    pub(crate) fn new(job: &'j mut Job<'c>, trees: &'t mut [Tree<'f>]) -> Self {
        let (meter, buffer) = (Meter::default(), data::buffer());
        Copier { job, trees, meter, buffer, linked: HashMap::new() }
    }

    pub(crate) fn files(&mut self, tree: usize) -> &mut dyn FileSystem {
        &mut *self.trees[tree].files
    }

    /// Releases all holds. All copies of a copier are in one tree.
    pub(crate) fn end(mut self, tree: usize) {
        let linked = std::mem::take(&mut self.linked);
        for linked in linked.into_values() {
            self.files(tree).release(linked.inode);
        }
    }

    /// Returns the inode at a target, held, and its kind.
    pub(super) fn there(&mut self, target: &Target) -> Result<Option<(Inode, FileKind)>> {
        let files = self.files(target.tree);
        let found = match files.lookup(target.directory, &target.name) {
            Ok(inode) => match files.attributes(inode) {
                Ok(attributes) => Ok(Some((inode, attributes.kind))),
                Err(error) => {
                    files.release(inode);
                    Err(error)
                }
            },
            Err(FilesError::NotFound) => Ok(None),
            Err(error) => Err(error),
        };
        found.at(|| target.shown.clone())
    }

    /// Whether something is at a target.
    pub(super) fn is_there(&mut self, target: &Target) -> Result<bool> {
        let found = self.there(target)?;
        if let Some((inode, _)) = found {
            self.files(target.tree).release(inode);
        }
        Ok(found.is_some())
    }

    /// Copies a file or symbolic link.
    pub(crate) fn leaf(&mut self, source: &Source, target: &Target) -> Result<()> {
        let attributes =
            self.files(source.tree).attributes(source.inode).at(|| source.shown.clone())?;
        self.meter.file(&mut *self.job.console);
        if attributes.kind == FileKind::SymbolicLink {
            return self.link(source, target, &attributes);
        }
        let key = (source.tree, source.inode);
        if attributes.links > 1
            && let Some(first) = self.linked.get(&key)
        {
            return self.name_again(key, first.inode, target);
        }
        let inode = self.empty_file(Some(source), target, attributes.mode)?;
        let result = self.fill(source, target, inode, &attributes);
        let room = !self.trees[target.tree].host || self.linked.len() < MAX_LINKED;
        if result.is_ok() && attributes.links > 1 && room {
            self.linked.insert(key, Linked { inode, names: attributes.links - 1 });
        } else {
            self.files(target.tree).release(inode);
        }
        result
    }

    fn fill(
        &mut self,
        source: &Source,
        target: &Target,
        inode: Inode,
        attributes: &Attributes,
    ) -> Result<()> {
        let from = File { inode: source.inode, shown: &source.shown };
        let to = File { inode, shown: &target.shown };
        let files = &mut *self.trees[target.tree].files;
        data::check_size(files, inode, attributes.size).at(|| target.shown.clone())?;
        data::copy(
            self.trees,
            (source.tree, from),
            (target.tree, to),
            &mut *self.job.console,
            &mut self.meter,
            &mut self.buffer,
        )?;
        self.stamp(target.tree, inode, attributes).at(|| target.shown.clone())
    }

    fn stamp(
        &mut self,
        tree: usize,
        inode: Inode,
        attributes: &Attributes,
    ) -> twine_vfs::Result<()> {
        let (accessed, modified) = (attributes.accessed, attributes.modified);
        self.files(tree).set_times(inode, Stamp::At(accessed), Stamp::At(modified))
    }

    /// Makes an empty file at a target, with its mode before it has contents, and holds it.
    pub(super) fn empty_file(
        &mut self,
        source: Option<&Source>,
        target: &Target,
        mode: Option<Mode>,
    ) -> Result<Inode> {
        let place = || target.shown.clone();
        match self.there(target)? {
            Some((inode, FileKind::File)) => {
                if source.is_some_and(|from| (from.tree, from.inode) == (target.tree, inode)) {
                    self.files(target.tree).release(inode);
                    return Err(Error::SameFile { place: place() });
                }
                let files = self.files(target.tree);
                let result = files
                    .set_size(inode, 0)
                    .and_then(|()| mode.map_or(Ok(()), |mode| files.set_mode(inode, mode)));
                if result.is_err() {
                    files.release(inode);
                }
                result.map(|()| inode).at(place)
            }
            Some((inode, FileKind::Directory)) => {
                self.files(target.tree).release(inode);
                Err(Error::OverDirectory { place: place() })
            }
            Some((inode, FileKind::SymbolicLink)) => {
                // Never write through a link: it may lead anywhere.
                let files = self.files(target.tree);
                files.release(inode);
                make_way(files, target.directory, &target.name).at(place)?;
                create_file(files, target, mode).at(place)
            }
            None => create_file(self.files(target.tree), target, mode).at(place),
        }
    }

    /// Removes a file or link at a target that cannot be overwritten.
    pub(super) fn clear(&mut self, target: &Target) -> Result<()> {
        match self.there(target)? {
            Some((inode, kind)) => {
                self.files(target.tree).release(inode);
                if kind == FileKind::Directory {
                    return Err(Error::OverDirectory { place: target.shown.clone() });
                }
                let files = self.files(target.tree);
                make_way(files, target.directory, &target.name).at(|| target.shown.clone())
            }
            None => Ok(()),
        }
    }

    fn link(&mut self, source: &Source, target: &Target, attributes: &Attributes) -> Result<()> {
        let to = self.files(source.tree).read_link(source.inode).at(|| source.shown.clone())?;
        if let Some((inode, _)) = self.there(target)? {
            self.files(target.tree).release(inode);
            if (target.tree, inode) == (source.tree, source.inode) {
                return Err(Error::SameFile { place: target.shown.clone() });
            }
        }
        self.clear(target)?;
        let files = self.files(target.tree);
        let place = || target.shown.clone();
        files.create_symbolic_link(target.directory, &target.name, &to).at(place)?;
        let inode = files.lookup(target.directory, &target.name).at(place)?;
        let result = self.stamp(target.tree, inode, attributes);
        self.files(target.tree).release(inode);
        // Not every system has times for symbolic links.
        match result {
            Err(FilesError::NotSupported) => Ok(()),
            result => result.at(place),
        }
    }

    /// Links a further name to an existing copy.
    fn name_again(&mut self, key: (usize, Inode), first: Inode, target: &Target) -> Result<()> {
        match self.there(target)? {
            Some((inode, _)) if inode == first => {
                self.files(target.tree).release(inode);
                return Ok(());
            }
            Some((inode, _)) => self.files(target.tree).release(inode),
            None => {}
        }
        self.clear(target)?;
        let files = self.files(target.tree);
        files.link(first, target.directory, &target.name).at(|| target.shown.clone())?;
        if let Some(linked) = self.linked.get_mut(&key) {
            linked.names = linked.names.saturating_sub(1);
            if linked.names == 0 {
                self.linked.remove(&key);
                self.files(target.tree).release(first);
            }
        }
        Ok(())
    }

    /// Returns the directory at a target, held, and whether it was made. A new directory has
    /// `mode`, with all permissions for the owner until it is filled.
    pub(super) fn directory(
        &mut self,
        target: &Target,
        mode: Option<Mode>,
    ) -> Result<(Inode, bool)> {
        let place = || target.shown.clone();
        match self.there(target)? {
            Some((inode, FileKind::Directory)) => Ok((inode, false)),
            Some((inode, _)) => {
                self.files(target.tree).release(inode);
                Err(Error::OverFile { place: place() })
            }
            None => {
                let files = self.files(target.tree);
                let (directory, name) = (target.directory, &target.name);
                let made = match mode {
                    Some(mode) => files.create_directory_with(directory, name, mode.with_owner()),
                    None => files.create_directory(directory, name),
                };
                made.at(place)?;
                files.lookup(target.directory, &target.name).at(place).map(|inode| (inode, true))
            }
        }
    }

    /// Copies a directory with everything below it to a name. Takes over the hold on the source.
    pub(crate) fn tree(&mut self, source: &Source, target: &Target) -> Result<()> {
        let attributes = self.files(source.tree).attributes(source.inode);
        let entered = attributes.at(|| source.shown.clone()).and_then(|attributes| {
            let (inode, made) = self.directory(target, attributes.mode)?;
            if (target.tree, inode) == (source.tree, source.inode) {
                self.files(target.tree).release(inode);
                return Err(Error::SameFile { place: source.shown.clone() });
            }
            Ok((inode, made.then_some(attributes)))
        });
        match entered {
            Ok((directory, stamp)) => {
                let into = Target { directory, name: String::new(), ..target.clone() };
                self.fill_directory(source, &into, Below { stamp, ..Below::of(&into) })
            }
            Err(error) => {
                self.files(source.tree).release(source.inode);
                Err(error)
            }
        }
    }

    /// Writes standard input to a file. If that fails, nothing stays of a new one.
    pub(crate) fn stream(&mut self, target: &Target) -> Result<()> {
        let new = !self.is_there(target)?;
        let inode = self.empty_file(None, target, None)?;
        let file = File { inode, shown: &target.shown };
        let files = &mut *self.trees[target.tree].files;
        let console = &mut *self.job.console;
        let result = data::from_stream(files, &file, console, &mut self.meter, &mut self.buffer);
        files.release(inode);
        if result.is_err() && new {
            // The first error explains more than this one.
            let _ = files.unlink(target.directory, &target.name);
        }
        result
    }

    /// Copies the contents of a directory into a target's directory itself. Takes over the hold on
    /// the source, not that on the target.
    pub(crate) fn merge(&mut self, source: &Source, target: &Target) -> Result<()> {
        if (target.tree, target.directory) == (source.tree, source.inode) {
            self.files(source.tree).release(source.inode);
            return Err(Error::SameFile { place: source.shown.clone() });
        }
        self.fill_directory(source, target, Below { held: false, ..Below::of(target) })
    }

    /// Copies the contents of a directory into `into.directory`. Takes over the hold on the source,
    /// and that on the target if `top` says so.
    fn fill_directory(&mut self, source: &Source, into: &Target, top: Below) -> Result<()> {
        let mut walk = Walk::new(source.inode, false);
        let mut levels = vec![top];
        let mut result = self.walk(source, into, &mut walk, &mut levels);
        walk.end(self.files(source.tree));
        while let Some(level) = levels.pop() {
            let left = self.leave(into, level);
            result = result.and(left);
        }
        result
    }

    /// Copies all of a tree into another.
    pub(crate) fn root(&mut self, source: &Source, into: &Target) -> Result<()> {
        let attributes = self.files(source.tree).attributes(source.inode);
        let stamp = Some(attributes.at(|| source.shown.clone())?);
        self.fill_directory(source, into, Below { stamp, ..Below::of(into) })
    }

    fn walk(
        &mut self,
        source: &Source,
        into: &Target,
        walk: &mut Walk,
        levels: &mut Vec<Below>,
    ) -> Result<()> {
        loop {
            let step = walk.next(self.files(source.tree));
            let result = match step.at(|| below(&source.shown, &walk.path(""))) {
                Ok(None) => return Ok(()),
                Ok(Some(Step::Item(item))) => self.item(source, into, walk, levels, &item),
                Ok(Some(Step::Left(_))) => match levels.pop() {
                    Some(level) => self.leave(into, level),
                    None => Ok(()),
                },
                Err(error) => Err(error),
            };
            self.job.attempt(result)?;
        }
    }

    fn leave(&mut self, into: &Target, level: Below) -> Result<()> {
        let result = level.stamp.map_or(Ok(()), |attributes| {
            let mode = attributes.mode;
            let files = self.files(into.tree);
            mode.map_or(Ok(()), |mode| files.set_mode(level.inode, mode))?;
            self.stamp(into.tree, level.inode, &attributes)
        });
        if level.held {
            self.files(into.tree).release(level.inode);
        }
        result.at(|| into.shown.clone())
    }

    fn item(
        &mut self,
        source: &Source,
        into: &Target,
        walk: &mut Walk,
        levels: &mut Vec<Below>,
        item: &Item,
    ) -> Result<()> {
        let path = walk.path(&item.name);
        let shown = below(&source.shown, &path);
        let (Some(from), Some(level)) = (walk.directory(), levels.last()) else { return Ok(()) };
        let target = Target {
            tree: into.tree,
            directory: level.inode,
            name: item.name.clone(),
            shown: below(&into.shown, &path),
        };
        let files = self.files(source.tree);
        if item.kind == FileKind::Directory {
            if source.tree == into.tree && levels.first().map(|top| top.inode) == Some(item.inode) {
                return Err(Error::IntoItself { place: source.shown.clone() });
            }
            walk.enter(files, &item.name).at(|| shown)?;
            let entered = self.enter(source, walk, &target);
            return match entered {
                Ok(level) => {
                    levels.push(level);
                    Ok(())
                }
                Err(error) => {
                    walk.skip(self.files(source.tree));
                    Err(error)
                }
            };
        }
        let inode = files.lookup(from, &item.name).at(|| shown.clone())?;
        let result = self.leaf(&Source { tree: source.tree, inode, shown }, &target);
        self.files(source.tree).release(inode);
        result
    }

    fn enter(&mut self, source: &Source, walk: &Walk, target: &Target) -> Result<Below> {
        self.meter.file(&mut *self.job.console);
        let attributes = match walk.directory() {
            Some(from) => {
                Some(self.files(source.tree).attributes(from).at(|| target.shown.clone())?)
            }
            None => None,
        };
        let mode = attributes.and_then(|attributes| attributes.mode);
        let (inode, made) = self.directory(target, mode)?;
        Ok(Below { inode, held: true, stamp: attributes.filter(|_| made) })
    }

    /// Adds up the bytes to copy. Takes over the hold on the source.
    pub(crate) fn measure(&mut self, source: &Source) -> twine_vfs::Result<()> {
        let files = &mut *self.trees[source.tree].files;
        let attributes = files.attributes(source.inode);
        match attributes {
            Ok(Attributes { kind: FileKind::Directory, .. }) => {
                let mut walk = Walk::new(source.inode, false);
                let result = measure(files, &mut walk, &mut self.meter.total);
                walk.end(files);
                result
            }
            other => {
                files.release(source.inode);
                self.meter.total = self.meter.total.saturating_add(other?.size);
                Ok(())
            }
        }
    }
}

fn create_file(
    files: &mut dyn FileSystem,
    target: &Target,
    mode: Option<Mode>,
) -> twine_vfs::Result<Inode> {
    match mode {
        Some(mode) => files.create_file_with(target.directory, &target.name, mode),
        None => files.create_file(target.directory, &target.name),
    }
}

/// A directory that is being copied into.
struct Below {
    inode: Inode,
    /// Whether the copy must release it.
    held: bool,
    /// The attributes of its source, if the copy made it.
    stamp: Option<Attributes>,
}

impl Below {
    fn of(target: &Target) -> Self {
        Below { inode: target.directory, held: true, stamp: None }
    }
}

fn measure(files: &mut dyn FileSystem, walk: &mut Walk, total: &mut u64) -> twine_vfs::Result<()> {
    let mut result = Ok(());
    loop {
        // Unreadable items are not counted. The copy will report them.
        let measured = match walk.next(files) {
            Ok(None) => return result,
            Ok(Some(Step::Left(_))) => Ok(()),
            Ok(Some(Step::Item(item))) => measure_item(files, walk, &item, total),
            Err(error) => Err(error),
        };
        result = result.and(measured);
    }
}

fn measure_item(
    files: &mut dyn FileSystem,
    walk: &mut Walk,
    item: &Item,
    total: &mut u64,
) -> twine_vfs::Result<()> {
    let Some(directory) = walk.directory() else { return Ok(()) };
    match item.kind {
        FileKind::Directory => Ok(walk.enter(files, &item.name)?),
        FileKind::SymbolicLink => Ok(()),
        FileKind::File => {
            let inode = files.lookup(directory, &item.name)?;
            let attributes = files.attributes(inode);
            files.release(inode);
            *total = total.saturating_add(attributes?.size);
            Ok(())
        }
    }
}
