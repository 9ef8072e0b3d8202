//! Work on protected volumes, inside the enclave: `twine volume`.
//!
//! A volume's keys never leave the enclave, so all work on a volume is done inside. [`run`] does a
//! task of a launch request. [`work`] is the part of it that needs only a file tree: listing,
//! copying, removing.
//!
//! Traits connect the crate to the outside: [`Console`] for the standard streams, [`Outside`] for
//! the host's files and for keys. The crate does not depend on enclaves, and its tests run
//! natively.
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

mod advice;
mod change;
mod check;
mod compact;
mod console;
mod copy;
mod error;
#[cfg(test)]
mod hostile;
mod info;
mod job;
mod keys;
mod list;
mod main_file;

mod outside;
mod path;
mod session;
mod time;
mod volume;
mod walk;

pub use advice::{Advice, UsedBy};
pub use console::{Console, StreamError, confirmed};
pub use error::Error;
pub use job::Tree;
pub use main_file::{Unclear, rename_main_file};
pub use outside::{Opening, Outside};
pub use volume::{Transfer, run, transfer};

use error::Result;
use job::Job;
use list::Form;
use twine_protocol::task::Operation;

/// Does an operation in a file tree, and reports on the console what could not be done. Returns
/// whether everything was done. `folders` are the folders of the host that the operation names,
/// with their numbers. `None`: the operation is not one on files.
pub fn work<'a>(
    operation: &Operation,
    volume: Tree<'a>,
    folders: Vec<(u64, Tree<'a>)>,
    console: &mut dyn Console,
) -> Option<bool> {
    let mut job = Job::new(console);
    if let Err(error) = dispatch(operation, volume, folders, &mut job)? {
        job.fail(&error);
    }
    Some(job.end())
}

/// Copies from a file tree to a client elsewhere, or from the client into the tree, and reports on the
/// console what could not be done. Returns whether everything was done.
pub fn exchange(transfer: &Transfer, mut volume: Tree<'_>, console: &mut dyn Console) -> bool {
    let mut job = Job::new(console);
    if let Err(error) = pass_on(transfer, &mut volume, &mut job) {
        job.fail(&error);
    }
    job.end()
}

fn pass_on(transfer: &Transfer, tree: &mut Tree<'_>, job: &mut Job<'_>) -> Result<()> {
    match transfer {
        Transfer::Send { sources, recursive } => copy::send(job, tree, sources, *recursive),
        Transfer::Receive { target, several } => copy::receive(job, tree, target, *several),
    }
}

fn dispatch<'a>(
    operation: &Operation,
    mut volume: Tree<'a>,
    folders: Vec<(u64, Tree<'a>)>,
    job: &mut Job<'_>,
) -> Option<Result<()>> {
    let tree = &mut volume;
    Some(match operation {
        Operation::List { path, long, json } => {
            let form = match (json, long) {
                (true, _) => Form::Json,
                (false, true) => Form::Long,
                (false, false) => Form::Names,
            };
            list::list(job, tree, path, form)
        }
        Operation::Tree { path, json: false } => list::tree(job, tree, path),
        Operation::Tree { path, json: true } => list::nested(job, tree, path),
        Operation::Print { paths } => copy::print(job, tree, paths),
        Operation::MakeDirectories { paths, parents } => paths.iter().try_for_each(|path| {
            let result = change::make_directory(tree, path, *parents);
            job.attempt(result)
        }),
        Operation::Remove { paths, recursive, force } => paths.iter().try_for_each(|path| {
            let result = change::remove(job, tree, path, *recursive, *force);
            job.attempt(result)
        }),
        Operation::Move { sources, target } => change::rename(job, tree, sources, target),
        Operation::Copy { sources, target, recursive } => {
            let (numbers, folders): (Vec<u64>, Vec<Tree<'a>>) = folders.into_iter().unzip();
            let number = |folder: u64| numbers.iter().position(|&number| number == folder);
            // The volume is tree 0.
            let index = |folder: u64| number(folder).map(|index| index + 1);
            let mut trees: Vec<Tree<'a>> = std::iter::once(volume).chain(folders).collect();
            copy::copy(job, &mut trees, &index, (sources, target), *recursive)
        }
        _ => return None,
    })
}
