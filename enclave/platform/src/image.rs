//! What the image writer put into the image: where the enclave and its arena lie.

use std::ops::Range;

unsafe extern "C" {
    /// Address 0 of the image; it has no bytes of its own.
    static IMAGE_BASE: u8;
    /// Size of ELRANGE in bytes; filled in by the image writer (EDP's own symbol).
    static ENCLAVE_SIZE: u64;
}

/// Offset of the code arena in the image; filled in by the image writer.
#[used]
#[unsafe(no_mangle)]
static TWINE_ARENA_BASE: u64 = 0;

/// Bytes of the code arena; filled in by the image writer.
#[used]
#[unsafe(no_mangle)]
static TWINE_ARENA_SIZE: u64 = 0;

fn base() -> usize {
    &raw const IMAGE_BASE as usize
}

/// The addresses of the enclave (ELRANGE).
pub(crate) fn elrange() -> Range<usize> {
    // SAFETY: the symbol is an aligned word of the image; it is volatile because the image
    // writer fills it in after the compiler has seen it.
    let size = unsafe { (&raw const ENCLAVE_SIZE).read_volatile() };
    base()..base() + size as usize
}

/// The addresses of the code arena.
pub(crate) fn arena() -> Range<usize> {
    // SAFETY: as above, for the two words of this module.
    let (offset, size) = unsafe {
        (
            (&raw const TWINE_ARENA_BASE).read_volatile(),
            (&raw const TWINE_ARENA_SIZE).read_volatile(),
        )
    };
    let start = base() + offset as usize;
    start..start + size as usize
}
