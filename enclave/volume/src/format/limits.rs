//! Limits on files and symbolic links.

/// Limit on the size of a file, in bytes.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 60;

/// Limit on the target of a symbolic link, in bytes.
pub(crate) const MAX_TARGET_BYTES: usize = 4095;

/// A file of at most this many bytes is stored as an inline item.
pub(crate) const MAX_INLINE_BYTES: u64 = 1024;
