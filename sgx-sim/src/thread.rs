//! The simulated processor's state for each operating system thread: the registers that matter
//! across entries, and the alternate stack on which its signals are handled.
//!
//! Handlers start on the enclave's FS base, where thread-local storage cannot be reached, so they
//! find their thread by the stack they run on: all alternate stacks lie in one reservation, each in
//! a slot of the same size.

use std::cell::{Cell, UnsafeCell};
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::enclave::ThreadControl;
use crate::epcm::PAGE;
use crate::xsave;

/// The address space per thread, in bytes: a guard page, the stack, then the [`Processor`].
const SLOT: usize = 512 * 1024;
/// The most threads that can have entered enclaves and still exist.
const SLOTS: usize = 8192;

/// One thread's simulated logical processor.
#[repr(C, align(64))]
pub(crate) struct Processor {
    /// XSAVE state on its way from an SSA frame to the registers (ERESUME).
    xsave: UnsafeCell<[u8; xsave::MAX_SIZE]>,
    /// CR_TCS_PA: the TCS in use, null outside enclaves.
    pub(crate) current: AtomicPtr<ThreadControl>,
    /// The FS base outside.
    pub(crate) host_fs: AtomicUsize,
    /// The GS base outside.
    pub(crate) host_gs: AtomicUsize,
    tid: AtomicI32,
}

/// The offset of the processor in its slot.
const PROCESSOR: usize = SLOT - size_of::<Processor>().next_multiple_of(PAGE);

static ARENA: OnceLock<usize> = OnceLock::new();
/// The base of the reservation; 0 until it is made. Signal handlers use this instead of `ARENA`.
static BASE: AtomicUsize = AtomicUsize::new(0);
/// The number of slots that were ever in use. They are the first ones.
static USED: AtomicUsize = AtomicUsize::new(0);
static FREE: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// Returns the FS base, which only this thread changes.
#[inline(always)]
pub(crate) fn fs_base() -> usize {
    let base;
    // SAFETY: `Device` is only made where the kernel permits FSGSBASE instructions.
    unsafe {
        core::arch::asm!("rdfsbase {}", out(reg) base, options(nomem, nostack, preserves_flags))
    };
    base
}

/// Returns the GS base.
#[inline(always)]
pub(crate) fn gs_base() -> usize {
    let base;
    // SAFETY: as for `fs_base`.
    unsafe {
        core::arch::asm!("rdgsbase {}", out(reg) base, options(nomem, nostack, preserves_flags))
    };
    base
}

/// Changes the segment bases.
///
/// # Safety
/// Until the host's bases are restored, nothing may touch thread-local storage.
#[inline(always)]
pub(crate) unsafe fn set_bases(fs: usize, gs: usize) {
    // SAFETY: the caller's promise; the instructions are permitted as for `fs_base`.
    unsafe {
        core::arch::asm!(
            "wrfsbase {}",
            "wrgsbase {}",
            in(reg) fs,
            in(reg) gs,
            options(nostack, preserves_flags),
        )
    };
}

// SAFETY: of other threads, only signal handlers that search by `tid` see a `Processor`, and they
// read `tid` alone.
unsafe impl Sync for Processor {}

impl Processor {
    /// Returns the memory of [`Self::xsave`]. Only this thread may use it.
    pub(crate) fn xsave_buffer(&self) -> *mut [u8; xsave::MAX_SIZE] {
        self.xsave.get()
    }

    /// Restores the host's segment bases.
    #[inline(always)]
    pub(crate) fn load_host_bases(&self) {
        // SAFETY: these are the bases under which all code of the host runs.
        unsafe {
            set_bases(self.host_fs.load(Ordering::Relaxed), self.host_gs.load(Ordering::Relaxed))
        };
    }
}

/// The slot of a thread, freed together with its thread-local storage.
struct Guard(Cell<*mut Processor>);

thread_local! {
    static CURRENT: Cell<*mut Processor> = const { Cell::new(ptr::null_mut()) };
    static GUARD: Guard = const { Guard(Cell::new(ptr::null_mut())) };
}

impl Drop for Guard {
    fn drop(&mut self) {
        let processor = self.0.get();
        if processor.is_null() {
            return;
        }
        CURRENT.with(|current| current.set(ptr::null_mut()));
        release(processor as usize - PROCESSOR);
    }
}

/// Returns this thread's processor. The first call makes it, with its alternate stack.
pub(crate) fn current() -> Option<&'static Processor> {
    let mut processor = CURRENT.with(Cell::get);
    if processor.is_null() {
        processor = attach()?;
    }
    // SAFETY: slots are never unmapped, and a `Processor` is all atomics and bytes that only
    // its own thread uses.
    Some(unsafe { &*processor })
}

/// Returns the processor of the thread that runs this signal handler, without thread-local storage.
#[inline(always)]
pub(crate) fn of_handler() -> Option<&'static Processor> {
    let base = BASE.load(Ordering::Relaxed);
    if base == 0 {
        return None;
    }
    let here = 0u8;
    let offset = (&raw const here as usize).wrapping_sub(base);
    let processor = if offset < SLOT * SLOTS {
        base + offset / SLOT * SLOT + PROCESSOR
    } else {
        find_by_tid(base)?
    };
    // SAFETY: an address in a slot that is in use, or `find_by_tid`'s.
    Some(unsafe { &*(processor as *const Processor) })
}

/// Serves handlers that run on another stack than ours. This is slow, but only programs that
/// replace our alternate stack need it.
#[cold]
fn find_by_tid(base: usize) -> Option<usize> {
    let tid: i64;
    // SAFETY: gettid takes no arguments and touches nothing. This does not go through libc, whose
    // wrapper may use thread-local storage.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") libc::SYS_gettid => tid,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        )
    };
    (0..USED.load(Ordering::Acquire)).find_map(|index| {
        let address = base + index * SLOT + PROCESSOR;
        // SAFETY: slots below `USED` stay mapped.
        let processor = unsafe { &*(address as *const Processor) };
        (i64::from(processor.tid.load(Ordering::Relaxed)) == tid).then_some(address)
    })
}

#[cold]
fn attach() -> Option<*mut Processor> {
    // `Device::load` reports handlers that could not be adopted here.
    let _ = crate::fault::adopt_signal_handlers();
    let base = *ARENA.get_or_init(|| {
        // SAFETY: a new mapping at an address of the kernel's choice.
        let arena = unsafe {
            libc::mmap(
                ptr::null_mut(),
                SLOT * SLOTS,
                libc::PROT_NONE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        let arena = if arena == libc::MAP_FAILED { 0 } else { arena as usize };
        BASE.store(arena, Ordering::Release);
        arena
    });
    if base == 0 {
        return None;
    }
    let slot = take_slot(base)?;
    let stack =
        libc::stack_t { ss_sp: (slot + PAGE) as *mut _, ss_flags: 0, ss_size: PROCESSOR - PAGE };
    // SAFETY: the slot is this thread's alone until its `Guard` is dropped.
    if unsafe { libc::sigaltstack(&stack, ptr::null_mut()) } != 0 {
        FREE.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
        return None;
    }
    let processor = (slot + PROCESSOR) as *mut Processor;
    // SAFETY: this is mapped, zeroed memory of this thread, and zero is valid for every field.
    unsafe { (*processor).tid.store(libc::gettid(), Ordering::Relaxed) };
    // Threads that are destroying their thread-local storage keep their slot until the process
    // ends.
    let _ = GUARD.try_with(|guard| guard.0.set(processor));
    CURRENT.with(|current| current.set(processor));
    Some(processor)
}

fn take_slot(base: usize) -> Option<usize> {
    let mut free = FREE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(slot) = free.pop() {
        return Some(slot);
    }
    let index = USED.load(Ordering::Relaxed);
    if index == SLOTS {
        return None;
    }
    let slot = base + index * SLOT;
    // SAFETY: this is a part of the reservation that no thread uses yet.
    let done = unsafe {
        libc::mprotect((slot + PAGE) as *mut _, SLOT - PAGE, libc::PROT_READ | libc::PROT_WRITE)
    };
    if done != 0 {
        return None;
    }
    USED.store(index + 1, Ordering::Release);
    Some(slot)
}

fn release(slot: usize) {
    let mut stack = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: 0, ss_size: 0 };
    // SAFETY: reads the present alternate stack, disables it if it is the one that ends here, and
    // then frees the memory, to which nothing else refers.
    unsafe {
        libc::sigaltstack(ptr::null(), &mut stack);
        if stack.ss_sp as usize == slot + PAGE {
            stack.ss_flags = libc::SS_DISABLE;
            libc::sigaltstack(&stack, ptr::null_mut());
        }
        libc::madvise((slot + PAGE) as *mut _, SLOT - PAGE, libc::MADV_DONTNEED);
    }
    FREE.lock().unwrap_or_else(PoisonError::into_inner).push(slot);
}

/// Whether `address` lies in this thread's alternate stack.
pub(crate) fn on_handler_stack(processor: &Processor, address: usize) -> bool {
    let slot = ptr::from_ref(processor) as usize - PROCESSOR;
    address.wrapping_sub(slot) < PROCESSOR
}
