//! Where the enclave meets SGX.
//!
//! The one place that knows that there is an enclave: leaving it for a host call
//! (`host()`), the permissions of its pages, the code arena and what wasmtime asks of an
//! operating system. Everything else in `enclave/` builds and runs natively too.
//!
//! Natively this crate holds only what can be tested there: the bookkeeping of the arena and of
//! the memories with guards.

#[cfg(any(test, target_env = "sgx"))]
mod arena;
#[cfg(target_env = "sgx")]
mod clock;
#[cfg(target_env = "sgx")]
mod code;
#[cfg(any(test, target_env = "sgx"))]
mod elapsed;
#[cfg(target_env = "sgx")]
mod guarded;
#[cfg(target_env = "sgx")]
mod heap;
#[cfg(target_env = "sgx")]
mod host;
#[cfg(target_env = "sgx")]
mod image;
#[cfg(target_env = "sgx")]
mod memory;
#[cfg(target_env = "sgx")]
mod page;
#[cfg(target_env = "sgx")]
mod processor;
#[cfg(target_env = "sgx")]
mod seal;
#[cfg(any(test, target_env = "sgx"))]
mod slots;
#[cfg(target_env = "sgx")]
mod storage;
#[cfg(target_env = "sgx")]
mod trap;
#[cfg(target_env = "sgx")]
mod wasmtime_sys;

#[cfg(target_env = "sgx")]
pub use clock::time;
#[cfg(target_env = "sgx")]
pub use code::{compile, precompile, take_up};
#[cfg(target_env = "sgx")]
pub use guarded::guarded_memories;
#[cfg(target_env = "sgx")]
pub use host::{HostSystem, Outside, host, report_panics};
#[cfg(target_env = "sgx")]
pub use processor::use_processor;
#[cfg(target_env = "sgx")]
pub use seal::SealingKeys;
#[cfg(target_env = "sgx")]
pub use storage::HostStorage;
#[cfg(target_env = "sgx")]
pub use wasmtime_sys::{code_memory, code_refused, pages_can_be_added, writable_code_pages};
