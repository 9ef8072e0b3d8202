//! Reading, writing and resizing files.

use crate::cache::{Frame, Name};
use crate::error::{Error, Result};
use crate::format::block::{BLOCK_BYTES, blocks};
use crate::format::item::Key;
use crate::format::limits::MAX_FILE_BYTES;
use crate::inode_table::Times;
use crate::tree::flush::BATCH_BLOCKS;
use crate::volume::Volume;

/// Whole blocks that are read or written past the cache at once.
const DIRECT_BLOCKS: usize = 16;

/// Blocks that are brought into the cache ahead of a reader that reads on.
const AHEAD_BLOCKS: u64 = 32;

/// Blocks that are changed before the cache is looked after.
const CHUNK_BYTES: u64 = 64 * BLOCK_BYTES as u64;

/// What a writer that writes on has filled is written in pieces of this size.
const STREAM_BYTES: u64 = 128 * BLOCK_BYTES as u64;

const BLOCK: u64 = BLOCK_BYTES as u64;

impl Volume {
    /// Reads into `bytes`; how many there were until the end of the file.
    pub(crate) fn read_file(&mut self, inode: u64, offset: u64, bytes: &mut [u8]) -> Result<usize> {
        let size = self.file(inode)?.size;
        let length = size.saturating_sub(offset).min(bytes.len() as u64) as usize;
        let bytes = &mut bytes[..length];
        let goes_on = self.inodes.read_position(inode, offset + length as u64) == offset;
        let result = self.read_range(inode, offset, bytes, size, goes_on);
        if result.is_err() {
            bytes.fill(0);
        }
        result.map(|()| length)
    }

    fn read_range(
        &mut self,
        inode: u64,
        offset: u64,
        bytes: &mut [u8],
        size: u64,
        goes_on: bool,
    ) -> Result<()> {
        let once = self.outgrows_cache(size);
        let mut done = 0;
        while done < bytes.len() {
            let position = offset + done as u64;
            let index = position / BLOCK;
            let within = (position % BLOCK) as usize;
            let rest = &mut bytes[done..];
            if within == 0 {
                let count = self.past_cache(inode, index, rest.len() / BLOCK_BYTES, goes_on);
                if count > 0 {
                    self.cache.misses += count as u64;
                    self.read_direct(inode, index, &mut rest[..count * BLOCK_BYTES])?;
                    done += count * BLOCK_BYTES;
                    continue;
                }
            }
            if goes_on && !self.cache.has(Name::Data(inode, index)) {
                let ahead = AHEAD_BLOCKS.min(blocks(size) - index);
                self.read_ahead(inode, index, ahead, once)?;
            }
            let frame = self.data(inode, index)?;
            let count = rest.len().min(BLOCK_BYTES - within);
            rest[..count].copy_from_slice(&self.cache.bytes(frame)[within..within + count]);
            if within + count == BLOCK_BYTES {
                self.cache.pass(frame);
            }
            done += count;
        }
        Ok(())
    }

    /// Where a file goes on, from `offset`, with a block that holds anything, in memory or in the
    /// storage.
    pub(crate) fn data_from(&mut self, inode: u64, offset: u64) -> Result<Option<u64>> {
        let size = self.file(inode)?.size;
        if offset >= size {
            return Ok(None);
        }
        let first = offset / BLOCK;
        let unwritten = self.cache.dirty_from((inode, first), 1);
        let unwritten = unwritten.iter().filter(|(of, _)| *of == inode).map(|(_, index)| *index);
        let inline = first == 0 && self.has(&Key::inline(inode))?;
        let written = if inline { Some(0) } else { self.pointer_from(inode, first)? };
        let next = unwritten.chain(written).min().filter(|&index| index < blocks(size));
        Ok(next.map(|index| offset.max(index * BLOCK)))
    }

    /// Whether a file of this size would leave nothing in the cache for who begins with it again
    /// after all of it was read or written in order.
    fn outgrows_cache(&self, size: u64) -> bool {
        size > (self.cache.budget() * BLOCK_BYTES) as u64
    }

    /// How many of the next whole blocks, at most `most`, are to be read past the cache: many
    /// at once, or one that nobody has asked for lately.
    fn past_cache(&mut self, inode: u64, first: u64, most: usize, goes_on: bool) -> usize {
        if most >= DIRECT_BLOCKS {
            let absent = |&index: &u64| !self.cache.has(Name::Data(inode, index));
            let count = (first..).take(most).take_while(absent).count();
            return if count >= DIRECT_BLOCKS { count } else { 0 };
        }
        let name = Name::Data(inode, first);
        let once = most > 0 && !goes_on && !self.cache.has(name) && !self.cache.seen(name);
        usize::from(once)
    }

    /// Writes all of `bytes`, or as many as could be before an error.
    pub(crate) fn write_file(&mut self, inode: u64, offset: u64, bytes: &[u8]) -> Result<usize> {
        self.check_writable()?;
        self.file(inode)?;
        if bytes.is_empty() {
            return Ok(0);
        }
        let fits = offset.checked_add(bytes.len() as u64).is_some_and(|end| end <= MAX_FILE_BYTES);
        if !fits {
            return Err(twine_files::Error::FileTooBig.into());
        }
        self.finish_cut(inode)?;
        let mut done = 0;
        while done < bytes.len() {
            match self.write_chunk(inode, offset + done as u64, &bytes[done..]) {
                Ok(count) => done += count,
                Err(error) if done == 0 => return Err(error),
                Err(error) => {
                    self.record_error(&error);
                    break;
                }
            }
        }
        Ok(done)
    }

    /// Writes some of `bytes`.
    fn write_chunk(&mut self, inode: u64, offset: u64, bytes: &[u8]) -> Result<usize> {
        self.make_room()?;
        let whole = bytes.len() / BLOCK_BYTES;
        let index = offset / BLOCK;
        let count = if offset.is_multiple_of(BLOCK) && whole >= DIRECT_BLOCKS {
            let count = whole.min(BATCH_BLOCKS);
            let blocks: Vec<(u64, u64)> =
                (index..index + count as u64).map(|index| (inode, index)).collect();
            let length = count * BLOCK_BYTES;
            self.reserve_for_dirty(count as u64)?;
            self.write_blocks(&blocks, Some(&bytes[..length]))?;
            length
        } else {
            // Up to a multiple of the chunk's size, so that large writes become aligned.
            let length = (CHUNK_BYTES - offset % CHUNK_BYTES).min(bytes.len() as u64) as usize;
            self.reserve_for_dirty(blocks(length as u64) + 1)?;
            self.write_cached(inode, offset, &bytes[..length])?
        };
        let end = offset + count as u64;
        self.change_inode(inode, Times::CONTENTS, |attributes| {
            attributes.size = attributes.size.max(end);
        })?;
        if self.inodes.write_position(inode, end) == offset && end % STREAM_BYTES < count as u64 {
            // What a writer that writes on has filled is written while the CPU's caches
            // have it. If that fails, it is tried again with all that is dirty.
            let first = (end / STREAM_BYTES).saturating_sub(1) * STREAM_BYTES / BLOCK;
            let last = end / STREAM_BYTES * STREAM_BYTES / BLOCK;
            match self.flush_range(inode, first, last) {
                Ok(()) if self.outgrows_cache(end) => {
                    (first..last).for_each(|index| self.cache.release(Name::Data(inode, index)))
                }
                Ok(()) => {}
                Err(error) => self.record_error(&error),
            }
        }
        Ok(count)
    }

    /// Writes into the cache; how much could be.
    fn write_cached(&mut self, inode: u64, offset: u64, bytes: &[u8]) -> Result<usize> {
        let size = self.inode(inode)?.size;
        let mut done = 0;
        while done < bytes.len() {
            let position = offset + done as u64;
            let index = position / BLOCK;
            let within = (position % BLOCK) as usize;
            let count = (bytes.len() - done).min(BLOCK_BYTES - within);
            let new = &bytes[done..done + count];
            match self.block_to_write(inode, index, size, count == BLOCK_BYTES) {
                Ok(frame) => {
                    self.cache.bytes_mut(frame)[within..within + count].copy_from_slice(new);
                    self.cache.dirty(frame);
                }
                Err(error) if done == 0 => return Err(error),
                Err(error) => {
                    self.record_error(&error);
                    break;
                }
            }
            done += count;
        }
        Ok(done)
    }

    /// A block in the cache that will be written to: with its old contents, unless all of
    /// them are replaced.
    fn block_to_write(&mut self, inode: u64, index: u64, size: u64, whole: bool) -> Result<Frame> {
        let name = Name::Data(inode, index);
        if let Some(frame) = self.cache.find(name) {
            return Ok(frame);
        }
        if !whole && index < blocks(size) {
            return self.data(inode, index);
        }
        let mut bytes = self.cache.spare();
        if !whole {
            bytes.fill(0);
        }
        Ok(self.cache.put(name, bytes, false))
    }

    /// Makes a file longer or shorter.
    pub(crate) fn resize(&mut self, inode: u64, size: u64) -> Result<()> {
        self.check_writable()?;
        let old = self.file(inode)?.size;
        if size > MAX_FILE_BYTES {
            return Err(twine_files::Error::FileTooBig.into());
        }
        self.finish_cut(inode)?;
        self.make_room()?;
        self.prepare_inode(inode)?;
        if size < old {
            return self.shorten(inode, old, size);
        }
        self.change_inode(inode, Times::CONTENTS, |attributes| attributes.size = size)
    }

    fn shorten(&mut self, inode: u64, old: u64, size: u64) -> Result<()> {
        let last = size / BLOCK;
        let within = (size % BLOCK) as usize;
        let end = blocks(size);
        // What is beyond the end of a file's last block is zero, for when it grows again.
        let tail = within > 0 && self.has_data(inode, last)?;
        if size == 0 && self.has(&Key::inline(inode))? {
            self.prepare(&Key::inline(inode))?;
        }
        self.begin_cut(inode, end, blocks(old))?;
        if tail {
            let frame = self.data(inode, last)?;
            self.cache.bytes_mut(frame)[within..].fill(0);
            self.cache.dirty(frame);
        }
        let result = self.shorten_prepared(inode, size, end, blocks(old));
        self.poison_on_error(result)?;
        self.go_on_cutting(inode, end);
        Ok(())
    }

    fn shorten_prepared(&mut self, inode: u64, size: u64, end: u64, old_end: u64) -> Result<()> {
        self.cache.forget_data(inode, end, old_end);
        self.change_inode(inode, Times::CONTENTS, |attributes| attributes.size = size)?;
        if size == 0 && self.has(&Key::inline(inode))? {
            self.remove(&Key::inline(inode))?;
        }
        Ok(())
    }

    /// Sees to it that there is space for a range, and that the file reaches to its end.
    pub(crate) fn allocate_range(&mut self, inode: u64, offset: u64, length: u64) -> Result<()> {
        self.check_writable()?;
        let size = self.file(inode)?.size;
        let end = offset.checked_add(length).filter(|&end| end <= MAX_FILE_BYTES);
        let end = end.ok_or(Error::File(twine_files::Error::FileTooBig))?;
        self.reserve(blocks(length) + 1)?;
        if end > size { self.resize(inode, end) } else { Ok(()) }
    }
}
