//! A program that defines `__vdso_sgx_enter_enclave` itself, though the feature is on.

mod common;

use std::arch::global_asm;
use std::sync::atomic::{AtomicU64, Ordering};

use common::{Entry, Spec};
use sgx_sim::EnclaveRun;

static ENTRIES: AtomicU64 = AtomicU64::new(0);

global_asm!(
    ".globl __vdso_sgx_enter_enclave",
    ".type __vdso_sgx_enter_enclave,@function",
    "__vdso_sgx_enter_enclave:",
    "    lock inc qword ptr [rip + {entries}]",
    "    jmp {enter}",
    entries = sym ENTRIES,
    enter = sym sgx_sim::sgx_sim_enter_enclave,
);

unsafe extern "C" {
    fn __vdso_sgx_enter_enclave();
}

#[test]
fn a_program_may_define_the_symbol_itself() {
    let enclave = Spec::new(Entry::Echo).load();
    let mut run = EnclaveRun::new(enclave.tcs(0) as *mut _);
    let exit =
        common::enter_through(__vdso_sgx_enter_enclave, &mut run, common::EENTER, [1, 0, 0, 0, 0]);
    assert_eq!(exit.rdi, 2);
    assert_eq!(ENTRIES.load(Ordering::Relaxed), 1);
}
