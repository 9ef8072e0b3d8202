//! What wasmtime asks of an operating system (its `custom` platform): code memory from the
//! arena, and one thread-local pointer.
//!
//! Code is written to pages of the arena while they are writable and runs once they are
//! not: pages are added when they are first used (EAUG), readable and writable; [`wasmtime_mprotect`]
//! narrows them with EMODPR (by the host), believes it when EACCEPT does, and then makes code
//! executable (EMODPE). So no page is ever writable and executable. An image for machines without SGX2
//! has pages from the start, which stay readable, writable and executable there:
//! [`writable_code_pages`] says so.

use crate::arena::{Arena, PAGE};
use crate::exit::host;
use crate::{guarded_memory, layout, page};
use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::cell::Cell;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use twine_protocol::wire::Status;
use twine_protocol::wire::permission::{EXECUTE, READ, WRITE};
use wasmtime::CustomCodeMemory;

static ARENA: LazyLock<Mutex<Arena>> =
    LazyLock::new(|| Mutex::new(Arena::new(layout::arena(), layout::arena_at_start())));

/// Bytes that the last refused request would have needed in all; 0 if none was refused.
static REFUSED: AtomicU64 = AtomicU64::new(0);

/// Set once the host said that this machine can't narrow permissions.
static STAYS_WRITABLE: AtomicBool = AtomicBool::new(false);

fn arena() -> MutexGuard<'static, Arena> {
    ARENA.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Bytes of code memory in all.
pub fn code_memory() -> u64 {
    arena().size() as u64
}

/// Bytes of code memory that would have been enough for the last request that was refused;
/// `None` if none was.
pub fn code_refused() -> Option<u64> {
    Some(REFUSED.load(Ordering::Relaxed)).filter(|&bytes| bytes != 0)
}

/// Whether pages of published code are still writable, because the machine has no SGX2.
pub fn writable_code_pages() -> bool {
    STAYS_WRITABLE.load(Ordering::Relaxed)
}

/// Whether this machine can do what the image wants of it: add pages while the enclave runs, if the
/// arena has some that are not there from the start.
///
/// The host says so. Where it lies, no code can be loaded: no more.
pub fn pages_can_be_added() -> bool {
    let mut arena = arena();
    arena.first_to_add().is_none_or(|page| ask(&mut arena, &page).is_ok())
}

/// Sees to it that the host was asked for the pages of these addresses.
fn ask(arena: &mut Arena, addresses: &Range<usize>) -> Result<(), Status> {
    let wanted = arena.to_ask(addresses);
    if !wanted.is_empty() {
        host().add_pages(wanted.clone())?;
        arena.asked(&wanted);
    }
    Ok(())
}

const OK: i32 = 0;
const ENOMEM: i32 = 12;
const EPERM: i32 = 1;
const ENOSYS: i32 = 38;

fn heap_layout(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.next_multiple_of(PAGE), PAGE).ok()
}

/// Memory that is only reserved (shared linear memories) comes from the guard range, if it is to
/// have a guard, else from the heap; memory that is readable and writable at once holds code and
/// comes from the arena.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_mmap_new(size: usize, permissions: u32, result: &mut *mut u8) -> i32 {
    if permissions == 0 {
        if let Some(base) = guarded_memory::map(size) {
            *result = base.as_ptr();
            return OK;
        }
        let Some(layout) = heap_layout(size.max(1)) else { return ENOMEM };
        // SAFETY: the layout is not empty.
        *result = unsafe { alloc_zeroed(layout) };
        return if result.is_null() { ENOMEM } else { OK };
    }
    let mut arena = arena();
    let Some(range) = arena.allocate(size) else {
        let used = arena.size() - arena.free_bytes();
        REFUSED.store((used + size) as u64, Ordering::Relaxed);
        return ENOMEM;
    };
    if protect(&mut arena, range.clone(), u64::from(permissions) & (READ | WRITE)).is_err() {
        arena.release(range);
        return EPERM;
    }
    // SAFETY: the arena gave the range to this caller alone and it is writable. What was
    // in it (old code, or what the host put into an unmeasured page) is cleared.
    unsafe { ptr::write_bytes(range.start as *mut u8, 0, range.len()) };
    *result = range.start as *mut u8;
    OK
}

#[unsafe(no_mangle)]
extern "C" fn wasmtime_munmap(address: *mut u8, size: usize) -> i32 {
    let range = pages(address, size);
    if guarded_memory::unmap(range.start) {
        return OK;
    }
    let mut arena = arena();
    if arena.holds(&range) {
        arena.release(range);
    } else if let Some(layout) = heap_layout(size.max(1)) {
        drop(arena);
        // SAFETY: wasmtime gives back what `wasmtime_mmap_new` gave it, with its size.
        unsafe { dealloc(address, layout) };
    }
    OK
}

/// Pages of the arena for code that was compiled before. They go back when this is dropped.
#[derive(Debug)]
pub struct CodeMemory {
    pages: Range<usize>,
    size: usize,
}

impl CodeMemory {
    /// Pages for so many bytes, readable and writable, with anything in them; `None` where there
    /// are none.
    pub fn new(size: usize) -> Option<Self> {
        let mut arena = arena();
        let pages = arena.allocate(size)?;
        let memory = CodeMemory { pages, size };
        if protect(&mut arena, memory.pages.clone(), READ | WRITE).is_err() {
            drop(arena);
            return None;
        }
        Some(memory)
    }

    /// The bytes, while they can be written.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the arena gave the pages to this alone, and they are writable until they are
        // published, which takes it.
        unsafe { slice::from_raw_parts_mut(self.pages.start as *mut u8, self.size) }
    }

    /// The bytes, and what wasmtime makes them executable with and keeps as long as it uses them.
    pub fn finish(self) -> (NonNull<[u8]>, Arc<dyn CustomCodeMemory>) {
        let bytes = ptr::slice_from_raw_parts_mut(self.pages.start as *mut u8, self.size);
        let bytes = NonNull::new(bytes).expect("the arena is not at address 0");
        (bytes, Arc::new(self))
    }
}

impl Drop for CodeMemory {
    fn drop(&mut self) {
        arena().release(self.pages.clone());
    }
}

impl CustomCodeMemory for CodeMemory {
    fn required_alignment(&self) -> usize {
        PAGE
    }

    /// Code becomes executable, and all that lies around it readable alone.
    fn publish_executable(&self, code: *const u8, size: usize) -> wasmtime::Result<()> {
        let code = pages(code.cast_mut(), size);
        if code.start < self.pages.start || code.end > self.pages.end {
            return Err(wasmtime::format_err!("the code is not where it was put"));
        }
        let mut arena = arena();
        protect(&mut arena, self.pages.clone(), READ)
            .and_then(|()| protect(&mut arena, code, READ | EXECUTE))
            .map_err(|_| wasmtime::format_err!("the code can't be made executable"))
    }

    /// Nothing runs it any more. Its pages change when they are handed out again.
    fn unpublish_executable(&self, _: *const u8, _: usize) -> wasmtime::Result<()> {
        Ok(())
    }
}

fn pages(address: *mut u8, size: usize) -> Range<usize> {
    let start = address as usize;
    start..start + size.next_multiple_of(PAGE)
}

#[unsafe(no_mangle)]
extern "C" fn wasmtime_mprotect(address: *mut u8, size: usize, permissions: u32) -> i32 {
    let range = pages(address, size);
    if let Some(done) = guarded_memory::make_accessible(range.clone()) {
        return if done { OK } else { ENOMEM };
    }
    let mut arena = arena();
    // What isn't in the arena is heap: always readable and writable.
    if !arena.holds(&range) {
        return OK;
    }
    match protect(&mut arena, range, u64::from(permissions)) {
        Ok(()) => OK,
        Err(Status::Denied) => EPERM,
        Err(_) => ENOMEM,
    }
}

/// Gives pages of the arena these permissions, in the EPCM where the machine can.
fn protect(arena: &mut Arena, range: Range<usize>, wanted: u64) -> Result<(), Status> {
    if writable_code_pages() {
        return Ok(());
    }
    for (pages, change) in arena.changes(range.clone(), wanted) {
        if change.add {
            ask(arena, &pages)?;
            let accepted = page::accept_added(pages.clone());
            arena.set(pages.start..pages.start + accepted, READ | WRITE);
            if accepted != pages.len() {
                return Err(Status::Denied);
            }
        }
        if let Some(permissions) = change.restrict {
            match host().restrict_pages(pages.clone(), permissions) {
                Ok(()) => {}
                // Only what was there from the start can be executed as it is.
                Err(Status::NotSupported) if layout::arena_at_start() != 0 => {
                    STAYS_WRITABLE.store(true, Ordering::Relaxed);
                    return Ok(());
                }
                Err(status) => return Err(status),
            }
            // The host's word is nothing; the EPCM's is.
            let accepted = page::accept_restricted(pages.clone(), permissions);
            arena.set(pages.start..pages.start + accepted, permissions);
            if accepted != pages.len() {
                return Err(Status::Denied);
            }
        }
        if let Some(permissions) = change.extend {
            page::extend(pages.clone(), permissions);
            // Before the host is asked for its page tables: whatever it says, the EPCM has them now.
            arena.set(pages.clone(), permissions);
            host().extend_pages(pages, permissions)?;
        }
    }
    Ok(())
}

#[unsafe(no_mangle)]
extern "C" fn wasmtime_mmap_remap(_address: *mut u8, _size: usize, _permissions: u32) -> i32 {
    ENOSYS
}

#[unsafe(no_mangle)]
extern "C" fn wasmtime_page_size() -> usize {
    PAGE
}

/// There are no images of memories: each is filled from its data segments.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_memory_image_new(_: *const u8, _: usize, image: &mut *mut u8) -> i32 {
    *image = ptr::null_mut();
    OK
}

#[unsafe(no_mangle)]
extern "C" fn wasmtime_memory_image_map_at(_: *mut u8, _: *mut u8, _: usize) -> i32 {
    ENOSYS
}

#[unsafe(no_mangle)]
extern "C" fn wasmtime_memory_image_free(_: *mut u8) {}

thread_local! {
    static SLOT: Cell<*mut u8> = const { Cell::new(ptr::null_mut()) };
}

#[unsafe(no_mangle)]
extern "C" fn wasmtime_tls_get(_slot: usize) -> *mut u8 {
    SLOT.get()
}

#[unsafe(no_mangle)]
extern "C" fn wasmtime_tls_set(_slot: usize, pointer: *mut u8) {
    SLOT.set(pointer);
}
