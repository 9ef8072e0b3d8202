//! The volume: what it is made of, and how it is opened and left.

use crate::alloc::Space;
use crate::anchor::{Anchor, Mark};
use crate::cache::Cache;
use crate::change_set::Redo;
use crate::crypto::SecretKey;
use crate::dropped::Dropped;
use crate::error::{Error, Result};
use crate::format::block;
use crate::format::block::BLOCK_BYTES;
use crate::format::identity::VolumeId;
use crate::format::pointer::Pointer;
use crate::header::{Header, HeaderMac};
use crate::inode_table::Inodes;
use crate::log::Log;
use crate::mount::recovery::Recovery;
use crate::sealed_store::Store;
use crate::statistics::Statistics;
use std::collections::HashMap;
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
/// [`FileSystem`](twine_files::FileSystem).
///
/// Nothing is durable before a sync; a volume that is dropped without
/// [`close`](Volume::close) loses what came after its last one, as after a crash.
pub struct Volume {
    pub(crate) store: Store,
    pub(crate) cache: Cache,
    pub(crate) header: Header,
    pub(crate) header_mac: HeaderMac,
    /// The tree's root, and its levels.
    pub(crate) root: Pointer,
    pub(crate) levels: u8,
    /// The root, and its levels, that the log's entries build on.
    pub(crate) log_root: Pointer,
    pub(crate) log_levels: u8,
    pub(crate) space: Space,
    pub(crate) redo: Redo,
    pub(crate) log: Log,
    pub(crate) inodes: Inodes,
    /// Hashes names.
    pub(crate) names_key: SecretKey,
    /// Files with something left behind their end, and from which block on.
    pub(crate) pending_truncations: HashMap<u64, u64>,
    pub(crate) read_only: bool,
    /// What must be done before anything is written.
    pub(crate) recovery: Option<Recovery>,
    pub(crate) dropped: Option<Dropped>,
    pub(crate) anchor: Option<Box<dyn Anchor>>,
    /// The anchor has not taken the newest mark.
    pub(crate) anchor_behind: bool,
    pub(crate) clock: Box<dyn Fn() -> u64 + Send>,
    pub(crate) stopped: bool,
    /// Something was changed since the last commit was written.
    pub(crate) has_uncommitted: bool,
    pub(crate) first_error: Option<Error>,
    /// Ciphertext on its way to or from the storage.
    pub(crate) scratch: Vec<u8>,
}

impl Volume {
    /// The random name that it was given when it was made.
    pub fn id(&self) -> VolumeId {
        self.header.volume
    }

    /// The state that its last sync made durable.
    pub fn mark(&self) -> Mark {
        self.log.durable()
    }

    /// What it has done since it was opened.
    pub fn statistics(&self) -> Statistics {
        Statistics {
            cache_hits: self.cache.hits,
            cache_misses: self.cache.misses,
            ..self.store.statistics
        }
    }

    /// What the mount found of later commits, and did not take.
    pub fn dropped(&self) -> Option<&Dropped> {
        self.dropped.as_ref()
    }

    /// What failed first since it was opened, in words; operations of the file system only
    /// give an errno.
    pub fn first_error(&self) -> Option<&Error> {
        self.first_error.as_ref()
    }

    /// Makes all durable, gives what is free at the storage's end back, and ends. If nothing
    /// was changed, nothing is written.
    ///
    /// # Errors
    /// When something could not be written; the volume is then as its last sync left it.
    pub fn close(mut self) -> Result<()> {
        let unchanged = !self.has_uncommitted && self.store.statistics.commits == 0;
        if self.read_only || unchanged && !self.stopped {
            return Ok(());
        }
        self.commit()?;
        if self.store.statistics.commits == 0 {
            return Ok(());
        }
        self.cut_end()
    }

    /// Refuses changes to a volume that can't be changed.
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.read_only {
            return Err(twine_files::Error::ReadOnly.into());
        }
        if self.stopped {
            return Err(Error::Stopped);
        }
        Ok(())
    }

    /// Takes no more changes: what is in memory can't be relied on any more.
    pub(crate) fn stop<T>(&mut self, because: Error) -> Result<T> {
        if !self.stopped {
            self.stopped = true;
            self.first_error.get_or_insert_with(|| because.clone());
        }
        Err(because)
    }

    /// Remembers the first error that is worth words: not one that an errno tells whole, as that
    /// the storage is full, which may be over by the end.
    pub(crate) fn record_error(&mut self, error: &Error) {
        let telling = !matches!(error, Error::File(_) | Error::Stopped | Error::Invalid(_));
        if telling && !error.is_full() {
            self.first_error.get_or_insert_with(|| error.clone());
        }
    }

    /// Goes on with an operation that has begun to change the tree: if it fails in its
    /// middle, the tree in memory is of no use, and the volume stops.
    pub(crate) fn poison_on_error<T>(&mut self, result: Result<T>) -> Result<T> {
        match result {
            Ok(value) => Ok(value),
            Err(error) => self.stop(error),
        }
    }

    /// The storage's length as far as it belongs to the volume, in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        block::offset(self.space.blocks)
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
