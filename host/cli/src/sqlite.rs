//! `twine sqlite`: SQLite's shell on a database in a protected volume.

use crate::evidence::EvidenceOptions;
use crate::failure::Failure;
use crate::locate;
use crate::mounts::{self, Prepared};
use crate::options::{CompilerName, Target};
use crate::program::Program;
use crate::remote;
use crate::report::ReportOptions;
use crate::run::Run;
use crate::signals;
use crate::terminal::{Editor, Terminal};
use clap::Args;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::ExitCode;
use twine_host::shell_word;
use twine_protocol::launch::{Limits, MainFile, Streams};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Database to open: a volume with the database and its journals, created if it does not exist.
    /// The file can be renamed and copied. VOLUME::/NAME names one of several databases in a volume
    /// [default: :memory:]
    database: Option<OsString>,

    /// SQL or dot commands to run. Options of SQLite's shell, such as -json, -header or -cmd
    /// COMMAND, can stand before or after the database; -help lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,

    #[command(flatten)]
    elsewhere: remote::sqlite::Elsewhere,

    #[command(flatten)]
    files: mounts::Mounts,

    #[command(flatten)]
    target: Target,

    #[command(flatten)]
    report_options: ReportOptions,
}

/// The shell's options without a value (`shell.c` of SQLite 3.52).
const PLAIN: [&str; 44] = [
    "A",
    "append",
    "ascii",
    "backslash",
    "bail",
    "batch",
    "box",
    "column",
    "csv",
    "deserialize",
    "echo",
    "eqp",
    "eqpfull",
    "exclusive",
    "header",
    "help",
    "html",
    "ifexists",
    "interactive",
    "json",
    "line",
    "list",
    "markdown",
    "memtrace",
    "multiplex",
    "no-rowid-in-view",
    "no-utf8",
    "nofollow",
    "noheader",
    "noinit",
    "pcachetrace",
    "psql",
    "quote",
    "readonly",
    "safe",
    "scanstats",
    "stats",
    "table",
    "tabs",
    "unsafe-testing",
    "utf8",
    "version",
    "vfstrace",
    "zip",
];

/// The shell's options with one value.
const WITH_VALUE: [&str; 14] = [
    "cmd",
    "escape",
    "heap",
    "init",
    "maxsize",
    "mmap",
    "newline",
    "nonce",
    "nullvalue",
    "screenwidth",
    "separator",
    "sorterref",
    "threadsafe",
    "vfs",
];

/// The shell's options with two values.
const WITH_TWO_VALUES: [&str; 2] = ["lookaside", "pagecache"];

/// Moves this command's options before the database, and all other arguments after it, where they
/// are for the shell. The order is otherwise kept. The shell's options can have one dash or two;
/// this command's options are recognised by their names.
pub(crate) fn arrange(given: Vec<OsString>) -> Vec<OsString> {
    if given.get(1).is_none_or(|command| command != "sqlite") {
        return given;
    }
    let own = Arguments::augment_args(clap::Command::new("sqlite"));
    let mut given = given.into_iter();
    let mut arranged: Vec<OsString> = given.by_ref().take(2).collect();
    let (mut database, mut shells) = (None, Vec::new());
    while let Some(argument) = given.next() {
        if argument == "--" {
            arranged.push(argument);
            break;
        }
        let (list, values) = match values(&own, &argument) {
            Values::None if database.is_none() => {
                database = Some(argument);
                continue;
            }
            Values::None => (&mut shells, 0),
            Values::Own(values) => (&mut arranged, values),
            Values::Shell(values) => (&mut shells, values),
        };
        list.push(argument);
        list.extend(given.by_ref().take(values));
    }
    database = database.or_else(|| given.next());
    if !shells.is_empty() {
        database = database.or_else(|| Some(IN_MEMORY.into()));
    }
    arranged.extend(database);
    arranged.extend(shells);
    arranged.extend(given);
    arranged
}

/// The kind of an argument, with the number of arguments after it that are its values.
enum Values {
    /// Not an option.
    None,
    /// An option of this command, or an unknown option.
    Own(usize),
    /// An option of the shell.
    Shell(usize),
}

fn values(own: &clap::Command, argument: &OsStr) -> Values {
    let text = argument.to_string_lossy();
    let Some(name) = text.strip_prefix('-').filter(|name| !name.is_empty()) else {
        return Values::None;
    };
    if let Some(name) = name.strip_prefix('-') {
        let (name, value) =
            name.split_once('=').map_or((name, None), |(name, value)| (name, Some(value)));
        if let Some(option) = own.get_arguments().find(|option| option.get_long() == Some(name)) {
            let takes_next = value.is_none() && option.get_action().takes_values();
            return Values::Own(usize::from(takes_next));
        }
        // `--help` and `--version` are this command's, as are all options that both have.
        return if ["help", "version"].contains(&name) { Values::Own(0) } else { of_shell(name) };
    }
    of_shell(name)
}

/// Looks up an option of the shell by its name. An unknown option is left for clap to refuse.
fn of_shell(name: &str) -> Values {
    let values = [(&PLAIN[..], 0), (&WITH_VALUE, 1), (&WITH_TWO_VALUES, 2)];
    let known = values.iter().find(|(names, _)| names.contains(&name));
    known.map_or(Values::Own(0), |(_, values)| Values::Shell(*values))
}

/// The shell as a program.
const PROGRAM: &str = "sqlite.wasm";

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let unusable = |error| {
        Failure::new(
            format!("the terminal can't be used: {error}"),
            "pipe the SQL to the standard input",
        )
    };
    let on_terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let editor = on_terminal.then(Editor::new).transpose().map_err(unusable)?;
    signals::end_first_process();
    if let Some(at) = arguments.elsewhere.at.clone() {
        let database = arguments.database.clone().ok_or_else(|| {
            Failure::usage("no database is named", "name one: twine sqlite --at HOST:PORT DATABASE")
        })?;
        let Arguments { elsewhere, rest, report_options, .. } = arguments;
        let lines = editor.map(Editor::lines).transpose();
        let lines = lines.map_err(|error| unusable(error.into()))?;
        return remote::sqlite::run(&at, elsewhere, &database, rest, lines, report_options.quiet);
    }
    let path = locate::program(PROGRAM)?;
    let mut prepared = arguments.files.prepare(arguments.report_options.quiet)?;
    let mut command = vec![b"sqlite3".to_vec()];
    let database = arguments.database.as_deref().unwrap_or(OsStr::new(IN_MEMORY));
    command.push(match own_meaning(database) {
        Some(name) => name.into(),
        None => inside(&mut prepared, database, &arguments)?.into_bytes(),
    });
    command.extend(arguments.rest.into_iter().map(OsString::into_vec));
    let mut limits = Limits::default();
    if let Some(editor) = editor {
        limits.interrupts = true;
        let interrupts = prepared.resources.interrupts.clone();
        let terminal = Terminal::new(editor, interrupts).map_err(unusable)?;
        prepared.resources.input = Some(Box::new(terminal));
    }
    Run {
        program: Program::read(&path)?,
        name: path,
        subject: database.into(),
        arguments: command,
        // The shell looks for its settings in HOME, which is in the volume.
        environment: vec![("HOME".into(), "/".into())],
        secrets: Vec::new(),
        evidence: EvidenceOptions::default(),
        invoke: None,
        limits,
        streams: Streams::default(),
        diagnostics: arguments.report_options.diagnostics(),
        manifest: None,
        from: Vec::new(),
        compiler: CompilerName::Optimizing,
        prepared,
        target: arguments.target,
        report_options: arguments.report_options,
    }
    .run()
}

/// SQLite's name for a database in memory.
const IN_MEMORY: &str = ":memory:";

/// The database's name inside the volume, for any name of the volume's file.
const INSIDE: &str = "main.db";

/// Returns the name, if SQLite opens no file for it: a database in memory, or a temporary one.
fn own_meaning(database: &OsStr) -> Option<&str> {
    let name = database.to_str()?;
    let in_memory = name.starts_with("file:")
        && (name.starts_with("file::memory:") || name.contains("mode=memory"));
    (name.is_empty() || name == IN_MEMORY || in_memory).then_some(name)
}

/// Whether a file is an ordinary SQLite database, not a volume.
fn is_ordinary(host: &Path) -> bool {
    let mut start = [0; SIGNATURE.len()];
    let read = File::open(host).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == *SIGNATURE
}

/// The first bytes of a SQLite database.
const SIGNATURE: &[u8; 16] = b"SQLite format 3\0";

fn ordinary(host: &Path) -> Failure {
    let folder = host.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).display();
    let name = host.file_name().unwrap_or_default().display().to_string();
    // SQLite's shell interprets backslashes between double quotes.
    let name = name.replace('\\', "\\\\").replace('"', "\\\"");
    let folder = shell_word(format_args!("{folder}::/from"));
    let restore = shell_word(format_args!(".restore \"/from/{name}\""));
    Failure::new(
        format!("{} is an ordinary database, not a protected volume", host.display()),
        format!("copy it into a new volume: twine sqlite --plain-dir {folder} NEW.db {restore}"),
    )
}

/// Mounts the volume of a database, and returns the database's path inside.
fn inside(
    prepared: &mut Prepared,
    database: &OsStr,
    arguments: &Arguments,
) -> Result<String, Failure> {
    let mut mount = |host: &Path, main| {
        prepared.volume(host, main, &arguments.files, arguments.report_options.quiet)
    };
    if let Some((host, Some(name))) = database.to_str().map(mounts::split) {
        mount(Path::new(host), None)?;
        return Ok(format!("/{}", name.trim_start_matches('/')));
    }
    let host = Path::new(database);
    if is_ordinary(host) {
        return Err(ordinary(host));
    }
    // Earlier versions named the database inside after the file.
    let former = host.file_name().unwrap_or_default().to_string_lossy().into_owned();
    mount(host, Some(MainFile { name: INSIDE.into(), former }))?;
    Ok(format!("/{INSIDE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arranged(line: &str) -> String {
        let line = format!("twine {line}");
        let given = line.split(' ').map(OsString::from).collect();
        let words: Vec<String> =
            arrange(given).into_iter().map(|word| word.into_string().unwrap()).collect();
        words[1..].join(" ")
    }

    #[test]
    fn options_of_the_shell_move_after_the_database_and_own_options_stay() {
        for (given, wanted) in [
            ("sqlite", "sqlite"),
            ("sqlite -json my.db SQL", "sqlite my.db -json SQL"),
            ("sqlite my.db -json SQL", "sqlite my.db -json SQL"),
            ("sqlite --json --key K my.db SQL", "sqlite --key K my.db --json SQL"),
            ("sqlite -cmd C -q -separator S my.db", "sqlite -q my.db -cmd C -separator S"),
            ("sqlite -lookaside 1 2 --stats my.db", "sqlite --stats my.db -lookaside 1 2"),
            ("sqlite -stats --key=K my.db", "sqlite --key=K my.db -stats"),
            ("sqlite -init", "sqlite :memory: -init"),
            ("sqlite -json", "sqlite :memory: -json"),
            ("sqlite -json -- -odd.db SQL", "sqlite -- -odd.db -json SQL"),
            (
                "sqlite --read-only --no-guard-pages my.db",
                "sqlite --read-only --no-guard-pages my.db",
            ),
            ("sqlite --help", "sqlite --help"),
            ("sqlite - SQL", "sqlite - SQL"),
            ("sqlite my.db SQL --key K -json", "sqlite --key K my.db SQL -json"),
            ("sqlite my.db -cmd --key SQL -q", "sqlite -q my.db -cmd --key SQL"),
            ("sqlite my.db SQL -- --key", "sqlite -- my.db SQL --key"),
            ("sqlite -A my.db", "sqlite my.db -A"),
            ("sqlite -key K my.db", "sqlite -key K my.db"),
            ("sqlite --jsn my.db", "sqlite --jsn my.db"),
            ("run -json my.db", "run -json my.db"),
        ] {
            assert_eq!(arranged(given), wanted, "{given}");
        }
    }
}
