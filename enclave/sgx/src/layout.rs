//! The addresses of the enclave and its regions, as the image writer put them into the image.

use std::ops::Range;

unsafe extern "C" {
    /// Address 0 of the image. It has no bytes of its own.
    static IMAGE_BASE: u8;
    /// Size of ELRANGE in bytes; filled in by the image writer (EDP's own symbol).
    static ENCLAVE_SIZE: u64;
    /// Size of the initial heap in bytes; filled in likewise.
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
    /// Offset of the growth of the heap in the image.
    TWINE_GROWTH_BASE;
    /// Size of the growth in bytes.
    TWINE_GROWTH_SIZE;
    /// Offset of the code arena in the image.
    TWINE_ARENA_BASE;
    /// Size of the code arena in bytes.
    TWINE_ARENA_SIZE;
    /// Size, in bytes, of the part of the code arena, from its start on, that had pages when the
    /// image was loaded.
    TWINE_ARENA_AT_START;
    /// Offset of the memory before the guard range in the image.
    TWINE_MEMORY_BASE;
    /// Size of that memory in bytes.
    TWINE_MEMORY_SIZE;
    /// Offset of the guard range in the image.
    TWINE_GUARD_BASE;
    /// Size of the guard range in bytes.
    TWINE_GUARD_SIZE;
}

fn base() -> usize {
    &raw const IMAGE_BASE as usize
}

#[expect(clippy::cast_possible_truncation, reason = "addresses have 64 bits")]
fn word(word: *const u64) -> usize {
    // SAFETY: callers pass aligned words of the image. The read is volatile because the image
    // writer fills them in after compilation.
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

/// Size of the heap with its growth, in bytes.
pub(crate) fn heap_size() -> usize {
    word(&raw const HEAP_SIZE) + word(&raw const TWINE_GROWTH_SIZE)
}

/// The addresses of the growth of the heap. They had no pages when the image was loaded.
pub(crate) fn growth() -> Range<usize> {
    region(&raw const TWINE_GROWTH_BASE, &raw const TWINE_GROWTH_SIZE)
}

/// The addresses of the code arena.
pub(crate) fn arena() -> Range<usize> {
    region(&raw const TWINE_ARENA_BASE, &raw const TWINE_ARENA_SIZE)
}

/// Size, in bytes, of the part of the code arena, from its start on, that had pages at loading.
pub(crate) fn arena_at_start() -> usize {
    word(&raw const TWINE_ARENA_AT_START)
}

/// The addresses of the memory that ends at the start of the guard range.
pub(crate) fn memory() -> Range<usize> {
    region(&raw const TWINE_MEMORY_BASE, &raw const TWINE_MEMORY_SIZE)
}

/// The addresses of the guard range. They had no pages when the image was loaded.
pub(crate) fn guard() -> Range<usize> {
    region(&raw const TWINE_GUARD_BASE, &raw const TWINE_GUARD_SIZE)
}

/// Sizes of the regions of this image, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Regions {
    /// The heap with its growth.
    pub heap: u64,
    /// The code arena.
    pub code: u64,
    /// The addresses for memories with guards.
    pub guards: u64,
}

/// Returns the sizes of the regions of this image.
pub fn regions() -> Regions {
    Regions { heap: heap_size() as u64, code: arena().len() as u64, guards: guard().len() as u64 }
}
