//! `twine sqlite`: SQLite's own shell, on a database in a protected volume.

use crate::failure::Failure;
use crate::locate;
use crate::mounts::{self, Prepared};
use crate::program::Program;
use crate::run::{self, CompilerName, Place, Run};
use crate::terminal::Terminal;
use clap::Args;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use twine_protocol::launch::Limits;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The database: a volume that holds it and its journals, made if it is not there [default:
    /// a database in memory]
    database: Option<PathBuf>,

    /// SQL or dot commands to run, or options of SQLite's shell, as -json or -header
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<String>,

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
    let mut command = vec!["sqlite3".to_owned()];
    match &arguments.database {
        Some(database) => {
            command.push(inside(&mut prepared, database, &arguments)?);
        }
        None => command.push(":memory:".to_owned()),
    }
    command.extend(arguments.rest);
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        let terminal = Terminal::new().map_err(|error| {
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
        limits: Limits::default(),
        compiler: CompilerName::Optimizing,
        prepared,
        place: arguments.place,
        telling: arguments.telling,
    }
    .run()
}

/// Mounts the volume of a database; its path inside.
fn inside(
    prepared: &mut Prepared,
    database: &Path,
    arguments: &Arguments,
) -> Result<String, Failure> {
    let name = database.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
        Failure::new(
            format!("{} is no name for a database", database.display()),
            "name a file, as my.db",
        )
    })?;
    prepared.volume(database, "/", &arguments.files, arguments.telling.quiet)?;
    Ok(format!("/{name}"))
}
