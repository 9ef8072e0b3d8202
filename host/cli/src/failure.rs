//! What a user is told when something went wrong: one line of cause, one of remedy.

use crate::print::say;
use std::fmt::Display;
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
        let remedy = error.remedy().unwrap_or_else(|| match &error {
            twine_image::Error::Io { source, .. } => {
                twine_host::remedy(source).unwrap_or("check the path and its permissions").into()
            }
            _ => "see `twine image --help`".into(),
        });
        Failure::new(error, remedy)
    }
}
