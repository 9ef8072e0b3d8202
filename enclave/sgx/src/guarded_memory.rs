//! Linear memories with a guard. An access to the guard faults, so compiled code checks no bounds.
//!
//! Pages are added as memories grow: the host adds them (EAUG), and the enclave accepts them
//! (EACCEPT). See [`crate::guard_slots`] for the addresses of memories, and [`crate::trap`] for the
//! handling of faults.

use crate::exit::host;
use crate::guard_slots::{GUARD, GuardSlots, MAX_SLOTS, RESERVATION, SlotAddress};
use crate::{layout, page};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType, format_err};

static SLOTS: LazyLock<Mutex<GuardSlots>> = LazyLock::new(|| {
    // The limit is the size of the heap. It ends a program that takes all the memory it can get.
    Mutex::new(GuardSlots::new(layout::memory(), layout::guard(), layout::heap_size()))
});

/// The end of the pages of each slot; 0 for a slot that was never used. The entry stub reads it:
/// the program did not cause a fault below it.
#[unsafe(no_mangle)]
static TWINE_PAGES_END: [AtomicUsize; MAX_SLOTS] = [const { AtomicUsize::new(0) }; MAX_SLOTS];

fn slots() -> MutexGuard<'static, GuardSlots> {
    SLOTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The linear memories with a guard that this image and machine can have.
#[derive(Debug, Clone, Copy)]
pub struct GuardedMemories {
    /// Size of the addresses of each memory, in bytes.
    pub reservation: usize,
    /// Size of the guard after them, in bytes.
    pub guard: usize,
    /// Limit on the number of memories at one time.
    pub count: usize,
    /// Returns the creator that wasmtime asks for memories.
    pub creator: fn() -> Arc<dyn MemoryCreator>,
}

/// Returns linear memories with guards, if this image and this machine can have them.
///
/// The host reports whether it can add pages. If this is a lie, programs get no memory; it has no
/// other effect.
pub fn guarded_memories() -> Option<GuardedMemories> {
    let mut slots = slots();
    let address = slots.take(0)?;
    let pages = slots.pages(address, 0, 1)?;
    let added = pages.ask.is_empty() || host().add_pages(pages.ask.clone()).is_ok();
    if added {
        slots.asked(address, pages.ask.end);
    }
    slots.release(address, 0);
    let creator = || Arc::new(Creator) as Arc<dyn MemoryCreator>;
    added.then_some(GuardedMemories {
        reservation: RESERVATION,
        guard: GUARD,
        count: slots.count(),
        creator,
    })
}

/// A linear memory.
struct Memory {
    address: SlotAddress,
    size: usize,
}

/// No slot is free, or no more pages can be had.
#[derive(Debug)]
struct NoPages;

impl Memory {
    fn new(size: usize) -> Result<Self, NoPages> {
        let address = slots().take(size).ok_or(NoPages)?;
        let mut memory = Memory { address, size: 0 };
        let had = memory.resize(size)?;
        // SAFETY: the pages exist and belong to this memory. They may still hold the contents of
        // another memory, or contents that the host loaded.
        unsafe { ptr::write_bytes(address.base as *mut u8, 0, had) };
        Ok(memory)
    }

    /// Makes it larger, and returns how many bytes of it had pages already.
    #[expect(clippy::indexing_slicing, reason = "at most `MAX_SLOTS` slots exist")]
    fn resize(&mut self, size: usize) -> Result<usize, NoPages> {
        let mut slots = slots();
        let pages = slots.pages(self.address, self.size, size).ok_or(NoPages)?;
        if !pages.ask.is_empty() {
            host().add_pages(pages.ask.clone()).map_err(|_| NoPages)?;
            slots.asked(self.address, pages.ask.end);
        }
        let accepted = page::accept_added(pages.accept.clone());
        if accepted != pages.accept.len() {
            // The host did not do what it reported. The accepted pages are at addresses where
            // accesses must fault, so the enclave cannot continue.
            std::process::abort();
        }
        let had = pages.accept.start.saturating_sub(self.address.base).min(size);
        let end = slots.set(self.address, self.size, size);
        TWINE_PAGES_END[self.address.slot].store(end, Ordering::Release);
        self.size = size;
        Ok(had)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        slots().release(self.address, self.size);
    }
}

// SAFETY: `byte_size` bytes from `as_ptr` on have pages, which were zero when they were new. The
// base never moves. The addresses after them have no pages, up to the end of the guard.
unsafe impl LinearMemory for Memory {
    fn byte_size(&self) -> usize {
        self.size
    }

    fn byte_capacity(&self) -> usize {
        RESERVATION
    }

    fn grow_to(&mut self, size: usize) -> wasmtime::Result<()> {
        self.resize(size)
            .map(drop)
            .map_err(|NoPages| format_err!("no enclave memory for {size} bytes"))
    }

    fn as_ptr(&self) -> *mut u8 {
        self.address.base as *mut u8
    }
}

struct Creator;

// SAFETY: memories have the requested size, are zeroed, and only wasmtime uses them. Reservation
// and guard are as requested (checked).
unsafe impl MemoryCreator for Creator {
    fn new_memory(
        &self,
        _ty: MemoryType,
        minimum: usize,
        _maximum: Option<usize>,
        reserved: Option<usize>,
        guard: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        if reserved != Some(RESERVATION) || guard != GUARD {
            return Err(format!("no memory has {reserved:?} bytes and a guard of {guard}"));
        }
        match Memory::new(minimum) {
            Ok(memory) => Ok(Box::new(memory)),
            Err(NoPages) => Err(format!("no enclave memory for {minimum} bytes")),
        }
    }
}

/// Memories that wasmtime maps itself: shared memories, and memories that an embedder makes.
static MAPPED: Mutex<Vec<Memory>> = Mutex::new(Vec::new());

fn mapped() -> MutexGuard<'static, Vec<Memory>> {
    MAPPED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Assigns addresses to a memory, if `size` is the size of a memory with its guard.
pub(crate) fn map(size: usize) -> Option<NonNull<u8>> {
    if size != RESERVATION + GUARD {
        return None;
    }
    let memory = Memory::new(0).ok()?;
    let base = NonNull::new(memory.as_ptr());
    mapped().push(memory);
    base
}

/// Makes these addresses readable and writable, if they belong to such a memory, and returns
/// whether that succeeded. Returns `None` if they do not belong to one.
pub(crate) fn make_accessible(addresses: std::ops::Range<usize>) -> Option<bool> {
    let mut mapped = mapped();
    let memory = mapped.iter_mut().find(|memory| {
        let all = memory.address.base..memory.address.base + RESERVATION + GUARD;
        all.contains(&addresses.start)
    })?;
    let size = addresses.end - memory.address.base;
    Some(size <= memory.size || memory.resize(size).is_ok())
}

/// Releases these addresses, if they belong to such a memory. Returns whether they do.
pub(crate) fn unmap(address: usize) -> bool {
    let mut mapped = mapped();
    let at = mapped.iter().position(|memory| memory.address.base == address);
    at.map(|at| mapped.swap_remove(at)).is_some()
}
