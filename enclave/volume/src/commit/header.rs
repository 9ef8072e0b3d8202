//! Changing the header.

use super::Engine;
use crate::error::Result;
use crate::format::block::{HEADER_COPIES, HEADER_START};
use crate::header::Header;

impl Engine {
    /// Changes the header. A commit says which header counts, so that nobody can put back the old one
    /// alone: the first copy is written, then the commit names it, then the second copy is written. So
    /// one copy at least is the one that the newest commit names, wherever a crash comes.
    pub(crate) fn replace_header(&mut self, header: Header) -> Result<()> {
        self.recover()?;
        let generation = self.header.generation + 1;
        self.header = Header { generation, ..header };
        self.header_mac = self.header.mac(self.volume_key());
        self.log.need_tree();
        let stored = self
            .store_header_copy(0)
            .and_then(|()| self.commit())
            .and_then(|()| self.store_header_copy(HEADER_COPIES - 1));
        // Which copy is new, and which one counts, the next mount finds out.
        stored.or_else(|error| self.health_mut().stop(error))
    }

    /// Writes all copies of the header, the first one last, and waits until each is durable.
    pub(crate) fn store_new_header(&mut self) -> Result<()> {
        (0..HEADER_COPIES).rev().try_for_each(|copy| self.store_header_copy(copy))
    }

    fn store_header_copy(&mut self, copy: u64) -> Result<()> {
        self.write_header_copy(copy)?;
        self.sync()
    }

    /// Writes a copy of the header, which is not durable yet.
    pub(super) fn write_header_copy(&mut self, copy: u64) -> Result<()> {
        let bytes = self.header.encode(self.volume_key());
        self.store_mut().write(HEADER_START + copy, &bytes[..])
    }
}
