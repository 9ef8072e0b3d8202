//! Writes the file of a volume.

use rustix::fs::OFlags;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// Limit on the size of one write, in bytes. Linux puts the bytes of one write into one large folio
/// of its page cache, and later writes of single blocks into a large folio cost twice as much.
const MAX_BYTES: usize = 64 << 10;

/// After this many bytes the system is asked to start writing them to the disk, so that the disk
/// works while the enclave seals more, and the next sync takes less time.
const WRITE_OUT_BYTES: u64 = 128 << 10;

/// The alignment of direct writes, in bytes, both in the file and in memory.
const ALIGNMENT: usize = 4096;

/// A file with writes of three kinds: cached, synced, and direct.
#[derive(Debug)]
pub struct VolumeFile {
    file: File,
    /// The same file, opened with O_DIRECT and O_DSYNC at the first direct write. `None` if the file
    /// system does not support it.
    direct: OnceLock<Option<File>>,
    /// The number of bytes written since the system was last asked to write them to the disk.
    waiting: AtomicU64,
}

impl VolumeFile {
    /// Makes a writer for `file`.
    pub fn new(file: File) -> Self {
        VolumeFile { file, direct: OnceLock::new(), waiting: AtomicU64::new(0) }
    }

    /// Returns the file itself.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// The system's error. Some of the bytes may have been written.
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

    /// Asks the system to write all bytes to the disk, and does not wait for that.
    fn write_out(&self) {
        self.waiting.store(0, Ordering::Relaxed);
        // SAFETY: the call takes an open descriptor and numbers. If it fails, the next sync writes
        // the bytes, and reports errors.
        unsafe {
            libc::sync_file_range(self.file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE);
        }
    }

    /// Returns when everything that was written is durable.
    ///
    /// # Errors
    /// The system's error. The bytes may not be durable.
    pub fn sync(&self) -> io::Result<()> {
        self.waiting.store(0, Ordering::Relaxed);
        self.file.sync_data()
    }

    /// Writes all of `bytes` at `offset`, bypassing the page cache if possible, and returns when they
    /// are durable. Bytes that were written before need not be durable then.
    ///
    /// # Errors
    /// The system's error. The bytes may not be durable.
    pub fn write_through(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let done = self.write_direct(offset, bytes);
        if done == bytes.len() {
            return Ok(());
        }
        self.write(offset + done as u64, &bytes[done..])?;
        self.sync()
    }

    /// Writes bytes directly to the disk, and returns how many of them are durable. This takes a sixth
    /// less time than a write and a sync.
    fn write_direct(&self, offset: u64, bytes: &[u8]) -> usize {
        let start = bytes.as_ptr().addr();
        let aligned = start.is_multiple_of(ALIGNMENT)
            && offset.is_multiple_of(ALIGNMENT as u64)
            && bytes.len().is_multiple_of(ALIGNMENT);
        let Some(direct) = self.direct().filter(|_| aligned) else { return 0 };
        // After an error, the caller writes the bytes in the other way, which reports the error.
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
