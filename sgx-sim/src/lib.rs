//! SGX in software.
//!
//! Runs unmodified SGX enclaves on x86-64 Linux machines that have no SGX, by emulating the
//! processor where an enclave traps. The images, the loader interface (`sgxs`), the runner
//! (`enclave-runner`) and the entry ABI (the kernel's vDSO) are those of hardware.
//!
//! **It protects nothing.** Whoever can read the process can read the enclave, and its keys
//! derive from a file. What it makes says so: see [`SIMULATED_CPUSVN`].
//!
//! ```no_run
//! let device = sgx_sim::Device::new()?;
//! let enclave = enclave_runner_sgx::EnclaveBuilder::new("image.sgxs".as_ref());
//! let command: enclave_runner::Command =
//!     enclave_runner::EnclaveBuilder::new(enclave).build(device)?;
//! command.run()?;
//! # Ok::<(), anyhow::Error>(())
//! ```

#[cfg(not(all(target_os = "linux", target_arch = "x86_64")))]
compile_error!("sgx-sim runs on x86-64 Linux only");

mod aex;
mod device;
mod enclave;
mod enter;
mod epcm;
mod error;
mod exception;
mod fault;
mod leaf;
mod load;
mod measure;
mod memory;
mod paging;
mod registry;
mod rsa;
mod sigstruct;
mod ssa;
mod thread;
mod vdso;
mod xsave;

pub use device::{Device, Info, ROOT_SECRET_SIZE, Tcs};
pub use enter::{EnclaveRun, EnterFn, enter_enclave_fn, sgx_sim_enter_enclave};
pub use epcm::Permissions;
pub use error::Error;
pub use fault::adopt_signal_handlers;
pub use paging::{augment, protect, remove, restrict_permissions, trim};
pub use registry::owns_tcs;
pub use vdso::kernel_vdso_enter;

/// CPUSVN of the simulated processor, in its reports and its keys.
///
/// No processor has this value: its first 15 bytes spell "SGX SIMULATED", and the last is
/// the simulator's security version. A verifier that sees it holds no evidence of anything.
pub const SIMULATED_CPUSVN: [u8; 16] = *b"SGX SIMULATED\0\0\x01";
