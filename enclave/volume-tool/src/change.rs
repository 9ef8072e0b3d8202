//! `mkdir`, `rm` and `mv`.

use crate::error::{At, Error, Result};
use crate::job::{Job, Tree};
use crate::path::{Spot, last_name};
use crate::walk::{Step, Walk};
use twine_vfs::{Error as FilesError, FileKind, FileSystem, Inode};

/// Makes a directory. If `parents` is set, makes its parents too, and accepts directories that
/// exist.
pub(crate) fn make_directory(tree: &mut Tree<'_>, path: &str, parents: bool) -> Result<()> {
    if parents {
        let ends = path.char_indices().filter(|&(at, letter)| letter == '/' && at > 0);
        for (end, _) in ends {
            make_one(tree, path.get(..end).unwrap_or_default(), true)?;
        }
    }
    make_one(tree, path, parents)
}

fn make_one(tree: &mut Tree<'_>, path: &str, there_will_do: bool) -> Result<()> {
    let spot = tree.locate_new(path)?;
    let result = match spot.inode {
        Some(inode) => match tree.files.attributes(inode) {
            Ok(attributes) if there_will_do && attributes.kind == FileKind::Directory => Ok(()),
            Ok(_) => Err(FilesError::Exists),
            Err(error) => Err(error),
        },
        None => tree.files.create_directory(spot.directory, &spot.name),
    };
    spot.release(tree.files);
    result.at(|| tree.place(path))
}

/// Removes a file, link or directory. If `recursive` is set, removes everything below a directory
/// too.
pub(crate) fn remove(
    job: &mut Job<'_>,
    tree: &mut Tree<'_>,
    path: &str,
    recursive: bool,
    force: bool,
) -> Result<()> {
    let spot = match tree.locate(path, false) {
        Err(Error::Files { error: FilesError::NotFound, .. }) if force => return Ok(()),
        other => other?,
    };
    let result = remove_spot(job, tree, path, &spot, recursive);
    let missing = spot.inode.is_none() && !spot.name.is_empty();
    spot.release(tree.files);
    if missing && force { Ok(()) } else { result }
}

fn remove_spot(
    job: &mut Job<'_>,
    tree: &mut Tree<'_>,
    path: &str,
    spot: &Spot,
    recursive: bool,
) -> Result<()> {
    if spot.name.is_empty() {
        return Err(Error::NoName { place: tree.place(path) });
    }
    let place = |tree: &Tree<'_>| tree.place(path);
    let inode = spot.inode.ok_or(FilesError::NotFound).at(|| place(tree))?;
    let kind = tree.files.attributes(inode).at(|| place(tree))?.kind;
    if kind != FileKind::Directory {
        return tree.files.unlink(spot.directory, &spot.name).at(|| place(tree));
    }
    if !recursive {
        return Err(Error::Directory { place: place(tree) });
    }
    // The walk takes over a hold on the directory.
    let directory = tree.files.lookup(spot.directory, &spot.name).at(|| place(tree))?;
    let before = job.problems;
    empty(job, tree, path, directory)?;
    if job.problems > before {
        return Ok(());
    }
    tree.files.remove_directory(spot.directory, &spot.name).at(|| place(tree))
}

/// Removes the contents of a directory, and reports what could not be removed.
fn empty(job: &mut Job<'_>, tree: &mut Tree<'_>, path: &str, directory: Inode) -> Result<()> {
    let mut walk = Walk::new(directory, false);
    let mut problems = vec![job.problems];
    loop {
        let place = |tree: &Tree<'_>, walk: &Walk, name: &str| {
            tree.place(&format!("{path}/{}", walk.path(name)))
        };
        let step = walk.next(tree.files).at(|| place(tree, &walk, ""));
        let result = match step {
            Ok(None) => return Ok(()),
            Ok(Some(Step::Left(name))) => {
                let before = problems.pop().unwrap_or_default();
                match walk.directory() {
                    Some(directory) if job.problems == before => tree
                        .files
                        .remove_directory(directory, &name)
                        .at(|| place(tree, &walk, &name)),
                    _ => Ok(()),
                }
            }
            Ok(Some(Step::Item(item))) if item.kind == FileKind::Directory => {
                problems.push(job.problems);
                walk.enter(tree.files, &item.name)
                    .inspect_err(|_| problems.truncate(problems.len() - 1))
                    .at(|| place(tree, &walk, &item.name))
            }
            Ok(Some(Step::Item(item))) => match walk.directory() {
                Some(directory) => {
                    tree.files.unlink(directory, &item.name).at(|| place(tree, &walk, &item.name))
                }
                None => Ok(()),
            },
            Err(error) => Err(error),
        };
        job.attempt(result)?;
    }
}

/// Renames, or moves into a directory.
pub(crate) fn rename(
    job: &mut Job<'_>,
    tree: &mut Tree<'_>,
    sources: &[String],
    target: &str,
) -> Result<()> {
    let to = tree.locate_new(target)?;
    let result = rename_to(job, tree, sources, target, &to);
    to.release(tree.files);
    result
}

fn rename_to(
    job: &mut Job<'_>,
    tree: &mut Tree<'_>,
    sources: &[String],
    target: &str,
    to: &Spot,
) -> Result<()> {
    let into = match to.inode {
        Some(inode) => {
            let kind = tree.files.attributes(inode).at(|| tree.place(target))?.kind;
            (kind == FileKind::Directory).then_some(inode)
        }
        None => None,
    };
    if into.is_none() && sources.len() > 1 {
        return Err(Error::TargetNotDirectory { place: tree.place(target) });
    }
    for source in sources {
        let result = match into {
            Some(directory) => rename_one(tree, source, directory, last_name(source), target),
            None => rename_one(tree, source, to.directory, &to.name, target),
        };
        job.attempt(result)?;
    }
    Ok(())
}

fn rename_one(
    tree: &mut Tree<'_>,
    source: &str,
    directory: Inode,
    name: &str,
    target: &str,
) -> Result<()> {
    let from = tree.locate(source.trim_end_matches('/'), false)?;
    let result = if from.name.is_empty() || name.is_empty() {
        Err(Error::NoName { place: tree.place(source) })
    } else {
        tree.files.rename(from.directory, &from.name, directory, name).map_err(
            |error| match error {
                FilesError::NotFound => Error::Files { place: tree.place(source), error },
                FilesError::Invalid => Error::IntoItself { place: tree.place(source) },
                FilesError::IsDirectory => Error::OverDirectory { place: tree.place(target) },
                FilesError::NotDirectory => Error::OverFile { place: tree.place(target) },
                error => Error::Files { place: tree.place(target), error },
            },
        )
    };
    from.release(tree.files);
    result
}

/// Removes a name of a file or link, if it exists.
pub(crate) fn make_way(
    files: &mut dyn FileSystem,
    directory: Inode,
    name: &str,
) -> twine_vfs::Result<()> {
    match files.unlink(directory, name) {
        Err(FilesError::NotFound) => Ok(()),
        result => result,
    }
}
