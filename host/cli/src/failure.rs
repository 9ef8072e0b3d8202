//! What a user is told when something went wrong: one line of cause, one of remedy.

use crate::print::say;
use std::fmt::Display;
use std::io;
use std::process::ExitCode;

/// A cause and a remedy, each in one line.
#[derive(Debug)]
pub(crate) struct Failure {
    cause: String,
    remedy: String,
}

impl Failure {
    pub(crate) fn new(cause: impl Display, remedy: impl Into<String>) -> Self {
        Failure { cause: cause.to_string(), remedy: remedy.into() }
    }

    /// With the remedy for an error of the system's that any file could have met, as too many open
    /// ones, else with the one that fits the file.
    pub(crate) fn system(
        cause: impl Display,
        error: &io::Error,
        remedy: impl Into<String>,
    ) -> Self {
        let general = twine_host::remedy(error).map(str::to_owned);
        Failure::new(cause, general.unwrap_or_else(|| remedy.into()))
    }

    /// Of an image's error; `remedy` is for a file that can't be read or written.
    pub(crate) fn of_image(error: &twine_image::Error, remedy: &str) -> Self {
        if let twine_image::Error::Io { source, .. } = error {
            return Failure::system(error, source, remedy);
        }
        Failure::new(error, error.remedy().unwrap_or_else(|| "see `twine image --help`".into()))
    }

    /// The cause alone, for who goes on without.
    pub(crate) fn cause(&self) -> &str {
        &self.cause
    }

    /// Prints both lines to stderr; the exit code for it.
    pub(crate) fn show(&self) -> ExitCode {
        say!("error: {}", self.cause);
        say!("  help: {}", self.remedy);
        ExitCode::FAILURE
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
