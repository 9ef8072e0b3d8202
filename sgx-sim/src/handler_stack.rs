//! Runs a signal handler of the host on the stack where the kernel would have run it.
//!
//! Signals that arrive inside an enclave must be delivered to the alternate stack, so our handlers
//! ask for it. A handler of the host that did not ask may need a larger stack. So the signal's
//! frame is copied to the place where the kernel would have put it, below the interrupted stack,
//! and the handler starts there. When it returns, `rt_sigreturn` uses that copy (Linux
//! `arch/x86/kernel/signal_64.c`).

use std::ptr;

use crate::xsave;

/// Bytes below RSP that belong to the interrupted function (System V ABI).
const RED_ZONE: usize = 128;
/// The size of the kernel's `struct ucontext`, in bytes. The C library's is longer.
const UCONTEXT: usize = 304;
const SIGINFO: usize = size_of::<libc::siginfo_t>();
/// The alignment of XSAVE areas.
const XSAVE_ALIGN: usize = 64;
const STACK_ALIGN: usize = 16;

/// Whether the handler that has this context runs on an alternate stack, and the code that it
/// interrupted did not.
pub(crate) fn moved_to_alternate_stack(context: &libc::ucontext_t) -> bool {
    let here = 0u8;
    let stack = &context.uc_stack;
    let on_it = |address: usize| address.wrapping_sub(stack.ss_sp as usize) < stack.ss_size;
    let interrupted = context.uc_mcontext.gregs[libc::REG_RSP as usize] as usize;
    on_it(&raw const here as usize) && !on_it(interrupted)
}

/// Leaves the present handler, whose arguments these are, for `handler`.
///
/// # Safety
/// The context is the kernel's own, on the present stack, and [`moved_to_alternate_stack`] returned
/// true for it. `handler` is a handler that the host has installed.
pub(crate) unsafe fn run_handler(
    handler: usize,
    signal: i32,
    info: *const libc::siginfo_t,
    context: *const libc::ucontext_t,
) -> ! {
    // SAFETY: the kernel's frame is complete: the return address lies just before the context.
    // Below the interrupted stack pointer and red zone the stack is unused.
    let (frame, info, context) = unsafe {
        let state = (*context).uc_mcontext.fpregs.cast::<u8>();
        let rsp = (*context).uc_mcontext.gregs[libc::REG_RSP as usize] as usize;
        let state_size = xsave::signal_frame_size(state);
        let new_state = (rsp - RED_ZONE - state_size) & !(XSAVE_ALIGN - 1);
        let new_info = (new_state - SIGINFO) & !(STACK_ALIGN - 1);
        let new_context = new_info - UCONTEXT;
        let frame = new_context - size_of::<usize>();

        ptr::copy_nonoverlapping(state, new_state as *mut u8, state_size);
        ptr::copy_nonoverlapping(info.cast(), new_info as *mut u8, SIGINFO);
        ptr::copy_nonoverlapping(context.cast(), new_context as *mut u8, UCONTEXT);
        let copy = new_context as *mut libc::ucontext_t;
        if !state.is_null() {
            (&raw mut (*copy).uc_mcontext.fpregs).write(new_state as *mut _);
        }
        let return_address = context.cast::<usize>().sub(1).read();
        (frame as *mut usize).write(return_address);
        (frame, new_info, new_context)
    };
    // SAFETY: this starts the handler as the kernel does. The frames left behind own nothing.
    unsafe {
        core::arch::asm!(
            "mov rsp, {frame}",
            "jmp {handler}",
            frame = in(reg) frame,
            handler = in(reg) handler,
            in("rax") 0usize,
            in("edi") signal,
            in("rsi") info,
            in("rdx") context,
            options(noreturn),
        )
    }
}

const _: () = assert!(UCONTEXT.is_multiple_of(STACK_ALIGN));
