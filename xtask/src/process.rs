//! Running other programs, and telling what went wrong.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

/// What went wrong, in one line.
#[derive(Debug)]
pub(crate) struct Failure(String);

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Failure(message.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Failure(error.to_string())
    }
}

/// Says what is about to be done.
pub(crate) fn say(what: impl fmt::Display) {
    eprintln!("==> {what}");
}

/// A command in a folder.
pub(crate) fn command(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    command
}

/// Runs a command to its end; its exit code must be 0.
pub(crate) fn succeed(command: &mut Command) -> Result<()> {
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .status()
        .map_err(|error| Failure::new(format!("`{name}` can't be started: {error}")))?;
    if status.success() {
        return Ok(());
    }
    let arguments: Vec<_> =
        command.get_args().map(|argument| argument.to_string_lossy().into_owned()).collect();
    Err(Failure::new(format!("`{name} {}` failed: {status}", arguments.join(" "))))
}

/// Whether a command runs and succeeds; what it prints is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Compares the SHA-256 of a file with what it has to be.
pub(crate) fn checked(file: &Path, sha256: &str) -> Result<()> {
    let is = output(Command::new("sha256sum").arg("--binary").arg(file))?;
    if is.starts_with(sha256) {
        return Ok(());
    }
    let is = is.split(' ').next().unwrap_or_default();
    Err(Failure::new(format!("{} has SHA-256 {is} instead of {sha256}", file.display())))
}

/// What a command prints.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::new(format!("`{name}` can't be started: {error}")))?;
    if !output.status.success() {
        return Err(Failure::new(format!("`{name}` failed: {}", output.status)));
    }
    String::from_utf8(output.stdout).map_err(|_| Failure::new(format!("`{name}` printed no text")))
}
