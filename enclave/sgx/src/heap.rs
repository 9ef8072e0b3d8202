//! The allocator: one for what the heap grows by, where the image has addresses for that; EDP's of the
//! same kind for the heap that the image has at its start; and a word to the host when there is
//! nothing left.
//!
//! Pages are added as they are needed: the host is asked for them (EAUG), and the enclave has them
//! once it accepts them (EACCEPT). Where the machine can't add any, the heap does not grow.

use crate::exit::host;
use crate::{layout, page};
use dlmalloc::{Allocator, Dlmalloc};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::hint;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Bytes that the heap grows by at a time, if there is so much: a quarter of what it has grown by
/// already, between these.
const STEPS: (usize, usize) = (1 << 20, 16 << 20);

/// How often to look for a lock before other threads may run.
const SPINS: usize = 100;

/// Where the heap grows: its addresses from `added` on have no pages.
struct Growth {
    added: AtomicUsize,
}

impl Growth {
    /// So many bytes more, or none.
    fn more(&self, size: usize) -> Option<(*mut u8, usize)> {
        let all = layout::growth();
        let added = self.added.load(Ordering::Relaxed);
        let left = all.len() - added;
        if size > left {
            return None;
        }
        let start = all.start + added;
        let step = (added / 4).next_multiple_of(STEPS.0).clamp(STEPS.0, STEPS.1);
        let pages = start..start + size.max(step).min(left);
        host().add_pages(pages.clone()).ok()?;
        let accepted = page::accept_added(pages.clone());
        if accepted != pages.len() {
            // The host has not done what it said: nothing more is asked for.
            self.added.store(all.len(), Ordering::Relaxed);
            return None;
        }
        self.added.store(added + pages.len(), Ordering::Relaxed);
        Some((start as *mut u8, pages.len()))
    }
}

// SAFETY: what `alloc` returns are pages that this enclave has accepted, and that nobody else was
// or will be given; they stay.
unsafe impl Allocator for Growth {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        let (start, size) = self.more(size).unwrap_or((ptr::null_mut(), 0));
        (start, size, 0)
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        ptr::null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        true
    }

    fn page_size(&self) -> usize {
        crate::arena::PAGE
    }
}

/// An allocator of what the heap grows by, for one thread at a time. `Mutex` would allocate.
struct Grown {
    locked: AtomicBool,
    allocator: UnsafeCell<Dlmalloc<Growth>>,
}

// SAFETY: only `with` uses the allocator, which lets one thread at a time.
unsafe impl Sync for Grown {}

static GROWN: Grown = Grown {
    locked: AtomicBool::new(false),
    allocator: UnsafeCell::new(Dlmalloc::new_with_allocator(Growth { added: AtomicUsize::new(0) })),
};

impl Grown {
    /// Whether these bytes are of it.
    fn holds(bytes: *mut u8) -> bool {
        layout::growth().contains(&(bytes as usize))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Dlmalloc<Growth>) -> T) -> T {
        let mut spins = 0;
        while self.locked.swap(true, Ordering::Acquire) {
            spins += 1;
            if spins % SPINS == 0 {
                host().yield_now();
            }
            hint::spin_loop();
        }
        // SAFETY: no other thread is here until `locked` is cleared. The allocator neither panics
        // nor allocates from this heap.
        let done = work(unsafe { &mut *self.allocator.get() });
        self.locked.store(false, Ordering::Release);
        done
    }

    fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout::growth().is_empty() {
            return ptr::null_mut();
        }
        // SAFETY: callers of `GlobalAlloc` pass a size that is not 0.
        self.with(|allocator| unsafe { allocator.malloc(layout.size(), layout.align()) })
    }

    fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout::growth().is_empty() {
            return ptr::null_mut();
        }
        // SAFETY: as in `alloc`.
        self.with(|allocator| unsafe { allocator.calloc(layout.size(), layout.align()) })
    }
}

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

/// Tells the host when there is nothing left.
fn noted(bytes: *mut u8, size: usize) -> *mut u8 {
    if bytes.is_null() {
        host().memory_exhausted(size);
    }
    bytes
}

/// What the heap grows by has, or the heap of the start if that has nothing: the standard library
/// allocates there too, by `System` itself (thread-local values), and must find room.
fn either(grown: *mut u8, first: impl FnOnce() -> *mut u8) -> *mut u8 {
    if grown.is_null() { first() } else { grown }
}

// SAFETY: every method hands its arguments on to `System`, which keeps the contract, or to the
// allocator of what the heap grows by, which keeps the same; each gets back what it gave, told
// apart by its address. Telling the host neither allocates nor unwinds.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are `System`'s.
        noted(either(GROWN.alloc(layout), || unsafe { System.alloc(layout) }), layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are `System`'s.
        let first = || unsafe { System.alloc_zeroed(layout) };
        noted(either(GROWN.alloc_zeroed(layout), first), layout.size())
    }

    unsafe fn realloc(&self, bytes: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's promises are those of the allocator that the bytes are of.
        let moved = unsafe {
            if Grown::holds(bytes) {
                GROWN
                    .with(|allocator| allocator.realloc(bytes, layout.size(), layout.align(), size))
            } else {
                System.realloc(bytes, layout, size)
            }
        };
        if !moved.is_null() {
            return moved;
        }
        // To the other one.
        // SAFETY: the alignment is that of a layout, and the caller promises the same of the size;
        // the new bytes are others than the old ones, which are given back as they were given.
        unsafe {
            let wanted = Layout::from_size_align_unchecked(size, layout.align());
            let moved = self.alloc(wanted);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(bytes, size.min(layout.size()));
                self.dealloc(bytes, layout);
            }
            moved
        }
    }

    unsafe fn dealloc(&self, bytes: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are those of the allocator that the bytes are of.
        unsafe {
            if Grown::holds(bytes) {
                GROWN.with(|allocator| allocator.free(bytes, layout.size(), layout.align()));
            } else {
                System.dealloc(bytes, layout);
            }
        }
    }
}
