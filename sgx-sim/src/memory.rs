//! The simulator's own memory, and access to enclave memory on the enclave's behalf.
//!
//! The simulator checks the EPCM first, but the host may have narrowed the page tables without
//! telling it, so every access may fault. One routine copies, and the signal handler turns its
//! faults into a result.

use std::alloc::{Layout, alloc_zeroed};
use std::arch::global_asm;
use std::mem::MaybeUninit;
use std::ptr;

use crate::error::Error;

/// Allocates zeros, which cost nothing until they are touched. Without memory for them, as under a
/// small RLIMIT_DATA, this returns an error, where `vec!` would abort the process.
///
/// # Safety
/// Zero must be a valid `T`.
pub(crate) unsafe fn zeroed_slice<T>(count: usize) -> Result<Box<[T]>, Error> {
    let none = |size| Error::Memory { size };
    let layout = Layout::array::<T>(count).map_err(|_| none(usize::MAX))?;
    if layout.size() == 0 {
        return Ok(Box::default());
    }
    // SAFETY: the size of the layout is not zero.
    let start = unsafe { alloc_zeroed(layout) };
    if start.is_null() {
        return Err(none(layout.size()));
    }
    // SAFETY: the memory was allocated just now with the layout of such a slice, and zeros are
    // valid by the caller's promise.
    Ok(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(start.cast(), count)) })
}

/// A fault of the access at the page table.
#[derive(Debug)]
pub(crate) struct Fault;

global_asm!(
    ".pushsection .text.sgx_sim_copy,\"ax\",@progbits",
    ".hidden sgx_sim_copy",
    ".globl sgx_sim_copy",
    ".type sgx_sim_copy,@function",
    // rdi is the target, rsi the source, rdx the length. The result in eax is 0, or 1 after a
    // fault.
    "sgx_sim_copy:",
    "    mov rcx, rdx",
    ".hidden sgx_sim_copy_start",
    ".globl sgx_sim_copy_start",
    "sgx_sim_copy_start:",
    "    rep movsb",
    ".hidden sgx_sim_copy_end",
    ".globl sgx_sim_copy_end",
    "sgx_sim_copy_end:",
    "    xor eax, eax",
    "    ret",
    ".hidden sgx_sim_copy_fault",
    ".globl sgx_sim_copy_fault",
    "sgx_sim_copy_fault:",
    "    mov eax, 1",
    "    ret",
    ".size sgx_sim_copy, . - sgx_sim_copy",
    ".popsection",
);

unsafe extern "C" {
    fn sgx_sim_copy(to: usize, from: usize, len: usize) -> u32;
    fn sgx_sim_copy_start();
    fn sgx_sim_copy_end();
    fn sgx_sim_copy_fault();
}

/// Copies `len` bytes. One side is enclave memory; the other belongs to the caller.
pub(crate) fn copy(to: usize, from: usize, len: usize) -> Result<(), Fault> {
    // SAFETY: enclave memory belongs to no Rust object, and a fault there is caught.
    match unsafe { sgx_sim_copy(to, from, len) } {
        0 => Ok(()),
        _ => Err(Fault),
    }
}

/// Reads a `T` from enclave memory.
///
/// # Safety
/// Every bit pattern is a valid `T`.
pub(crate) unsafe fn read<T: Copy>(from: usize) -> Result<T, Fault> {
    let mut value = MaybeUninit::<T>::uninit();
    copy(value.as_mut_ptr() as usize, from, size_of::<T>())?;
    // SAFETY: the value is filled, and valid by the caller's promise.
    Ok(unsafe { value.assume_init() })
}

/// Writes a `T` to enclave memory.
pub(crate) fn write<T: Copy>(to: usize, value: &T) -> Result<(), Fault> {
    copy(to, std::ptr::from_ref(value) as usize, size_of::<T>())
}

/// Returns where execution continues after a fault at `rip`, if `rip` is in the copy loop.
pub(crate) fn fixup(rip: usize) -> Option<usize> {
    let start = sgx_sim_copy_start as *const () as usize;
    let end = sgx_sim_copy_end as *const () as usize;
    (start..end).contains(&rip).then_some(sgx_sim_copy_fault as *const () as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_unmapped_memory_is_an_error() {
        // SAFETY: zero is a valid `u16`.
        let zeros = |count| unsafe { zeroed_slice::<u16>(count) };
        assert_eq!(zeros(3).unwrap()[..], [0; 3]);
        assert!(zeros(0).unwrap().is_empty());
        for count in [1 << 60, usize::MAX] {
            assert!(matches!(zeros(count), Err(Error::Memory { .. })));
        }
    }
}
