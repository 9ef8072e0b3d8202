//! Reads blocks of files.

use super::{Data, in_a_row};
use crate::cache::{DataFrame, Retention};
use crate::error::Result;
use crate::format::block::{BLOCK_BYTES, Kind};
use crate::format::item::Key;
use crate::format::numbers::{FileBlock, InodeNo};
use crate::format::pointer::Pointer;

impl Data {
    /// Returns the frame of a block of a file. Reads the block if it is not in the cache.
    pub(crate) fn frame(&mut self, at: FileBlock) -> Result<DataFrame> {
        if let Some(frame) = self.cache_mut().find_data(at) {
            return Ok(frame);
        }
        let pointer = self.pointer(at)?;
        let mut bytes = self.cache_mut().spare();
        let filled = match &pointer {
            Some(pointer) => self.store_mut().load(Kind::Data, pointer, &mut bytes),
            None => {
                bytes.fill(0);
                if at.index == 0 { self.read_inline(at.inode, &mut bytes[..]) } else { Ok(()) }
            }
        };
        match filled {
            Ok(()) => Ok(self.cache_mut().put_data(at, bytes, Retention::Keep)),
            Err(error) => {
                self.cache_mut().give_back(bytes);
                Err(error)
            }
        }
    }

    /// Reads the inline item of a file, if there is one. Otherwise `bytes` stays unchanged.
    #[expect(clippy::indexing_slicing, reason = "`length` is the smaller of the two lengths")]
    fn read_inline(&mut self, inode: InodeNo, bytes: &mut [u8]) -> Result<()> {
        self.space_mut().get(&Key::inline(inode), |value| {
            let length = value.len().min(bytes.len());
            bytes[..length].copy_from_slice(&value[..length]);
        })?;
        Ok(())
    }

    /// Whether a block of a file has data, in memory or in the storage.
    pub(crate) fn has_data(&mut self, at: FileBlock) -> Result<bool> {
        Ok(self.cache().has_data(at)
            || self.pointer(at)?.is_some()
            || at.index == 0 && self.is_inline(at.inode)?)
    }

    /// Reads blocks of a file that will be needed soon into the cache, with few reads of the
    /// storage. Blocks that cannot be read are left to the later read, which reports the error.
    #[expect(clippy::indexing_slicing, reason = "`in_a_row` stays within its slice")]
    pub(crate) fn read_ahead(
        &mut self,
        from: FileBlock,
        count: u64,
        retention: Retention,
    ) -> Result<()> {
        let pointers = self.pointers(from, count)?;
        let mut at = 0;
        while at < pointers.len() {
            let run = in_a_row(&pointers[at..]);
            if run == 0 {
                at += 1;
                continue;
            }
            let wanted = &pointers[at..at + run];
            let start = FileBlock::new(from.inode, from.index + at as u64);
            at += run;
            let cached = |index| self.cache().has_data(FileBlock { index, ..start });
            if (start.index..start.index + run as u64).all(cached) {
                continue;
            }
            let mut sealed = std::mem::take(&mut self.scratch);
            sealed.resize(run * BLOCK_BYTES, 0);
            // If this fails, later reads get the blocks one by one.
            if let Some(pointer) = wanted[0]
                && self.store_mut().read(pointer.block, &mut sealed).is_ok()
            {
                self.keep_opened(start, wanted, &mut sealed, retention);
            }
            self.scratch = sealed;
        }
        Ok(())
    }

    /// Opens blocks that were read, and adds the authentic ones to the cache.
    fn keep_opened(
        &mut self,
        from: FileBlock,
        pointers: &[Option<Pointer>],
        sealed: &mut [u8],
        retention: Retention,
    ) {
        let (store, cache) = self.space_mut().tree_mut().store_and_cache();
        let blocks = sealed.as_chunks_mut::<BLOCK_BYTES>().0;
        for ((index, pointer), block) in (from.index..).zip(pointers).zip(blocks) {
            let at = FileBlock { index, ..from };
            let Some(pointer) = pointer else { continue };
            if cache.has_data(at) || store.open(Kind::Data, pointer, block).is_err() {
                continue;
            }
            let mut bytes = cache.spare();
            bytes.copy_from_slice(block);
            cache.put_data(at, bytes, retention);
        }
    }

    /// Reads whole blocks of a file directly into `bytes`, and opens them there. None of them is in
    /// the cache.
    #[expect(
        clippy::indexing_slicing,
        reason = "there is a pointer for each block, and `in_a_row` returns at most their number"
    )]
    pub(crate) fn read_direct(&mut self, from: FileBlock, bytes: &mut [u8]) -> Result<()> {
        let count = bytes.len() / BLOCK_BYTES;
        self.cache_mut().count_misses(count as u64);
        let pointers = match count {
            1 => vec![self.pointer(from)?],
            _ => self.pointers(from, count as u64)?,
        };
        let mut at = 0;
        while at < count {
            let run = in_a_row(&pointers[at..]);
            if run == 0 {
                let hole = &mut bytes[at * BLOCK_BYTES..(at + 1) * BLOCK_BYTES];
                hole.fill(0);
                if from.index + at as u64 == 0 {
                    self.read_inline(from.inode, hole)?;
                }
                at += 1;
                continue;
            }
            let place = &mut bytes[at * BLOCK_BYTES..(at + run) * BLOCK_BYTES];
            let store = self.store_mut();
            if let Some(first) = pointers[at] {
                store.read(first.block, place)?;
            }
            let blocks = place.as_chunks_mut::<BLOCK_BYTES>().0;
            for (pointer, block) in pointers[at..].iter().flatten().zip(blocks) {
                store.open(Kind::Data, pointer, block)?;
            }
            at += run;
        }
        Ok(())
    }
}
