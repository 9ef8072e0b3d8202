//! Reads, writes and resizes files.

use super::Files;
use crate::cache::{DataFrame, Retention};
use crate::error::{Error, Result};
use crate::format::block::{BLOCK_BYTES, blocks_of};
use crate::format::item::Key;
use crate::format::limits::MAX_FILE_BYTES;
use crate::format::numbers::{FileBlock, InodeNo, to_usize};
use crate::inode_table::Times;
use crate::sealed_store::BATCH_BLOCKS;

/// Minimum number of whole blocks that are read or written without the cache.
const DIRECT_BLOCKS: usize = 16;

/// Number of blocks that are read into the cache ahead of a sequential reader.
const AHEAD_BLOCKS: u64 = 32;

/// Limit on the bytes that one step writes into the cache before it makes room again.
const CHUNK_BYTES: u64 = 64 * BLOCK_BYTES as u64;

/// Blocks of a sequential writer are written to the storage in units of this many bytes.
const STREAM_BYTES: u64 = 128 * BLOCK_BYTES as u64;

const BLOCK: u64 = BLOCK_BYTES as u64;

/// The pattern of reads of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pattern {
    /// The read begins where the last one ended.
    Sequential,
    Random,
}

/// Whether a write needs the old contents of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Old {
    Needed,
    Replaced,
}

impl Files {
    /// Reads into `bytes`. Returns the number of bytes before the end of the file.
    pub(crate) fn read_file(
        &mut self,
        inode: InodeNo,
        offset: u64,
        bytes: &mut [u8],
    ) -> Result<usize> {
        let size = self.inodes().file(inode)?.size;
        let (bytes, _) = bytes.split_at_mut(to_usize(size.saturating_sub(offset)).min(bytes.len()));
        let length = bytes.len();
        let expected = self.inodes().read_position(inode, offset + length as u64);
        let pattern = if expected == offset { Pattern::Sequential } else { Pattern::Random };
        let result = self.read_range(inode, offset, bytes, size, pattern);
        if result.is_err() {
            bytes.fill(0);
        }
        result.map(|()| length)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "`done` stays within `bytes`, and `count` within the rest of them and of the block"
    )]
    fn read_range(
        &mut self,
        inode: InodeNo,
        offset: u64,
        bytes: &mut [u8],
        size: u64,
        pattern: Pattern,
    ) -> Result<()> {
        let retention = if self.outgrows_cache(size) { Retention::Evict } else { Retention::Keep };
        let mut done = 0;
        while done < bytes.len() {
            let position = offset + done as u64;
            let index = position / BLOCK;
            let within = (position % BLOCK) as usize;
            let at = FileBlock::new(inode, index);
            let rest = &mut bytes[done..];
            if within == 0 {
                let count = self.count_past_cache(at, rest.len() / BLOCK_BYTES, pattern);
                if count > 0 {
                    self.data().read_direct(at, &mut rest[..count * BLOCK_BYTES])?;
                    done += count * BLOCK_BYTES;
                    continue;
                }
            }
            let data = self.data();
            if pattern == Pattern::Sequential && !data.cache().has_data(at) {
                let ahead = AHEAD_BLOCKS.min(blocks_of(size) - index);
                data.read_ahead(at, ahead, retention)?;
            }
            let frame = data.frame(at)?;
            let count = rest.len().min(BLOCK_BYTES - within);
            rest[..count].copy_from_slice(&data.cache().data(frame)[within..within + count]);
            if within + count == BLOCK_BYTES {
                data.cache_mut().pass(frame);
            }
            done += count;
        }
        Ok(())
    }

    /// Returns the first offset from `offset` on at which a file has data, in memory or in the
    /// storage.
    pub(crate) fn data_from(&mut self, inode: InodeNo, offset: u64) -> Result<Option<u64>> {
        let size = self.inodes().file(inode)?.size;
        if offset >= size {
            return Ok(None);
        }
        let first = offset / BLOCK;
        let from = FileBlock::new(inode, first);
        let data = self.data();
        let unwritten = data.cache().dirty_from(from, 1);
        let unwritten = unwritten.iter().filter(|at| at.inode == inode).map(|at| at.index);
        let inline = first == 0 && data.is_inline(inode)?;
        let written = if inline { Some(0) } else { data.pointer_from(from)? };
        let next = unwritten.chain(written).min().filter(|&index| index < blocks_of(size));
        Ok(next.map(|index| offset.max(index * BLOCK)))
    }

    /// Whether a file is larger than the cache. After a sequential pass over such a file, the cache
    /// has nothing left of its start.
    fn outgrows_cache(&self, size: u64) -> bool {
        size > (self.engine.data().cache().budget() * BLOCK_BYTES) as u64
    }

    /// Returns how many of the next whole blocks, at most `most`, should be read without the cache:
    /// many at once, or one that was not requested lately.
    fn count_past_cache(&mut self, from: FileBlock, most: usize, pattern: Pattern) -> usize {
        let cache = self.data().cache_mut();
        if most >= DIRECT_BLOCKS {
            let absent = |&index: &u64| !cache.has_data(FileBlock { index, ..from });
            let count = (from.index..).take(most).take_while(absent).count();
            return if count >= DIRECT_BLOCKS { count } else { 0 };
        }
        let alone = most > 0 && pattern == Pattern::Random;
        usize::from(alone && !cache.has_data(from) && !cache.was_seen(from))
    }

    /// Writes all of `bytes`. After an error, returns how many were written before it, if any were.
    #[expect(clippy::indexing_slicing, reason = "`write_chunk` writes at most what it was given")]
    pub(crate) fn write_file(
        &mut self,
        inode: InodeNo,
        offset: u64,
        bytes: &[u8],
    ) -> Result<usize> {
        self.check_writable()?;
        self.inodes().file(inode)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let fits = offset.checked_add(bytes.len() as u64).is_some_and(|end| end <= MAX_FILE_BYTES);
        if !fits {
            return Err(twine_vfs::Error::FileTooBig.into());
        }
        self.finish_cut(inode)?;
        let mut done = 0;
        while done < bytes.len() {
            match self.write_chunk(inode, offset + done as u64, &bytes[done..]) {
                Ok(count) => done += count,
                Err(error) if done == 0 => return Err(error),
                Err(error) => {
                    self.health().record_error(&error);
                    break;
                }
            }
        }
        Ok(done)
    }

    /// Writes a part of `bytes`, and returns its length.
    #[expect(clippy::indexing_slicing, reason = "`length` is at most that of `bytes`")]
    fn write_chunk(&mut self, inode: InodeNo, offset: u64, bytes: &[u8]) -> Result<usize> {
        self.engine.make_room()?;
        let whole = bytes.len() / BLOCK_BYTES;
        let index = offset / BLOCK;
        let count = if offset.is_multiple_of(BLOCK) && whole >= DIRECT_BLOCKS {
            let count = whole.min(BATCH_BLOCKS);
            let length = count * BLOCK_BYTES;
            self.engine.reserve_for_dirty(count as u64)?;
            self.data().write_direct(FileBlock::new(inode, index), &bytes[..length])?;
            length
        } else {
            // End at a multiple of the chunk size, so that large writes become aligned.
            let length = to_usize(CHUNK_BYTES - offset % CHUNK_BYTES).min(bytes.len());
            self.engine.reserve_for_dirty(blocks_of(length as u64) + 1)?;
            self.write_cached(inode, offset, &bytes[..length])?
        };
        let end = offset + count as u64;
        self.inodes().change(inode, Times::CONTENTS, |attributes| {
            attributes.size = attributes.size.max(end);
        })?;
        if self.inodes().write_position(inode, end) == offset && end % STREAM_BYTES < count as u64 {
            // Write a unit that a sequential writer has filled, while the CPU's caches have it. If
            // that fails, the blocks stay dirty, and a later flush tries again.
            let first = (end / STREAM_BYTES).saturating_sub(1) * STREAM_BYTES / BLOCK;
            let last = end / STREAM_BYTES * STREAM_BYTES / BLOCK;
            match self.data().flush_range(inode, first, last) {
                Ok(()) if self.outgrows_cache(end) => {
                    let cache = self.data().cache_mut();
                    (first..last).for_each(|index| cache.release_data(FileBlock { inode, index }));
                }
                Ok(()) => {}
                Err(error) => self.health().record_error(&error),
            }
        }
        Ok(count)
    }

    /// Writes into the cache. Returns the number of bytes written.
    #[expect(
        clippy::indexing_slicing,
        reason = "`done` stays within `bytes`, and `count` within the rest of them and of the block"
    )]
    fn write_cached(&mut self, inode: InodeNo, offset: u64, bytes: &[u8]) -> Result<usize> {
        let size = self.inodes().get(inode)?.size;
        let mut done = 0;
        while done < bytes.len() {
            let position = offset + done as u64;
            let index = position / BLOCK;
            let within = (position % BLOCK) as usize;
            let count = (bytes.len() - done).min(BLOCK_BYTES - within);
            let new = &bytes[done..done + count];
            let old = if count == BLOCK_BYTES { Old::Replaced } else { Old::Needed };
            match self.block_to_write(FileBlock::new(inode, index), size, old) {
                Ok(frame) => {
                    let cache = self.data().cache_mut();
                    cache.data_mut(frame)[within..within + count].copy_from_slice(new);
                    cache.mark_data_dirty(frame);
                }
                Err(error) if done == 0 => return Err(error),
                Err(error) => {
                    self.health().record_error(&error);
                    break;
                }
            }
            done += count;
        }
        Ok(done)
    }

    /// Returns the frame of a block that will be written to. It has the block's old contents,
    /// unless all of them will be replaced.
    fn block_to_write(&mut self, at: FileBlock, size: u64, old: Old) -> Result<DataFrame> {
        let data = self.data();
        if let Some(frame) = data.cache_mut().find_data(at) {
            return Ok(frame);
        }
        if old == Old::Needed && at.index < blocks_of(size) {
            return data.frame(at);
        }
        let mut bytes = data.cache_mut().spare();
        if old == Old::Needed {
            bytes.fill(0);
        }
        Ok(data.cache_mut().put_data(at, bytes, Retention::Keep))
    }

    /// Makes a file longer or shorter.
    pub(crate) fn resize(&mut self, inode: InodeNo, size: u64) -> Result<()> {
        self.check_writable()?;
        let old = self.inodes().file(inode)?.size;
        if size > MAX_FILE_BYTES {
            return Err(twine_vfs::Error::FileTooBig.into());
        }
        self.finish_cut(inode)?;
        self.engine.make_room()?;
        self.inodes().prepare(inode)?;
        if size < old {
            return self.shorten(inode, old, size);
        }
        self.inodes().change(inode, Times::CONTENTS, |attributes| attributes.size = size)
    }

    #[expect(clippy::indexing_slicing, reason = "`within` is an offset in a block")]
    fn shorten(&mut self, inode: InodeNo, old: u64, size: u64) -> Result<()> {
        let last = size / BLOCK;
        let within = (size % BLOCK) as usize;
        let end = blocks_of(size);
        // Bytes after the end of a file must be zero in case the file grows again.
        let tail = within > 0 && self.data().has_data(FileBlock::new(inode, last))?;
        if size == 0 && self.data().is_inline(inode)? {
            self.space().prepare(&Key::inline(inode))?;
        }
        self.begin_cut(inode, end, blocks_of(old))?;
        if tail {
            let frame = self.data().frame(FileBlock::new(inode, last))?;
            let cache = self.data().cache_mut();
            cache.data_mut(frame)[within..].fill(0);
            cache.mark_data_dirty(frame);
        }
        let result = self.shorten_prepared(inode, size, end, blocks_of(old));
        self.health().poison_on_error(result)?;
        self.go_on_cutting(inode, end);
        Ok(())
    }

    fn shorten_prepared(
        &mut self,
        inode: InodeNo,
        size: u64,
        end: u64,
        old_end: u64,
    ) -> Result<()> {
        self.data().cache_mut().forget_range(inode, end, old_end);
        self.inodes().change(inode, Times::CONTENTS, |attributes| attributes.size = size)?;
        if size == 0 { self.data().remove_inline(inode) } else { Ok(()) }
    }

    /// Ensures that there is space for a range now, and extends the file to the end of the range.
    pub(crate) fn allocate_range(
        &mut self,
        inode: InodeNo,
        offset: u64,
        length: u64,
    ) -> Result<()> {
        self.check_writable()?;
        let size = self.inodes().file(inode)?.size;
        let end = offset.checked_add(length).filter(|&end| end <= MAX_FILE_BYTES);
        let end = end.ok_or(Error::File(twine_vfs::Error::FileTooBig))?;
        self.engine.reserve(blocks_of(length) + 1)?;
        if end > size { self.resize(inode, end) } else { Ok(()) }
    }
}
