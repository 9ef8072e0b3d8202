//! Blocks of files, between the cache and the storage.

mod pointers;

use crate::cache::{Frame, Name};
use crate::error::{Error, Result};
use crate::format::block::{BLOCK_BYTES, Kind, Run, is_in_ring};
use crate::format::extents;
use crate::format::extents::GROUP;
use crate::format::item::Key;
use crate::format::limits::MAX_INLINE_BYTES;
use crate::format::pointer::Pointer;
use crate::tree::flush::BATCH_BLOCKS;
use crate::volume::Volume;
use std::collections::BTreeSet;

/// The first of the pointers that lead to blocks in a row.
fn in_a_row(pointers: &[Option<Pointer>]) -> usize {
    let Some(Some(first)) = pointers.first() else { return 0 };
    pointers
        .iter()
        .zip(first.block..)
        .take_while(|(pointer, block)| pointer.is_some_and(|pointer| pointer.block == *block))
        .count()
}

impl Volume {
    /// A block of a file in the cache.
    pub(crate) fn data(&mut self, inode: u64, index: u64) -> Result<Frame> {
        let name = Name::Data(inode, index);
        if let Some(frame) = self.cache.find(name) {
            return Ok(frame);
        }
        let pointer = self.pointer(inode, index)?;
        let mut bytes = self.cache.spare();
        let filled = match &pointer {
            Some(pointer) => self.store.load(Kind::Data, pointer, &mut bytes),
            None => {
                bytes.fill(0);
                if index == 0 { self.read_inline(inode, &mut bytes[..]) } else { Ok(()) }
            }
        };
        match filled {
            Ok(()) => Ok(self.cache.put(name, bytes, false)),
            Err(error) => {
                self.cache.give_back(bytes);
                Err(error)
            }
        }
    }

    /// The first bytes of a file that lies in the tree; leaves `bytes` alone for others.
    pub(crate) fn read_inline(&mut self, inode: u64, bytes: &mut [u8]) -> Result<()> {
        self.get(&Key::inline(inode), |value| {
            let length = value.len().min(bytes.len());
            bytes[..length].copy_from_slice(&value[..length]);
        })?;
        Ok(())
    }

    /// Whether a block of a file holds anything, in memory or in the storage.
    pub(crate) fn has_data(&mut self, inode: u64, index: u64) -> Result<bool> {
        Ok(self.cache.has(Name::Data(inode, index))
            || self.pointer(inode, index)?.is_some()
            || index == 0 && self.has(&Key::inline(inode))?)
    }

    /// Brings blocks of a file into the cache that will be read soon, with few reads of the
    /// storage. A block that can't be brought is left to whoever reads it.
    /// `once`: they are not wanted after that.
    pub(crate) fn read_ahead(
        &mut self,
        inode: u64,
        first: u64,
        count: u64,
        once: bool,
    ) -> Result<()> {
        let pointers = self.pointers(inode, first, count)?;
        let mut at = 0;
        while at < pointers.len() {
            let run = in_a_row(&pointers[at..]);
            if run == 0 {
                at += 1;
                continue;
            }
            let wanted = &pointers[at..at + run];
            let start = first + at as u64;
            at += run;
            let cached = |index| self.cache.has(Name::Data(inode, index));
            if (start..start + run as u64).all(cached) {
                continue;
            }
            let mut scratch = std::mem::take(&mut self.scratch);
            scratch.resize(run * BLOCK_BYTES, 0);
            // If one of them can't be read, the others are read one by one.
            if let Some(pointer) = wanted[0]
                && self.store.read(pointer.block, &mut scratch).is_ok()
            {
                self.keep_opened((inode, start), wanted, &mut scratch, once);
            }
            self.scratch = scratch;
        }
        Ok(())
    }

    /// Opens blocks that were read, and keeps those that are authentic.
    fn keep_opened(
        &mut self,
        (inode, first): (u64, u64),
        pointers: &[Option<Pointer>],
        sealed: &mut [u8],
        once: bool,
    ) {
        let blocks = sealed.as_chunks_mut::<BLOCK_BYTES>().0;
        for ((index, pointer), block) in (first..).zip(pointers).zip(blocks) {
            let name = Name::Data(inode, index);
            let Some(pointer) = pointer else { continue };
            if self.cache.has(name) || self.store.open(Kind::Data, pointer, block).is_err() {
                continue;
            }
            let mut bytes = self.cache.spare();
            bytes.copy_from_slice(block);
            if once {
                self.cache.put_once(name, bytes);
            } else {
                self.cache.put(name, bytes, false);
            }
        }
    }

    /// Reads whole blocks of a file, none of which is in the cache, straight to where they
    /// are wanted, and opens them there.
    pub(crate) fn read_direct(&mut self, inode: u64, first: u64, bytes: &mut [u8]) -> Result<()> {
        let count = bytes.len() / BLOCK_BYTES;
        let pointers = match count {
            1 => vec![self.pointer(inode, first)?],
            _ => self.pointers(inode, first, count as u64)?,
        };
        let mut at = 0;
        while at < count {
            let run = in_a_row(&pointers[at..]);
            if run == 0 {
                let hole = &mut bytes[at * BLOCK_BYTES..(at + 1) * BLOCK_BYTES];
                hole.fill(0);
                if first + at as u64 == 0 {
                    self.read_inline(inode, hole)?;
                }
                at += 1;
                continue;
            }
            let place = &mut bytes[at * BLOCK_BYTES..(at + run) * BLOCK_BYTES];
            if let Some(first) = pointers[at] {
                self.store.read(first.block, place)?;
            }
            let blocks = place.as_chunks_mut::<BLOCK_BYTES>().0;
            for (pointer, block) in pointers[at..].iter().flatten().zip(blocks) {
                self.store.open(Kind::Data, pointer, block)?;
            }
            at += run;
        }
        Ok(())
    }

    /// Writes all dirty blocks of files; if they are few, only with the commit that will
    /// follow: then it gives them, and they stay dirty until they are written.
    pub(crate) fn flush_for_commit(&mut self) -> Result<Vec<(u64, u64)>> {
        let dirty = self.cache.dirty_data();
        if dirty == 0 || self.log.wants_tree() || !self.log.can_stage(dirty) {
            self.flush_data()?;
            return Ok(Vec::new());
        }
        let batch = self.cache.dirty_from((0, 0), dirty);
        let blocks = self.flush_inline(&batch)?;
        self.prepare_blocks(&blocks)?;
        let cached = blocks.iter().map(|&(inode, index)| self.cache.dirty_block(inode, index));
        let pointers = self.log.stage(&mut self.store, cached)?;
        let result = self.point_to(&blocks, &pointers);
        self.poison_on_error(result)?;
        Ok(blocks)
    }

    /// Writes the blocks that are in the log's ring anew, to places of their own.
    pub(crate) fn move_ring_blocks(&mut self) -> Result<()> {
        let ring_blocks = self.log.take_ring_blocks();
        let result = self.move_out(&ring_blocks);
        if result.is_err() {
            self.log.add_ring_blocks(ring_blocks);
        }
        result
    }

    fn move_out(&mut self, ring_blocks: &BTreeSet<(u64, u64)>) -> Result<()> {
        for &(inode, index) in ring_blocks {
            let pointer = self.pointer(inode, index)?;
            if !pointer.is_some_and(|pointer| is_in_ring(pointer.block)) {
                continue;
            }
            match self.data(inode, index) {
                Ok(frame) => self.cache.dirty(frame),
                // It is lost, as the file's reader will be told.
                Err(error @ Error::NotAuthentic { .. }) => self.record_error(&error),
                Err(error) => return Err(error),
            }
        }
        self.flush_data()
    }

    /// Seals and writes all dirty blocks of files. That is no commit.
    pub(crate) fn flush_data(&mut self) -> Result<()> {
        loop {
            let batch = self.cache.dirty_from((0, 0), BATCH_BLOCKS);
            if batch.is_empty() {
                return Ok(());
            }
            self.flush_batch(&batch)?;
        }
    }

    /// Seals and writes the dirty ones among some blocks of a file.
    pub(crate) fn flush_range(&mut self, inode: u64, first: u64, end: u64) -> Result<()> {
        let mut batch = self.cache.dirty_from((inode, first), BATCH_BLOCKS);
        batch.retain(|&(of, index)| of == inode && index < end);
        self.flush_batch(&batch)
    }

    fn flush_batch(&mut self, batch: &[(u64, u64)]) -> Result<()> {
        let blocks = self.flush_inline(batch)?;
        self.write_blocks(&blocks, None)
    }

    /// Puts files that are small enough into the tree; the blocks of others.
    fn flush_inline(&mut self, batch: &[(u64, u64)]) -> Result<Vec<(u64, u64)>> {
        self.fill_reserve()?;
        let mut blocks = Vec::with_capacity(batch.len());
        for &(inode, index) in batch {
            if index == 0 && self.inode(inode)?.size <= MAX_INLINE_BYTES {
                self.write_inline(inode)?;
            } else {
                blocks.push((inode, index));
            }
        }
        Ok(blocks)
    }

    /// Puts the start of a small file into the tree.
    fn write_inline(&mut self, inode: u64) -> Result<()> {
        let length = self.inode(inode)?.size as usize;
        let key = Key::inline(inode);
        let extents = extents::key(inode, 0);
        let had = self.pointer(inode, 0)?.is_some();
        self.prepare(&key)?;
        if had {
            self.prepare(&extents)?;
        }
        let name = Name::Data(inode, 0);
        let Some(frame) = self.cache.find(name) else { return Ok(()) };
        let mut bytes = [0; MAX_INLINE_BYTES as usize];
        bytes[..length].copy_from_slice(&self.cache.bytes(frame)[..length]);
        let result = self
            .put(&key, &bytes[..length])
            .and_then(|()| if had { self.set_pointers(&extents, &[(0, None)]) } else { Ok(()) });
        self.poison_on_error(result)?;
        if let Some(frame) = self.cache.find(name) {
            self.cache.clean(frame);
        }
        Ok(())
    }

    /// Writes blocks of files: those given one after the other in `bytes`, or else from the
    /// cache, where they are clean then. They are in order.
    pub(crate) fn write_blocks(
        &mut self,
        blocks: &[(u64, u64)],
        bytes: Option<&[u8]>,
    ) -> Result<()> {
        self.prepare_blocks(blocks)?;
        let mut pointers = Vec::with_capacity(blocks.len());
        if let Err(error) = self.place_blocks(blocks, bytes, &mut pointers) {
            pointers.iter().for_each(|pointer| self.space.free_now(pointer.block));
            return Err(error);
        }
        let result = self.point_to(blocks, &pointers);
        self.poison_on_error(result)?;
        match bytes {
            Some(_) => blocks
                .iter()
                .for_each(|&(inode, index)| self.cache.forget(Name::Data(inode, index))),
            None => self.clean_blocks(blocks),
        }
        Ok(())
    }

    /// Writes blocks of files to runs that were taken for them, which are given back if that fails.
    /// What the cache holds of them is the same.
    pub(crate) fn write_to(
        &mut self,
        runs: &[Run],
        blocks: &[(u64, u64)],
        bytes: &mut [u8],
    ) -> Result<()> {
        if let Err(error) = self.prepare_blocks(blocks) {
            runs.iter().for_each(|run| self.space.free_run(*run));
            return Err(error);
        }
        let mut pointers = Vec::with_capacity(blocks.len());
        self.write_runs(runs, bytes, &mut pointers)?;
        let result = self.point_to(blocks, &pointers);
        self.poison_on_error(result)
    }

    /// Blocks in the cache were written.
    pub(crate) fn clean_blocks(&mut self, blocks: &[(u64, u64)]) {
        for &(inode, index) in blocks {
            if let Some(frame) = self.cache.find(Name::Data(inode, index)) {
                self.cache.clean(frame);
            }
        }
    }

    /// Makes sure that pointers to these blocks can be set.
    fn prepare_blocks(&mut self, blocks: &[(u64, u64)]) -> Result<()> {
        for group in blocks.chunk_by(same_group) {
            let (inode, index) = group[0];
            self.prepare(&extents::key(inode, index))?;
            if index == 0 && self.has(&Key::inline(inode))? {
                self.prepare(&Key::inline(inode))?;
            }
        }
        Ok(())
    }

    /// Finds places for blocks, seals and writes them.
    fn place_blocks(
        &mut self,
        blocks: &[(u64, u64)],
        bytes: Option<&[u8]>,
        pointers: &mut Vec<Pointer>,
    ) -> Result<()> {
        let mut scratch = std::mem::take(&mut self.scratch);
        let mut result = Ok(());
        let mut at = 0;
        while at < blocks.len() && result.is_ok() {
            let want = (blocks.len() - at).min(BATCH_BLOCKS);
            result = self.take_runs(want as u32).and_then(|runs| {
                let end = at + runs.iter().map(|run| run.count as usize).sum::<usize>();
                scratch.clear();
                match bytes {
                    Some(bytes) => {
                        scratch.extend_from_slice(&bytes[at * BLOCK_BYTES..end * BLOCK_BYTES]);
                    }
                    None => self.gather(&blocks[at..end], &mut scratch),
                }
                at = end;
                self.write_runs(&runs, &mut scratch, pointers)
            });
        }
        self.scratch = scratch;
        result
    }

    /// Appends blocks of files that are in the cache.
    fn gather(&self, blocks: &[(u64, u64)], to: &mut Vec<u8>) {
        for &(inode, index) in blocks {
            to.extend_from_slice(self.cache.dirty_block(inode, index));
        }
    }

    /// Seals blocks and writes them to runs that were taken for them; gives these back if that
    /// fails.
    fn write_runs(
        &mut self,
        runs: &[Run],
        bytes: &mut [u8],
        pointers: &mut Vec<Pointer>,
    ) -> Result<()> {
        let first = pointers.len();
        let blocks = bytes.as_chunks_mut::<BLOCK_BYTES>().0;
        let sealed =
            runs.iter().flat_map(|run| run.blocks()).zip(blocks).try_for_each(|(block, bytes)| {
                pointers.push(self.store.seal(Kind::Data, block, bytes)?);
                Ok(())
            });
        let result = sealed.and_then(|()| self.store.write_runs(runs, bytes));
        if result.is_err() {
            pointers.truncate(first);
            runs.iter().for_each(|run| self.space.free_run(*run));
        }
        result
    }

    /// Sets the pointers of blocks that were written.
    fn point_to(&mut self, blocks: &[(u64, u64)], pointers: &[Pointer]) -> Result<()> {
        let mut at = 0;
        for group in blocks.chunk_by(same_group) {
            let (inode, first) = group[0];
            let changes: Vec<(usize, Option<Pointer>)> = group
                .iter()
                .zip(&pointers[at..])
                .map(|(&(_, index), pointer)| (extents::place(index), Some(*pointer)))
                .collect();
            at += group.len();
            self.set_pointers(&extents::key(inode, first), &changes)?;
            if first == 0 && self.has(&Key::inline(inode))? {
                self.remove(&Key::inline(inode))?;
            }
        }
        Ok(())
    }
}

fn same_group(a: &(u64, u64), b: &(u64, u64)) -> bool {
    a.0 == b.0 && a.1 / GROUP == b.1 / GROUP
}
