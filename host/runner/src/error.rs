//! Why an enclave did not run, or did not end well.

use std::io;
use std::path::PathBuf;

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
    /// The image's signature can't be used.
    #[error("the image's signature is not valid: {0}")]
    Signature(#[source] twine_image::Error),
    /// EINIT or the loader refused the image.
    #[error("the image was refused: {0}")]
    Refused(String),
    /// The enclave's memory can't be had.
    #[error("there is no memory for the enclave: {0}")]
    NoMemory(String),
    /// The operating system refuses the enclave's pages the permissions that they need.
    #[error("this machine does not permit the enclave's memory: {0}")]
    NotPermitted(String),
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
            Error::Read { .. } => "check the path and its permissions; `cargo xtask image` builds the image".into(),
            Error::NotSigned { image, .. } => {
                format!("sign it: `twine image sign {}`", image.display())
            }
            Error::Signature(error) => error
                .remedy()
                .unwrap_or_else(|| "sign the image again: `twine image sign`".into()),
            Error::Refused(_) => {
                "the image was changed, or signed for something else: build and sign it again".into()
            }
            Error::NoMemory(_) => {
                "free some memory, or build an image with a smaller heap: `twine image build --heap-size SIZE`".into()
            }
            Error::NotPermitted(_) => {
                "let this process make memory executable: look for a seccomp filter, SELinux (execmem) or, with SGX in hardware, a /dev that is mounted noexec".into()
            }
            Error::Exhausted { .. } => {
                "build an image with a larger heap: `twine image build --heap-size SIZE`".into()
            }
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
