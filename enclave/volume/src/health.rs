//! Keeps the first error of a volume, and whether the volume has stopped.

use crate::error::{Error, Result};

/// What has failed since a volume was opened.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// The state in memory is no longer reliable.
    stopped: bool,
    first_error: Option<Error>,
}

impl Health {
    /// Whether the volume takes no more changes.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Returns the first error that was recorded.
    pub(crate) fn first_error(&self) -> Option<&Error> {
        self.first_error.as_ref()
    }

    /// Stops the volume: from now on it takes no changes.
    pub(crate) fn stop<T>(&mut self, because: Error) -> Result<T> {
        if !self.stopped {
            self.stopped = true;
            self.first_error.get_or_insert_with(|| because.clone());
        }
        Err(because)
    }

    /// Records the first error that an errno does not explain fully. A full storage is not
    /// recorded: there may be room again later.
    pub(crate) fn record_error(&mut self, error: &Error) {
        let telling = !matches!(error, Error::File(_) | Error::Stopped | Error::Invalid(_));
        if telling && !error.is_full() {
            self.first_error.get_or_insert_with(|| error.clone());
        }
    }

    /// Stops the volume if `result`, of an operation that had begun to change the tree, is an
    /// error: the tree in memory is then unusable.
    pub(crate) fn poison_on_error<T>(&mut self, result: Result<T>) -> Result<T> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => self.stop(error),
        }
    }
}
