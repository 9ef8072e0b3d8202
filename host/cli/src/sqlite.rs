//! `twine sqlite`: SQLite's own shell, on a database in a protected volume.

use crate::failure::Failure;
use crate::locate;
use crate::mounts::{self, Prepared};
use crate::program::Program;
use crate::run::{self, CompilerName, Place, Run};
use crate::terminal::Terminal;
use clap::Args;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::ExitCode;
use twine_protocol::launch::{Limits, MainFile};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The database: a volume that holds it and its journals, made if it is not there, and free to be
    /// renamed and copied. VOLUME::/NAME names one of several in a volume [default: :memory:]
    database: Option<OsString>,

    /// SQL or dot commands to run, or options of SQLite's shell, as -json or -header
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,

    #[command(flatten)]
    files: mounts::Arguments,

    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    telling: run::Telling,
}

/// The shell as a program.
const PROGRAM: &str = "sqlite.wasm";

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let path = locate::program(PROGRAM)?;
    let mut prepared = arguments.files.prepare(arguments.telling.quiet)?;
    let mut command = vec![b"sqlite3".to_vec()];
    let database = arguments.database.as_deref().unwrap_or(OsStr::new(IN_MEMORY));
    command.push(match own_meaning(database) {
        Some(name) => name.into(),
        None => inside(&mut prepared, database, &arguments)?.into_bytes(),
    });
    command.extend(arguments.rest.into_iter().map(OsString::into_vec));
    let mut limits = Limits::default();
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        limits.interrupts = true;
        let terminal = Terminal::new(prepared.resources.interrupts.clone()).map_err(|error| {
            Failure::new(format!("the terminal can't be used: {error}"), "pipe the SQL in")
        })?;
        prepared.resources.input = Some(Box::new(terminal));
    }
    Run {
        program: Program::read(&path)?,
        name: path,
        arguments: command,
        // The shell looks for its settings there: in the volume.
        environment: vec![("HOME".into(), "/".into())],
        invoke: None,
        limits,
        compiler: CompilerName::Optimizing,
        prepared,
        place: arguments.place,
        telling: arguments.telling,
    }
    .run()
}

/// The database that goes with the shell.
const IN_MEMORY: &str = ":memory:";

/// The database's name inside, whatever the volume's file is named outside.
const INSIDE: &str = "main.db";

/// A name that is no file to SQLite: in memory, or a temporary one.
fn own_meaning(database: &OsStr) -> Option<&str> {
    let name = database.to_str()?;
    let in_memory = name.starts_with("file:")
        && (name.starts_with("file::memory:") || name.contains("mode=memory"));
    (name.is_empty() || name == IN_MEMORY || in_memory).then_some(name)
}

/// Whether a file is a database as SQLite itself writes it, and no volume.
fn is_ordinary(host: &Path) -> bool {
    let mut start = [0; SIGNATURE.len()];
    let read = File::open(host).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *SIGNATURE
}

/// How SQLite's files begin.
const SIGNATURE: &[u8; 16] = b"SQLite format 3\0";

fn ordinary(host: &Path) -> Failure {
    let folder = host.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).display();
    let name = host.file_name().unwrap_or_default().display();
    Failure::new(
        format!("{} is an ordinary database, and not in a protected volume", host.display()),
        format!(
            "copy it into a new one: twine sqlite --plain-dir '{folder}::/from' NEW.db \
             \".restore '/from/{name}'\""
        ),
    )
}

/// Mounts the volume of a database; its path inside.
fn inside(
    prepared: &mut Prepared,
    database: &OsStr,
    arguments: &Arguments,
) -> Result<String, Failure> {
    let mut mount =
        |host: &Path, main| prepared.volume(host, main, &arguments.files, arguments.telling.quiet);
    if let Some((host, Some(name))) = database.to_str().map(mounts::split) {
        mount(Path::new(host), None)?;
        return Ok(format!("/{}", name.trim_start_matches('/')));
    }
    let host = Path::new(database);
    if is_ordinary(host) {
        return Err(ordinary(host));
    }
    // What it was named inside when that was the file's name.
    let former = host.file_name().unwrap_or_default().to_string_lossy().into_owned();
    mount(host, Some(MainFile { name: INSIDE.into(), former }))?;
    Ok(format!("/{INSIDE}"))
}
