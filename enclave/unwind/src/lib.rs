//! A stub of the unwinder that the enclave target's standard library refers to.
//!
//! rustup's copy of the target contains LLVM's unwinder as `libunwind.a`. If the library is built
//! from Debian's source, that file is missing, and `cargo xtask` makes it from this crate. It uses
//! the compiler of everything else in the image: another compiler's output, and with it MRENCLAVE,
//! would differ from machine to machine.
//!
//! Enclaves are built with `panic=abort`, so nothing unwinds. Only the backtrace of a panic calls
//! the unwinder, and it finds no frames here.
#![no_std]
#![cfg_attr(
    not(test),
    warn(
        unreachable_pub,
        clippy::cast_lossless,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::print_stderr,
        clippy::print_stdout,
        clippy::string_slice,
        clippy::unwrap_used
    )
)]

#[cfg(target_env = "sgx")]
core::arch::global_asm!(
    // _Unwind_Reason_Code _Unwind_Backtrace(_Unwind_Trace_Fn, void *): returns _URC_END_OF_STACK,
    // and never calls the function (Itanium C++ ABI: Exception Handling, 1.2 and LLVM's unwind.h).
    ".pushsection .text._Unwind_Backtrace, \"ax\", @progbits",
    ".globl _Unwind_Backtrace",
    ".type _Unwind_Backtrace, @function",
    "_Unwind_Backtrace:",
    "    mov eax, 5",
    "    ret",
    ".size _Unwind_Backtrace, . - _Unwind_Backtrace",
    // These unwind, or take a frame, which never happens.
    ".globl _Unwind_DeleteException",
    ".globl _Unwind_FindEnclosingFunction",
    ".globl _Unwind_GetCFA",
    ".globl _Unwind_GetDataRelBase",
    ".globl _Unwind_GetGR",
    ".globl _Unwind_GetIP",
    ".globl _Unwind_GetIPInfo",
    ".globl _Unwind_GetLanguageSpecificData",
    ".globl _Unwind_GetRegionStart",
    ".globl _Unwind_GetTextRelBase",
    ".globl _Unwind_RaiseException",
    ".globl _Unwind_Resume",
    ".globl _Unwind_SetGR",
    ".globl _Unwind_SetIP",
    "_Unwind_DeleteException:",
    "_Unwind_FindEnclosingFunction:",
    "_Unwind_GetCFA:",
    "_Unwind_GetDataRelBase:",
    "_Unwind_GetGR:",
    "_Unwind_GetIP:",
    "_Unwind_GetIPInfo:",
    "_Unwind_GetLanguageSpecificData:",
    "_Unwind_GetRegionStart:",
    "_Unwind_GetTextRelBase:",
    "_Unwind_RaiseException:",
    "_Unwind_Resume:",
    "_Unwind_SetGR:",
    "_Unwind_SetIP:",
    "    ud2",
    ".popsection",
);
