//! What the image writer put into the image: where the enclave and its regions lie.

use std::ops::Range;

unsafe extern "C" {
    /// Address 0 of the image; it has no bytes of its own.
    static IMAGE_BASE: u8;
    /// Size of ELRANGE in bytes; filled in by the image writer (EDP's own symbol).
    static ENCLAVE_SIZE: u64;
    /// Bytes of the heap; likewise.
    static HEAP_SIZE: u64;
}

/// Declares words of the image that the image writer fills in.
macro_rules! words {
    ($($(#[doc = $doc:literal])+ $name:ident;)+) => {
        $($(#[doc = $doc])+
        #[used]
        #[unsafe(no_mangle)]
        static $name: u64 = 0;)+
    };
}

words! {
    /// Offset of the addresses by which the heap can grow.
    TWINE_GROWTH_BASE;
    /// Bytes of those addresses.
    TWINE_GROWTH_SIZE;
    /// Offset of the code arena in the image.
    TWINE_ARENA_BASE;
    /// Bytes of the code arena.
    TWINE_ARENA_SIZE;
    /// Bytes of the code arena, from its begin on, that had pages when the image was loaded.
    TWINE_ARENA_AT_START;
    /// Offset of the memory before the guard range.
    TWINE_MEMORY_BASE;
    /// Bytes of that memory.
    TWINE_MEMORY_SIZE;
    /// Offset of the guard range.
    TWINE_GUARD_BASE;
    /// Bytes of the guard range.
    TWINE_GUARD_SIZE;
}

fn base() -> usize {
    &raw const IMAGE_BASE as usize
}

#[expect(clippy::cast_possible_truncation, reason = "addresses have 64 bits")]
fn word(word: *const u64) -> usize {
    // SAFETY: callers pass aligned words of the image; the read is volatile because the image
    // writer fills them in after the compiler has seen them.
    unsafe { word.read_volatile() as usize }
}

fn region(offset: *const u64, size: *const u64) -> Range<usize> {
    let start = base() + word(offset);
    start..start + word(size)
}

/// The addresses of the enclave (ELRANGE).
pub(crate) fn elrange() -> Range<usize> {
    base()..base() + word(&raw const ENCLAVE_SIZE)
}

/// Bytes of the heap, and of what it can grow by.
pub(crate) fn heap_size() -> usize {
    word(&raw const HEAP_SIZE) + word(&raw const TWINE_GROWTH_SIZE)
}

/// The addresses by which the heap can grow. They had no pages when the image was loaded.
pub(crate) fn growth() -> Range<usize> {
    region(&raw const TWINE_GROWTH_BASE, &raw const TWINE_GROWTH_SIZE)
}

/// The addresses of the code arena.
pub(crate) fn arena() -> Range<usize> {
    region(&raw const TWINE_ARENA_BASE, &raw const TWINE_ARENA_SIZE)
}

/// Bytes of the code arena, from its begin on, that had pages when the image was loaded.
pub(crate) fn arena_at_start() -> usize {
    word(&raw const TWINE_ARENA_AT_START)
}

/// The addresses of the memory that ends where the guard range begins.
pub(crate) fn memory() -> Range<usize> {
    region(&raw const TWINE_MEMORY_BASE, &raw const TWINE_MEMORY_SIZE)
}

/// The addresses that had no pages when the image was loaded.
pub(crate) fn guard() -> Range<usize> {
    region(&raw const TWINE_GUARD_BASE, &raw const TWINE_GUARD_SIZE)
}
