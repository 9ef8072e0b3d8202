//! Whether a volume can go on, and what failed first.

use crate::error::{Error, Result};

/// What has failed since a volume was opened.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// What is in memory can't be relied on any more.
    stopped: bool,
    first_error: Option<Error>,
}

impl Health {
    /// Whether the volume takes no more changes.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// What failed first.
    pub(crate) fn first_error(&self) -> Option<&Error> {
        self.first_error.as_ref()
    }

    /// Takes no more changes from now on.
    pub(crate) fn stop<T>(&mut self, because: Error) -> Result<T> {
        if !self.stopped {
            self.stopped = true;
            self.first_error.get_or_insert_with(|| because.clone());
        }
        Err(because)
    }

    /// Remembers the first error that is worth words: not one that an errno tells whole, as that
    /// the storage is full, which may be over by the end.
    pub(crate) fn record_error(&mut self, error: &Error) {
        let telling = !matches!(error, Error::File(_) | Error::Stopped | Error::Invalid(_));
        if telling && !error.is_full() {
            self.first_error.get_or_insert_with(|| error.clone());
        }
    }

    /// Goes on with an operation that has begun to change the tree: if it fails in its
    /// middle, the tree in memory is of no use, and the volume stops.
    pub(crate) fn poison_on_error<T>(&mut self, result: Result<T>) -> Result<T> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => self.stop(error),
        }
    }
}
