//! The allocator: EDP's, with a word to the host when it has nothing left.

use crate::host::host;
use std::alloc::{GlobalAlloc, Layout, System};

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

fn noted(bytes: *mut u8, size: usize) -> *mut u8 {
    if bytes.is_null() {
        host().memory_exhausted(size);
    }
    bytes
}

// SAFETY: every method hands its arguments on to `System`, which keeps the contract;
// telling the host neither allocates nor unwinds.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are `System`'s.
        noted(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are `System`'s.
        noted(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, bytes: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promises are `System`'s.
        noted(unsafe { System.realloc(bytes, layout, size) }, size)
    }

    unsafe fn dealloc(&self, bytes: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are `System`'s.
        unsafe { System.dealloc(bytes, layout) }
    }
}
