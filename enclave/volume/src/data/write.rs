//! Writes blocks of files.

use super::Data;
use crate::error::Result;
use crate::format::block::{BLOCK_BYTES, Kind, Run};
use crate::format::item::Key;
use crate::format::limits::MAX_INLINE_BYTES;
use crate::format::numbers::{FileBlock, InodeNo, to_usize};
use crate::format::pointer::Pointer;
use crate::sealed_store::BATCH_BLOCKS;

impl Data {
    /// Seals and writes all dirty blocks of files. This is not a commit.
    pub(crate) fn flush(&mut self) -> Result<()> {
        loop {
            let batch = self.cache().dirty_from(FileBlock::MIN, BATCH_BLOCKS);
            if batch.is_empty() {
                return Ok(());
            }
            self.flush_batch(&batch)?;
        }
    }

    /// Seals and writes dirty blocks `first..end` of a file, at most `BATCH_BLOCKS` of them.
    pub(crate) fn flush_range(&mut self, inode: InodeNo, first: u64, end: u64) -> Result<()> {
        let mut batch = self.cache().dirty_from(FileBlock::new(inode, first), BATCH_BLOCKS);
        batch.retain(|at| at.inode == inode && at.index < end);
        self.flush_batch(&batch)
    }

    fn flush_batch(&mut self, batch: &[FileBlock]) -> Result<()> {
        let blocks = self.flush_inline(batch)?;
        self.write_cached(&blocks)
    }

    /// Writes small files into the tree, and returns the blocks of all others.
    pub(super) fn flush_inline(&mut self, batch: &[FileBlock]) -> Result<Vec<FileBlock>> {
        self.space_mut().fill_pool()?;
        let mut blocks = Vec::with_capacity(batch.len());
        for &at in batch {
            if at.index == 0 && self.inodes.get(at.inode)?.size <= MAX_INLINE_BYTES {
                self.write_inline(at.inode)?;
            } else {
                blocks.push(at);
            }
        }
        Ok(blocks)
    }

    /// Writes a small file into the tree, as an inline item.
    #[expect(clippy::indexing_slicing, reason = "the file has at most `MAX_INLINE_BYTES`")]
    fn write_inline(&mut self, inode: InodeNo) -> Result<()> {
        let length = to_usize(self.inodes.get(inode)?.size);
        let at = FileBlock::new(inode, 0);
        let (key, extents) = (Key::inline(inode), Key::extents(at));
        let had = self.pointer(at)?.is_some();
        self.space_mut().prepare(&key)?;
        if had {
            self.space_mut().prepare(&extents)?;
        }
        let Some(frame) = self.cache_mut().find_data(at) else { return Ok(()) };
        let mut bytes = [0; to_usize(MAX_INLINE_BYTES)];
        bytes[..length].copy_from_slice(&self.cache().data(frame)[..length]);
        let result = self
            .space_mut()
            .put(&key, &bytes[..length])
            .and_then(|()| if had { self.set_pointers(&extents, &[(0, None)]) } else { Ok(()) });
        self.health_mut().poison_on_error(result)?;
        self.mark_clean(&[at]);
        Ok(())
    }

    /// Writes dirty blocks of files, which are in order, and marks them as clean.
    #[expect(clippy::indexing_slicing, reason = "`write_blocks` asks only for given blocks")]
    fn write_cached(&mut self, blocks: &[FileBlock]) -> Result<()> {
        self.write_blocks(blocks, |data, range, to| {
            for at in &blocks[range] {
                to.extend_from_slice(data.cache().dirty_block(*at));
            }
        })?;
        self.mark_clean(blocks);
        Ok(())
    }

    /// Writes whole blocks of a file without the cache, which forgets them.
    #[expect(clippy::indexing_slicing, reason = "`write_blocks` asks only for given blocks")]
    pub(crate) fn write_direct(&mut self, from: FileBlock, bytes: &[u8]) -> Result<()> {
        let count = (bytes.len() / BLOCK_BYTES) as u64;
        let indices = from.index..from.index + count;
        let blocks: Vec<FileBlock> = indices.map(|index| FileBlock { index, ..from }).collect();
        self.write_blocks(&blocks, |_, range, to| {
            to.extend_from_slice(&bytes[range.start * BLOCK_BYTES..range.end * BLOCK_BYTES]);
        })?;
        blocks.iter().for_each(|at| self.cache_mut().forget_data(*at));
        Ok(())
    }

    /// Writes blocks of files, which are in order. `gather` appends the bytes of a range of them.
    fn write_blocks(
        &mut self,
        blocks: &[FileBlock],
        gather: impl Fn(&Self, std::ops::Range<usize>, &mut Vec<u8>),
    ) -> Result<()> {
        self.prepare_pointers(blocks)?;
        let mut pointers = Vec::with_capacity(blocks.len());
        let mut scratch = std::mem::take(&mut self.scratch);
        let placed = self.place_blocks(blocks.len(), gather, &mut scratch, &mut pointers);
        self.scratch = scratch;
        if let Err(error) = placed {
            pointers.iter().for_each(|pointer| self.space_mut().free_unused(pointer.block));
            return Err(error);
        }
        let result = self.point_to(blocks, &pointers);
        self.health_mut().poison_on_error(result)
    }

    /// Takes free blocks, and seals and writes the data to them.
    fn place_blocks(
        &mut self,
        blocks: usize,
        gather: impl Fn(&Self, std::ops::Range<usize>, &mut Vec<u8>),
        scratch: &mut Vec<u8>,
        pointers: &mut Vec<Pointer>,
    ) -> Result<()> {
        let mut at = 0;
        while at < blocks {
            let want = (blocks - at).min(BATCH_BLOCKS);
            #[expect(clippy::cast_possible_truncation, reason = "at most `BATCH_BLOCKS`")]
            let runs = self.space_mut().take_runs(want as u32)?;
            let end = at + runs.iter().map(|run| run.count as usize).sum::<usize>();
            scratch.clear();
            gather(self, at..end, scratch);
            at = end;
            self.write_runs(&runs, scratch, pointers)?;
        }
        Ok(())
    }

    /// Writes blocks of files to runs that were taken for them, and frees the runs if that fails.
    /// The cache is not affected, because the contents are the same.
    pub(crate) fn move_to(
        &mut self,
        runs: &[Run],
        blocks: &[FileBlock],
        bytes: &mut [u8],
    ) -> Result<()> {
        if let Err(error) = self.prepare_pointers(blocks) {
            runs.iter().for_each(|run| self.space_mut().free_unused_run(*run));
            return Err(error);
        }
        let mut pointers = Vec::with_capacity(blocks.len());
        self.write_runs(runs, bytes, &mut pointers)?;
        let result = self.point_to(blocks, &pointers);
        self.health_mut().poison_on_error(result)
    }

    /// Seals blocks and writes them to runs that were taken for them. Frees the runs if that fails.
    fn write_runs(
        &mut self,
        runs: &[Run],
        bytes: &mut [u8],
        pointers: &mut Vec<Pointer>,
    ) -> Result<()> {
        let first = pointers.len();
        let store = self.store_mut();
        let blocks = bytes.as_chunks_mut::<BLOCK_BYTES>().0;
        let sealed =
            runs.iter().flat_map(|run| run.blocks()).zip(blocks).try_for_each(|(block, bytes)| {
                pointers.push(store.seal(Kind::Data, block, bytes)?);
                Ok(())
            });
        let result = sealed.and_then(|()| store.write_runs(runs, bytes));
        if result.is_err() {
            pointers.truncate(first);
            runs.iter().for_each(|run| self.space_mut().free_unused_run(*run));
        }
        result
    }

    /// Marks blocks as clean, because they were written.
    pub(super) fn mark_clean(&mut self, blocks: &[FileBlock]) {
        let cache = self.cache_mut();
        for at in blocks {
            if let Some(frame) = cache.find_data(*at) {
                cache.mark_data_clean(frame);
            }
        }
    }
}
