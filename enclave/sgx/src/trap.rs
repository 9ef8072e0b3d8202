//! Handles faults: a fault of compiled code becomes a trap of the program.
//!
//! Without this module every fault would end the enclave. After a fault the host enters the stopped
//! thread again. CSSA is then 1, and the host chooses all registers but RAX, RBX and RCX. The entry
//! stub [`twine_entry`] runs before EDP's `sgx_entry`, which does not look at CSSA. At such an
//! entry the stub only reads the state that the processor saved in the thread's first SSA frame. It
//! uses no stack. If the thread was stopped in compiled code, for a reason that the processor
//! reports and that the program can have caused, the stub rewrites the frame. After ERESUME, the
//! thread then calls [`trapped`] in place of the faulting instruction, on its own stack, as
//! compiled code calls a function. In all other cases the stub leaves the enclave and changes
//! nothing.
//!
//! A host cannot abuse this:
//! - It enters after an interrupt, or again after a handled fault: the frame contains no valid
//!   cause. (EXITINFO is zero without an exception, and the stub sets it to zero.)
//! - It enters when other code was stopped, such as the entry code, which still has the host's
//!   stack pointer: the saved RIP is not in the arena.
//! - It takes a page away, so that an access within bounds faults: the address is below the end of
//!   the pages.
//! - It enters while the stub runs: the thread has two frames and the second is in use, so the
//!   processor refuses.

use crate::guard_slots::{MAX_SLOTS, SLOT};
use std::arch::global_asm;
use std::sync::OnceLock;
use twine_protocol::calls::exception;

/// Wasmtime's handler of traps. It takes the address of the instruction, the frame pointer, whether
/// an address caused the fault, and that address.
type Handler = extern "C" fn(usize, usize, bool, usize);

static HANDLER: OnceLock<Handler> = OnceLock::new();

/// Sets wasmtime's handler of traps.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_init_traps(handler: Handler) -> i32 {
    // The linker sees no other reference to the image's entry.
    std::hint::black_box(twine_entry as *const ());
    HANDLER.get_or_init(|| handler);
    0
}

/// The thread runs this as if the faulting instruction had called it.
extern "C" fn trapped(instruction: usize, frame: usize, has_address: bool, address: usize) -> ! {
    if let Some(handler) = HANDLER.get() {
        handler(instruction, frame, has_address, address);
    }
    // The handler returns if this is not a trap, such as a fault that the compiler did not expect.
    std::process::abort()
}

unsafe extern "C" {
    /// The entry point of every thread.
    fn twine_entry();
}

/// Offsets in GPRSGX (SDM Vol. 3D, "GPRSGX Region"), which is at the end of an SSA frame.
mod gprsgx {
    pub(super) const SIZE: usize = 184;
    pub(super) const RCX: usize = 8;
    pub(super) const RDX: usize = 16;
    pub(super) const RSP: usize = 32;
    pub(super) const RBP: usize = 40;
    pub(super) const RSI: usize = 48;
    pub(super) const RDI: usize = 56;
    pub(super) const RIP: usize = 136;
    pub(super) const EXITINFO: usize = 160;
}

/// Distance from a TCS to the end of the thread's first SSA frame. The frame is one page long and
/// follows the TCS: see `twine-image`.
const FRAME_END: usize = 2 * crate::arena::PAGE;

/// Offset of EXINFO.MADDR from GPRSGX (SDM Vol. 3D, "EXINFO Structure").
const MADDR: isize = -16;

/// Values of EXITINFO for hardware exceptions: valid, type and vector.
const HARDWARE_EXCEPTION: u32 = 1 << 31 | 3 << 8;
const DIVIDE_ERROR: u32 = HARDWARE_EXCEPTION;
const INVALID_OPCODE: u32 = HARDWARE_EXCEPTION | 6;
const PAGE_FAULT: u32 = HARDWARE_EXCEPTION | 14;

/// Size, in bytes, of the red zone: the x86-64 ABI lets a function use it below its stack pointer.
const RED_ZONE: usize = 128;

/// Number of the ENCLU leaf.
const EEXIT: u32 = 4;

global_asm!(
    ".pushsection .text.twine_entry,\"ax\",@progbits",
    ".globl twine_entry",
    ".type twine_entry,@function",
    ".p2align 5",
    "twine_entry:",
    // The processor sets RAX to CSSA, RBX to the TCS, and RCX to the target of EEXIT.
    "    test eax, eax",
    "    jnz 2f",
    "    jmp sgx_entry",
    "2:  mov r8, rcx",
    "    mov edi, {unknown}",
    "    cmp eax, 1",
    "    jne 9f",
    "    lea r9, [rbx + {gprsgx}]",
    // Was the thread stopped in the arena?
    "    mov r10, [r9 + {rip}]",
    "    mov rax, r10",
    "    lea rcx, [rip + IMAGE_BASE]",
    "    sub rax, rcx",
    "    sub rax, [rip + TWINE_ARENA_BASE]",
    "    cmp rax, [rip + TWINE_ARENA_SIZE]",
    "    jae 9f",
    // Why was it stopped?
    "    xor esi, esi",
    "    xor r11d, r11d",
    "    mov eax, [r9 + {exitinfo}]",
    "    cmp eax, {page_fault}",
    "    je 3f",
    "    cmp eax, {divide_error}",
    "    je 4f",
    "    cmp eax, {invalid_opcode}",
    "    jne 9f",
    // Accept UD2, and no instruction that this processor lacks. Compare bytes, because the host may
    // have set EFLAGS.AC, and the instruction may be at any address.
    "    cmp byte ptr [r10], 0x0f",
    "    jne 9f",
    "    cmp byte ptr [r10 + 1], 0x0b",
    "    jne 9f",
    "    jmp 4f",
    // In which slot is the address, and is it at or after the end of the slot's pages?
    "3:  mov r11, [r9 + {maddr}]",
    "    mov esi, 1",
    "    mov rax, r11",
    "    sub rax, rcx",
    "    sub rax, [rip + TWINE_GUARD_BASE]",
    "    cmp rax, [rip + TWINE_GUARD_SIZE]",
    "    jae 9f",
    "    movabs rcx, {slot}",
    "    xor edx, edx",
    "    div rcx",
    "    cmp rax, {most}",
    "    jae 9f",
    "    lea rcx, [rip + TWINE_PAGES_END]",
    "    mov rax, [rcx + 8*rax]",
    "    test rax, rax",
    "    jz 9f",
    "    cmp r11, rax",
    "    jae 4f",
    "    mov edi, {gone}",
    "    jmp 9f",
    // Arguments of the call: instruction, frame pointer, whether there is an address, the address.
    "4:  mov [r9 + {rdi}], r10",
    "    mov rax, [r9 + {rbp}]",
    "    mov [r9 + {rsi}], rax",
    "    mov [r9 + {rdx}], rsi",
    "    mov [r9 + {rcx}], r11",
    "    mov rax, [r9 + {rsp}]",
    "    sub rax, {red_zone}",
    "    and rax, -16",
    "    mov [r9 + {rsp}], rax",
    "    lea rax, [rip + twine_trap]",
    "    mov [r9 + {rip}], rax",
    "    mov dword ptr [r9 + {exitinfo}], 0",
    "    mov edi, {dealt_with}",
    // Leave, without values of the thread in registers.
    "9:  mov rbx, r8",
    "    xor ecx, ecx",
    "    xor edx, edx",
    "    xor esi, esi",
    "    xor r8d, r8d",
    "    xor r9d, r9d",
    "    xor r10d, r10d",
    "    xor r11d, r11d",
    "    mov eax, {eexit}",
    "    enclu",
    "    ud2",
    ".size twine_entry, . - twine_entry",
    ".type twine_trap,@function",
    "twine_trap:",
    "    call {trapped}",
    "    ud2",
    ".size twine_trap, . - twine_trap",
    ".popsection",
    unknown = const exception::UNKNOWN,
    gone = const exception::GONE,
    dealt_with = const exception::DEALT_WITH,
    gprsgx = const FRAME_END - gprsgx::SIZE,
    rcx = const gprsgx::RCX,
    rdx = const gprsgx::RDX,
    rsp = const gprsgx::RSP,
    rbp = const gprsgx::RBP,
    rsi = const gprsgx::RSI,
    rdi = const gprsgx::RDI,
    rip = const gprsgx::RIP,
    exitinfo = const gprsgx::EXITINFO,
    maddr = const MADDR,
    page_fault = const PAGE_FAULT,
    divide_error = const DIVIDE_ERROR,
    invalid_opcode = const INVALID_OPCODE,
    slot = const SLOT,
    most = const MAX_SLOTS,
    red_zone = const RED_ZONE,
    eexit = const EEXIT,
    trapped = sym trapped,
);
