//! Why an enclave was refused, in the names of the SDM.

use std::io;

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
    /// The SGXS stream could not be read.
    #[error("cannot read the SGXS stream: {0}")]
    Stream(String),
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
    /// The root secret could not be read or made.
    #[error("the simulated machine's root secret {path}: {source}")]
    RootSecret {
        /// Where it was looked for.
        path: std::path::PathBuf,
        /// What went wrong.
        source: io::Error,
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

impl Error {
    pub(crate) fn last_os(call: &'static str) -> Self {
        Error::System { call, source: io::Error::last_os_error() }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
