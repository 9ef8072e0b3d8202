//! SGX in software.
//!
//! Runs unmodified SGX enclaves on x86-64 Linux machines, with SGX or without, by emulating the
//! processor where an enclave traps. The images, the loader interface (`sgxs`), the runner
//! (`enclave-runner`) and the entry ABI (the kernel's vDSO) are those of hardware.
//!
//! **It protects nothing.** Whoever can read the process can read the enclave, and its keys derive
//! from a file. Its reports and keys say that they are simulated: see [`SIMULATED_CPUSVN`].
//!
//! ```no_run
//! let image = std::fs::read("image.sgxs")?;
//! let enclave = enclave_runner_sgx::EnclaveBuilder::new_from_memory(&image);
//! let command: enclave_runner::Command =
//!     enclave_runner::EnclaveBuilder::new(enclave).build(sgx_sim::Device::new()?)?;
//! command.run()?;
//! # Ok::<(), anyhow::Error>(())
//! ```
//!
//! - [`Device`] loads enclaves: it implements the `sgxs` crate's `Load`.
//! - [`sgx_sim_enter_enclave`] enters them, with the ABI of the kernel's
//!   `__vdso_sgx_enter_enclave`; the feature `vdso` (on by default) defines that symbol too.
//! - [`restrict_permissions`], [`protect`], [`augment`], [`trim`] and [`remove`] do to the pages of
//!   a running enclave what Linux does.
//! - [`Kernel`] is a model of Linux's driver, used instead of all these: it serves to test programs
//!   that load enclaves through the driver's ioctls, and to inject faults.
//! - [`Device::verifies_report`] and [`Device::provision_key`] are for the quoting enclave of such a
//!   machine, which is the package `sgx-sim-quoting`.
//! - [`enclu_exception`] returns the exception that ENCLU raises on this machine.
//! - [`adopt_signal_handlers`] lets a program's signal handlers run while its threads are inside.
//!
//! The README lists the differences from hardware. "SDM" in these pages is the Intel 64 and IA-32
//! Architectures Software Developer's Manual.

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!("sgx-sim runs on x86-64 Linux only");

mod aex;
mod builder;
mod device;
mod enclave;
mod enter;
mod epcm;
mod error;
mod exception;
mod fault;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod handler_stack;
mod kernel;
mod leaf;
mod load;
mod loop_emulator;
mod measure;
mod memory;
mod paging;
mod processor;
mod quick_exits;
mod quoting;
mod registry;
mod rsa;
mod secret;
mod sigstruct;
mod ssa;
mod stream;
mod thread;
mod vdso;
mod xsave;

pub use device::{Device, Info, ROOT_SECRET_SIZE, Tcs};
pub use enter::{EnclaveRun, EnterFn, enter_enclave_fn, set_entry_flags, sgx_sim_enter_enclave};
pub use epcm::Permissions;
pub use error::{Error, RootSecretError};
pub use fault::adopt_signal_handlers;
pub use kernel::{EnclaveFile, Event, Fault, Injection, Kernel};
pub use paging::{augment, protect, remove, restrict_permissions, trim};
pub use processor::{EncluException, enclu_exception};
pub use quoting::{REPORT_SIZE, TARGETINFO_SIZE};
pub use registry::owns_tcs;
pub use vdso::kernel_vdso_enter;

/// CPUSVN of the simulated processor, in its reports and its keys.
///
/// No processor has this value: its first 15 bytes spell "SGX SIMULATED", and the last is
/// the simulator's security version. A verifier that sees it holds no evidence of anything.
pub const SIMULATED_CPUSVN: [u8; 16] = *b"SGX SIMULATED\0\0\x01";

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
