//! The errors of a run, with their remedies.

use crate::limits::{self, Shortage};
use crate::word::shell_word;
use sgx_sim::RootSecretError;
use std::io;
use std::path::PathBuf;
use twine_protocol::launch::larger_image;

/// Why an enclave did not run, or did not end well. `Display` is the cause in one line;
/// [`remedy`](Error::remedy) says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Hardware SGX was requested, and can't be used.
    #[error("this machine's SGX can't be used: {0}")]
    NoSgx(String),
    /// A file of the image can't be read.
    #[error("{path} can't be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// There is no signature beside the image.
    #[error("the image {image} is not signed: there is no {signature}")]
    NotSigned {
        /// The image.
        image: PathBuf,
        /// The path of the missing signature.
        signature: PathBuf,
    },
    /// The image's signature is malformed, or does not verify.
    #[error("the signature {path} is not valid: {reason}")]
    Signature {
        /// The signature's file.
        path: PathBuf,
        /// The defect of the signature.
        reason: String,
    },
    /// The image is not the one that was signed.
    #[error("{path} is not the image that was signed: {reason}")]
    Changed {
        /// The image.
        path: PathBuf,
        /// The difference between them.
        reason: String,
    },
    /// The image's file is truncated, or is not an image.
    #[error("{path} is damaged, or not an image: {reason}")]
    Damaged {
        /// The image.
        path: PathBuf,
        /// The defect.
        reason: String,
    },
    /// The signature requires something that this machine does not have.
    #[error("this machine can't run the image: {0}")]
    Attributes(#[source] twine_image::Error),
    /// The processor or the loader refuses the enclave that the image describes.
    #[error("the enclave was refused: {0}")]
    Refused(String),
    /// Software SGX does not run on this machine.
    #[error("{0}")]
    NoSimulation(String),
    /// The root secret of software SGX, from which the sealing keys are derived, can't be used.
    #[error("{0}")]
    RootSecret(#[source] sgx_sim::Error),
    /// The run needs a sealing key, on simulated hardware that exists only in this process.
    #[error("this machine has no lasting sealing keys: sealed data could not be opened again")]
    Throwaway,
    /// There is not enough memory for the enclave.
    #[error("there is no memory for the enclave: {what}{shortage}")]
    NoMemory {
        /// The operation that failed.
        what: String,
        /// The limit that explains it.
        shortage: Shortage,
    },
    /// Pages of the program's file could not be read while the enclave copied it, so that the enclave
    /// got another program.
    #[error("{pages} pages of the program's file could not be read while the enclave copied it")]
    ProgramUnread {
        /// The number of pages.
        pages: u64,
    },
    /// The processor's memory for enclaves (EPC) is used up.
    #[error("the machine has no enclave memory (EPC) left: {0}")]
    NoEpc(String),
    /// The threads that the enclave runs on can't be started.
    #[error("no thread can be started: {source}{shortage}")]
    NoThread {
        /// The system's error.
        source: io::Error,
        /// The limit that explains it.
        shortage: Shortage,
    },
    /// No more files can be opened.
    #[error("no more files can be opened: {source}{shortage}")]
    NoFile {
        /// The system's error.
        source: io::Error,
        /// The limit that explains it.
        shortage: Shortage,
    },
    /// The operating system denies the enclave's pages the permissions that they need.
    #[error("this machine does not permit the enclave's memory: {0}")]
    NotPermitted(String),
    /// Another system call failed.
    #[error("the enclave can't be loaded: {0}")]
    System(String),
    /// The enclave used up its heap.
    #[error("the enclave ran out of memory: an allocation of {size} bytes failed")]
    Exhausted {
        /// The size of the allocation that failed.
        size: u64,
    },
    /// The enclave panicked.
    #[error("the enclave panicked{place}")]
    Panicked {
        /// " at FILE:LINE:COLUMN", if the enclave reported the place.
        place: String,
    },
    /// The enclave did not handle an exception.
    #[error("the enclave was stopped by exception {vector} ({name}) at address {address:#x}")]
    Exception {
        /// The CPU's vector.
        vector: u16,
        /// Its name.
        name: &'static str,
        /// The address that faulted.
        address: u64,
    },
    /// The enclave ended without reporting an outcome.
    #[error("the enclave ended without a report")]
    NoReport,
    /// The enclave's report can't be read.
    #[error("the enclave's report can't be read: {0}")]
    Report(#[from] twine_protocol::launch::DecodeError),
    /// The enclave's runner failed.
    #[error("the enclave could not be run: {0}")]
    Runner(String),
}

impl Error {
    /// Returns the remedy, in one line.
    pub fn remedy(&self) -> String {
        match self {
            Error::NoSgx(_) => "see `twine info`, or use software SGX: --tee sim".into(),
            Error::Read { source, .. } => limits::remedy(source).unwrap_or(match source.kind() {
                io::ErrorKind::NotFound => "check the path; `cargo xtask image` builds the image",
                io::ErrorKind::IsADirectory => "name the .sgxs file, not a folder",
                _ => "check the path and its permissions",
            }).into(),
            Error::NotSigned { image, .. } => {
                format!("sign it: `twine image sign {}`", shell_word(image.display()))
            }
            Error::Signature { .. } => "sign the image again: `twine image sign`".into(),
            Error::Changed { .. } => {
                "get the image and its signature again; or, if you trust this image, sign it: `twine image sign`".into()
            }
            Error::Damaged { .. } => "copy or build the image again".into(),
            Error::Attributes(error) => error.remedy().unwrap_or_else(|| SIGN_ANEW.into()),
            Error::Refused(_) => SIGN_ANEW.into(),
            Error::NoSimulation(_) => "run on another machine; `twine info` shows this one".into(),
            Error::RootSecret(error) => root_secret_remedy(error),
            Error::Throwaway => {
                "set XDG_STATE_HOME to a folder where the root secret can be kept".into()
            }
            Error::NoMemory { shortage, .. } => shortage.remedy().unwrap_or(
                "free some memory, or build an image with a smaller heap: `twine image build --heap-size SIZE`",
            ).into(),
            Error::NoThread { shortage, .. } => shortage.remedy().unwrap_or(
                "raise the limit of this container or unit: --pids-limit, TasksMax=",
            ).into(),
            Error::ProgramUnread { .. } => {
                "check the disk, and that no process writes to the file; the enclave ran another program than this one".into()
            }
            Error::NoEpc(_) => {
                "end other enclaves, or give the machine more EPC: PRMRR in its firmware, or a virtual machine's memory-backend-epc".into()
            }
            Error::NoFile { source, shortage } => {
                shortage.remedy().or_else(|| limits::remedy(source)).unwrap_or("close other files").into()
            }
            Error::System(_) => {
                "check whether a seccomp filter or a limit of this container refuses the call".into()
            }
            Error::NotPermitted(_) => {
                "allow this process to make memory executable: check seccomp filters, SELinux (execmem) and, for hardware SGX, whether /dev is mounted noexec".into()
            }
            Error::Exhausted { .. } => larger_image(0),
            Error::Panicked { .. }
            | Error::Exception { .. }
            | Error::NoReport
            | Error::Report(_)
            | Error::Runner(_) => {
                "this is a bug in Twine or in the image: please report it with the program".into()
            }
        }
    }
}

const SIGN_ANEW: &str = "build and sign an image for this machine: `twine image build`, `twine image sign`; \
    `twine image inspect` shows what this one asks for";

fn root_secret_remedy(error: &sgx_sim::Error) -> String {
    const ELSEWHERE: &str = "set XDG_STATE_HOME to a lasting folder that this user can write";
    let sgx_sim::Error::RootSecret(error) = error else { return ELSEWHERE.into() };
    match error {
        RootSecretError::Damaged { path } => format!(
            "restore the file from a copy; or, if nothing was sealed with it, `rm {}`: a new one is created",
            shell_word(path.display())
        ),
        RootSecretError::Shared { path, .. } => format!(
            "`chmod 600 {}`; or set XDG_STATE_HOME to a folder on a file system with modes",
            shell_word(path.display())
        ),
        RootSecretError::Foreign { .. } => {
            "set XDG_STATE_HOME or HOME to a folder of this user, or give the file to this user \
             (chown)"
                .into()
        }
        RootSecretError::Read { source, .. } | RootSecretError::Make { source, .. } => {
            limits::remedy(source).unwrap_or(ELSEWHERE).into()
        }
        _ => ELSEWHERE.into(),
    }
}
