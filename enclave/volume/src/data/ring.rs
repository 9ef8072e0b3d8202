//! Blocks of files that a commit writes into the log's ring, and that later leave it.

use super::Data;
use crate::error::{Error, Result};
use crate::format::block::is_in_ring;
use crate::format::numbers::FileBlock;
use crate::log::Log;
use std::collections::BTreeSet;

impl Data {
    /// Writes all dirty blocks of files. If they are few, stages them for the next commit instead,
    /// and returns them: they stay dirty until they are [written](Self::staged_written).
    pub(crate) fn flush_for_commit(&mut self, log: &mut Log) -> Result<Vec<FileBlock>> {
        let dirty = self.cache().dirty_data();
        if dirty == 0 || log.wants_tree() || !log.can_stage(dirty) {
            self.flush()?;
            return Ok(Vec::new());
        }
        let batch = self.cache().dirty_from(FileBlock::MIN, dirty);
        let blocks = self.flush_inline(&batch)?;
        self.prepare_pointers(&blocks)?;
        let (store, cache) = self.space_mut().tree_mut().store_and_cache();
        let pointers = log.stage(store, blocks.iter().map(|at| cache.dirty_block(*at)))?;
        let result = self.point_to(&blocks, &pointers);
        self.health_mut().poison_on_error(result)?;
        Ok(blocks)
    }

    /// Marks staged blocks as clean, because their commit was written.
    pub(crate) fn staged_written(&mut self, staged: &[FileBlock]) {
        self.mark_clean(staged);
    }

    /// Writes the blocks that are in the log's ring again, to blocks outside it.
    pub(crate) fn move_ring_blocks(&mut self, log: &mut Log) -> Result<()> {
        let blocks = log.take_ring_blocks();
        let result = self.move_out(&blocks);
        if result.is_err() {
            log.add_ring_blocks(blocks);
        }
        result
    }

    fn move_out(&mut self, blocks: &BTreeSet<FileBlock>) -> Result<()> {
        for &at in blocks {
            let pointer = self.pointer(at)?;
            if !pointer.is_some_and(|pointer| is_in_ring(pointer.block)) {
                continue;
            }
            match self.frame(at) {
                Ok(frame) => self.cache_mut().mark_data_dirty(frame),
                // The block is lost. Whoever reads the file gets an error.
                Err(error @ Error::NotAuthentic { .. }) => self.health_mut().record_error(&error),
                Err(error) => return Err(error),
            }
        }
        self.flush()
    }
}
