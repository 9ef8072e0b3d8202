//! What files and symbolic links may have.

/// Most bytes of a file.
pub(crate) const MAX_FILE_BYTES: u64 = 1 << 60;

/// Most bytes of a symbolic link's target.
pub(crate) const MAX_TARGET_BYTES: usize = 4095;

/// A file of at most this many bytes lies in the tree.
pub(crate) const MAX_INLINE_BYTES: u64 = 1024;
