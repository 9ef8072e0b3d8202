//! Enters the enclave: defines the symbol `__vdso_sgx_enter_enclave`, which `enclave-runner-sgx`
//! calls if it exists.
//!
//! The function enters hardware enclaves through the kernel's vDSO, and simulated ones through
//! `sgx-sim`. When the enclave leaves with the number of a host call, this module serves the call on
//! the same thread, and enters the enclave again; `enclave-runner` sees only EDP's own usercalls.
//! After an abnormal end, this module records the error and returns to `enclave-runner` as if the
//! enclave had exited, so that errors are reported in one place.

use crate::call::Caller;
use crate::service::{self, Abnormal, Service};
use sgx_isa::Enclu;
use std::arch::global_asm;
use std::mem::offset_of;
use std::thread;
use std::time::{Duration, Instant};
use twine_protocol::calls::{USER_DEFINED, dispatch, exception};

macro_rules! number_usercalls {
    ($(fn $name:ident($($argument:ident: $ty:ty),*) $(-> $result:tt)*;)*) => {
        /// EDP's usercalls by number, in the order of its ABI, which starts at 1.
        #[expect(non_camel_case_types, dead_code, reason = "the variants have the calls' names")]
        #[repr(u64)]
        enum Usercall { none, $($name,)* }
    };
}
fortanix_sgx_abi::invoke_with_usercalls!(number_usercalls);

/// Registers around an entry, on the stack of the thread that enters.
#[repr(C, align(16))]
struct Frame {
    rdi: u64,
    rsi: u64,
    rdx: u64,
    rcx: u64,
    r8: u64,
    r9: u64,
    r10: u64,
    run: *mut sgx_sim::EnclaveRun,
    target: Option<sgx_sim::EnterFn>,
    result: i64,
    mxcsr: u32,
    control_word: u32,
    stopped: Stopped,
    /// The address of the last exception for which the enclave found no cause
    /// ([`exception::GONE`]).
    gone: u64,
    /// The address at which a page was last missing, and the number of waits for it.
    missing: u64,
    waits: u64,
}

/// The exception that stopped the thread, while the enclave handles it.
#[repr(C)]
struct Stopped {
    by_exception: u32,
    vector: u32,
    address: u64,
}

/// The vector of a page fault. Linux also uses it for faults that become SIGBUS.
const PAGE_FAULT: u16 = 14;

/// Two bits of a page fault's error code: the page was present; the EPCM denied the access (SDM Vol.
/// 3A, "Page-Fault Exception").
const PRESENT: u16 = 1 << 0;
const BY_EPCM: u16 = 1 << 15;

/// Whether an exception is a page fault at a missing page.
fn is_missing(vector: u16, error_code: u16) -> bool {
    vector == PAGE_FAULT && error_code & (PRESENT | BY_EPCM) == 0
}

/// The vectors of the exceptions that the enclave may handle: #DE, #UD and #PF.
const FOR_THE_ENCLAVE: [u16; 3] = [0, 6, PAGE_FAULT];

/// The result if there is no function to enter with.
const NO_TARGET: i32 = -libc::EINVAL;

global_asm!(
    ".globl __vdso_sgx_enter_enclave",
    ".type __vdso_sgx_enter_enclave, @function",
    "__vdso_sgx_enter_enclave:",
    ".cfi_startproc",
    "push rbp",
    ".cfi_def_cfa_offset 16",
    ".cfi_offset rbp, -16",
    "mov rbp, rsp",
    ".cfi_def_cfa_register rbp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    // The frame, and padding that keeps the stack aligned to 16 with the pushes above.
    "sub rsp, {size} + 8",
    "mov [rsp + {rdi}], rdi",
    "mov [rsp + {rsi}], rsi",
    "mov [rsp + {rdx}], rdx",
    "mov [rsp + {rcx}], rcx",
    "mov [rsp + {r8}], r8",
    "mov [rsp + {r9}], r9",
    "mov [rsp + {r10}], r10",
    "mov rax, [rbp + 16]",
    "mov [rsp + {run}], rax",
    "stmxcsr [rsp + {mxcsr}]",
    "fnstcw [rsp + {control_word}]",
    "mov rdi, rsp",
    "call {prepare}",
    "2:",
    "mov rdi, [rsp + {rdi}]",
    "mov rsi, [rsp + {rsi}]",
    "mov rdx, [rsp + {rdx}]",
    "mov ecx, [rsp + {rcx}]",
    "mov r8, [rsp + {r8}]",
    "mov r9, [rsp + {r9}]",
    "mov r10, [rsp + {r10}]",
    "mov eax, {no_target}",
    "mov r11, [rsp + {target}]",
    "test r11, r11",
    "jz 3f",
    // The one argument on the stack, with padding to keep it aligned. The stack pointer is the same
    // at each entry: EDP's code exits with the one that it was entered with, even if it handled an
    // exception in between.
    "push rax",
    "push qword ptr [rsp + {run} + 8]",
    "call r11",
    "add rsp, 16",
    "3:",
    "cld",
    "ldmxcsr [rsp + {mxcsr}]",
    "fldcw [rsp + {control_word}]",
    "mov [rsp + {rdi}], rdi",
    "mov [rsp + {rsi}], rsi",
    "mov [rsp + {rdx}], rdx",
    "mov [rsp + {r8}], r8",
    "mov [rsp + {r9}], r9",
    "movsxd rax, eax",
    "mov [rsp + {result}], rax",
    "mov rdi, rsp",
    "call {handle_exit}",
    "test al, al",
    "jnz 2b",
    "mov rdi, [rsp + {rdi}]",
    "mov rsi, [rsp + {rsi}]",
    "mov rdx, [rsp + {rdx}]",
    "mov r8, [rsp + {r8}]",
    "mov r9, [rsp + {r9}]",
    "mov rax, [rsp + {result}]",
    "add rsp, {size} + 8",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    ".cfi_def_cfa rsp, 8",
    "ret",
    ".cfi_endproc",
    ".size __vdso_sgx_enter_enclave, . - __vdso_sgx_enter_enclave",
    size = const size_of::<Frame>(),
    rdi = const offset_of!(Frame, rdi),
    rsi = const offset_of!(Frame, rsi),
    rdx = const offset_of!(Frame, rdx),
    rcx = const offset_of!(Frame, rcx),
    r8 = const offset_of!(Frame, r8),
    r9 = const offset_of!(Frame, r9),
    r10 = const offset_of!(Frame, r10),
    run = const offset_of!(Frame, run),
    target = const offset_of!(Frame, target),
    result = const offset_of!(Frame, result),
    mxcsr = const offset_of!(Frame, mxcsr),
    control_word = const offset_of!(Frame, control_word),
    no_target = const NO_TARGET,
    prepare = sym prepare,
    handle_exit = sym handle_exit,
);

// Five registers are pushed after RBP: with the frame and 8 bytes of padding the stack
// stays aligned to 16 only if the frame's size is a multiple of 16.
const _: () = assert!(size_of::<Frame>().is_multiple_of(16));

unsafe extern "C" {
    fn __vdso_sgx_enter_enclave();
}

/// Makes sure that the symbol is linked into the program: `enclave-runner-sgx` has only a weak
/// reference, for which linkers do not take a symbol from a library.
pub(crate) fn link() {
    std::hint::black_box(__vdso_sgx_enter_enclave as *const ());
}

/// Chooses the function to enter with: the simulator's for simulated enclaves, otherwise the kernel's.
extern "C" fn prepare(frame: &mut Frame) {
    // SAFETY: the caller of the symbol passes a valid `sgx_enclave_run`, by the vDSO's ABI.
    let tcs = unsafe { (*frame.run).tcs };
    frame.target = if sgx_sim::owns_tcs(tcs as *const _) {
        Some(sgx_sim::enter_enclave_fn())
    } else {
        sgx_sim::kernel_vdso_enter()
    };
    frame.stopped = Stopped { by_exception: 0, vector: 0, address: 0 };
    (frame.gone, frame.missing, frame.waits) = (0, 0, 0);
}

/// Limit on the number of waits for a page, and the length of each. The driver may have no page at the
/// moment, or another thread may be adding it (Linux `sgx_encl_eaug_page`).
const MAX_WAITS: u64 = 100;
const WAIT: Duration = Duration::from_millis(1);

impl Frame {
    /// After a fault at a page that the enclave has requested and the driver has not added: waits, then
    /// resumes the thread. Returns whether to resume.
    fn waits_for_page(&mut self, run: &sgx_sim::EnclaveRun, service: &Service) -> bool {
        let address = run.exception_addr;
        let asked = || service.memory.get().is_some_and(|memory| memory.was_added(address));
        let missing = is_missing(run.exception_vector, run.exception_error_code) && asked();
        if address != self.missing {
            (self.missing, self.waits) = (address, 0);
        }
        if !missing || self.waits == MAX_WAITS {
            return false;
        }
        self.waits += 1;
        thread::sleep(WAIT);
        self.rcx = Enclu::EResume as u64;
        true
    }

    /// Returns the abnormal end for an exception that was not handled.
    fn exception(&self, vector: u16, address: u64) -> Abnormal {
        match self.missing == address && self.waits == MAX_WAITS {
            true => Abnormal::NoPage { address },
            false => Abnormal::Exception { vector, address },
        }
    }

    /// After an exception inside: enters the thread again, so that the enclave handles the exception.
    /// Returns false if the enclave does not handle such exceptions.
    fn enter_handler(&mut self, run: &sgx_sim::EnclaveRun) -> bool {
        let inside = run.function == Enclu::EResume as u32 && self.stopped.by_exception == 0;
        if !inside || !FOR_THE_ENCLAVE.contains(&run.exception_vector) {
            return false;
        }
        let vector = run.exception_vector.into();
        self.stopped = Stopped { by_exception: 1, vector, address: run.exception_addr };
        self.enter(Enclu::EEnter);
        true
    }

    /// After the enclave's handler: resumes the thread. Returns false if the exception was not handled.
    fn resume_after_handler(&mut self) -> bool {
        let again = self.rdi == exception::GONE && self.gone != self.stopped.address;
        if self.rdi != exception::DEALT_WITH && !again {
            return false;
        }
        // If the same address faults twice, the pages are not as the enclave believes.
        self.gone = if again { self.stopped.address } else { 0 };
        self.stopped.by_exception = 0;
        self.enter(Enclu::EResume);
        true
    }

    fn enter(&mut self, leaf: Enclu) {
        self.rcx = leaf as u64;
        (self.rdi, self.rsi, self.rdx) = (0, 0, 0);
        (self.r8, self.r9) = (0, 0);
    }
}

/// Handles an exit. Returns whether to enter again.
extern "C" fn handle_exit(frame: &mut Frame) -> bool {
    // SAFETY: as in `prepare`. Only this thread uses the structure.
    let run = unsafe { &mut *frame.run };
    let Some(service) = service::of_tcs(run.tcs) else { return false };
    let abnormal = if frame.result != 0 {
        Abnormal::NotEntered(frame.result as i32)
    } else if run.function != Enclu::EExit as u32 {
        if run.exception_vector == PAGE_FAULT && service.patch(run.exception_addr) {
            frame.rcx = Enclu::EResume as u64;
            return true;
        }
        if frame.waits_for_page(run, &service) {
            return true;
        }
        if frame.enter_handler(run) {
            return true;
        }
        frame.exception(run.exception_vector, run.exception_addr)
    } else if frame.stopped.by_exception != 0 {
        if frame.resume_after_handler() {
            return true;
        }
        let Stopped { vector, address, .. } = frame.stopped;
        frame.exception(vector as u16, address)
    } else {
        service.counters.exit();
        if frame.rdi >= USER_DEFINED {
            let mut caller = Caller { service: &service, tcs: run.tcs };
            let arguments = [frame.rsi, frame.rdx, frame.r8, frame.r9];
            let start = Instant::now();
            if let Some(honest) = dispatch(&mut caller, frame.rdi, arguments) {
                service.counters.call(frame.rdi, start.elapsed());
                let (first, second) = service.answer(run.tcs, frame.rdi, arguments, honest);
                (frame.rdi, frame.rsi, frame.rdx) = (0, first, second);
                (frame.r8, frame.r9) = (0, 0);
                frame.rcx = Enclu::EEnter as u64;
                return true;
            }
        }
        if frame.rdi != Usercall::exit as u64 || frame.rsi == 0 {
            return false;
        }
        Abnormal::Panicked
    };
    service.end(|said| {
        said.abnormal.get_or_insert(abnormal);
    });
    // To `enclave-runner`, this is a clean `exit`.
    frame.result = 0;
    run.function = Enclu::EExit as u32;
    (frame.rdi, frame.rsi, frame.rdx) = (Usercall::exit as u64, 0, 0);
    (frame.r8, frame.r9) = (0, 0);
    false
}
