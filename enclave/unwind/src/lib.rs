//! What the enclave target's standard library refers to of an unwinder.
//!
//! rustup's copy of the target carries LLVM's unwinder as `libunwind.a`. Where the library is built
//! from Debian's source there is none, and `cargo xtask` makes this crate that archive: by the
//! compiler of everything else in the image, since what another compiler makes differs from machine
//! to machine, and so would MRENCLAVE.
//!
//! Enclaves are built with `panic=abort`: nothing unwinds. What is left is the backtrace of a panic,
//! which finds no frames here.
#![no_std]

#[cfg(target_env = "sgx")]
core::arch::global_asm!(
    // _Unwind_Reason_Code _Unwind_Backtrace(_Unwind_Trace_Fn, void *): _URC_END_OF_STACK, without
    // a call of the function (Itanium C++ ABI: Exception Handling, 1.2 and LLVM's unwind.h).
    ".pushsection .text._Unwind_Backtrace, \"ax\", @progbits",
    ".globl _Unwind_Backtrace",
    ".type _Unwind_Backtrace, @function",
    "_Unwind_Backtrace:",
    "    mov eax, 5",
    "    ret",
    ".size _Unwind_Backtrace, . - _Unwind_Backtrace",
    // These take a frame, and there is none.
    ".globl _Unwind_FindEnclosingFunction",
    ".globl _Unwind_GetCFA",
    ".globl _Unwind_GetIP",
    ".type _Unwind_GetIP, @function",
    "_Unwind_FindEnclosingFunction:",
    "_Unwind_GetCFA:",
    "_Unwind_GetIP:",
    "    ud2",
    ".size _Unwind_GetIP, . - _Unwind_GetIP",
    ".popsection",
);
