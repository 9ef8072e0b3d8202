//! Blocks of files that are written with a commit into the log's ring, and that leave it.

use super::Data;
use crate::error::{Error, Result};
use crate::format::block::is_in_ring;
use crate::format::numbers::FileBlock;
use crate::log::Log;
use std::collections::BTreeSet;

impl Data {
    /// Writes all dirty blocks of files; if they are few, only with the commit that will
    /// follow: then it gives them, and they stay dirty until they are [written](Self::staged_written).
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

    /// The commit that blocks were staged for was written.
    pub(crate) fn staged_written(&mut self, staged: &[FileBlock]) {
        self.mark_clean(staged);
    }

    /// Writes the blocks that are in the log's ring anew, to places of their own.
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
                // It is lost, as the file's reader will be told.
                Err(error @ Error::NotAuthentic { .. }) => self.health_mut().record_error(&error),
                Err(error) => return Err(error),
            }
        }
        self.flush()
    }
}
