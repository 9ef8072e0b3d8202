//! The SGX layer of the enclave.
//!
//! Only this crate knows SGX: the exit for host calls ([`host`]), the layout of the enclave, its
//! heap, page permissions, the code arena, memories with guards, faults, the clock, keys (EGETKEY),
//! and the functions that wasmtime needs from an operating system. It contains no policy: it does
//! not know which program runs, what the program may have, or what a key is for. All other crates
//! in `enclave/` also build and run natively, except the enclave's own programs such as
//! `enclave/runtime`.
//!
//! Natively this crate contains only the parts that can be tested there: the bookkeeping of the
//! arena and of the memories with guards, and the clock.
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
#![cfg_attr(
    not(target_env = "sgx"),
    allow(
        rustdoc::broken_intra_doc_links,
        reason = "natively, most targets of links do not exist"
    )
)]

#[cfg(any(test, target_env = "sgx"))]
mod arena;
#[cfg(target_env = "sgx")]
mod clock;
#[cfg(target_env = "sgx")]
mod cpu;
#[cfg(target_env = "sgx")]
mod egetkey;
#[cfg(target_env = "sgx")]
mod ereport;
#[cfg(target_env = "sgx")]
mod exit;
#[cfg(any(test, target_env = "sgx"))]
mod guard_slots;
#[cfg(target_env = "sgx")]
mod guarded_memory;
#[cfg(target_env = "sgx")]
mod heap;
#[cfg(any(test, target_env = "sgx"))]
mod interpolated_clock;
#[cfg(target_env = "sgx")]
mod layout;
#[cfg(target_env = "sgx")]
mod mem_functions;
#[cfg(target_env = "sgx")]
mod page;
#[cfg(target_env = "sgx")]
mod trap;
#[cfg(target_env = "sgx")]
mod wasmtime_sys;

#[cfg(target_env = "sgx")]
pub use clock::time;
#[cfg(target_env = "sgx")]
pub use cpu::use_processor;
#[cfg(target_env = "sgx")]
pub use egetkey::{Holder, KeyRefused, KeyRequest, Svn};
#[cfg(target_env = "sgx")]
pub use ereport::{Identity, report_for, report_key};
#[cfg(target_env = "sgx")]
pub use exit::{Outside, host, report_panics};
#[cfg(target_env = "sgx")]
pub use guarded_memory::{GuardedMemories, guarded_memories};
#[cfg(target_env = "sgx")]
pub use layout::{Regions, regions};
#[cfg(target_env = "sgx")]
pub use wasmtime_sys::{
    CodeMemory, code_memory, code_refused, pages_can_be_added, writable_code_at_start,
    writable_code_pages,
};
