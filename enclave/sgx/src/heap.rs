//! The global allocator. It has one allocator for the growth of the heap, if the image has
//! addresses for that, and EDP's allocator, of the same kind, for the initial heap. It tells the
//! host when both are exhausted.
//!
//! Pages are added as they are needed: the host adds them (EAUG), and the enclave accepts them
//! (EACCEPT). On a machine that cannot add pages, the heap does not grow.

use crate::exit::host;
use crate::{layout, page};
use dlmalloc::{Allocator, Dlmalloc};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::hint;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Bounds, in bytes, of one step of growth. A step is a quarter of the present growth, or the
/// requested size if that is more, but at most what is left.
const STEPS: (usize, usize) = (1 << 20, 16 << 20);

/// Number of attempts to take a lock before other threads may run.
const SPINS: usize = 100;

/// The growth of the heap. The addresses from the offset `added` on have no pages.
struct Growth {
    added: AtomicUsize,
}

impl Growth {
    /// Adds at least `size` bytes, or nothing.
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
            // The host did not do what it reported: do not ask again.
            self.added.store(all.len(), Ordering::Relaxed);
            return None;
        }
        self.added.store(added + pages.len(), Ordering::Relaxed);
        Some((start as *mut u8, pages.len()))
    }
}

// SAFETY: `alloc` returns pages that this enclave has accepted. Nobody else was or will be given
// them, and they are never removed.
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

/// The allocator for the growth of the heap, with a lock. `Mutex` would allocate.
struct Grown {
    locked: AtomicBool,
    allocator: UnsafeCell<Dlmalloc<Growth>>,
}

// SAFETY: only `with` uses the allocator, and admits one thread at a time.
unsafe impl Sync for Grown {}

static GROWN: Grown = Grown {
    locked: AtomicBool::new(false),
    allocator: UnsafeCell::new(Dlmalloc::new_with_allocator(Growth { added: AtomicUsize::new(0) })),
};

impl Grown {
    /// Whether these bytes are in the growth of the heap.
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
        // SAFETY: no other thread gets here until `locked` is cleared. The allocator neither panics
        // nor allocates from this heap.
        let done = work(unsafe { &mut *self.allocator.get() });
        self.locked.store(false, Ordering::Release);
        done
    }

    fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout::growth().is_empty() {
            return ptr::null_mut();
        }
        // SAFETY: callers of `GlobalAlloc` pass a size other than 0.
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

/// Tells the host if an allocation failed.
fn noted(bytes: *mut u8, size: usize) -> *mut u8 {
    if bytes.is_null() {
        host().memory_exhausted(size);
    }
    bytes
}

/// Returns memory from the growth, or else from the initial heap. This order leaves room in the
/// initial heap for the standard library, which allocates thread-local values there with `System`.
fn either(grown: *mut u8, first: impl FnOnce() -> *mut u8) -> *mut u8 {
    if grown.is_null() { first() } else { grown }
}

// SAFETY: every method passes its arguments to `System`, which keeps the contract, or to the
// allocator for the growth, which keeps it too. Each gets back the bytes that it returned,
// recognized by their address. Telling the host neither allocates nor unwinds.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller makes the promises that `System` needs.
        noted(either(GROWN.alloc(layout), || unsafe { System.alloc(layout) }), layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller makes the promises that `System` needs.
        let first = || unsafe { System.alloc_zeroed(layout) };
        noted(either(GROWN.alloc_zeroed(layout), first), layout.size())
    }

    unsafe fn realloc(&self, bytes: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller makes the promises that the allocator of these bytes needs.
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
        // Move the bytes to the other allocator.
        // SAFETY: the alignment comes from a layout, and the caller makes the same promise for the
        // size. The new bytes do not overlap the old ones, which are freed with their own layout.
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
        // SAFETY: the caller makes the promises that the allocator of these bytes needs.
        unsafe {
            if Grown::holds(bytes) {
                GROWN.with(|allocator| allocator.free(bytes, layout.size(), layout.align()));
            } else {
                System.dealloc(bytes, layout);
            }
        }
    }
}
