//! The volume: what it is made of, and how it is left.

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

/// Least budget of a cache.
pub const MIN_CACHE_BYTES: usize = 256 << 10;

/// How a volume is opened.
pub struct Options {
    /// Bytes of blocks in memory, at least [`MIN_CACHE_BYTES`]; 32 MiB unless told. An
    /// operation that changes much at once may exceed it for its time.
    pub cache_bytes: usize,
    /// Write nothing at all. A state that is only in the log is then rebuilt in memory. A volume
    /// whose end is damaged ([`Error::Lossy`]) is opened in the newest state that is whole.
    pub read_only: bool,
    /// Go on from the newest state that is whole, for good, though what was durable is lost
    /// ([`Error::Lossy`]), and whatever of the log can't be read.
    pub repair: bool,
    /// Who remembers the newest state.
    pub anchor: Option<Box<dyn Anchor>>,
    /// The time, in nanoseconds since 1970. It is asked when times are needed: at
    /// `attributes` and when changes are committed, for all that has changed until then. The
    /// system's clock unless told.
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
/// Nothing is durable before a sync; a volume that is dropped without
/// [`close`](Volume::close) loses what came after its last one, as after a crash.
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

    /// The random name that it was given when it was made.
    pub fn id(&self) -> VolumeId {
        self.engine().header().volume
    }

    /// The state that its last sync made durable.
    pub fn mark(&self) -> Mark {
        self.engine().durable()
    }

    /// What it has done since it was opened.
    pub fn statistics(&self) -> Statistics {
        self.engine().statistics()
    }

    /// What the mount found of later commits, and did not take.
    pub fn dropped(&self) -> Option<&Dropped> {
        self.dropped.as_ref()
    }

    /// What failed first since it was opened, in words; operations of the file system only
    /// give an errno.
    pub fn first_error(&self) -> Option<&Error> {
        self.engine().health().first_error()
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.engine().space().tree().store().access() == Access::ReadOnly
    }

    /// Makes all durable, gives what is free at the storage's end back, and ends. If nothing
    /// was changed, nothing is written.
    ///
    /// # Errors
    /// When something could not be written; the volume is then as its last sync left it.
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

/// Blocks for a budget in bytes.
pub(crate) fn cache_blocks(bytes: usize) -> usize {
    bytes.max(MIN_CACHE_BYTES) / BLOCK_BYTES
}
