//! The functions that wasmtime needs from an operating system (its `custom` platform): code memory
//! from the arena, and one thread-local pointer.
//!
//! Pages of the arena are added at their first use (EAUG), readable and writable. While they are
//! writable, code is written to them. [`wasmtime_mprotect`] then restricts them with EMODPR, which
//! the host executes; checks that with EACCEPT; and makes the code executable (EMODPE). So no page
//! is ever both writable and executable. An image for machines without SGX2 has pages from the
//! start. On such a machine they stay readable, writable and executable: see
//! [`writable_code_pages`].

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

/// Size of code memory, in bytes, that would have satisfied the last refused request; 0 without
/// one.
static REFUSED: AtomicU64 = AtomicU64::new(0);

/// Whether the host reported that this machine cannot restrict permissions.
static STAYS_WRITABLE: AtomicBool = AtomicBool::new(false);

fn arena() -> MutexGuard<'static, Arena> {
    ARENA.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Size of the code memory in bytes.
pub fn code_memory() -> u64 {
    arena().size() as u64
}

/// Size of code memory, in bytes, that would have satisfied the last refused request. `None` if no
/// request was refused.
pub fn code_refused() -> Option<u64> {
    Some(REFUSED.load(Ordering::Relaxed)).filter(|&bytes| bytes != 0)
}

/// Whether pages of published code stay writable, because the machine has no SGX2.
pub fn writable_code_pages() -> bool {
    STAYS_WRITABLE.load(Ordering::Relaxed)
}

/// Whether pages of the code arena were writable and executable when the image was loaded, as in an
/// image for machines without SGX2. Those that hold no code stay so.
pub fn writable_code_at_start() -> bool {
    layout::arena_at_start() != 0
}

/// Whether this machine can add pages while the enclave runs. Also true if the arena has all its
/// pages from the start.
///
/// The host reports this. If it is a lie, no code can be loaded; it has no other effect.
pub fn pages_can_be_added() -> bool {
    let mut arena = arena();
    arena.first_to_add().is_none_or(|page| ask(&mut arena, &page).is_ok())
}

/// Asks the host for the pages of these addresses, unless it was asked before.
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

/// Maps memory. Memory that is only reserved (shared linear memories) comes from the guard range if
/// it has the size of a memory with a guard, else from the heap. Memory that is readable and
/// writable at once is for code, and comes from the arena.
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
    // SAFETY: the arena gave the range to this caller alone, and it is writable. This clears old
    // code, and contents that the host put into an unmeasured page.
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
        // SAFETY: wasmtime frees memory of `wasmtime_mmap_new`, with its size.
        unsafe { dealloc(address, layout) };
    }
    OK
}

/// Pages of the arena for code that was compiled before. Dropping this frees them.
#[derive(Debug)]
pub struct CodeMemory {
    pages: Range<usize>,
    size: usize,
}

impl CodeMemory {
    /// Allocates pages for `size` bytes, readable and writable, with arbitrary contents. `None` if
    /// the arena has too few.
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

    /// The bytes, while they are writable.
    pub fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the arena gave the pages to this value alone. They are writable until they are
        // published, and `finish`, which comes before that, consumes the value.
        unsafe { slice::from_raw_parts_mut(self.pages.start as *mut u8, self.size) }
    }

    /// Returns the bytes, and the owner that wasmtime publishes them with and keeps while it uses
    /// them.
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

    /// Makes the code executable, and the pages around it read-only.
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

    /// Does nothing: the code does not run any more, and its pages change when they are allocated
    /// again.
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
    // Memory outside the arena is heap, which is always readable and writable.
    if !arena.holds(&range) {
        return OK;
    }
    match protect(&mut arena, range, u64::from(permissions)) {
        Ok(()) => OK,
        Err(Status::Denied) => EPERM,
        Err(_) => ENOMEM,
    }
}

/// Gives pages of the arena these permissions, in the EPCM if the machine can.
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
                // Only pages that existed from the start are executable as they are.
                Err(Status::NotSupported) if layout::arena_at_start() != 0 => {
                    STAYS_WRITABLE.store(true, Ordering::Relaxed);
                    return Ok(());
                }
                Err(status) => return Err(status),
            }
            // Only the EPCM shows what the host did.
            let accepted = page::accept_restricted(pages.clone(), permissions);
            arena.set(pages.start..pages.start + accepted, permissions);
            if accepted != pages.len() {
                return Err(Status::Denied);
            }
        }
        if let Some(permissions) = change.extend {
            page::extend(pages.clone(), permissions);
            // Record this before the call: the EPCM has the permissions now, whatever the host
            // answers.
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

/// Memories have no images: each is filled from its data segments.
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
