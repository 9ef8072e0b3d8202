//! Parts of a program, and their addresses.

use crate::Error;
use crate::manifest::PAGE;

/// A range of addresses, relative to the image base.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Extent {
    pub(crate) start: u64,
    pub(crate) size: u64,
}

impl Extent {
    /// Returns the address after the last. Extents are checked when they are made.
    pub(crate) fn end(self) -> u64 {
        self.start + self.size
    }

    pub(crate) fn contains(self, start: u64, size: u64) -> bool {
        start >= self.start && start.checked_add(size).is_some_and(|end| end <= self.end())
    }
}

/// A loaded part of the program.
pub(crate) struct Segment<'a> {
    /// The addresses of the part.
    pub(crate) memory: Extent,
    /// Its first bytes; the others are zero.
    pub(crate) data: &'a [u8],
    pub(crate) write: bool,
    pub(crate) execute: bool,
}

impl Segment<'_> {
    /// Returns the pages that contain it.
    pub(crate) fn pages(&self) -> Extent {
        let start = self.memory.start / PAGE * PAGE;
        Extent { start, size: self.memory.end().next_multiple_of(PAGE) - start }
    }
}

/// Returns the error for a program that can't be read as ELF.
pub(crate) fn unreadable(error: object::read::Error) -> Error {
    Error::Elf { reason: error.to_string() }
}
