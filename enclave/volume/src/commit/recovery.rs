//! Makes durable what a mount found, before the mount writes anything else.
//!
//! Blocks that can be read need not be durable. After a failed flush, an operating system may keep
//! in its cache data that it could not write, and never write them. So every block that is not
//! known to be durable is written again, unchanged and in place.

use super::Engine;
use crate::commit::Recovery;
use crate::durability::MadeDurable;
use crate::error::{Error, Result};
use crate::format::block::{BLOCK_BYTES, BlockNo, HEADER_COPIES, Kind, zeroed};
use crate::format::pointer::{Pointer, Tag};
use crate::log;
use crate::sealed_store::BATCH_BLOCKS;

impl Engine {
    /// Makes durable what the mount found, once. If that fails, the next change tries again.
    pub(crate) fn recover(&mut self) -> Result<()> {
        let Some(found) = self.recovery.take() else { return Ok(()) };
        let done = self.make_found_durable(&found);
        if done.is_err() {
            self.recovery = Some(found);
        }
        done
    }

    fn make_found_durable(&mut self, found: &Recovery) -> Result<()> {
        self.write_again(&found.blocks)?;
        for (block, tag) in &found.entries {
            self.write_entry_again(*block, tag)?;
        }
        if found.header {
            (0..HEADER_COPIES).try_for_each(|copy| self.write_header_copy(copy))?;
        }
        self.sync()?;
        if !found.dropped.is_empty() {
            // Otherwise they could become complete later, when the blocks that they lack are
            // written.
            for block in &found.dropped {
                self.store_mut().write(*block, &zeroed()[..])?;
            }
            self.sync()?;
        }
        self.space_mut().made_durable(MadeDurable::Log);
        self.advance_anchor()
    }

    /// Writes blocks again, unchanged and in place.
    fn write_again(&mut self, blocks: &[(Kind, Pointer)]) -> Result<()> {
        let store = self.data.store_mut();
        let mut blocks = blocks.to_vec();
        blocks.sort_unstable_by_key(|(_, pointer)| pointer.block);
        blocks.dedup_by_key(|(_, pointer)| pointer.block);
        let in_a_row =
            |one: &(Kind, Pointer), next: &(Kind, Pointer)| one.1.block + 1 == next.1.block;
        for row in blocks.chunk_by(in_a_row).flat_map(|row| row.chunks(BATCH_BLOCKS)) {
            let Some((_, Pointer { block: first, .. })) = row.first() else { continue };
            let mut bytes = vec![0; row.len() * BLOCK_BYTES];
            store.read(*first, &mut bytes)?;
            let mut opened = bytes.clone();
            for ((kind, pointer), block) in row.iter().zip(opened.as_chunks_mut::<BLOCK_BYTES>().0)
            {
                store.open(*kind, pointer, block)?;
            }
            store.write(*first, &bytes)?;
        }
        Ok(())
    }

    /// Writes an entry of the log again, unchanged and in place. If it is a copy of a root and not
    /// intact, it is written from the other copy.
    fn write_entry_again(&mut self, block: BlockNo, tag: &Tag) -> Result<()> {
        let store = self.data.store_mut();
        let mut bytes = zeroed();
        for from in log::copies_of(block) {
            store.read(from, &mut bytes[..])?;
            if log::is_entry(store.sealer_mut(), &self.header.volume, &bytes, tag)? {
                return store.write(block, &bytes[..]);
            }
        }
        Err(Error::NotAuthentic { block: block.0, kind: Kind::Log.to_string() })
    }
}
