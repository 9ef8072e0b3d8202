//! How much of the log may be damaged.

use crate::error::{Error, Result};

/// How much is taken for absence that may be damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tolerance {
    /// Nothing: an error of the storage, or something authentic that is malformed, is an error.
    None,
    /// Both count as if nothing were there.
    Damage,
}

impl Tolerance {
    /// `absent` in place of an error that is tolerated.
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
