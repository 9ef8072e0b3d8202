//! Works on whole volumes: opens a volume, does the work, closes it.

use crate::console::Console;
use crate::copy;
use crate::error::{At, Error, Result};
use crate::job::{Job, Tree};
use crate::outside::Outside;
use crate::session::{close, make, open, prefix};
use crate::{check, compact, info, keys};
use twine_protocol::launch::End;
use twine_protocol::task::{Location, OpenVolume, Operation, VolumeTask};
use twine_vfs::FileSystem;
use twine_volume::Volume;

/// Does a task on a volume, and reports on the console what could not be done.
pub fn run(task: &VolumeTask, outside: &mut dyn Outside, console: &mut dyn Console) -> End {
    let mut job = Job::new(console);
    if let Err(error) = operate(task, outside, &mut job) {
        job.fail(&error);
    }
    let code = u32::from(!job.end());
    End::Exited { code, results: Vec::new() }
}

/// A copy to a client elsewhere or from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transfer {
    /// Writes files and directories as a parcel to the standard output.
    Send {
        /// Their paths.
        sources: Vec<String>,
        /// Whether to send directories too, with everything below them.
        recursive: bool,
    },
    /// Copies what comes as a parcel on the standard input.
    Receive {
        /// The new path, or the directory to copy into.
        target: String,
        /// Whether several things come, for which the target must be a directory.
        several: bool,
    },
}

/// Copies to a client elsewhere or from it, and reports on the console what could not be done.
pub fn transfer(
    which: &OpenVolume,
    transfer: &Transfer,
    outside: &mut dyn Outside,
    console: &mut dyn Console,
) -> End {
    let mut job = Job::new(console);
    let result = open(which, outside, &mut job).and_then(|mut volume| {
        let mut tree = Tree { files: &mut volume, prefix: prefix(which), host: false };
        let result = crate::pass_on(transfer, &mut tree, &mut job);
        close(which, volume, &mut job);
        result
    });
    if let Err(error) = result {
        job.fail(&error);
    }
    End::Exited { code: u32::from(!job.end()), results: Vec::new() }
}

fn operate(task: &VolumeTask, outside: &mut dyn Outside, job: &mut Job<'_>) -> Result<()> {
    let which = &task.volume;
    match &task.operation {
        Operation::Create { folder } => create(which, *folder, outside, job),
        Operation::Export { target } => whole(which, target, outside, job),
        Operation::Import { source } => whole(source, which, outside, job),
        Operation::Info { header, json } => info::info(which, *header, *json, outside, job),
        Operation::Check { json, repair } => check::check(which, *json, *repair, outside, job),
        Operation::ListKeys { json } => keys::list(which, *json, outside, job),
        Operation::AddKey { key } => {
            keys::change(which, outside, job, |volume, outside| keys::add(volume, outside, key))
        }
        Operation::RemoveKey { slot } => {
            keys::change(which, outside, job, |volume, _| volume.remove_slot(*slot))
        }
        Operation::RotateKey { slot, key } => keys::rotate(which, *slot, key, outside, job),
        Operation::Compact { json } => compact::compact(which, *json, outside, job),
        operation => on_files(which, operation, outside, job),
    }
}

fn create(
    which: &OpenVolume,
    folder: Option<u64>,
    outside: &mut dyn Outside,
    job: &mut Job<'_>,
) -> Result<()> {
    let mut volume = make(which, outside)?;
    let result = match folder {
        Some(number) => from_folder(which, &mut volume, number, outside, job),
        None => Ok(()),
    };
    close(which, volume, job);
    result
}

fn from_folder(
    which: &OpenVolume,
    volume: &mut Volume,
    number: u64,
    outside: &mut dyn Outside,
    job: &mut Job<'_>,
) -> Result<()> {
    let shown = "the folder".to_owned();
    let mut folder = outside.folder(number, true).at(|| shown.clone())?;
    let trees = [
        Tree { files: &mut *folder, prefix: shown, host: true },
        Tree { files: volume, prefix: prefix(which), host: false },
    ];
    copy::everything(job, trees)
}

/// Makes a volume as a copy of another.
fn whole(
    from: &OpenVolume,
    to: &OpenVolume,
    outside: &mut dyn Outside,
    job: &mut Job<'_>,
) -> Result<()> {
    let mut source = open(from, outside, job)?;
    let mut target = make(to, outside)?;
    let trees = [
        Tree { files: &mut source, prefix: prefix(from), host: false },
        Tree { files: &mut target, prefix: prefix(to), host: false },
    ];
    let result = copy::everything(job, trees);
    close(from, source, job);
    close(to, target, job);
    result
}

/// The folders of the host that an operation names, and whether each is only read.
fn folders(operation: &Operation) -> Vec<(u64, bool)> {
    let Operation::Copy { sources, target, .. } = operation else { return Vec::new() };
    let mut folders: Vec<(u64, bool)> = Vec::new();
    let places = sources.iter().map(|source| (source, true)).chain([(target, false)]);
    for (place, read_only) in places {
        if let Location::Folder(place) = place
            && !folders.iter().any(|(number, _)| *number == place.folder)
        {
            folders.push((place.folder, read_only));
        }
    }
    folders
}

fn on_files(
    which: &OpenVolume,
    operation: &Operation,
    outside: &mut dyn Outside,
    job: &mut Job<'_>,
) -> Result<()> {
    let mut volume = open(which, outside, job)?;
    let mut opened: Vec<(u64, Box<dyn FileSystem>)> = folders(operation)
        .into_iter()
        .map(|(number, read_only)| Ok((number, outside.folder(number, read_only)?)))
        .collect::<twine_vfs::Result<_>>()
        .at(|| "the folder".into())?;
    let folders = opened
        .iter_mut()
        .map(|(number, folder)| {
            (*number, Tree { files: &mut **folder, prefix: String::new(), host: true })
        })
        .collect();
    let tree = Tree { files: &mut volume, prefix: prefix(which), host: false };
    let unknown =
        || Error::Files { place: which.name.clone(), error: twine_vfs::Error::NotSupported };
    let result = crate::dispatch(operation, tree, folders, job).unwrap_or_else(|| Err(unknown()));
    close(which, volume, job);
    result
}
