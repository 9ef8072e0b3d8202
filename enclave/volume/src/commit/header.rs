//! Changes the header.

use super::Engine;
use crate::error::Result;
use crate::format::block::{HEADER_COPIES, HEADER_START};
use crate::header::Header;

impl Engine {
    /// Replaces the header. Each state names its header, so that nobody can put back the old one
    /// alone. So this writes the first copy, then commits a state that names it, then writes the
    /// second copy. At any crash, at least one copy is the one that the newest state names.
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
        // The next mount finds out which copy is new, and which one counts.
        stored.or_else(|error| self.health_mut().stop(error))
    }

    /// Writes all copies of the header, the first copy last, and waits for each to become durable.
    pub(crate) fn store_new_header(&mut self) -> Result<()> {
        (0..HEADER_COPIES).rev().try_for_each(|copy| self.store_header_copy(copy))
    }

    fn store_header_copy(&mut self, copy: u64) -> Result<()> {
        self.write_header_copy(copy)?;
        self.sync()
    }

    /// Writes one copy of the header, without making it durable.
    pub(super) fn write_header_copy(&mut self, copy: u64) -> Result<()> {
        let bytes = self.header.encode(self.volume_key());
        self.store_mut().write(HEADER_START + copy, &bytes[..])
    }
}
