//! `twine volume`: operations on volumes, which run inside the enclave.

mod atomic_file;
mod copy_operands;
pub(crate) mod progress;
mod session;
pub(crate) mod uncopyable;

use crate::failure::Failure;
use crate::key::Key;
use crate::options::Target;
use crate::program::Program;
use crate::remote;
use crate::remote::volume::Elsewhere;
use atomic_file::AtomicFile;
use clap::{Arg, Args, Subcommand};

use copy_operands::CopyOperands;
use session::Session;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use twine_channel::volume::{self as work, Work};
use twine_host::{Access, Folder};
use twine_protocol::key::{Scope, Sealing, VolumeKey};
use twine_protocol::task::{Operation, Repair};
use uncopyable::{Uncopyable, find_uncopyable};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a volume
    Create(Create),
    /// List a directory
    Ls(Ls),
    /// Show a directory tree
    Tree(Tree),
    /// Print files
    Cat(Paths),
    /// Copy into, out of or within a volume; write a path in a volume as VOLUME::PATH, and the
    /// standard input or output as -
    Cp(Cp),
    /// Rename, or move into a directory
    Mv(Mv),
    /// Remove files and directories
    Rm(Rm),
    /// Create directories
    Mkdir(Mkdir),
    /// Show the properties of a volume; without --key, those in its header
    Info(Report),
    /// Verify every block, and report lost files
    Check(Check),
    /// Give free space back to the host
    Compact(Report),
    /// Write an encrypted archive that another machine can import
    Export(Export),
    /// Create a volume from an archive
    Import(Import),
    /// List, add, remove and replace keys
    #[command(subcommand)]
    Key(KeyCommand),
    /// Encrypt the whole volume again, under a new volume key
    ReKey(ReKey),
}

/// The options of all commands. Those that concern the code of programs are accepted, but have no
/// effect here.
#[derive(Debug, Args)]
#[command(mut_args(hide_code_options))]
pub(crate) struct Common {
    #[command(flatten)]
    target: Target,

    /// Print no progress and no notes, such as that SGX is simulated
    #[arg(long, short)]
    quiet: bool,
}

/// The options of commands that open a volume.
#[derive(Debug, Args)]
pub(crate) struct OpenOptions {
    /// Key that opens the volume [default: sealed:any-program]. With --at: the file with the private
    /// key, in PEM, of the deployment's owner, or of somebody whom the manifest allows `files`
    #[arg(long, value_name = "KEY")]
    key: Option<String>,

    #[command(flatten)]
    elsewhere: Elsewhere,

    #[command(flatten)]
    common: Common,
}

impl OpenOptions {
    /// Returns the key that opens the volume. The default is sealed to any program: no program
    /// runs, so the enclave can't derive the key of one program.
    fn key(&self) -> Result<Key, Failure> {
        let any_program = Sealing { scope: Scope::AnyProgram, ..Sealing::default() };
        let given = self.key.as_deref().map(|text| {
            text.parse().map_err(|error| {
                Failure::usage(format!("--key: {error}"), "see `twine volume --help`")
            })
        });
        given.unwrap_or(Ok(Key::Sealed(any_program)))
    }

    /// Where the volume is.
    fn place(self) -> Place {
        if !self.elsewhere.is_given() {
            return Place::Here(Box::new(self));
        }
        let (elsewhere, quiet) = (self.elsewhere, self.common.quiet);
        let key = PathBuf::from(self.key.unwrap_or_default());
        Place::There(remote::volume::Options { elsewhere, key, quiet })
    }

    /// Refuses work on a volume elsewhere that can't be done there.
    fn only_here(&self, what: &str, remedy: &str) -> Result<(), Failure> {
        if self.elsewhere.is_given() {
            return Err(not_elsewhere(what, remedy));
        }
        Ok(())
    }
}

/// Where a volume is, and how to open it there.
enum Place {
    Here(Box<OpenOptions>),
    There(remote::volume::Options),
}

fn not_elsewhere(what: &str, remedy: &str) -> Failure {
    Failure::usage(format!("`twine volume {what}` has no --at: {remedy}"), "leave --at out")
}

/// Why keys of a volume elsewhere can't be managed.
const ONE_KEY: &str = "a deployment's volume has one key, which its manifest decides";

#[derive(Debug, Args)]
pub(crate) struct OnVolume {
    /// File that holds the volume
    volume: PathBuf,

    #[command(flatten)]
    opened: OpenOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Create {
    /// File to create the volume in
    volume: PathBuf,

    #[arg(long, hide = true)]
    at: Option<String>,

    /// What will open it; may be given several times
    #[arg(long = "key", value_name = "KEY")]
    keys: Vec<Key>,

    /// Program that sealed keys are for; no other program can use them
    #[arg(long = "for", value_name = "PROGRAM")]
    program: Option<PathBuf>,

    /// Folder whose contents to copy into the new volume
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,

    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
pub(crate) struct Ls {
    #[command(flatten)]
    path: OnePath,

    /// Also show kind, mode (? if unknown), links, size and time (UTC)
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
    /// File that holds the volume, or VOLUME::PATH. With --at: a path as the program sees it, such as
    /// /data/sub
    volume: String,

    /// Path in the volume [default: /]
    path: Option<String>,

    #[command(flatten)]
    opened: OpenOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Paths {
    /// File that holds the volume, or VOLUME::PATH for the first path. With --at: the first path, as
    /// the program sees it
    volume: String,

    /// Paths in the volume
    paths: Vec<String>,

    #[command(flatten)]
    opened: OpenOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Cp {
    /// Files to copy, then the file or directory to copy them to. With --at, write a path as the
    /// program sees it as ::PATH
    #[arg(required = true, num_args = 2.., value_names = ["SOURCE", "TARGET"])]
    operands: Vec<String>,

    /// Copy directories and their contents
    #[arg(short, long, visible_short_alias = 'R')]
    recursive: bool,

    #[command(flatten)]
    opened: OpenOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Mv {
    /// File that holds the volume. With --at: the first path to move, as the program sees it
    volume: String,

    /// Paths to move, then the new name or the directory to move them to
    #[arg(required = true, num_args = 1.., value_names = ["SOURCE", "TARGET"])]
    paths: Vec<String>,

    #[command(flatten)]
    opened: OpenOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Rm {
    #[command(flatten)]
    paths: Paths,

    /// Remove directories and their contents
    #[arg(short, long, visible_short_alias = 'R')]
    recursive: bool,

    /// Ignore paths that do not exist
    #[arg(short, long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Mkdir {
    #[command(flatten)]
    paths: Paths,

    /// Create parent directories too, and ignore directories that exist
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

    /// If the end of the volume is damaged, go back to the newest state that is intact. All later
    /// changes are lost for good; the command says which, and asks first
    #[arg(long)]
    repair: bool,

    /// Repair without asking
    #[arg(long, short = 'y', requires = "repair")]
    yes: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Export {
    /// File that holds the volume
    volume: PathBuf,

    /// Archive to write: a compacted volume
    archive: PathBuf,

    /// Key of the archive: a key file or a passphrase; may be given several times
    #[arg(long = "new-key", value_name = "KEY", required = true)]
    keys: Vec<Key>,

    #[command(flatten)]
    opened: OpenOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Import {
    /// Archive to import; --key opens it
    archive: PathBuf,

    /// File to create the volume in
    volume: PathBuf,

    /// Key of the new volume; may be given several times
    #[arg(long = "new-key", value_name = "KEY")]
    keys: Vec<Key>,

    /// Program that sealed keys are for; no other program can use them
    #[arg(long = "for", value_name = "PROGRAM")]
    program: Option<PathBuf>,

    #[command(flatten)]
    opened: OpenOptions,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// List the keys of a volume
    Ls(Report),
    /// Add a key
    Add(NewKey),
    /// Remove a key. Whoever had it may have kept the volume key: `twine volume re-key` shuts them
    /// out
    Rm(RemoveKey),
    /// Replace a key by a new one
    Rotate(RotateKey),
}

#[derive(Debug, Args)]
pub(crate) struct NewKey {
    #[command(flatten)]
    volume: OnVolume,

    /// New key
    #[arg(long, value_name = "KEY")]
    new_key: Key,

    /// Program that a sealed key is for; no other program can use it
    #[arg(long = "for", value_name = "PROGRAM")]
    program: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct RemoveKey {
    #[command(flatten)]
    volume: OnVolume,

    /// Slot of the key to remove: its number in `key ls`
    slot: u32,
}

#[derive(Debug, Args)]
pub(crate) struct RotateKey {
    #[command(flatten)]
    new: NewKey,

    /// Slot of the key to replace: its number in `key ls` [default: the only key of --key's kind]
    slot: Option<u32>,
}

#[derive(Debug, Args)]
pub(crate) struct ReKey {
    #[command(flatten)]
    volume: OnVolume,

    /// Key of the new volume; may be given several times. All other keys are dropped [default: the
    /// key that --key names]
    #[arg(long = "new-key", value_name = "KEY")]
    keys: Vec<Key>,

    /// Program that sealed keys are for; no other program can use them
    #[arg(long = "for", value_name = "PROGRAM")]
    program: Option<PathBuf>,
}

pub(crate) fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        Command::Create(arguments) => create(arguments),
        Command::Ls(Ls { path, long, json }) => on_path(
            path,
            |path| Operation::List { path, long, json },
            |path| {
                let form = match (json, long) {
                    (true, _) => work::Form::Json,
                    (false, true) => work::Form::Long,
                    (false, false) => work::Form::Names,
                };
                Work::List { path, form }
            },
        ),
        Command::Tree(Tree { path, json }) => {
            on_path(path, |path| Operation::Tree { path, json }, |path| Work::Tree { path, json })
        }
        Command::Cat(paths) => on_paths(
            paths,
            Access::Read,
            |paths| Operation::Print { paths },
            |paths| Work::Print { paths },
        ),
        Command::Cp(arguments) => copy(arguments),
        Command::Mv(arguments) => rename(arguments),
        Command::Rm(Rm { paths, recursive, force }) => on_paths(
            paths,
            Access::Write,
            |paths| Operation::Remove { paths, recursive, force },
            |paths| Work::Remove { paths, recursive, force },
        ),
        Command::Mkdir(Mkdir { paths, parents }) => on_paths(
            paths,
            Access::Write,
            |paths| Operation::MakeDirectories { paths, parents },
            |paths| Work::MakeDirectories { paths, parents },
        ),
        Command::Info(Report { volume, json }) => {
            let header = volume.opened.key.is_none();
            on_whole(volume, Access::Read, Operation::Info { header, json }, Work::Info { json })
        }
        Command::Check(Check { report: Report { volume, json }, repair, yes }) => {
            let (access, repair, there) = match (repair, yes) {
                (false, _) => (Access::Read, Repair::No, work::Repair::No),
                (true, false) => (Access::Write, Repair::Ask, work::Repair::Ask),
                (true, true) => (Access::Write, Repair::Yes, work::Repair::Yes),
            };
            let there = Work::Check { json, repair: there };
            on_whole(volume, access, Operation::Check { json, repair }, there)
        }
        Command::Compact(Report { volume, json }) => {
            on_whole(volume, Access::Write, Operation::Compact { json }, Work::Compact { json })
        }
        Command::Export(arguments) => export(arguments),
        Command::Import(arguments) => import(arguments),
        Command::Key(command) => key(command),
        Command::ReKey(arguments) => re_key(arguments),
    }
}

/// Hides an option from the help if it concerns the code of programs.
fn hide_code_options(option: Arg) -> Arg {
    match option.get_id().as_str() {
        "no_code_cache" | "no_guard_pages" => option.hide(true),
        _ => option,
    }
}

/// Splits `VOLUME::PATH`, or VOLUME alone.
pub(crate) fn split(text: &str) -> (&str, Option<&str>) {
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
    let key = opened.key()?;
    let mut session = Session::new(opened.common);
    let volume = session.open(&volume, access, &key)?;
    session.run(volume, operation)
}

/// Works on a whole volume, here or elsewhere.
fn on_whole(
    OnVolume { volume, opened }: OnVolume,
    access: Access,
    operation: Operation,
    work: Work,
) -> Result<ExitCode, Failure> {
    match opened.place() {
        Place::There(options) => {
            remote::volume::on_whole(options, &volume.display().to_string(), work)
        }
        Place::Here(opened) => on_volume(OnVolume { volume, opened: *opened }, access, operation),
    }
}

fn on_path(
    OnePath { volume, path, opened }: OnePath,
    operation: impl FnOnce(String) -> Operation,
    work: impl FnOnce(String) -> Work,
) -> Result<ExitCode, Failure> {
    let opened = match opened.place() {
        Place::There(options) => return remote::volume::on_path(options, &volume, path, work),
        Place::Here(opened) => *opened,
    };
    let (volume, mut paths) = volume_and_paths(&volume, path.into_iter().collect());
    if paths.len() > 1 {
        return Err(two_paths());
    }
    let operation = operation(paths.pop().unwrap_or_default());
    on_volume(OnVolume { volume, opened }, Access::Read, operation)
}

pub(crate) fn two_paths() -> Failure {
    Failure::new("two paths were named", "leave one of them out")
}

fn rename(Mv { volume, paths, opened }: Mv) -> Result<ExitCode, Failure> {
    if paths.len() < 2 && !opened.elsewhere.is_given() && split(&volume).1.is_none() {
        return Err(Failure::usage(
            "no new name was named",
            "name the volume, the paths to move, and the new name or directory",
        ));
    }
    fn last(mut sources: Vec<String>) -> (Vec<String>, String) {
        let target = sources.pop().unwrap_or_default();
        (sources, target)
    }
    on_paths(
        Paths { volume, paths, opened },
        Access::Write,
        |paths| {
            let (sources, target) = last(paths);
            Operation::Move { sources, target }
        },
        |paths| {
            let (sources, target) = last(paths);
            Work::Move { sources, target }
        },
    )
}

/// Returns the volume and the paths in it. The first path may be written as `VOLUME::PATH`.
fn volume_and_paths(volume: &str, paths: Vec<String>) -> (PathBuf, Vec<String>) {
    let (volume, first) = split(volume);
    let paths = first.map(str::to_owned).into_iter().chain(paths).collect();
    (PathBuf::from(volume), paths)
}

fn on_paths(
    Paths { volume, paths, opened }: Paths,
    access: Access,
    operation: impl FnOnce(Vec<String>) -> Operation,
    work: impl FnOnce(Vec<String>) -> Work,
) -> Result<ExitCode, Failure> {
    let opened = match opened.place() {
        Place::There(options) => return remote::volume::on_paths(options, &volume, paths, work),
        Place::Here(opened) => *opened,
    };
    let (volume, paths) = volume_and_paths(&volume, paths);
    if paths.is_empty() {
        return Err(Failure::new(
            "no path in the volume was named",
            "name the path after the volume, or write it as VOLUME::PATH",
        ));
    }
    on_volume(OnVolume { volume, opened }, access, operation(paths))
}

fn copy(arguments: Cp) -> Result<ExitCode, Failure> {
    let Cp { operands, recursive, opened } = arguments;
    let opened = match opened.place() {
        Place::There(options) => return remote::volume::copy(options, &operands, recursive),
        Place::Here(opened) => *opened,
    };
    let CopyOperands { volume, sources, target, folders, uncopyable, access } =
        copy_operands::parse_operands(&operands, recursive)?;
    let key = opened.key()?;
    let mut session = Session::new(opened.common);
    let volume = session.open(&volume, access, &key)?;
    session.resources.folders = folders;
    let code = session.run(volume, Operation::Copy { sources, target, recursive })?;
    Ok(report_uncopyable(code, &uncopyable))
}

/// Reports the files that were not copied. This comes last, because everything else is copied
/// first.
fn report_uncopyable(code: ExitCode, uncopyable: &[Uncopyable]) -> ExitCode {
    uncopyable.iter().fold(code, |_, item| item.failure().show())
}

/// Returns the keys of a new volume, of which there must be at least one. A key that is sealed to
/// one program needs `program`.
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
    let sealed = |wanted| {
        keys.iter().any(|key| matches!(key, Key::Sealed(Sealing { scope, .. }) if *scope == wanted))
    };
    if sealed(Scope::Deployment) {
        return Err(Failure::new(
            "only a deployment can make a volume that is sealed to it",
            "name the volume in its manifest: `twine run --manifest FILE` makes it at first use",
        ));
    }
    if sealed(Scope::Program) && program.is_none() {
        return Err(Failure::new(
            "a sealed key is for one program, and none was named",
            "name the program with --for PROGRAM, or seal the key to any program: \
             sealed:any-program",
        ));
    }
    let mut keys = keys.iter().map(|key| key.get(volume, true));
    match keys.next() {
        Some(first) => Ok((first?, keys.collect::<Result<_, _>>()?)),
        None => Err(Failure::new(
            "the new volume has no key",
            "name a key: passphrase, file:PATH or sealed:any-program; or seal the volume to one \
             program with --for PROGRAM",
        )),
    }
}

fn read_program(path: Option<&Path>) -> Result<Program, Failure> {
    path.map_or_else(|| Ok(Vec::new().into()), Program::read)
}

fn create(arguments: Create) -> Result<ExitCode, Failure> {
    let Create { volume, at, keys, program, from, common } = arguments;
    if at.is_some() {
        return Err(not_elsewhere(
            "create",
            "a deployment's volume is made when the program first runs, or something is first copied \
             into it",
        ));
    }
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
                    "name a folder that this user can read",
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
    opened.only_here("export", "copy the files out with `twine volume cp -r`")?;
    let file = AtomicFile::new(&archive)?;
    let key = opened.key()?;
    let mut session = Session::new(opened.common);
    let volume = session.open(&volume, Access::Read, &key)?;
    let keys = new_keys(&archive, &keys, None)?;
    let target = session.make(&file, keys)?;
    let code = session.run(volume, Operation::Export { target })?;
    file.commit(code)
}

fn import(arguments: Import) -> Result<ExitCode, Failure> {
    let Import { archive, volume, keys, program, opened } = arguments;
    opened.only_here("import", "copy files into it with `twine volume cp -r`")?;
    let file = AtomicFile::new(&volume)?;
    let key = opened.key()?;
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
    opened.only_here("re-key", ONE_KEY)?;
    let file = AtomicFile::replacing(&volume)?;
    let key = opened.key()?;
    let mut session = Session::new(opened.common);
    session.program = read_program(program.as_deref())?;
    let source = session.open(&volume, Access::Write, &key)?;
    let keys = match &keys[..] {
        // The key that opens the volume is used again, so that a passphrase is asked for once.
        [] if !matches!(key, Key::Sealed(_)) => (source.key.clone(), Vec::new()),
        [] => new_keys(&volume, &[key], program.as_deref())?,
        keys => new_keys(&volume, keys, program.as_deref())?,
    };
    let target = session.make(&file, keys)?;
    // No other process may write to the old file after it was copied, because the new file replaces
    // it.
    let locked = session.keep_locked(&source)?;
    let code = session.run(source, Operation::Export { target })?;
    let replaced = file.replace(code);
    drop(locked);
    replaced
}

fn key(command: KeyCommand) -> Result<ExitCode, Failure> {
    match command {
        KeyCommand::Ls(Report { volume, json }) => {
            volume.opened.only_here("key ls", ONE_KEY)?;
            on_volume(volume, Access::Read, Operation::ListKeys { json })
        }
        KeyCommand::Add(new) => {
            new.volume.opened.only_here("key add", ONE_KEY)?;
            change_key(new, |key| Operation::AddKey { key })
        }
        KeyCommand::Rm(RemoveKey { volume, slot }) => {
            volume.opened.only_here("key rm", ONE_KEY)?;
            on_volume(volume, Access::Write, Operation::RemoveKey { slot })
        }
        KeyCommand::Rotate(RotateKey { new, slot }) => {
            new.volume.opened.only_here("key rotate", ONE_KEY)?;
            change_key(new, |key| Operation::RotateKey { slot, key })
        }
    }
}

fn change_key(
    NewKey { volume: OnVolume { volume, opened }, new_key, program }: NewKey,
    operation: impl FnOnce(VolumeKey) -> Operation,
) -> Result<ExitCode, Failure> {
    let key = opened.key()?;
    let mut session = Session::new(opened.common);
    session.program = read_program(program.as_deref())?;
    let which = session.open(&volume, Access::Write, &key)?;
    let (new, _) = new_keys(&volume, &[new_key], program.as_deref())?;
    session.run(which, operation(new))
}
