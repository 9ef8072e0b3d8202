//! The interface of a volume: its options, its state, and closing it.

use crate::anchor::Anchor;
use crate::commit::Engine;
use crate::dropped::Dropped;
use crate::error::{Error, Result};
use crate::format::block::BLOCK_BYTES;
use crate::format::identity::VolumeId;
use crate::format::mark::Mark;
use crate::fs::Files;
use crate::sealed_store::Access;
use crate::statistics::Statistics;
use std::fmt;

/// The smallest budget of a cache, in bytes.
pub const MIN_CACHE_BYTES: usize = 256 << 10;

/// Options for opening or creating a volume.
pub struct Options {
    /// Budget of the cache, in bytes: at least [`MIN_CACHE_BYTES`], by default 32 MiB. An operation
    /// that changes much at once may exceed the budget while it runs.
    pub cache_bytes: usize,
    /// Write nothing at all. If some changes are only in the log, the mount applies them in memory.
    /// A volume whose end is damaged ([`Error::Lossy`]) opens in its newest whole state.
    pub read_only: bool,
    /// Continue for good from the newest whole state, although durable commits are lost
    /// ([`Error::Lossy`]), and although parts of the log cannot be read.
    pub repair: bool,
    /// The anchor that remembers the newest state.
    pub anchor: Option<Box<dyn Anchor>>,
    /// Returns the time in nanoseconds since 1970, by default from the system's clock. The volume
    /// calls it when it needs times: at `attributes`, and when it commits changes. All changes
    /// since the last call get the same time.
    pub clock: Box<dyn Fn() -> u64 + Send>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            cache_bytes: 32 << 20,
            read_only: false,
            repair: false,
            anchor: None,
            clock: Box::new(|| {
                let now = std::time::SystemTime::now();
                let since = now.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
            }),
        }
    }
}

/// A file tree in a [`Storage`](crate::Storage). Files are reached through
/// [`FileSystem`](twine_vfs::FileSystem).
///
/// Changes are durable only after a sync. A volume that is dropped without [`close`](Volume::close)
/// loses the changes after its last sync, as after a crash.
pub struct Volume {
    files: Files,
    dropped: Option<Dropped>,
}

impl Volume {
    pub(crate) fn new(files: Files, dropped: Option<Dropped>) -> Self {
        Volume { files, dropped }
    }

    pub(crate) fn files(&self) -> &Files {
        &self.files
    }

    pub(crate) fn files_mut(&mut self) -> &mut Files {
        &mut self.files
    }

    pub(crate) fn engine(&self) -> &Engine {
        self.files.engine()
    }

    pub(crate) fn engine_mut(&mut self) -> &mut Engine {
        self.files.engine_mut()
    }

    /// Returns the volume's id, which is random and never changes.
    pub fn id(&self) -> VolumeId {
        self.engine().header().volume
    }

    /// Returns the mark of the last durable commit.
    pub fn mark(&self) -> Mark {
        self.engine().durable()
    }

    /// Returns counts of the volume's work since it was opened.
    pub fn statistics(&self) -> Statistics {
        self.engine().statistics()
    }

    /// Returns which later commits the mount found and dropped.
    pub fn dropped(&self) -> Option<&Dropped> {
        self.dropped.as_ref()
    }

    /// Returns the first error since the volume was opened. Operations of the file system return
    /// only an errno.
    pub fn first_error(&self) -> Option<&Error> {
        self.engine().health().first_error()
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.engine().space().tree().store().access() == Access::ReadOnly
    }

    /// Makes all changes durable, gives free space at the storage's end back, and closes the
    /// volume. Writes nothing if nothing was changed.
    ///
    /// # Errors
    /// Fails if something could not be written. The volume is then in the state of its last sync.
    pub fn close(mut self) -> Result<()> {
        let read_only = self.is_read_only();
        let engine = self.engine_mut();
        let unchanged = !engine.has_uncommitted() && engine.commits() == 0;
        if read_only || unchanged && !engine.health().is_stopped() {
            return Ok(());
        }
        engine.commit()?;
        if engine.commits() == 0 { Ok(()) } else { engine.cut_end() }
    }
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Volume").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// Returns the number of blocks in a budget of `bytes`.
pub(crate) fn cache_blocks(bytes: usize) -> usize {
    bytes.max(MIN_CACHE_BYTES) / BLOCK_BYTES
}
