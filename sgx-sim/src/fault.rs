//! The signal handlers, in which the simulated processor takes over.
//!
//! ENCLU raises an exception outside of hardware enclaves, and is emulated. The exception depends
//! on the processor: #UD without SGX; #GP if SGX is present but switched off or hidden, or for a
//! leaf that runs inside enclaves only; #PF if the processor checks the leaf's operands first. So
//! the handler looks at the instruction, not at the exception. Other faults inside become
//! asynchronous exits. The host's signals that arrive while a thread is inside must not see enclave
//! state: every handler that the host has installed is wrapped, so that the enclave is left before
//! it runs, and resumed after.
//!
//! A handler starts on the enclave's segment bases. Until the host's are back, it touches no
//! thread-local storage. From then on it is ordinary code, since the interrupted code was the
//! enclave's and holds no lock of the host's.

use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};

use sgx_isa::Enclu;

use crate::aex;
use crate::enclave::{Changes, ThreadControl};
use crate::enter;
use crate::error::Error;
use crate::exception::{Exception, GP, PF_FETCH, PF_SGX, PF_WRITE, vector};
use crate::handler_stack;
use crate::kernel;
use crate::leaf;
use crate::loop_emulator;
use crate::memory;
use crate::thread::{self, Processor};

/// The signals by which the kernel reports exceptions.
const FAULTS: [i32; 5] = [libc::SIGILL, libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGTRAP];
/// Signals 32 and 33 belong to the C library, which hides them.
const C_LIBRARY: [i32; 2] = [32, 33];
const SIGNALS: usize = 65;

type Handler = unsafe extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

/// The number of handlers for one signal. A handler that the host installs over ours may chain to
/// ours. To wrap it again, we need another handler than the one that it chains to: one of the next
/// generation.
const GENERATIONS: usize = 8;
static HANDLERS: [Handler; GENERATIONS] = [
    on_signal::<0>,
    on_signal::<1>,
    on_signal::<2>,
    on_signal::<3>,
    on_signal::<4>,
    on_signal::<5>,
    on_signal::<6>,
    on_signal::<7>,
];
/// The actions that our handlers have replaced. They are never freed: a handler may be reading one.
static PREVIOUS: [[AtomicPtr<libc::sigaction>; SIGNALS]; GENERATIONS] =
    [const { [const { AtomicPtr::new(ptr::null_mut()) }; SIGNALS] }; GENERATIONS];

/// Wraps the signal handlers that the process has installed since the last call, so that they may
/// run while a thread is inside an enclave.
///
/// Loading an enclave does this, and so does a thread's first entry. Call it after you install a
/// handler later than that. Signals left to their default action stay unchanged.
pub fn adopt_signal_handlers() -> Result<(), Error> {
    static ADOPTING: Mutex<()> = Mutex::new(());
    let _guard = ADOPTING.lock().unwrap_or_else(PoisonError::into_inner);
    (1..SIGNALS as i32)
        .filter(|signal| ![libc::SIGKILL, libc::SIGSTOP].contains(signal))
        .filter(|signal| !C_LIBRARY.contains(signal))
        .try_for_each(adopt)
}

fn adopt(signal: i32) -> Result<(), Error> {
    // SAFETY: all-zero is a valid `sigaction`.
    let mut found: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: only reads the present action.
    if unsafe { libc::sigaction(signal, ptr::null(), &mut found) } != 0 {
        return Err(Error::last_os("sigaction"));
    }
    let is_fault = FAULTS.contains(&signal);
    let has_handler = ![libc::SIG_DFL, libc::SIG_IGN].contains(&found.sa_sigaction);
    let is_ours = HANDLERS.iter().any(|ours| *ours as *const () as usize == found.sa_sigaction);
    if is_ours || !is_fault && !has_handler {
        return Ok(());
    }
    let generation = PREVIOUS
        .iter()
        .position(|of| of[signal as usize].load(Ordering::Relaxed).is_null())
        .ok_or(Error::TooManyHandlers(signal))?;
    PREVIOUS[generation][signal as usize].store(Box::into_raw(Box::new(found)), Ordering::Release);

    let mut ours = found;
    ours.sa_sigaction = HANDLERS[generation] as *const () as usize;
    if is_fault {
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        // SAFETY: fills the set.
        unsafe { libc::sigemptyset(&mut ours.sa_mask) };
    } else {
        ours.sa_flags = found.sa_flags & !libc::SA_RESETHAND | libc::SA_SIGINFO | libc::SA_ONSTACK;
    }
    // SAFETY: our handlers chain to what they replace.
    if unsafe { libc::sigaction(signal, &ours, ptr::null_mut()) } != 0 {
        return Err(Error::last_os("sigaction"));
    }
    Ok(())
}

unsafe extern "C" fn on_signal<const GENERATION: usize>(
    signal: i32,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // The kernel leaves EFLAGS.AC as the interrupted code had it.
    // SAFETY: this changes only that flag, and the stack below is free.
    unsafe {
        core::arch::asm!(
            "pushfq",
            "and dword ptr [rsp], {no_ac}",
            "popfq",
            no_ac = const !(enter::AC as i32),
        );
    }
    let bases = (thread::fs_base(), thread::gs_base());
    let previous = &PREVIOUS[GENERATION][signal as usize];
    // SAFETY: the arguments are the kernel's; `dispatch` has restored the host's segment bases when
    // it returns.
    unsafe {
        match dispatch(signal, info, context, bases) {
            Outcome::Done => {}
            Outcome::Resume => thread::set_bases(bases.0, bases.1),
            Outcome::Chain => chain(previous, signal, info, context, true),
            Outcome::ChainThenResume => {
                chain(previous, signal, info, context, false);
                thread::set_bases(bases.0, bases.1);
            }
        }
    }
}

/// The work that remains after a signal was dispatched.
enum Outcome {
    /// None. The context may have changed.
    Done,
    /// Load the interrupted code's segment bases again.
    Resume,
    /// Call the host's handler.
    Chain,
    /// Call the host's handler, then load the segment bases of the interrupted code again.
    ChainThenResume,
}

/// # Safety
/// A signal handler calls this with its arguments and the segment bases that it found.
#[inline(always)]
unsafe fn dispatch(
    signal: i32,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
    bases: (usize, usize),
) -> Outcome {
    // SAFETY: the third argument of an SA_SIGINFO handler is its context.
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    // SAFETY: the second argument is its `siginfo_t`.
    let is_fault = FAULTS.contains(&signal) && unsafe { (*info).si_code } > 0;
    let Some(processor) = thread::of_handler() else {
        return Outcome::Chain;
    };
    let current = processor.current.load(Ordering::Relaxed);
    if current.is_null() {
        return if is_fault && fix_copy(context) { Outcome::Done } else { Outcome::Chain };
    }
    processor.load_host_bases();
    // SAFETY: the thread is inside with this TCS, so its enclave is loaded.
    let thread = unsafe { &*current };

    let rip = context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize;
    if !is_fault && enter::is_resuming(rip) {
        let outside = aex::take_back_resume(thread);
        aex::load_synthetic_state(thread, context, &outside);
        aex::set_outside(processor, thread);
        return Outcome::Chain;
    }
    if !aex::was_inside(processor, thread, context, bases.0) {
        return if is_fault && fix_copy(context) {
            Outcome::Resume
        } else {
            Outcome::ChainThenResume
        };
    }
    if !is_fault {
        let outside = aex::save(processor, thread, context, bases, None);
        aex::load_synthetic_state(thread, context, &outside);
        aex::set_outside(processor, thread);
        return Outcome::Chain;
    }
    let exception = match exception_inside(thread, context) {
        Event::Enclu => match enclu(processor, thread, context) {
            Ok(()) => return Outcome::Resume,
            Err(exception) => exception,
        },
        Event::Exception(exception) => {
            let enclave = thread.enclave();
            if kernel::page_fault(enclave, &mut Changes::new(enclave), &exception) {
                return Outcome::Resume;
            }
            exception
        }
    };
    let outside = aex::save(processor, thread, context, bases, Some(&exception));
    // SAFETY: this is the fault's handler, the state is saved, the host's bases are loaded.
    unsafe { aex::report(processor, thread, &exception, &outside) }
}

/// Diverts a fault in the loop that copies enclave memory.
fn fix_copy(context: &mut libc::ucontext_t) -> bool {
    let rip = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
    match memory::fixup(*rip as usize) {
        Some(target) => {
            *rip = target as i64;
            true
        }
        None => false,
    }
}

enum Event {
    Enclu,
    Exception(Exception),
}

fn exception_inside(thread: &ThreadControl, context: &libc::ucontext_t) -> Event {
    let get = |register: i32| context.uc_mcontext.gregs[register as usize] as usize;
    let mut exception = Exception {
        vector: get(libc::REG_TRAPNO) as u8,
        error_code: get(libc::REG_ERR) as u32,
        address: 0,
    };
    match exception.vector {
        vector::UD | vector::GP if is_enclu(thread, get(libc::REG_RIP)) => return Event::Enclu,
        // This is a fault of ENCLU's operands; a page that does not allow code fetches is another
        // fault.
        vector::PF
            if exception.error_code & PF_FETCH == 0 && is_enclu(thread, get(libc::REG_RIP)) =>
        {
            return Event::Enclu;
        }
        vector::PF => {
            exception.address = get(libc::REG_CR2);
            if denied_by_epcm(thread, &exception) {
                exception.error_code |= PF_SGX;
            }
        }
        _ => {}
    }
    Event::Exception(exception)
}

/// Whether the instruction at `rip` is ENCLU, or HLT in its place
/// ([`quick_exits`](crate::quick_exits)).
fn is_enclu(thread: &ThreadControl, rip: usize) -> bool {
    let enclave = thread.enclave();
    // Another thread may replace ENCLU after the trap. It registers the address first, so a look at
    // the bytes, and then at the registered addresses, finds one or the other.
    // SAFETY: bytes have no invalid values.
    enclave.contains(rip)
        && (unsafe { memory::read::<[u8; 3]>(rip) }
            .is_ok_and(|bytes| bytes == loop_emulator::ENCLU)
            || enclave.quick_exits.contains(rip))
}

/// Whether the page table would have allowed this access.
fn denied_by_epcm(thread: &ThreadControl, fault: &Exception) -> bool {
    if !thread.enclave().contains(fault.address) {
        return false;
    }
    let entry = thread.enclave().entry(fault.address);
    let needed = match fault.error_code {
        code if code & PF_WRITE != 0 => 2,
        code if code & PF_FETCH != 0 => 4,
        _ => 1,
    };
    entry.valid() && entry.table().bits() & needed != 0
}

/// The most pages that one trap changes. Other threads that change pages wait meanwhile.
const AT_ONCE: usize = 1024;

/// Executes ENCLU, and the ENCLUs that follow in a loop over pages. On EEXIT, leaves the handler.
fn enclu(
    processor: &Processor,
    thread: &ThreadControl,
    context: &mut libc::ucontext_t,
) -> Result<(), Exception> {
    let registers = &mut context.uc_mcontext.gregs;
    if registers[libc::REG_RAX as usize] as u32 == Enclu::EExit as u32 {
        let target = registers[libc::REG_RBX as usize];
        if target << 16 >> 16 != target {
            return Err(GP);
        }
        let enclave = thread.enclave();
        enclave.quick_exits.learn(enclave, registers[libc::REG_RIP as usize] as usize);
        aex::set_outside(processor, thread);
        // SAFETY: this is the trap's handler, the host's bases are loaded, the thread is outside
        // now.
        unsafe { enter::leave(registers) }
    }
    let enclave = thread.enclave();
    let mut changes = Changes::new(enclave);
    for _ in 0..AT_ONCE {
        let more = leaf::changes_page(registers);
        while let Err(exception) = leaf::execute(enclave, &mut changes, registers) {
            // The leaf may have met a page whose page table does not match its entry yet, or a page
            // that is added when it is touched.
            let late = changes.apply().is_ok_and(|had| had);
            if !late && !kernel::page_fault(enclave, &mut changes, &exception) {
                return Err(exception);
            }
        }
        registers[libc::REG_RIP as usize] += loop_emulator::ENCLU.len() as i64;
        if !more
            || !loop_emulator::to_next_enclu(enclave, registers)
            || !leaf::changes_page(registers)
        {
            break;
        }
    }
    Ok(())
}

/// Does what the kernel would have done with the signal if our handler were not installed. With
/// `may_move`, the host's handler runs on the stack that the kernel would have chosen, and this
/// does not return.
///
/// # Safety
/// Call this with a signal handler's arguments, and the host's segment bases loaded.
unsafe fn chain(
    previous: &AtomicPtr<libc::sigaction>,
    signal: i32,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
    may_move: bool,
) {
    // SAFETY: the action is never freed, and was stored before our handler was installed.
    let action = unsafe { *previous.load(Ordering::Acquire) };
    match action.sa_sigaction {
        // SAFETY: the caller's promise.
        libc::SIG_DFL => unsafe { default_action(signal, info) },
        libc::SIG_IGN => {
            // SAFETY: this is a handler's second argument.
            if unsafe { (*info).si_code } > 0 {
                // A fault cannot be ignored.
                // SAFETY: the caller's promise.
                unsafe { default_action(signal, info) }
            }
        }
        handler => {
            if action.sa_flags & libc::SA_RESETHAND != 0 {
                reset_to_default(previous, &action);
            }
            if FAULTS.contains(&signal) {
                block(&action, signal);
            }
            // SAFETY: this is a handler's third argument.
            let kernel_context = unsafe { &*context.cast::<libc::ucontext_t>() };
            if may_move
                && action.sa_flags & libc::SA_ONSTACK == 0
                && handler_stack::moved_to_alternate_stack(kernel_context)
            {
                // SAFETY: the conditions are checked, and the arguments are the kernel's.
                unsafe { handler_stack::run_handler(handler, signal, info, context.cast()) }
            }
            // SAFETY: this calls the host's handler as its flags say; signal handlers of either
            // kind take their arguments in the same registers.
            unsafe {
                let handler: Handler = std::mem::transmute(handler);
                handler(signal, info, context);
            }
        }
    }
}

/// Blocks the signals that the host wanted blocked in its handler of a fault. Returning from the
/// signal restores the old mask.
fn block(action: &libc::sigaction, signal: i32) {
    let mut mask = action.sa_mask;
    // SAFETY: this changes a signal set of our own, and this thread's mask.
    unsafe {
        if action.sa_flags & libc::SA_NODEFER == 0 {
            libc::sigaddset(&mut mask, signal);
        }
        libc::pthread_sigmask(libc::SIG_BLOCK, &mask, ptr::null_mut());
    }
}

fn reset_to_default(previous: &AtomicPtr<libc::sigaction>, action: &libc::sigaction) {
    let mut default = *action;
    default.sa_sigaction = libc::SIG_DFL;
    default.sa_flags &= !libc::SA_RESETHAND;
    previous.store(Box::into_raw(Box::new(default)), Ordering::Release);
}

/// Lets the signal end the process as it would have without us: a fault happens again, and a sent
/// signal is sent again.
///
/// # Safety
/// Call this in a handler, with its arguments.
unsafe fn default_action(signal: i32, info: *mut libc::siginfo_t) {
    // SAFETY: restores the default action, and sends the process' own signal to itself.
    unsafe {
        let mut default: libc::sigaction = std::mem::zeroed();
        default.sa_sigaction = libc::SIG_DFL;
        libc::sigaction(signal, &default, ptr::null_mut());
        if (*info).si_code <= 0 {
            libc::raise(signal);
        }
    }
}
