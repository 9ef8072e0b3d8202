//! Asynchronous enclave exit (SDM Vol. 3D, "Enclave Exiting Events").

use std::sync::atomic::Ordering;

use sgx_isa::{Enclu, Miscselect};

use crate::enclave::ThreadControl;
use crate::enter;
use crate::exception::{Exception, vector};
use crate::memory::Fault;
use crate::ssa::{ExInfo, Frame, GprSgx};
use crate::thread::{self, Processor};
use crate::xsave::{self, SignalFrame};

/// The RFLAGS that the synthetic state clears: CF, PF, AF, ZF, SF, OF and RF; and TF, which an
/// opt-out entry has cleared.
const CLEARED_FLAGS: i64 = 0x1_09d5;

/// RSP and RBP outside, from the frame that the exit has filled.
pub(crate) struct Outside {
    pub(crate) ursp: u64,
    pub(crate) urbp: u64,
}

/// Saves the interrupted state of `thread` to its current SSA frame, and increments CSSA. The
/// thread stays marked as inside. `bases` are FS and GS inside.
///
/// EENTER and ERESUME have checked the frame. If the host has removed its pages since, the state
/// cannot be saved, and the process ends: hardware could not continue either.
pub(crate) fn save(
    processor: &Processor,
    thread: &ThreadControl,
    context: &mut libc::ucontext_t,
    bases: (usize, usize),
    exception: Option<&Exception>,
) -> Outside {
    try_save(processor, thread, context, bases, exception).unwrap_or_else(|| without_frame())
}

fn without_frame() -> ! {
    const MESSAGE: &[u8] =
        b"sgx-sim: the SSA frame of an exiting enclave thread is not accessible\n";
    // SAFETY: writes a constant to standard error, then ends the process.
    unsafe {
        libc::write(2, MESSAGE.as_ptr().cast(), MESSAGE.len());
        libc::abort()
    }
}

/// Undoes an ERESUME of `thread` that has not reached the enclave's next instruction: the frame
/// still holds its state. The thread stays marked as inside. If the host has removed the frame's
/// page since, the process ends.
pub(crate) fn take_back_resume(thread: &ThreadControl) -> Outside {
    let cssa = thread.cssa.load(Ordering::Relaxed);
    let gpr = Frame::of(thread, cssa).ok().and_then(|frame| frame.read_gpr().ok());
    let gpr = gpr.unwrap_or_else(|| without_frame());
    thread.cssa.store(cssa + 1, Ordering::Relaxed);
    Outside { ursp: gpr.ursp, urbp: gpr.urbp }
}

fn try_save(
    processor: &Processor,
    thread: &ThreadControl,
    context: &mut libc::ucontext_t,
    (fs, gs): (usize, usize),
    exception: Option<&Exception>,
) -> Option<Outside> {
    let secs = &thread.enclave().secs;
    let cssa = thread.cssa.load(Ordering::Relaxed);
    let frame = Frame::of(thread, cssa).ok()?;
    let outside = frame.read_gpr().ok()?;
    let with_exinfo = secs.miscselect.contains(Miscselect::EXINFO);

    let mut gpr = general_registers(context);
    gpr.ursp = outside.ursp;
    gpr.urbp = outside.urbp;
    gpr.fsbase = fs as u64;
    gpr.gsbase = gs as u64;
    if let Some(exception) = exception {
        gpr.exitinfo = exception.exitinfo(with_exinfo);
        if exception.vector == vector::BP {
            gpr.rip = int3_address(gpr.rip);
        }
        if with_exinfo && matches!(exception.vector, vector::PF | vector::GP) {
            frame
                .write_exinfo(&ExInfo {
                    maddr: exception.address as u64,
                    errcd: exception.error_code,
                    reserved: 0,
                })
                .ok()?;
        }
    }
    frame.write_gpr(&gpr).ok()?;
    save_extended(processor, secs.attributes.xfrm, &frame, context)?.ok()?;
    thread.cssa.store(cssa + 1, Ordering::Relaxed);
    Some(Outside { ursp: outside.ursp, urbp: outside.urbp })
}

fn save_extended(
    processor: &Processor,
    xfrm: u64,
    frame: &Frame,
    context: &mut libc::ucontext_t,
) -> Option<Result<(), Fault>> {
    let layout = xsave::layout().ok()?;
    // SAFETY: `context` belongs to the handler that runs now.
    let signal_frame = unsafe { SignalFrame::of(context) }?;
    // SAFETY: the buffer belongs to this thread, which uses it nowhere else.
    let area = unsafe { &mut (&mut *processor.xsave_buffer())[..layout.size(xfrm)] };
    layout.save(&signal_frame, xfrm, area);
    Some(frame.write_xsave(area))
}

/// Replaces the context by the synthetic state: outside, about to execute ERESUME at the AEP.
pub(crate) fn load_synthetic_state(
    thread: &ThreadControl,
    context: &mut libc::ucontext_t,
    outside: &Outside,
) {
    let flags = context.uc_mcontext.gregs[libc::REG_EFL as usize];
    {
        let mut set = |register: i32, value: u64| {
            context.uc_mcontext.gregs[register as usize] = value as i64;
        };
        for register in libc::REG_R8..=libc::REG_RDX {
            set(register, 0);
        }
        set(libc::REG_RAX, Enclu::EResume as u64);
        set(libc::REG_RBX, thread.address as u64);
        set(libc::REG_RCX, enter::aep() as u64);
        set(libc::REG_RIP, enter::aep() as u64);
        set(libc::REG_RSP, outside.ursp);
        set(libc::REG_RBP, outside.urbp);
        set(libc::REG_EFL, (flags & !CLEARED_FLAGS) as u64);
    }
    // SAFETY: `context` belongs to the handler that runs now.
    if let Some(mut signal_frame) = unsafe { SignalFrame::of(context) } {
        signal_frame.reset(thread.enclave().secs.attributes.xfrm);
    }
}

/// Marks the thread as outside, and the TCS as free for the next entry.
pub(crate) fn set_outside(processor: &Processor, thread: &ThreadControl) {
    processor.current.store(std::ptr::null_mut(), Ordering::Release);
    thread.busy.store(false, Ordering::Release);
}

/// Ends the exit of an exception, and reports it to the caller of the entry function.
///
/// # Safety
/// Call this in the handler of the fault, after [`save`], with the host's segment bases loaded.
pub(crate) unsafe fn report(
    processor: &Processor,
    thread: &ThreadControl,
    exception: &Exception,
    outside: &Outside,
) -> ! {
    set_outside(processor, thread);
    // SAFETY: the caller's promise, and the thread is marked as outside.
    unsafe { enter::report_exception(exception, outside.ursp, outside.urbp) }
}

/// Returns the RIP that a breakpoint reports. INT3 is a fault inside enclaves, so RIP is its own
/// address (SDM Vol. 3D, "INT3 Consideration"); the kernel reports the address of the next
/// instruction.
fn int3_address(next: u64) -> u64 {
    const INT3: u8 = 0xcc;
    // SAFETY: a byte has no invalid values.
    match unsafe { crate::memory::read::<u8>(next.wrapping_sub(1) as usize) } {
        Ok(INT3) => next.wrapping_sub(1),
        // This is INT n with n = 3.
        _ => next.wrapping_sub(2),
    }
}

fn general_registers(context: &libc::ucontext_t) -> GprSgx {
    let get = |register: i32| context.uc_mcontext.gregs[register as usize] as u64;
    GprSgx {
        rax: get(libc::REG_RAX),
        rcx: get(libc::REG_RCX),
        rdx: get(libc::REG_RDX),
        rbx: get(libc::REG_RBX),
        rsp: get(libc::REG_RSP),
        rbp: get(libc::REG_RBP),
        rsi: get(libc::REG_RSI),
        rdi: get(libc::REG_RDI),
        r8_r15: std::array::from_fn(|i| get(libc::REG_R8 + i as i32)),
        rflags: get(libc::REG_EFL),
        rip: get(libc::REG_RIP),
        ..GprSgx::default()
    }
}

/// Whether the interrupted code ran inside an enclave, and not in the few host instructions that
/// run on the enclave's segment bases, nor in our handler before it restored the host's bases.
pub(crate) fn was_inside(
    processor: &Processor,
    thread: &ThreadControl,
    context: &libc::ucontext_t,
    fs: usize,
) -> bool {
    let rip = context.uc_mcontext.gregs[libc::REG_RIP as usize] as usize;
    let rsp = context.uc_mcontext.gregs[libc::REG_RSP as usize] as usize;
    let stack = &context.uc_stack;
    let on_signal_stack = thread::on_handler_stack(processor, rsp)
        || rsp.wrapping_sub(stack.ss_sp as usize) < stack.ss_size;
    !on_signal_stack
        && !enter::is_entering(rip)
        && !enter::is_resuming(rip)
        && (thread.enclave().contains(rip) || fs != processor.host_fs.load(Ordering::Relaxed))
}
