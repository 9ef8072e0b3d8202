//! How a volume's file is written.

use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most bytes of one write. Linux keeps what is written at once in one piece of its page
/// cache, and a block that is written into a large piece later costs twice as much.
const MAX_BYTES: usize = 64 << 10;

/// After so many bytes the system is asked to begin with writing them out, so that the disk
/// works while more is sealed, and the next sync finds less to wait for.
const WRITE_OUT_BYTES: u64 = 128 << 10;

/// Direct writes begin and end at multiples of this, in the file and in memory.
const ALIGNMENT: usize = 4096;

/// A file that is written, and made durable.
#[derive(Debug)]
pub struct VolumeFile {
    file: File,
    /// The same file, opened again for writes past the page cache that are durable when they
    /// return; nothing where the file system has none. Opened when it is first wanted.
    direct: OnceLock<Option<File>>,
    /// Bytes written that the system was not asked to write out.
    waiting: AtomicU64,
}

impl VolumeFile {
    /// What writes to `file`.
    pub fn new(file: File) -> Self {
        VolumeFile { file, direct: OnceLock::new(), waiting: AtomicU64::new(0) }
    }

    /// The file itself.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// The system's; a part may have been written.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64).ok_or(io::ErrorKind::InvalidInput)?;
        let offsets = (offset..end).step_by(MAX_BYTES);
        offsets
            .zip(bytes.chunks(MAX_BYTES))
            .try_for_each(|(offset, piece)| self.file.write_all_at(piece, offset))?;
        let waiting = self.waiting.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        if waiting + bytes.len() as u64 >= WRITE_OUT_BYTES {
            self.write_out();
        }
        Ok(())
    }

    /// Asks the system to write out what was written, and does not wait for it.
    fn write_out(&self) {
        self.waiting.store(0, Ordering::Relaxed);
        // SAFETY: it takes an open descriptor and numbers only. Should it fail, the next sync
        // does it, and tells of errors.
        unsafe {
            libc::sync_file_range(self.file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE);
        }
    }

    /// Returns when what was written is durable.
    ///
    /// # Errors
    /// The system's: then it may not be.
    pub fn sync(&self) -> io::Result<()> {
        self.waiting.store(0, Ordering::Relaxed);
        self.file.sync_data()
    }

    /// Writes all of `bytes` at `offset`, past the page cache where that is possible, and
    /// returns when they are durable. Whether other bytes are that were written before is not known.
    ///
    /// # Errors
    /// The system's: then they may not be.
    pub fn write_through(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let done = self.write_direct(offset, bytes);
        if done == bytes.len() {
            return Ok(());
        }
        self.write(offset + done as u64, &bytes[done..])?;
        self.sync()
    }

    /// How many of the first bytes could be written past the page cache, and are durable. It costs
    /// a sixth less than a way through the cache.
    fn write_direct(&self, offset: u64, bytes: &[u8]) -> usize {
        let start = bytes.as_ptr().addr();
        let aligned = start.is_multiple_of(ALIGNMENT)
            && offset.is_multiple_of(ALIGNMENT as u64)
            && bytes.len().is_multiple_of(ALIGNMENT);
        let Some(direct) = self.direct().filter(|_| aligned) else { return 0 };
        // What it refuses is written in the other way, which tells what is wrong.
        direct.write_at(bytes, offset).unwrap_or(0)
    }

    fn direct(&self) -> Option<&File> {
        let open = || {
            let flags = (OFlags::DIRECT | OFlags::DSYNC).bits().cast_signed();
            let again = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            OpenOptions::new().write(true).custom_flags(flags).open(again).ok()
        };
        self.direct.get_or_init(open).as_ref()
    }
}
