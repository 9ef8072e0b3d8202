//! `twine volume`: work on volumes, all of it inside the enclave.

mod atomic_file;
mod copy_operands;
mod progress;
mod session;
mod uncopyable;

use crate::failure::Failure;
use crate::key::Key;
use crate::options::Target;
use crate::program::Program;
use atomic_file::AtomicFile;
use clap::{Args, Subcommand};

use copy_operands::CopyOperands;
use session::Session;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use twine_host::{Access, Folder};
use twine_protocol::key::{Sealing, VolumeKey};
use twine_protocol::task::{Operation, Repair};
use uncopyable::{Uncopyable, find_uncopyable};

/// All work is done inside the enclave: keys and contents never leave it, but for what is
/// printed or copied out. KEY is sealed, sealed:image, sealed:any-program,
/// sealed:image:any-program, file:PATH, passphrase, passphrase:env:NAME or
/// passphrase:file:PATH. A volume that is sealed to one program opens for that program alone,
/// and not for these commands; give it a passphrase or a key file too.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a volume
    Create(Create),
    /// List a directory
    Ls(Ls),
    /// Show a directory and all below it
    Tree(Tree),
    /// Print files
    Cat(Paths),
    /// Copy into a volume, out of it or within it: a place in a volume is VOLUME::PATH, `-` is
    /// standard input or output
    Cp(Cp),
    /// Rename, or move into a directory
    Mv(Mv),
    /// Remove
    Rm(Rm),
    /// Make directories
    Mkdir(Mkdir),
    /// Show what is known of a volume; without its key, what its header says
    Info(Report),
    /// Verify every block, and say what is lost
    Check(Check),
    /// Give what is free back to the host
    Compact(Report),
    /// Write an encrypted archive that another machine can import
    Export(Export),
    /// Make a volume out of an archive
    Import(Import),
    /// List, add, remove and replace keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Encrypt everything anew, under a new key of the volume's own
    ReKey(ReKey),
}

/// What all of them have.
#[derive(Debug, Args)]
pub(crate) struct Common {
    #[command(flatten)]
    target: Target,

    /// Say nothing but errors: no progress, and not that SGX is simulated
    #[arg(long, short)]
    quiet: bool,
}

/// A volume that is opened.
#[derive(Debug, Args)]
pub(crate) struct Opened {
    /// What opens the volume [default: sealed:any-program]
    #[arg(long, value_name = "KEY")]
    key: Option<Key>,

    #[command(flatten)]
    common: Common,
}

impl Opened {
    /// No program runs here, so that a key of one program is not to be had.
    fn key(&self) -> Key {
        let any_program = Sealing { any_program: true, ..Sealing::default() };
        self.key.clone().unwrap_or(Key::Sealed(any_program))
    }
}

#[derive(Debug, Args)]
pub(crate) struct OnVolume {
    /// The file that holds the volume
    volume: PathBuf,

    #[command(flatten)]
    opened: Opened,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// The file that will hold the volume
    volume: PathBuf,

    /// What will open it; may be given several times
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<Key>,

    /// The program that sealed keys are for: it alone will have them
    #[arg(long = "for", value_name = "PROGRAM")]
    program: Option<PathBuf>,

    /// A folder whose contents the volume starts with
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    path: OnePath,

    /// Show kinds, modes (? where none is known), links, sizes and times (UTC) too
    #[arg(short = 'l', long)]
    long: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Tree {
    #[command(flatten)]
    path: OnePath,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct OnePath {
    /// The file that holds the volume
    volume: String,

    /// The path in it
    path: Option<String>,

    #[command(flatten)]
    opened: Opened,
}

#[derive(Debug, Args)]
pub(crate) struct Paths {
    /// The file that holds the volume
    volume: String,

    /// Paths in it
    paths: Vec<String>,

    #[command(flatten)]
    opened: Opened,
}

#[derive(Debug, Args)]
pub(crate) struct Cp {
    /// What to copy, then where to
    #[arg(required = true, num_args = 2.., value_names = ["SOURCE", "TARGET"])]
    operands: Vec<String>,

    /// Copy directories too, with all below them
    #[arg(short, long, visible_short_alias = 'R')]
    recursive: bool,

    #[command(flatten)]
    opened: Opened,
}

#[derive(Debug, Args)]
pub(crate) struct Mv {
    /// The file that holds the volume
    volume: String,

    /// What to move, then where to
    #[arg(required = true, num_args = 2.., value_names = ["SOURCE", "TARGET"])]
    paths: Vec<String>,

    #[command(flatten)]
    opened: Opened,
}

#[derive(Debug, Args)]
pub(crate) struct Rm {
    #[command(flatten)]
    paths: Paths,

    /// Remove directories too, with all below them
    #[arg(short, long, visible_short_alias = 'R')]
    recursive: bool,

    /// What is not there is no error
    #[arg(short, long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Mkdir {
    #[command(flatten)]
    paths: Paths,

    /// Make those above them too; one that is there is no error
    #[arg(short, long)]
    parents: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Report {
    #[command(flatten)]
    volume: OnVolume,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    report: Report,

    /// Where the end of the volume is damaged, go on from the newest state that is whole: what
    /// came after it is lost for good. Says what that is, and asks
    #[arg(long)]
    repair: bool,

    /// Don't ask
    #[arg(long, short = 'y', requires = "repair")]
    yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The file that holds the volume
    volume: PathBuf,

    /// The archive to write: a volume that lies close together
    archive: PathBuf,

    /// What will open the archive, a key file or a passphrase; may be given several times
    #[arg(long = "new-key", value_name = "KEY", required = true)]
    keys: Vec<Key>,

    #[command(flatten)]
    opened: Opened,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// The archive; --key opens it
    archive: PathBuf,

    /// The file that will hold the volume
    volume: PathBuf,

    /// What will open the volume; may be given several times
    #[arg(long = "new-key", value_name = "KEY")]
    keys: Vec<Key>,

    /// The program that sealed keys are for: it alone will have them
    #[arg(long = "for", value_name = "PROGRAM")]
    program: Option<PathBuf>,

    #[command(flatten)]
    opened: Opened,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// List what opens a volume
    Ls(Report),
    /// Add a key
    Add(NewKey),
    /// Remove a key. Who had it may know the volume's own key: to shut them out, see
    /// `twine volume re-key`
    Rm(RemoveKey),
    /// Put a new key in the place of an old one
    Rotate(RotateKey),
}

#[derive(Debug, Args)]
pub(crate) struct NewKey {
    #[command(flatten)]
    volume: OnVolume,

    /// The new key
    #[arg(long, value_name = "KEY")]
    new_key: Key,

    /// The program that a sealed key is for: it alone will have it
    #[arg(long = "for", value_name = "PROGRAM")]
    program: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveKey {
    #[command(flatten)]
    volume: OnVolume,

    /// Which, as `key ls` numbers them
    slot: u32,
}

#[derive(Debug, Args)]
pub(crate) struct RotateKey {
    #[command(flatten)]
    new: NewKey,

    /// Which to replace, as `key ls` numbers them [default: the one of --key's kind]
    slot: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct ReKey {
    #[command(flatten)]
    volume: OnVolume,

    /// What will open the volume, and nothing else; may be given several times [default: what
    /// opens it now]
    #[arg(long = "new-key", value_name = "KEY")]
    keys: Vec<Key>,

    /// The program that sealed keys are for: it alone will have them
    #[arg(long = "for", value_name = "PROGRAM")]
    program: Option<PathBuf>,
}

pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Create(arguments) => create(arguments),
        Command::Ls(Ls { path, long, json }) => {
            on_path(path, |path| Operation::List { path, long, json })
        }
        Command::Tree(Tree { path, json }) => on_path(path, |path| Operation::Tree { path, json }),
        Command::Cat(paths) => on_paths(paths, Access::Read, |paths| Operation::Print { paths }),
        Command::Cp(arguments) => copy(arguments),
        Command::Mv(Mv { volume, paths, opened }) => {
            on_paths(Paths { volume, paths, opened }, Access::Write, |mut sources| {
                let target = sources.pop().unwrap_or_default();
                Operation::Move { sources, target }
            })
        }
        Command::Rm(Rm { paths, recursive, force }) => {
            on_paths(paths, Access::Write, |paths| Operation::Remove { paths, recursive, force })
        }
        Command::Mkdir(Mkdir { paths, parents }) => {
            on_paths(paths, Access::Write, |paths| Operation::MakeDirectories { paths, parents })
        }
        Command::Info(Report { volume, json }) => {
            let header = volume.opened.key.is_none();
            on_volume(volume, Access::Read, Operation::Info { header, json })
        }
        Command::Check(Check { report: Report { volume, json }, repair, yes }) => {
            let (access, repair) = match (repair, yes) {
                (false, _) => (Access::Read, Repair::No),
                (true, false) => (Access::Write, Repair::Ask),
                (true, true) => (Access::Write, Repair::Yes),
            };
            on_volume(volume, access, Operation::Check { json, repair })
        }
        Command::Compact(Report { volume, json }) => {
            on_volume(volume, Access::Write, Operation::Compact { json })
        }
        Command::Export(arguments) => export(arguments),
        Command::Import(arguments) => import(arguments),
        Command::Key(command) => key(command),
        Command::ReKey(arguments) => re_key(arguments),
    }
}

/// `VOLUME::PATH`, or VOLUME alone.
fn split(text: &str) -> (&str, Option<&str>) {
    match text.split_once("::") {
        Some((volume, path)) => (volume, Some(path)),
        None => (text, None),
    }
}

fn on_volume(
    OnVolume { volume, opened }: OnVolume,
    access: Access,
    operation: Operation,
) -> Result<ExitCode, Failure> {
    let key = opened.key();
    let mut session = Session::new(opened.common);
    let volume = session.open(&volume, access, &key)?;
    session.run(volume, operation)
}

fn on_path(
    OnePath { volume, path, opened }: OnePath,
    operation: impl FnOnce(String) -> Operation,
) -> Result<ExitCode, Failure> {
    let (volume, mut paths) = volume_and_paths(&volume, path.into_iter().collect());
    if paths.len() > 1 {
        return Err(Failure::new("one path at a time can be shown", "leave out the second path"));
    }
    let operation = operation(paths.pop().unwrap_or_default());
    on_volume(OnVolume { volume, opened }, Access::Read, operation)
}

/// The volume and the paths in it, the first of which may be written as `VOLUME::PATH`.
fn volume_and_paths(volume: &str, paths: Vec<String>) -> (PathBuf, Vec<String>) {
    let (volume, first) = split(volume);
    let paths = first.map(str::to_owned).into_iter().chain(paths).collect();
    (PathBuf::from(volume), paths)
}

fn on_paths(
    Paths { volume, paths, opened }: Paths,
    access: Access,
    operation: impl FnOnce(Vec<String>) -> Operation,
) -> Result<ExitCode, Failure> {
    let (volume, paths) = volume_and_paths(&volume, paths);
    if paths.is_empty() {
        return Err(Failure::new(
            "no path in the volume was named",
            "name it behind the volume, or as VOLUME::PATH",
        ));
    }
    on_volume(OnVolume { volume, opened }, access, operation(paths))
}

fn copy(arguments: Cp) -> Result<ExitCode, Failure> {
    let Cp { operands, recursive, opened } = arguments;
    let CopyOperands { volume, sources, target, folders, uncopyable, access } =
        copy_operands::sort_operands(&operands, recursive)?;
    let key = opened.key();
    let mut session = Session::new(opened.common);
    let volume = session.open(&volume, access, &key)?;
    session.resources.folders = folders;
    let code = session.run(volume, Operation::Copy { sources, target, recursive })?;
    Ok(report_uncopyable(code, &uncopyable))
}

/// Says what was not copied: last, for the rest is copied all the same.
fn report_uncopyable(code: ExitCode, uncopyable: &[Uncopyable]) -> ExitCode {
    uncopyable.iter().fold(code, |_, item| item.failure().show())
}

/// What a new volume is to be opened with: at least one key, and a program for those that are
/// sealed to one.
fn new_keys(
    volume: &Path,
    keys: &[Key],
    program: Option<&Path>,
) -> Result<(VolumeKey, Vec<VolumeKey>), Failure> {
    let of_program = Key::Sealed(Sealing::default());
    let keys = match (keys, program) {
        ([], Some(_)) => std::slice::from_ref(&of_program),
        (keys, _) => keys,
    };
    let sealed =
        keys.iter().any(|key| matches!(key, Key::Sealed(Sealing { any_program: false, .. })));
    if sealed && program.is_none() {
        return Err(Failure::new(
            "a sealed key is for one program, and none was named",
            "name it with --for PROGRAM, or let all programs have the key: sealed:any-program",
        ));
    }
    let mut keys = keys.iter().map(|key| key.get(volume, true));
    match keys.next() {
        Some(first) => Ok((first?, keys.collect::<Result<_, _>>()?)),
        None => Err(Failure::new(
            "it was not said what shall open the new volume",
            "give --for PROGRAM to seal it to that program, or a key: passphrase, file:PATH, \
             sealed:any-program",
        )),
    }
}

fn read_program(path: Option<&Path>) -> Result<Program, Failure> {
    path.map_or_else(|| Ok(Vec::new().into()), Program::read)
}

fn create(arguments: Create) -> Result<ExitCode, Failure> {
    let Create { volume, keys, program, from, common } = arguments;
    let file = AtomicFile::new(&volume)?;
    let keys = new_keys(&volume, &keys, program.as_deref())?;
    let mut session = Session::new(common);
    session.program = read_program(program.as_deref())?;
    let mut uncopyable = Vec::new();
    let folder = match &from {
        Some(folder) => {
            uncopyable = find_uncopyable(folder);
            session.resources.folders.push(Folder::open(folder, true).map_err(|error| {
                Failure::system(
                    format!("the folder {} can't be opened: {error}", folder.display()),
                    &error,
                    "name a folder that you may read",
                )
            })?);
            Some(0)
        }
        None => None,
    };
    let volume = session.make(&file, keys)?;
    let code = session.run(volume, Operation::Create { folder })?;
    let code = file.commit(code)?;
    Ok(report_uncopyable(code, &uncopyable))
}

fn export(arguments: Export) -> Result<ExitCode, Failure> {
    let Export { volume, archive, keys, opened } = arguments;
    let file = AtomicFile::new(&archive)?;
    let key = opened.key();
    let mut session = Session::new(opened.common);
    let volume = session.open(&volume, Access::Read, &key)?;
    let keys = new_keys(&archive, &keys, None)?;
    let target = session.make(&file, keys)?;
    let code = session.run(volume, Operation::Export { target })?;
    file.commit(code)
}

fn import(arguments: Import) -> Result<ExitCode, Failure> {
    let Import { archive, volume, keys, program, opened } = arguments;
    let file = AtomicFile::new(&volume)?;
    let key = opened.key();
    let mut session = Session::new(opened.common);
    session.program = read_program(program.as_deref())?;
    let source = session.open(&archive, Access::Read, &key)?;
    let keys = new_keys(&volume, &keys, program.as_deref())?;
    let volume = session.make(&file, keys)?;
    let code = session.run(volume, Operation::Import { source })?;
    file.commit(code)
}

fn re_key(arguments: ReKey) -> Result<ExitCode, Failure> {
    let ReKey { volume: OnVolume { volume, opened }, keys, program } = arguments;
    let file = AtomicFile::replacing(&volume)?;
    let key = opened.key();
    let mut session = Session::new(opened.common);
    session.program = read_program(program.as_deref())?;
    let source = session.open(&volume, Access::Write, &key)?;
    let keys = match &keys[..] {
        // Asked for once, as it opens the volume.
        [] if !matches!(key, Key::Sealed(_)) => (source.key.clone(), Vec::new()),
        [] => new_keys(&volume, &[key], program.as_deref())?,
        keys => new_keys(&volume, keys, program.as_deref())?,
    };
    let target = session.make(&file, keys)?;
    // Nobody writes to the old file after it was copied: it has no name any more.
    let locked = session.keep_locked(&source)?;
    let code = session.run(source, Operation::Export { target })?;
    let replaced = file.replace(code);
    drop(locked);
    replaced
}

fn key(command: KeyCommand) -> Result<ExitCode, Failure> {
    match command {
        KeyCommand::Ls(Report { volume, json }) => {
            on_volume(volume, Access::Read, Operation::ListKeys { json })
        }
        KeyCommand::Add(new) => change_key(new, |key| Operation::AddKey { key }),
        KeyCommand::Rm(RemoveKey { volume, slot }) => {
            on_volume(volume, Access::Write, Operation::RemoveKey { slot })
        }
        KeyCommand::Rotate(RotateKey { new, slot }) => {
            change_key(new, |key| Operation::RotateKey { slot, key })
        }
    }
}

fn change_key(
    NewKey { volume: OnVolume { volume, opened }, new_key, program }: NewKey,
    operation: impl FnOnce(VolumeKey) -> Operation,
) -> Result<ExitCode, Failure> {
    let key = opened.key();
    let mut session = Session::new(opened.common);
    session.program = read_program(program.as_deref())?;
    let which = session.open(&volume, Access::Write, &key)?;
    let (new, _) = new_keys(&volume, &[new_key], program.as_deref())?;
    session.run(which, operation(new))
}
