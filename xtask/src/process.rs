//! Runs other programs, and reports failures.

use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The cause of a failure, in one line.
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

/// Announces the next step.
pub(crate) fn say(what: impl fmt::Display) {
    eprintln!("==> {what}");
}

/// Returns a command in a folder.
pub(crate) fn command(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    command
}

/// Runs a command to its end, and fails unless its exit code is 0.
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

/// Whether a command runs and succeeds. Its output is discarded.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Checks the SHA-256 of a file.
pub(crate) fn checked(file: &Path, sha256: &str) -> Result<()> {
    let is = output(Command::new("sha256sum").arg("--binary").arg(file))?;
    if is.starts_with(sha256) {
        return Ok(());
    }
    let is = is.split(' ').next().unwrap_or_default();
    Err(Failure::new(format!("{} has SHA-256 {is} instead of {sha256}", file.display())))
}

/// Returns a command's output.
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
