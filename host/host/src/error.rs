//! Why an enclave did not run, or did not end well.

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
    /// SGX was asked for and is not to be had.
    #[error("this machine's SGX can't be used: {0}")]
    NoSgx(String),
    /// A file of the image can't be read.
    #[error("{path} can't be read: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The image has no signature beside it.
    #[error("the image {image} is not signed: there is no {signature}")]
    NotSigned {
        /// The image.
        image: PathBuf,
        /// Where the signature should be.
        signature: PathBuf,
    },
    /// The image's signature can't be used, or is none of its signer's.
    #[error("the signature {path} is not valid: {reason}")]
    Signature {
        /// The signature's file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The image is not the one that was signed.
    #[error("{path} is not the image that was signed: {reason}")]
    Changed {
        /// The image.
        path: PathBuf,
        /// In which way they differ.
        reason: String,
    },
    /// The image's file is cut off, or is no image.
    #[error("{path} is damaged, or no image: {reason}")]
    Damaged {
        /// The image.
        path: PathBuf,
        /// What was found there.
        reason: String,
    },
    /// The signature asks for something that this machine does not have.
    #[error("this machine can't run the image: {0}")]
    Attributes(#[source] twine_image::Error),
    /// The processor or the loader refuses the enclave that the image describes.
    #[error("the enclave was refused: {0}")]
    Refused(String),
    /// Software SGX does not run on this machine.
    #[error("{0}")]
    NoSimulation(String),
    /// The root secret of software SGX, which what is sealed depends on, can't be had.
    #[error("{0}")]
    RootSecret(#[source] sgx_sim::Error),
    /// Something is to be sealed on a machine that ends with this process.
    #[error("what is sealed on this machine can't be opened again")]
    Throwaway,
    /// The enclave's memory can't be had.
    #[error("there is no memory for the enclave: {what}{shortage}")]
    NoMemory {
        /// What failed.
        what: String,
        /// Why.
        shortage: Shortage,
    },
    /// Pages of the program's file could not be read when the enclave took it, so that it took
    /// another program.
    #[error("{pages} pages of the program's file could not be read while the enclave took it")]
    ProgramUnread {
        /// How many.
        pages: u64,
    },
    /// The processor's memory for enclaves is used up.
    #[error("the machine has no enclave memory (EPC) left: {0}")]
    NoEpc(String),
    /// The threads that the enclave runs on can't be had.
    #[error("no thread can be started: {source}{shortage}")]
    NoThread {
        /// What the system said.
        source: io::Error,
        /// Why.
        shortage: Shortage,
    },
    /// No more files can be opened.
    #[error("no more files can be opened: {source}{shortage}")]
    NoFile {
        /// What the system said.
        source: io::Error,
        /// Why.
        shortage: Shortage,
    },
    /// The operating system refuses the enclave's pages the permissions that they need.
    #[error("this machine does not permit the enclave's memory: {0}")]
    NotPermitted(String),
    /// Something else of the operating system's failed.
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
        /// Where, as " at FILE:LINE:COLUMN", if the enclave said so.
        place: String,
    },
    /// An exception inside was not handled.
    #[error("the enclave was stopped by exception {vector} ({name}) at address {address:#x}")]
    Exception {
        /// The CPU's vector.
        vector: u16,
        /// Its name.
        name: &'static str,
        /// The address that faulted.
        address: u64,
    },
    /// The enclave ended and reported nothing.
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
    /// What to do about it, in one line.
    pub fn remedy(&self) -> String {
        match self {
            Error::NoSgx(_) => "see `twine info`, or run on software SGX with --tee sim".into(),
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
                "the image was changed, or the signature is another image's: get both anew; or sign what is there: `twine image sign`".into()
            }
            Error::Damaged { .. } => "copy or build the image again".into(),
            Error::Attributes(error) => error.remedy().unwrap_or_else(|| SIGN_ANEW.into()),
            Error::Refused(_) => SIGN_ANEW.into(),
            Error::NoSimulation(_) => "run on another machine; `twine info` shows this one".into(),
            Error::RootSecret(error) => root_secret_remedy(error),
            Error::Throwaway => "run where a root secret can be kept: set XDG_STATE_HOME".into(),
            Error::NoMemory { shortage, .. } => shortage.remedy().unwrap_or(
                "free some memory, or build an image with a smaller heap: `twine image build --heap-size SIZE`",
            ).into(),
            Error::NoThread { shortage, .. } => shortage.remedy().unwrap_or(
                "raise the limit of this container or unit: --pids-limit, TasksMax=",
            ).into(),
            Error::ProgramUnread { .. } => {
                "check the disk, and that nobody writes to the file: what ran was not this program".into()
            }
            Error::NoEpc(_) => {
                "end other enclaves, or give the machine more EPC: PRMRR in its firmware, or a virtual machine's memory-backend-epc".into()
            }
            Error::NoFile { source, shortage } => {
                shortage.remedy().or_else(|| limits::remedy(source)).unwrap_or("close other files").into()
            }
            Error::System(_) => {
                "see whether a seccomp filter or a limit of this container refuses the call".into()
            }
            Error::NotPermitted(_) => {
                "let this process make memory executable: look for a seccomp filter, SELinux (execmem) or, with SGX in hardware, a /dev that is mounted noexec".into()
            }
            Error::Exhausted { .. } => larger_image(0),
            Error::Panicked { .. }
            | Error::Exception { .. }
            | Error::NoReport
            | Error::Report(_)
            | Error::Runner(_) => {
                "this is a fault of Twine's or of the image's: please report it with the program".into()
            }
        }
    }
}

const SIGN_ANEW: &str = "build and sign an image for this machine: `twine image build`, `twine image sign`; \
    `twine image inspect` shows what this one asks for";

fn root_secret_remedy(error: &sgx_sim::Error) -> String {
    const ELSEWHERE: &str =
        "set XDG_STATE_HOME to a folder that stays, and that this user can write";
    let sgx_sim::Error::RootSecret(error) = error else { return ELSEWHERE.into() };
    match error {
        RootSecretError::Damaged { path } => format!(
            "put a copy of it back; or, if nothing was sealed with it, `rm {}`: a new one is made",
            shell_word(path.display())
        ),
        RootSecretError::Shared { path, .. } => format!(
            "`chmod 600 {}`; or set XDG_STATE_HOME to a folder where modes are kept",
            shell_word(path.display())
        ),
        RootSecretError::Foreign { .. } => {
            "set XDG_STATE_HOME or HOME to a folder of this user's, or give it the file (chown)"
                .into()
        }
        RootSecretError::Read { source, .. } | RootSecretError::Make { source, .. } => {
            limits::remedy(source).unwrap_or(ELSEWHERE).into()
        }
        _ => ELSEWHERE.into(),
    }
}
