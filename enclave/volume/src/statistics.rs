//! Counts of a volume's work.

/// Counts since a volume was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Blocks decrypted and found authentic.
    pub blocks_opened: u64,
    /// Blocks encrypted.
    pub blocks_sealed: u64,
    /// Blocks of files and nodes of the tree that were found in the cache.
    pub cache_hits: u64,
    /// Blocks of files and nodes of the tree that were not in the cache.
    pub cache_misses: u64,
    /// Calls of [`Storage::read`](crate::Storage::read).
    pub reads: u64,
    /// Bytes that these calls read.
    pub bytes_read: u64,
    /// Calls of [`Storage::write`](crate::Storage::write).
    pub writes: u64,
    /// Bytes that these calls wrote.
    pub bytes_written: u64,
    /// Calls of [`Storage::sync`](crate::Storage::sync).
    pub syncs: u64,
    /// Commits of both kinds.
    pub commits: u64,
    /// Commits that wrote the tree. The other commits wrote their changes into the log.
    pub tree_commits: u64,
}
