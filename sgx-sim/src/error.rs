//! Why an enclave was refused, in the names of the SDM.

use std::io;
use std::path::PathBuf;

/// Why the software processor or the operating system's part refused.
///
/// Where the instruction reports an error code, the message begins with its name (SDM
/// Vol. 3D, "Information and Error Codes"); where it raises a fault, with the fault.
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
    /// The attributes asked for are not those that were signed, or not permitted (EINIT).
    #[error("SGX_INVALID_ATTRIBUTE: {0}")]
    InvalidAttribute(&'static str),
    /// ECREATE refuses the enclave's SECS.
    #[error("#GP in ECREATE: {0}")]
    Create(&'static str),
    /// EADD refuses a page.
    #[error("#GP in EADD at offset {offset:#x}: {reason}")]
    Add {
        /// Offset of the page from the enclave's base.
        offset: u64,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// The SGXS stream is not in the canonical form that the `sgxs` crate defines.
    #[error("not a canonical SGXS stream: {0}")]
    NotCanonical(&'static str),
    /// The SGXS stream is no such stream, as the `sgxs` crate says.
    #[error("cannot read the SGXS stream: {0}")]
    Stream(String),
    /// The bytes of the SGXS stream can't be read.
    #[error("the SGXS stream can't be read: {0}")]
    Read(#[source] io::Error),
    /// Linux would refuse the change of page permissions.
    #[error("page permissions at {address:#x}: {reason}")]
    Permissions {
        /// Address of the first page that refuses.
        address: usize,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// The address lies in no enclave that this crate has loaded.
    #[error("{0:#x} lies in no simulated enclave")]
    NotAnEnclave(usize),
    /// More enclaves at once than the registry holds.
    #[error("too many simulated enclaves at once")]
    TooManyEnclaves,
    /// Signal handlers were installed over ours too many times.
    #[error("signal {0}: handlers were stacked over the simulator's too many times")]
    TooManyHandlers(i32),
    /// The processor or the kernel lacks something that the simulation needs.
    #[error("this machine cannot simulate SGX: {0}")]
    Unsupported(&'static str),
    /// The root secret can't be had.
    #[error("the simulated machine has no root secret: {0}")]
    RootSecret(#[source] RootSecretError),
    /// The enclave's range of addresses can't be reserved.
    #[error("{size} bytes of address space can't be reserved: {source}")]
    AddressSpace {
        /// The size of the range, ELRANGE. Twice as much is reserved for a moment, to align it.
        size: usize,
        /// What the kernel said.
        source: io::Error,
    },
    /// Memory for what the simulated processor keeps can't be had.
    #[error("{size} bytes of memory can't be allocated")]
    Memory {
        /// How much was asked for.
        size: usize,
    },
    /// A system call failed.
    #[error("{call}: {source}")]
    System {
        /// Name of the call.
        call: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Why this user's simulated machine has no root secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RootSecretError {
    /// Neither the environment nor the list of users says where to keep it.
    #[error(
        "there is no folder to keep it in: XDG_STATE_HOME is not set, and this user has no home"
    )]
    NoFolder,
    /// The file can't be read.
    #[error("{path} can't be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file can't be made.
    #[error("{path} can't be made: {source}")]
    Make {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file, or the folder that it would be in, belongs to another user and can't be read.
    #[error("{path} can't be read: it belongs to user {owner}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The other's number.
        owner: u32,
    },
    /// The file holds something else.
    #[error("{path} is damaged: it does not have 16 bytes")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// Others may read or change the file.
    #[error("{path} is open to others (mode {mode:03o})")]
    Shared {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
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
