//! Linear memories with addresses without pages behind them, where an access faults: compiled code
//! has no bounds to check.
//!
//! Pages are added as memories grow: the host is asked for them (EAUG), and the enclave has them
//! once it accepts them (EACCEPT). See [`crate::guard_slots`] for which addresses a memory has, and
//! [`crate::trap`] for what becomes of a fault.

use crate::exit::host;
use crate::guard_slots::{GUARD, GuardSlots, MAX_SLOTS, RESERVATION, SlotAddress};
use crate::{layout, page};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType, format_err};

static SLOTS: LazyLock<Mutex<GuardSlots>> = LazyLock::new(|| {
    // As much as the heap has, beside it: a program that takes all it can get ends somewhere.
    Mutex::new(GuardSlots::new(layout::memory(), layout::guard(), layout::heap_size()))
});

/// Where the pages of each slot end; 0 for one that was never used. The entry stub reads it: a
/// fault below is not the program's.
#[unsafe(no_mangle)]
static TWINE_PAGES_END: [AtomicUsize; MAX_SLOTS] = [const { AtomicUsize::new(0) }; MAX_SLOTS];

fn slots() -> MutexGuard<'static, GuardSlots> {
    SLOTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Linear memories with addresses behind them where an access faults.
#[derive(Debug, Clone, Copy)]
pub struct GuardedMemories {
    /// Bytes of addresses of each memory.
    pub reservation: usize,
    /// Bytes of addresses behind those.
    pub guard: usize,
    /// How many memories there can be at once.
    pub count: usize,
    /// Makes them, as wasmtime asks for them.
    pub creator: fn() -> Arc<dyn MemoryCreator>,
}

/// What makes linear memories with guards, if this image and this machine can have them.
///
/// The host says whether pages can be added. Where it lies, programs can't have memory: no more.
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

/// There is no slot, or there are no more pages.
#[derive(Debug)]
struct NoPages;

impl Memory {
    fn new(size: usize) -> Result<Self, NoPages> {
        let address = slots().take(size).ok_or(NoPages)?;
        let mut memory = Memory { address, size: 0 };
        let had = memory.resize(size)?;
        // What was there is another memory's, or what the host loaded.
        // SAFETY: the pages are there, and this memory's.
        unsafe { ptr::write_bytes(address.base as *mut u8, 0, had) };
        Ok(memory)
    }

    /// Makes it larger; how many bytes of it had pages already.
    #[expect(clippy::indexing_slicing, reason = "there are at most `MAX_SLOTS` slots")]
    fn resize(&mut self, size: usize) -> Result<usize, NoPages> {
        let mut slots = slots();
        let pages = slots.pages(self.address, self.size, size).ok_or(NoPages)?;
        if !pages.ask.is_empty() {
            host().add_pages(pages.ask.clone()).map_err(|_| NoPages)?;
            slots.asked(self.address, pages.ask.end);
        }
        let accepted = page::accept_added(pages.accept.clone());
        if accepted != pages.accept.len() {
            // The host has not done what it said. What was accepted lies where accesses are to
            // fault, so nothing can go on.
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

// SAFETY: `byte_size` bytes from `as_ptr` on have pages, zeroed when they were new. The base never
// moves. Behind them there are none, up to the reservation and the guard after it.
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

// SAFETY: memories are as long as asked for, zeroed, and used by wasmtime alone; reservation and
// guard are as asked for (checked).
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

/// Memories that wasmtime maps itself: those that threads share and the host of a program makes.
static MAPPED: Mutex<Vec<Memory>> = Mutex::new(Vec::new());

fn mapped() -> MutexGuard<'static, Vec<Memory>> {
    MAPPED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Addresses for a memory, if that is what so many bytes are for.
pub(crate) fn map(size: usize) -> Option<NonNull<u8>> {
    if size != RESERVATION + GUARD {
        return None;
    }
    let memory = Memory::new(0).ok()?;
    let base = NonNull::new(memory.as_ptr());
    mapped().push(memory);
    base
}

/// Makes what lies at these addresses readable and writable, if they are of such a memory: `None`
/// if not; whether it could be done.
pub(crate) fn make_accessible(addresses: std::ops::Range<usize>) -> Option<bool> {
    let mut mapped = mapped();
    let memory = mapped.iter_mut().find(|memory| {
        let all = memory.address.base..memory.address.base + RESERVATION + GUARD;
        all.contains(&addresses.start)
    })?;
    let size = addresses.end - memory.address.base;
    Some(size <= memory.size || memory.resize(size).is_ok())
}

/// Gives addresses back, if they are of such a memory; whether they are.
pub(crate) fn unmap(address: usize) -> bool {
    let mut mapped = mapped();
    let at = mapped.iter().position(|memory| memory.address.base == address);
    at.map(|at| mapped.swap_remove(at)).is_some()
}
