//! The root of a tree.

use crate::error::{Error, Result};
use crate::format::node::MAX_LEVELS;
use crate::format::pointer::Pointer;

/// The pointer to the root of a tree, and the number of its levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Root {
    pub(crate) pointer: Pointer,
    pub(crate) levels: u8,
}

impl Root {
    /// Returns an error if no tree can have so many levels.
    pub(crate) fn check(&self) -> Result<()> {
        match self.levels {
            1..=MAX_LEVELS => Ok(()),
            _ => Err(Error::damaged("the tree has too many levels")),
        }
    }
}
