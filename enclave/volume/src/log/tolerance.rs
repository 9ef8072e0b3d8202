//! How much damage in the log a mount tolerates.

use crate::error::{Error, Result};

/// Which damage counts as absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tolerance {
    /// None: an error of the storage is an error, and so is something authentic that is malformed.
    None,
    /// Both: the damaged part counts as absent.
    Damage,
}

impl Tolerance {
    /// Returns `absent` in place of a tolerated error.
    pub(crate) fn or<T>(self, result: Result<T>, absent: T) -> Result<T> {
        match (self, result) {
            (
                Tolerance::Damage,
                Err(Error::Storage { .. } | Error::Damaged { .. } | Error::NotAuthentic { .. }),
            ) => Ok(absent),
            (_, result) => result,
        }
    }
}
