//! What a volume has done since it was opened.

/// Counts since a volume was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Blocks decrypted and found authentic.
    pub blocks_opened: u64,
    /// Blocks encrypted.
    pub blocks_sealed: u64,
    /// Blocks of files, and nodes of the tree, that were found in the cache.
    pub cache_hits: u64,
    /// Those that were not.
    pub cache_misses: u64,
    /// Calls of [`Storage::read`](crate::Storage::read).
    pub reads: u64,
    /// Bytes they gave.
    pub bytes_read: u64,
    /// Calls of [`Storage::write`](crate::Storage::write).
    pub writes: u64,
    /// Bytes they took.
    pub bytes_written: u64,
    /// Calls of [`Storage::sync`](crate::Storage::sync).
    pub syncs: u64,
    /// Commits of either kind.
    pub commits: u64,
    /// Those of them that wrote the tree; the others wrote their changes into the log.
    pub tree_commits: u64,
}
