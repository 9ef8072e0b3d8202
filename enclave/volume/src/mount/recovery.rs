//! What a mount does before it writes anything: it makes durable what it found.
//!
//! What can be read is not therefore durable. When a flush has failed, an operating system may keep
//! in its cache what is not on the disk, and never write it. So what is not known to be durable is
//! written again, as it is, at its place.

use crate::error::{Error, Result};
use crate::format::block::{BLOCK_BYTES, Bytes, HEADER_COPIES, HEADER_START, Kind, zeroed};
use crate::format::pointer::{Pointer, Tag};
use crate::log;
use crate::tree::flush::BATCH_BLOCKS;
use crate::volume::Volume;

/// What a mount found.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    /// Nodes and data that are not known to be durable.
    pub(crate) blocks: Vec<(Kind, Pointer)>,
    /// Entries of the log that are not: their blocks, and their tags. Both copies of a root are
    /// among them.
    pub(crate) entries: Vec<(u64, Tag)>,
    /// Blocks with entries of commits that were dropped.
    pub(crate) dropped: Vec<u64>,
    /// A copy of the header is not the one that counts.
    pub(crate) header: bool,
}

impl Volume {
    /// Gets ready to write, once in a mount. If it fails, it is done again before the next change.
    pub(crate) fn begin_changes(&mut self) -> Result<()> {
        let Some(found) = self.recovery.take() else { return Ok(()) };
        let done = self.recover(&found);
        if done.is_err() {
            self.recovery = Some(found);
        }
        done
    }

    fn recover(&mut self, found: &Recovery) -> Result<()> {
        self.write_again(&found.blocks)?;
        for (block, tag) in &found.entries {
            self.write_entry_again(*block, tag)?;
        }
        if found.header {
            let bytes = self.header.encode(self.store.sealer.volume_key());
            for copy in 0..HEADER_COPIES {
                self.store.write(HEADER_START + copy, &bytes[..])?;
            }
        }
        self.store.sync()?;
        if !found.dropped.is_empty() {
            // They could be whole again later, when blocks of theirs have been written to.
            for block in &found.dropped {
                self.store.write(*block, &zeroed()[..])?;
            }
            self.store.sync()?;
        }
        self.log.synced(&self.store.sealer);
        self.space.durable(false);
        self.advance_anchor()
    }

    /// Writes blocks as they are to where they are.
    fn write_again(&mut self, blocks: &[(Kind, Pointer)]) -> Result<()> {
        let mut blocks = blocks.to_vec();
        blocks.sort_unstable_by_key(|(_, pointer)| pointer.block);
        blocks.dedup_by_key(|(_, pointer)| pointer.block);
        let in_a_row =
            |one: &(Kind, Pointer), next: &(Kind, Pointer)| one.1.block + 1 == next.1.block;
        for row in blocks.chunk_by(in_a_row).flat_map(|row| row.chunks(BATCH_BLOCKS)) {
            let first = row[0].1.block;
            let mut bytes = vec![0; row.len() * BLOCK_BYTES];
            self.store.read(first, &mut bytes)?;
            let mut opened = bytes.clone();
            for ((kind, pointer), block) in row.iter().zip(opened.as_chunks_mut::<BLOCK_BYTES>().0)
            {
                self.store.open(*kind, pointer, block)?;
            }
            self.store.write(first, &bytes)?;
        }
        Ok(())
    }

    /// Writes an entry of the log as it is to where it is. A second copy of a root that is not there
    /// is written from the first one.
    fn write_entry_again(&mut self, block: u64, tag: &Tag) -> Result<()> {
        let mut bytes: Box<Bytes> = zeroed();
        for from in log::copies_of(block) {
            self.store.read(from, &mut bytes[..])?;
            if log::is_entry(&mut self.store.sealer, &self.header.volume, &bytes, tag)? {
                return self.store.write(block, &bytes[..]);
            }
        }
        Err(Error::NotAuthentic { block, kind: Kind::Log.to_string() })
    }
}
