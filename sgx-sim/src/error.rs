//! The reasons why an enclave is refused, in the SDM's names.

use std::io;
use std::path::PathBuf;

/// The reasons why the software processor, or its model of the operating system, refuses.
///
/// If the instruction reports an error code, the message begins with its name (SDM Vol. 3D,
/// "Information and Error Codes"). If it raises a fault, the message begins with the fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// SIGSTRUCT is malformed (EINIT).
    #[error("SGX_INVALID_SIG_STRUCT: {0}")]
    InvalidSigStruct(&'static str),
    /// SIGSTRUCT's RSA signature does not verify (EINIT).
    #[error("SGX_INVALID_SIGNATURE: {0}")]
    InvalidSignature(&'static str),
    /// MRENCLAVE is not the ENCLAVEHASH that was signed (EINIT).
    #[error(
        "SGX_INVALID_MEASUREMENT: the image measures {}, SIGSTRUCT signs {}",
        hex(measured),
        hex(signed)
    )]
    InvalidMeasurement {
        /// MRENCLAVE, as computed while loading.
        measured: [u8; 32],
        /// SIGSTRUCT.ENCLAVEHASH.
        signed: [u8; 32],
    },
    /// The attributes asked for are not the signed ones, or not permitted (EINIT).
    #[error("SGX_INVALID_ATTRIBUTE: {0}")]
    InvalidAttribute(&'static str),
    /// ECREATE refuses the enclave's SECS.
    #[error("#GP in ECREATE: {0}")]
    Create(&'static str),
    /// EADD refuses a page.
    #[error("#GP in EADD at offset {offset:#x}: {reason}")]
    Add {
        /// The offset of the page from the enclave's base.
        offset: u64,
        /// The rule that the page breaks.
        reason: &'static str,
    },
    /// The SGXS stream is not in the canonical form that the `sgxs` crate defines.
    #[error("not a canonical SGXS stream: {0}")]
    NotCanonical(&'static str),
    /// The bytes are no SGXS stream, according to the `sgxs` crate.
    #[error("cannot read the SGXS stream: {0}")]
    Stream(String),
    /// The bytes of the SGXS stream cannot be read.
    #[error("the SGXS stream can't be read: {0}")]
    Read(#[source] io::Error),
    /// Linux would refuse the change of page permissions.
    #[error("page permissions at {address:#x}: {reason}")]
    Permissions {
        /// The address of the first page that refuses.
        address: usize,
        /// The rule that the change breaks.
        reason: &'static str,
    },
    /// The address is in no enclave that this crate has loaded.
    #[error("{0:#x} lies in no simulated enclave")]
    NotAnEnclave(usize),
    /// There are more enclaves at once than the registry holds.
    #[error("too many simulated enclaves at once")]
    TooManyEnclaves,
    /// Signal handlers were installed over ours too many times.
    #[error("signal {0}: handlers were stacked over the simulator's too many times")]
    TooManyHandlers(i32),
    /// The processor or the kernel lacks something that the simulation needs.
    #[error("this machine cannot simulate SGX: {0}")]
    Unsupported(&'static str),
    /// The root secret is not available.
    #[error("the simulated machine has no root secret: {0}")]
    RootSecret(#[source] RootSecretError),
    /// The enclave's address range cannot be reserved.
    #[error("{size} bytes of address space can't be reserved: {source}")]
    AddressSpace {
        /// The size of ELRANGE, in bytes. Twice as much is reserved for a moment, to align it.
        size: usize,
        /// The kernel's error.
        source: io::Error,
    },
    /// The simulated processor cannot allocate memory for its own state.
    #[error("{size} bytes of memory can't be allocated")]
    Memory {
        /// The size of the allocation, in bytes.
        size: usize,
    },
    /// A system call failed.
    #[error("{call}: {source}")]
    System {
        /// The name of the call.
        call: &'static str,
        /// The kernel's error.
        source: io::Error,
    },
}

/// The reasons why this user's simulated machine has no root secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootSecretError {
    /// Neither the environment nor the user database names a folder for it.
    #[error(
        "there is no folder to keep it in: XDG_STATE_HOME is not set, and this user has no home"
    )]
    NoFolder,
    /// The file cannot be read.
    #[error("{path} can't be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// The file cannot be created.
    #[error("{path} can't be made: {source}")]
    Make {
        /// The file.
        path: PathBuf,
        /// The kernel's error.
        source: io::Error,
    },
    /// The file, or the folder for it, belongs to another user and cannot be read.
    #[error("{path} can't be read: it belongs to user {owner}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The owner's user id.
        owner: u32,
    },
    /// The file does not hold a root secret.
    #[error("{path} is damaged: it does not have 16 bytes")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Other users may read or change the file.
    #[error("{path} is open to others (mode {mode:03o})")]
    Shared {
        /// The file.
        path: PathBuf,
        /// The file's permission bits.
        mode: u32,
    },
}

impl Error {
    pub(crate) fn last_os(call: &'static str) -> Self {
        Error::System { call, source: io::Error::last_os_error() }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
