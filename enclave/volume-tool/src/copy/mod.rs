//! `cp`: copies into a volume, out of it and within it. `cat`: prints files.

mod data;
mod item;
mod meter;
mod receive;
mod send;

use crate::error::{At, Error, Result, on_the_way};
use crate::job::{Job, Tree};
use crate::path::{last_name, locate};
use data::File;
use item::{Copier, Source, Target};
use twine_protocol::task::Location;
use twine_vfs::{FileKind, Inode};

pub(crate) use receive::receive;
pub(crate) use send::send;

/// Writes files to standard output, one after the other.
pub(crate) fn print(job: &mut Job<'_>, tree: &mut Tree<'_>, paths: &[String]) -> Result<()> {
    let mut buffer = data::buffer();
    for path in paths {
        let result = print_one(job, tree, path, &mut buffer);
        job.attempt(result)?;
    }
    Ok(())
}

fn print_one(job: &mut Job<'_>, tree: &mut Tree<'_>, path: &str, buffer: &mut [u8]) -> Result<()> {
    let shown = tree.place(path);
    let inode = tree.find(path, true)?;
    let file = File { inode, shown: &shown };
    let result = data::to_stream(tree.files, &file, &mut *job.console, buffer);
    tree.files.release(inode);
    result
}

/// A source or target of a copy, with the number of its tree.
enum Found<'p> {
    Tree { tree: usize, path: &'p str, name: &'p str, shown: String },
    Stream,
}

/// Copies all of the first tree into the second, which is empty.
pub(crate) fn everything(job: &mut Job<'_>, mut trees: [Tree<'_>; 2]) -> Result<()> {
    let [from, to] = trees.each_ref().map(|tree| tree.prefix.clone());
    let mut copier = Copier::new(job, &mut trees);
    let root = |copier: &mut Copier<'_, '_, '_, '_>, tree: usize, shown: String| Source {
        tree,
        inode: copier.files(tree).root(),
        shown,
    };
    let source = root(&mut copier, 0, from);
    if copier.job.console.wants_progress() {
        // If measuring fails, copying fails too and reports it.
        let _ = copier.measure(&source);
    }
    let Source { tree, inode: directory, shown } = root(&mut copier, 1, to);
    let into = Target { tree, directory, name: String::new(), shown };
    let result = copier.root(&source, &into);
    copier.end(1);
    result
}

/// Copies as `cp` does. `tree` returns the number of the tree for a folder of the host.
pub(crate) fn copy(
    job: &mut Job<'_>,
    trees: &mut [Tree<'_>],
    tree: &dyn Fn(u64) -> Option<usize>,
    (sources, target): (&[Location], &Location),
    recursive: bool,
) -> Result<()> {
    let prefix = trees.first().map(|tree| tree.prefix.clone()).unwrap_or_default();
    let sources: Vec<Found<'_>> =
        sources.iter().map(|place| found(&prefix, place, tree)).collect::<Result<_>>()?;
    let target = found(&prefix, target, tree)?;
    let Found::Tree { tree, path, shown, .. } = target else {
        return print_only(job, trees, &sources);
    };
    let mut copier = Copier::new(job, trees);
    if copier.job.console.wants_progress() {
        for source in &sources {
            // If measuring fails, copying fails too and reports it.
            if let Ok(Some(source)) = open(&mut copier, source, recursive) {
                let _ = copier.measure(&source);
            }
        }
    }
    let result = copy_all(&mut copier, &sources, recursive, (tree, path, &shown));
    copier.end(tree);
    result
}

fn found<'p>(
    prefix: &str,
    place: &'p Location,
    tree: &dyn Fn(u64) -> Option<usize>,
) -> Result<Found<'p>> {
    Ok(match place {
        Location::Volume(path) => {
            let shown = format!("{prefix}{path}");
            Found::Tree { tree: 0, path, name: last_name(path), shown }
        }
        Location::Folder(place) => {
            let missing =
                || Error::Files { place: place.shown.clone(), error: twine_vfs::Error::NotFound };
            let tree = tree(place.folder).ok_or_else(missing)?;
            let shown = place.shown.clone();
            Found::Tree { tree, path: &place.entry, name: &place.name, shown }
        }
        Location::Stream => Found::Stream,
    })
}

/// Copies one file to standard output.
fn print_only(job: &mut Job<'_>, trees: &mut [Tree<'_>], sources: &[Found<'_>]) -> Result<()> {
    let [Found::Tree { tree, path, shown, .. }] = sources else {
        return Err(Error::StreamTakesFile);
    };
    let Some(tree) = trees.get_mut(*tree) else { return Err(Error::StreamTakesFile) };
    let inode = locate(tree.files, path, true)
        .and_then(|spot| spot.found(tree.files))
        .at(|| shown.clone())?;
    let file = File { inode, shown };
    let result = data::to_stream(tree.files, &file, &mut *job.console, &mut data::buffer());
    tree.files.release(inode);
    result
}

/// Returns the item to copy, held. `None` for standard input.
fn open(
    copier: &mut Copier<'_, '_, '_, '_>,
    source: &Found<'_>,
    recursive: bool,
) -> Result<Option<Source>> {
    let Found::Tree { tree, path, shown, .. } = source else { return Ok(None) };
    let files = copier.files(*tree);
    let inode =
        locate(files, path, !recursive).and_then(|spot| spot.found(files)).at(|| shown.clone())?;
    Ok(Some(Source { tree: *tree, inode, shown: shown.clone() }))
}

fn copy_all(
    copier: &mut Copier<'_, '_, '_, '_>,
    sources: &[Found<'_>],
    recursive: bool,
    (tree, path, shown): (usize, &str, &str),
) -> Result<()> {
    let files = copier.files(tree);
    let spot = on_the_way(locate(files, path, true), || shown.to_owned())?;
    let kind = match spot.inode {
        Some(inode) => match files.attributes(inode) {
            Ok(attributes) => Some(attributes.kind),
            Err(error) => {
                spot.release(files);
                return Err(error).at(|| shown.to_owned());
            }
        },
        None => None,
    };
    let result = match (spot.inode, kind) {
        (Some(directory), Some(FileKind::Directory)) => {
            copy_into(copier, sources, recursive, (tree, directory, shown))
        }
        _ if sources.len() > 1 => Err(Error::TargetNotDirectory { place: shown.to_owned() }),
        _ => sources.iter().try_for_each(|source| {
            let (name, shown) = (spot.name.clone(), shown.to_owned());
            let target = Target { tree, directory: spot.directory, name, shown };
            copy_one(copier, source, recursive, &target, spot.slash)
        }),
    };
    spot.release(copier.files(tree));
    result
}

/// Copies items into a directory, under their own names.
fn copy_into(
    copier: &mut Copier<'_, '_, '_, '_>,
    sources: &[Found<'_>],
    recursive: bool,
    (tree, directory, shown): (usize, Inode, &str),
) -> Result<()> {
    for source in sources {
        let Found::Tree { name, .. } = source else {
            return Err(Error::StreamNeedsName { place: shown.to_owned() });
        };
        let name = (*name).to_owned();
        let shown = if name.is_empty() { shown.into() } else { crate::list::below(shown, &name) };
        let target = Target { tree, directory, name, shown };
        let result = copy_one(copier, source, recursive, &target, false);
        copier.job.attempt(result)?;
    }
    Ok(())
}

/// Copies an item to a name. Without a name, copies its contents into the directory itself.
fn copy_one(
    copier: &mut Copier<'_, '_, '_, '_>,
    source: &Found<'_>,
    recursive: bool,
    target: &Target,
    slash: bool,
) -> Result<()> {
    let not_directory =
        || Error::Files { place: target.shown.clone(), error: twine_vfs::Error::NotDirectory };
    let Some(source) = open(copier, source, recursive)? else {
        return if slash { Err(not_directory()) } else { copier.stream(target) };
    };
    let files = copier.files(source.tree);
    let kind = match files.attributes(source.inode).at(|| source.shown.clone()) {
        Ok(attributes) => attributes.kind,
        Err(error) => {
            files.release(source.inode);
            return Err(error);
        }
    };
    if kind == FileKind::Directory && recursive {
        if !target.name.is_empty() {
            return copier.tree(&source, target);
        }
        return copier.merge(&source, target);
    }
    let result = if kind == FileKind::Directory {
        Err(Error::Directory { place: source.shown.clone() })
    } else if slash || target.name.is_empty() {
        Err(not_directory())
    } else {
        copier.leaf(&source, target)
    };
    copier.files(source.tree).release(source.inode);
    result
}
