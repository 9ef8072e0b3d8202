//! What becomes of a fault: a trap of the program's, if compiled code has caused it.
//!
//! Without exceptions inside, every fault ends the enclave. With them, the host enters the stopped
//! thread again: CSSA is 1 then, and all registers but RAX, RBX and RCX are the host's.
//! [`twine_entry`] is in front of EDP's `sgx_entry`, which does not look at CSSA. For a second
//! entry it reads the state that the processor saved, in the thread's first frame, and nothing
//! else. It uses no stack. If compiled code has stopped, for a reason that the processor gives and
//! that the program can have caused, then the frame is rewritten: once resumed (ERESUME), the
//! thread calls [`trapped`] in the place of the instruction at fault, on its own stack, like a
//! function that compiled code calls. In all other cases the enclave is left again, and nothing is
//! changed.
//!
//! What a host can do with it:
//! - Enter after an interrupt, or after the same fault again: the frame names no valid cause
//!   (EXITINFO is zero without an exception, and is set to zero here).
//! - Enter when something else than compiled code was stopped, such as the code of an entry, which
//!   has the host's stack pointer still: the saved RIP is not in the arena.
//! - Take away a page, so that an access which is in bounds faults: the address lies below the end
//!   of the pages.
//! - Enter while this is running: there are two frames, and the second is in use, so the processor
//!   refuses.

use crate::guard_slots::{MAX_SLOTS, SLOT};
use std::arch::global_asm;
use std::sync::OnceLock;
use twine_protocol::calls::exception;

/// What a trap is handed to: the address of the instruction, the frame pointer, whether an address
/// is at fault, and which.
type Handler = extern "C" fn(usize, usize, bool, usize);

static HANDLER: OnceLock<Handler> = OnceLock::new();

/// From now on, traps are handed to wasmtime.
#[unsafe(no_mangle)]
extern "C" fn wasmtime_init_traps(handler: Handler) -> i32 {
    // The image's entry: nothing else refers to it that the linker sees.
    std::hint::black_box(twine_entry as *const ());
    HANDLER.get_or_init(|| handler);
    0
}

/// Called, as far as the thread knows, by the instruction at fault.
extern "C" fn trapped(instruction: usize, frame: usize, has_address: bool, address: usize) -> ! {
    if let Some(handler) = HANDLER.get() {
        handler(instruction, frame, has_address, address);
    }
    // It returns from what is no trap, such as a fault that the compiler did not expect there.
    std::process::abort()
}

unsafe extern "C" {
    /// Where every thread is entered.
    fn twine_entry();
}

/// Offsets in GPRSGX (SDM Vol. 3D, "GPRSGX Region"), which is the end of a frame.
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

/// From a TCS to the end of the thread's first frame, which is one page long and follows it: see
/// `twine-image`.
const FRAME_END: usize = 2 * crate::arena::PAGE;

/// EXINFO.MADDR, seen from GPRSGX (SDM Vol. 3D, "EXINFO Structure").
const MADDR: isize = -16;

/// EXITINFO: valid, a hardware exception.
const HARDWARE_EXCEPTION: u32 = 1 << 31 | 3 << 8;
const DIVIDE_ERROR: u32 = HARDWARE_EXCEPTION;
const INVALID_OPCODE: u32 = HARDWARE_EXCEPTION | 6;
const PAGE_FAULT: u32 = HARDWARE_EXCEPTION | 14;

/// What the x86-64 ABI lets a function use below its stack pointer.
const RED_ZONE: usize = 128;

/// ENCLU leaf.
const EEXIT: u32 = 4;

global_asm!(
    ".pushsection .text.twine_entry,\"ax\",@progbits",
    ".globl twine_entry",
    ".type twine_entry,@function",
    ".p2align 5",
    "twine_entry:",
    // RAX is CSSA, RBX the TCS, RCX where EEXIT is to go: all three by the processor.
    "    test eax, eax",
    "    jnz 2f",
    "    jmp sgx_entry",
    "2:  mov r8, rcx",
    "    mov edi, {unknown}",
    "    cmp eax, 1",
    "    jne 9f",
    "    lea r9, [rbx + {gprsgx}]",
    // Was it in the arena?
    "    mov r10, [r9 + {rip}]",
    "    mov rax, r10",
    "    lea rcx, [rip + IMAGE_BASE]",
    "    sub rax, rcx",
    "    sub rax, [rip + TWINE_ARENA_BASE]",
    "    cmp rax, [rip + TWINE_ARENA_SIZE]",
    "    jae 9f",
    // And why?
    "    xor esi, esi",
    "    xor r11d, r11d",
    "    mov eax, [r9 + {exitinfo}]",
    "    cmp eax, {page_fault}",
    "    je 3f",
    "    cmp eax, {divide_error}",
    "    je 4f",
    "    cmp eax, {invalid_opcode}",
    "    jne 9f",
    // UD2, and no instruction that this processor lacks. Byte by byte: the host may have set
    // EFLAGS.AC, and it may lie at any address.
    "    cmp byte ptr [r10], 0x0f",
    "    jne 9f",
    "    cmp byte ptr [r10 + 1], 0x0b",
    "    jne 9f",
    "    jmp 4f",
    // Which slot, and is it behind the end of its pages?
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
    // The call: instruction, frame, whether there is an address, the address.
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
    // Out, with nothing of the thread's in a register.
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
