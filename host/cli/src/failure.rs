//! The form in which the command reports a failure: one line of cause, one line of remedy.

use crate::print::print_error;
use std::fmt::Display;
use std::io;
use std::path::Path;
use std::process::ExitCode;

/// The exit code of wrong usage, as clap has it.
const USAGE_EXIT_CODE: u8 = 2;

/// A cause and a remedy, each in one line.
#[derive(Debug)]
pub(crate) struct Failure {
    cause: String,
    remedy: String,
    /// Whether the command line is wrong.
    usage: bool,
}

impl Failure {
    pub(crate) fn new(cause: impl Display, remedy: impl Into<String>) -> Self {
        Failure { cause: cause.to_string(), remedy: remedy.into(), usage: false }
    }

    /// Returns the failure of a command line that is wrong in a way that clap does not see.
    pub(crate) fn usage(cause: impl Display, remedy: impl Into<String>) -> Self {
        Failure { usage: true, ..Failure::new(cause, remedy) }
    }

    /// Returns a failure of a system call. If the error does not depend on the file, such as too
    /// many open files, the remedy is the general one; otherwise it is `remedy`.
    pub(crate) fn system(
        cause: impl Display,
        error: &io::Error,
        remedy: impl Into<String>,
    ) -> Self {
        let general = twine_host::remedy(error).map(str::to_owned);
        Failure::new(cause, general.unwrap_or_else(|| remedy.into()))
    }

    /// Returns a failure with an image. `remedy` is used if a file can't be read or written.
    pub(crate) fn of_image(error: &twine_image::Error, remedy: &str) -> Self {
        if let twine_image::Error::Io { source, .. } = error {
            return Failure::system(error, source, remedy);
        }
        Failure::new(error, error.remedy().unwrap_or_else(|| "see `twine image --help`".into()))
    }

    /// Returns the failure to read a file.
    pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Failure::system(
            format!("{} can't be read: {error}", path.display()),
            error,
            "check the path and its permissions",
        )
    }

    /// Returns the failure to write a file.
    pub(crate) fn unwritable(path: &Path, error: &io::Error) -> Self {
        Failure::system(
            format!("{} can't be written: {error}", path.display()),
            error,
            "check the folder and its permissions",
        )
    }

    /// Returns the failure of a write to the standard output.
    pub(crate) fn of_stdout(error: &io::Error) -> Self {
        Failure::system(
            format!("the standard output can't be written: {error}"),
            error,
            "check where the output is redirected to",
        )
    }

    /// Returns only the cause.
    pub(crate) fn cause(&self) -> &str {
        &self.cause
    }

    /// Prints both lines to the standard error, and returns the exit code: 2 for wrong usage, else
    /// 1.
    pub(crate) fn show(&self) -> ExitCode {
        print_error!("error: {}", self.cause);
        print_error!("  help: {}", self.remedy);
        if self.usage { ExitCode::from(USAGE_EXIT_CODE) } else { ExitCode::FAILURE }
    }
}

impl From<twine_host::Error> for Failure {
    fn from(error: twine_host::Error) -> Self {
        Failure::new(&error, error.remedy())
    }
}

impl From<twine_host::StorageError> for Failure {
    fn from(error: twine_host::StorageError) -> Self {
        Failure::new(&error, error.remedy())
    }
}

impl From<twine_image::Error> for Failure {
    fn from(error: twine_image::Error) -> Self {
        Failure::of_image(&error, "check the path and its permissions")
    }
}
