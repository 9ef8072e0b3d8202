//! Entering enclaves, with the ABI of the kernel's `__vdso_sgx_enter_enclave` (Linux
//! `arch/x86/include/uapi/asm/sgx.h`; SDM Vol. 3D, EENTER and ERESUME).

use std::arch::global_asm;
use std::cell::Cell;
use std::mem::offset_of;
use std::sync::atomic::Ordering;

use sgx_isa::Enclu;

use crate::aex;
use crate::enclave::ThreadControl;
use crate::epcm::PAGE;
use crate::exception::{Exception, GP, PF_USER};
use crate::memory;
use crate::registry;
use crate::ssa::{Frame, GprSgx};
use crate::thread::{self, Processor};
use crate::xsave;

/// The kernel's `struct sgx_enclave_run`.
#[repr(C)]
#[derive(Debug)]
pub struct EnclaveRun {
    /// The address of the TCS to enter with.
    pub tcs: u64,
    /// Out: the ENCLU leaf that was last executed, or that faulted.
    pub function: u32,
    /// Out: the vector of the exception, if `function` is EENTER or ERESUME.
    pub exception_vector: u16,
    /// Out: the error code of the exception.
    pub exception_error_code: u16,
    /// Out: the address that faulted.
    pub exception_addr: u64,
    /// A function that is called on exits, or zero.
    pub user_handler: u64,
    /// Ignored.
    pub user_data: u64,
    /// Must be zero.
    pub reserved: [u64; 27],
}

impl EnclaveRun {
    /// Returns a structure for entering with the TCS at `tcs`.
    pub fn new(tcs: *mut core::ffi::c_void) -> Self {
        EnclaveRun {
            tcs: tcs as u64,
            function: 0,
            exception_vector: 0,
            exception_error_code: 0,
            exception_addr: 0,
            user_handler: 0,
            user_data: 0,
            reserved: [0; 27],
        }
    }
}

/// The type of [`sgx_sim_enter_enclave`] as a symbol. Its real interface is in assembly: see the
/// documentation there.
pub type EnterFn = unsafe extern "C" fn();

unsafe extern "C" {
    /// Enters a simulated enclave: EENTER or ERESUME, until the next exit.
    ///
    /// In: `rdi`, `rsi`, `rdx`, `r8`, `r9`, `r10` for the enclave; `ecx` the ENCLU leaf, EENTER (2)
    /// or ERESUME (3); on the stack, a pointer to [`EnclaveRun`]. Out: `eax` zero, with
    /// `EnclaveRun` filled and, after EEXIT, the enclave's `rdi`, `rsi`, `rdx`, `r8`, `r9` and
    /// `r10` in the registers; or `eax` negative: `-EINVAL` for a bad leaf or reserved field,
    /// `-EAGAIN` when no alternate stack could be made, `-EDEADLK` in a signal handler that runs on
    /// the alternate stack or has interrupted an entry.
    ///
    /// # Safety
    /// The pointer points to an `EnclaveRun`, and the caller holds the [`sgxs::loader::Tcs`] of its
    /// TCS.
    pub fn sgx_sim_enter_enclave();

    fn sgx_sim_aep();
    fn sgx_sim_exception();
    fn sgx_sim_enter_window();
    fn sgx_sim_enter_window_end();
    fn sgx_sim_resume_window();
    fn sgx_sim_resume_window_end();
    fn sgx_sim_leave(registers: *const i64) -> !;
}

/// RFLAGS.AC.
pub(crate) const AC: u64 = 1 << 18;

thread_local! {
    static ENTRY_FLAGS: Cell<u64> = const { Cell::new(0) };
}

/// Sets RFLAGS for all later EENTERs of this thread, as a host that enters by itself can: DF, AC,
/// ID and the arithmetic flags. With `None`, DF is clear, and AC and ID are the caller's.
pub fn set_entry_flags(flags: Option<u64>) {
    /// CF, PF, AF, ZF, SF, DF, OF, AC and ID.
    const SETTABLE: u64 = 0x8d5 | 1 << 10 | AC | 1 << 21;
    /// Bit 1, which is always set, and IF.
    const ALWAYS: u64 = 0x202;
    ENTRY_FLAGS.set(flags.map_or(0, |flags| flags & SETTABLE | ALWAYS));
}

/// Returns [`sgx_sim_enter_enclave`] as a value.
pub fn enter_enclave_fn() -> EnterFn {
    sgx_sim_enter_enclave
}

/// The registers that ERESUME loads, in the order in which they are popped, IRETQ's frame last.
#[repr(C)]
#[derive(Default)]
struct Resume {
    r15_r8: [u64; 8],
    rdi: u64,
    rsi: u64,
    rbp: u64,
    rbx: u64,
    rdx: u64,
    rcx: u64,
    rax: u64,
    rip: u64,
    cs: u64,
    rflags: u64,
    rsp: u64,
    ss: u64,
}

/// The locals of `sgx_sim_enter_enclave`, below its saved registers.
#[repr(C)]
struct Locals {
    resume: Resume,
    xsave: *const u8,
    xfrm: u64,
    cssa: u64,
    tcs: u64,
    gs_base: u64,
    fs_base: u64,
    oentry: u64,
    rdi: u64,
    rsi: u64,
    rdx: u64,
    r8: u64,
    r9: u64,
    r10: u64,
    r11: u64,
    /// RFLAGS to enter with, or zero to keep the caller's.
    rflags: u64,
    mxcsr: u32,
    fcw: u16,
}

/// RBX and R12 to R15, between the locals and RBP.
const SAVED: usize = 5 * 8;
const LOCALS: usize = size_of::<Locals>();

/// The values by which `prepare` directs the assembly. Negative values are error numbers.
const GO_ENTER: i64 = 0;
const GO_RESUME: i64 = 1;
const REFUSED: i64 = 2;

global_asm!(
    ".pushsection .text.sgx_sim_enter_enclave,\"ax\",@progbits",
    ".globl sgx_sim_enter_enclave",
    ".type sgx_sim_enter_enclave,@function",
    "sgx_sim_enter_enclave:",
    "    .cfi_startproc",
    "    push rbp",
    "    .cfi_def_cfa_offset 16",
    "    .cfi_offset rbp, -16",
    "    mov rbp, rsp",
    "    .cfi_def_cfa_register rbp",
    "    push rbx",
    "    .cfi_offset rbx, -24",
    "    push r12",
    "    .cfi_offset r12, -32",
    "    push r13",
    "    .cfi_offset r13, -40",
    "    push r14",
    "    .cfi_offset r14, -48",
    "    push r15",
    "    .cfi_offset r15, -56",
    "    sub rsp, {locals}",
    "    mov qword ptr [rbp - {base} + {rflags}], 0",
    "    stmxcsr [rbp - {base} + {mxcsr}]",
    "    fnstcw [rbp - {base} + {fcw}]",
    "    mov eax, ecx",
    // eax is the leaf.
    "2:  mov [rbp - {base} + {rdi}], rdi",
    "    mov [rbp - {base} + {rsi}], rsi",
    "    mov [rbp - {base} + {rdx}], rdx",
    "    mov [rbp - {base} + {r8}], r8",
    "    mov [rbp - {base} + {r9}], r9",
    "    mov [rbp - {base} + {r10}], r10",
    "    mov [rbp - {base} + {r11}], r11",
    "    cmp qword ptr [rbp - {base} + {rflags}], 0",
    "    je 1f",
    "    pushfq",
    "    and dword ptr [rsp], {no_ac}",
    "    popfq",
    "1:  mov edi, eax",
    "    mov rsi, [rbp + 16]",
    "    mov rdx, rsp",
    "    mov rcx, rbp",
    "    lea r8, [rbp - {base}]",
    "    mov rbx, rsp",
    "    and rsp, -16",
    "    cld",
    "    call {prepare}",
    "    mov rsp, rbx",
    "    test rax, rax",
    "    js 8f",
    "    mov rbx, [rbp + 16]",
    "    cmp eax, {go_resume}",
    "    ja 6f",
    "    je 4f",
    // EENTER. After the first change of a segment base, the host's thread-local storage is out of
    // reach: the signal handler knows this window.
    "    mov rdi, [rbp - {base} + {rdi}]",
    "    mov rsi, [rbp - {base} + {rsi}]",
    "    mov rdx, [rbp - {base} + {rdx}]",
    "    mov r8, [rbp - {base} + {r8}]",
    "    mov r9, [rbp - {base} + {r9}]",
    "    mov r10, [rbp - {base} + {r10}]",
    "    mov r11, [rbp - {base} + {r11}]",
    "    mov rbx, [rbp - {base} + {tcs}]",
    "    lea rcx, [rip + 5f]",
    "    mov rax, [rbp - {base} + {gs_base}]",
    ".hidden sgx_sim_enter_window",
    ".globl sgx_sim_enter_window",
    "sgx_sim_enter_window:",
    "    wrgsbase rax",
    "    mov rax, [rbp - {base} + {fs_base}]",
    "    wrfsbase rax",
    "    mov rax, [rbp - {base} + {cssa}]",
    "    cmp qword ptr [rbp - {base} + {rflags}], 0",
    "    je 3f",
    "    push qword ptr [rbp - {base} + {rflags}]",
    "    popfq",
    "3:  jmp [rbp - {base} + {oentry}]",
    ".hidden sgx_sim_enter_window_end",
    ".globl sgx_sim_enter_window_end",
    "sgx_sim_enter_window_end:",
    // ERESUME. From here on, the enclave's registers are loaded one after the other. Until the last
    // one is loaded, the signal handler treats the thread's state as still in the SSA frame.
    "4:  mov rbx, [rbp - {base} + {xsave}]",
    "    mov eax, [rbp - {base} + {xfrm}]",
    "    mov edx, [rbp - {base} + {xfrm} + 4]",
    ".hidden sgx_sim_resume_window",
    ".globl sgx_sim_resume_window",
    "sgx_sim_resume_window:",
    "    xrstor64 [rbx]",
    "    mov rax, [rbp - {base} + {gs_base}]",
    "    wrgsbase rax",
    "    mov rax, [rbp - {base} + {fs_base}]",
    "    wrfsbase rax",
    "    lea rsp, [rbp - {base}]",
    "    pop r15",
    "    pop r14",
    "    pop r13",
    "    pop r12",
    "    pop r11",
    "    pop r10",
    "    pop r9",
    "    pop r8",
    "    pop rdi",
    "    pop rsi",
    "    pop rbp",
    "    pop rbx",
    "    pop rdx",
    "    pop rcx",
    "    pop rax",
    "    iretq",
    ".hidden sgx_sim_resume_window_end",
    ".globl sgx_sim_resume_window_end",
    "sgx_sim_resume_window_end:",
    // EEXIT by EDP's convention leads here, to the RCX that the enclave was entered with.
    "5:  mov rbx, [rbp + 16]",
    "    mov dword ptr [rbx + {run_function}], {eexit}",
    // rbx is the run structure, now filled.
    "6:  cmp qword ptr [rbp - {base} + {rflags}], 0",
    "    je 7f",
    // The flags of an entry do not apply to the code after it.
    "    pushfq",
    "    and dword ptr [rsp], {no_ac}",
    "    popfq",
    "7:  ldmxcsr [rbp - {base} + {mxcsr}]",
    "    fldcw [rbp - {base} + {fcw}]",
    "    cld",
    "    cmp qword ptr [rbx + {run_handler}], 0",
    "    jne 9f",
    "    xor eax, eax",
    "8:  lea rsp, [rbp - {saved}]",
    "    pop r15",
    "    pop r14",
    "    pop r13",
    "    pop r12",
    "    pop rbx",
    "    pop rbp",
    "    .cfi_remember_state",
    "    .cfi_def_cfa rsp, 8",
    "    ret",
    "    .cfi_restore_state",
    // Calls the caller's handler: (rdi, rsi, rdx, RSP at exit, r8, r9, run) -> leaf, or <= 0. The
    // enclave may have left arguments on the stack and moved RSP, so RSP is kept.
    "9:  mov rcx, rsp",
    "    mov rax, rbx",
    "    mov rbx, rsp",
    "    and rbx, 15",
    "    and rsp, -16",
    "    push rax",
    "    push rax",
    "    call [rax + {run_handler}]",
    "    lea rsp, [rsp + rbx + 16]",
    "    test eax, eax",
    "    jle 8b",
    "    jmp 2b",
    // After an exception inside: eax is the leaf, di the vector, si the error code, rdx the
    // address; the stack is as outside.
    ".hidden sgx_sim_exception",
    ".globl sgx_sim_exception",
    "sgx_sim_exception:",
    "    mov rbx, [rbp + 16]",
    "    mov [rbx + {run_function}], eax",
    "    mov [rbx + {run_vector}], di",
    "    mov [rbx + {run_error}], si",
    "    mov [rbx + {run_addr}], rdx",
    "    jmp 6b",
    // The asynchronous exit pointer: after an interrupt, the thread resumes here.
    ".hidden sgx_sim_aep",
    ".globl sgx_sim_aep",
    "sgx_sim_aep:",
    "    mov eax, {eresume}",
    "    jmp 2b",
    "    .cfi_endproc",
    ".size sgx_sim_enter_enclave, . - sgx_sim_enter_enclave",
    ".popsection",
    locals = const LOCALS,
    saved = const SAVED,
    base = const SAVED + LOCALS,
    rdi = const offset_of!(Locals, rdi),
    rsi = const offset_of!(Locals, rsi),
    rdx = const offset_of!(Locals, rdx),
    r8 = const offset_of!(Locals, r8),
    r9 = const offset_of!(Locals, r9),
    r10 = const offset_of!(Locals, r10),
    r11 = const offset_of!(Locals, r11),
    rflags = const offset_of!(Locals, rflags),
    no_ac = const !(AC as i32),
    mxcsr = const offset_of!(Locals, mxcsr),
    fcw = const offset_of!(Locals, fcw),
    tcs = const offset_of!(Locals, tcs),
    cssa = const offset_of!(Locals, cssa),
    gs_base = const offset_of!(Locals, gs_base),
    fs_base = const offset_of!(Locals, fs_base),
    oentry = const offset_of!(Locals, oentry),
    xsave = const offset_of!(Locals, xsave),
    xfrm = const offset_of!(Locals, xfrm),
    run_function = const offset_of!(EnclaveRun, function),
    run_vector = const offset_of!(EnclaveRun, exception_vector),
    run_error = const offset_of!(EnclaveRun, exception_error_code),
    run_addr = const offset_of!(EnclaveRun, exception_addr),
    run_handler = const offset_of!(EnclaveRun, user_handler),
    eexit = const Enclu::EExit as u32,
    eresume = const Enclu::EResume as u32,
    go_resume = const GO_RESUME,
    prepare = sym prepare,
);

/// The order of general registers in `ucontext_t`, on which `sgx_sim_leave` relies.
const _: () = {
    assert!(libc::REG_R8 == 0 && libc::REG_R15 == 7);
    assert!(libc::REG_RDI == 8 && libc::REG_RSI == 9 && libc::REG_RBP == 10);
    assert!(libc::REG_RBX == 11 && libc::REG_RDX == 12 && libc::REG_RAX == 13);
    assert!(libc::REG_RSP == 15 && libc::REG_EFL == 17);
};

global_asm!(
    ".pushsection .text.sgx_sim_leave,\"ax\",@progbits",
    ".hidden sgx_sim_leave",
    ".globl sgx_sim_leave",
    ".type sgx_sim_leave,@function",
    // rdi points to the interrupted general registers on the alternate stack. Once RSP has left
    // that stack, it is free for the next signal, so RSP changes last.
    "sgx_sim_leave:",
    "    push qword ptr [rdi + 17*8]",
    "    popfq",
    "    mov r8, [rdi]",
    "    mov r9, [rdi + 1*8]",
    "    mov r10, [rdi + 2*8]",
    "    mov r11, [rdi + 3*8]",
    "    mov r12, [rdi + 4*8]",
    "    mov r13, [rdi + 5*8]",
    "    mov r14, [rdi + 6*8]",
    "    mov r15, [rdi + 7*8]",
    "    mov rsi, [rdi + 9*8]",
    "    mov rbp, [rdi + 10*8]",
    "    mov rbx, [rdi + 11*8]",
    "    mov rdx, [rdi + 12*8]",
    "    mov rax, [rdi + 13*8]",
    "    mov rcx, [rdi + 15*8]",
    "    mov rdi, [rdi + 8*8]",
    "    mov rsp, rcx",
    "    lea rcx, [rip + sgx_sim_aep]",
    "    jmp rbx",
    ".size sgx_sim_leave, . - sgx_sim_leave",
    ".popsection",
);

/// Executes EEXIT: leaves the signal handler for RBX, with the enclave's other registers, and the
/// AEP in RCX. This is faster than returning from the signal: the kernel has already put the
/// extended state into its initial configuration, and EEXIT promises nothing about that state.
///
/// # Safety
/// Call this in the handler of ENCLU's trap, with the host's segment bases loaded, the thread
/// marked as outside, and `registers` those of an enclave that executed EEXIT.
pub(crate) unsafe fn leave(registers: &[i64; 23]) -> ! {
    // SAFETY: the caller's promise.
    unsafe { sgx_sim_leave(registers.as_ptr()) }
}

/// Reports an exception inside to the caller of `sgx_sim_enter_enclave`: leaves the handler for the
/// caller's exit path, with the outside stack that the SSA frame names.
///
/// # Safety
/// The requirements of [`leave`], after the AEX.
pub(crate) unsafe fn report_exception(exception: &Exception, ursp: u64, urbp: u64) -> ! {
    // SAFETY: the caller's promise. URSP and URBP come from the enclave; hardware trusts them too.
    unsafe {
        core::arch::asm!(
            "mov rsp, r8",
            "mov rbp, r9",
            "jmp {exception}",
            exception = sym sgx_sim_exception,
            in("eax") Enclu::EResume as u32,
            in("edi") u32::from(exception.vector),
            in("esi") exception.error_code,
            in("rdx") exception.reported_address(),
            in("r8") ursp,
            in("r9") urbp,
            options(noreturn),
        )
    }
}

/// Returns the asynchronous exit pointer.
pub(crate) fn aep() -> usize {
    sgx_sim_aep as *const () as usize
}

/// Whether code at `rip` is about to enter: outside, but maybe on the enclave's segment bases.
pub(crate) fn is_entering(rip: usize) -> bool {
    let window = sgx_sim_enter_window as *const () as usize;
    let end = sgx_sim_enter_window_end as *const () as usize;
    (window..end).contains(&rip)
}

/// Whether code at `rip` is about to resume: outside, but maybe with registers and segment bases of
/// an enclave.
pub(crate) fn is_resuming(rip: usize) -> bool {
    let window = sgx_sim_resume_window as *const () as usize;
    let end = sgx_sim_resume_window_end as *const () as usize;
    (window..end).contains(&rip)
}

/// Does the work of EENTER and ERESUME before the first instruction inside.
unsafe extern "C" fn prepare(
    leaf: u32,
    run: *mut EnclaveRun,
    ursp: u64,
    urbp: u64,
    locals: *mut Locals,
) -> i64 {
    // SAFETY: the caller of `sgx_sim_enter_enclave` promises a valid structure, and the assembly
    // valid locals. Nothing else uses either of them now.
    let (run, locals) = unsafe { (&mut *run, &mut *locals) };
    if leaf != Enclu::EEnter as u32 && leaf != Enclu::EResume as u32
        || run.reserved.iter().any(|word| *word != 0)
    {
        return -i64::from(libc::EINVAL);
    }
    let Some(processor) = thread::current() else {
        return -i64::from(libc::EAGAIN);
    };
    // On the alternate stack, the enclave's first signal would overwrite the frames of the handler
    // that calls us. With a TCS in use, that handler has interrupted this very function.
    if thread::on_handler_stack(processor, ursp as usize)
        || !processor.current.load(Ordering::Relaxed).is_null()
    {
        return -i64::from(libc::EDEADLK);
    }
    let resume = leaf == Enclu::EResume as u32;
    locals.rflags = ENTRY_FLAGS.get();
    match begin(processor, run.tcs as usize, resume, ursp, urbp, locals) {
        Ok(()) if resume => GO_RESUME,
        Ok(()) => GO_ENTER,
        Err(exception) => {
            run.function = leaf;
            run.exception_vector = exception.vector.into();
            run.exception_error_code = exception.error_code as u16;
            run.exception_addr = exception.reported_address();
            REFUSED
        }
    }
}

fn begin(
    processor: &Processor,
    tcs: usize,
    resume: bool,
    ursp: u64,
    urbp: u64,
    locals: &mut Locals,
) -> Result<(), Exception> {
    if !tcs.is_multiple_of(PAGE) {
        return Err(GP);
    }
    let not_a_tcs = Exception::page_fault(tcs, PF_USER);
    let enclave = registry::find(tcs).ok_or(not_a_tcs)?;
    // SAFETY: the caller holds the TCS, which keeps its enclave alive.
    let enclave = unsafe { &*enclave };
    let thread = enclave.thread(tcs).ok_or(not_a_tcs)?;
    if !enclave.is_thread_page(enclave.page(tcs)) {
        return Err(not_a_tcs);
    }
    if thread.busy.swap(true, Ordering::Acquire) {
        return Err(GP);
    }
    processor.host_fs.store(thread::fs_base(), Ordering::Relaxed);
    processor.host_gs.store(thread::gs_base(), Ordering::Relaxed);
    processor.current.store(std::ptr::from_ref(thread).cast_mut(), Ordering::Release);
    let prepared = if resume {
        prepare_resume(thread, processor, ursp, urbp, locals)
    } else {
        prepare_enter(thread, ursp, urbp, locals)
    };
    if prepared.is_err() {
        aex::set_outside(processor, thread);
    }
    prepared
}

fn frame(thread: &ThreadControl, index: u32) -> Result<Frame, Exception> {
    Frame::of(thread, index).map_err(|page| Exception::page_fault(page, PF_USER))
}

fn prepare_enter(
    thread: &ThreadControl,
    ursp: u64,
    urbp: u64,
    locals: &mut Locals,
) -> Result<(), Exception> {
    let cssa = thread.cssa.load(Ordering::Relaxed);
    if cssa >= thread.nssa {
        return Err(GP);
    }
    let unwritable = |_: memory::Fault| Exception::page_fault(thread.frame(cssa), PF_USER);
    frame(thread, cssa)?.write_outside_stack(ursp, urbp).map_err(unwritable)?;
    locals.cssa = cssa.into();
    locals.tcs = thread.address as u64;
    locals.fs_base = thread.fs_base as u64;
    locals.gs_base = thread.gs_base as u64;
    locals.oentry = thread.oentry as u64;
    Ok(())
}

fn prepare_resume(
    thread: &ThreadControl,
    processor: &Processor,
    ursp: u64,
    urbp: u64,
    locals: &mut Locals,
) -> Result<(), Exception> {
    let cssa = thread.cssa.load(Ordering::Relaxed);
    let index = cssa.checked_sub(1).ok_or(GP)?;
    let unreadable = |_: memory::Fault| Exception::page_fault(thread.frame(index), PF_USER);
    let frame = frame(thread, index)?;
    let gpr = frame.read_gpr().map_err(unreadable)?;
    if ![gpr.rip, gpr.fsbase, gpr.gsbase].into_iter().all(canonical) {
        return Err(GP);
    }

    let layout = xsave::layout().map_err(|_| GP)?;
    let xfrm = thread.enclave().secs.attributes.xfrm;
    let size = layout.size(xfrm);
    let buffer = processor.xsave_buffer();
    // SAFETY: the buffer belongs to this thread, which uses it nowhere else.
    let area = unsafe { &mut (&mut *buffer)[..size] };
    frame.read_xsave(area).map_err(unreadable)?;
    if !layout.restorable(area, xfrm) {
        return Err(GP);
    }

    frame.write_outside_stack(ursp, urbp).map_err(unreadable)?;
    locals.xsave = area.as_ptr();
    locals.xfrm = xfrm;
    locals.fs_base = gpr.fsbase;
    locals.gs_base = gpr.gsbase;
    locals.resume = Resume::from(&gpr);
    thread.cssa.store(index, Ordering::Relaxed);
    Ok(())
}

/// Whether the address fits the 48 bits that user and kernel space share.
fn canonical(address: u64) -> bool {
    (address as i64) << 16 >> 16 == address as i64
}

/// RFLAGS that ERESUME restores: CF, PF, AF, ZF, SF, DF, OF, RF, AC and ID.
const RESTORED_FLAGS: u64 = 0x25_0cd5;
/// Bit 1 always reads as one, and IF is set in user space.
const FIXED_FLAGS: u64 = 0x202;

impl From<&GprSgx> for Resume {
    fn from(gpr: &GprSgx) -> Self {
        let (cs, ss): (u64, u64);
        // SAFETY: reading segment selectors has no side effect.
        unsafe {
            core::arch::asm!(
                "mov {}, cs",
                "mov {}, ss",
                out(reg) cs,
                out(reg) ss,
                options(nomem, nostack, preserves_flags),
            )
        };
        let mut r15_r8 = gpr.r8_r15;
        r15_r8.reverse();
        Resume {
            r15_r8,
            rdi: gpr.rdi,
            rsi: gpr.rsi,
            rbp: gpr.rbp,
            rbx: gpr.rbx,
            rdx: gpr.rdx,
            rcx: gpr.rcx,
            rax: gpr.rax,
            rip: gpr.rip,
            cs,
            rflags: gpr.rflags & RESTORED_FLAGS | FIXED_FLAGS,
            rsp: gpr.rsp,
            ss,
        }
    }
}
