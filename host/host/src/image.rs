//! An enclave image: the SGXS file and the signature beside it.

use crate::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use twine_image::Sigstruct;

/// An enclave image that can be loaded.
#[derive(Debug)]
pub struct Image {
    pub(crate) path: PathBuf,
    pub(crate) sigstruct: Sigstruct,
}

impl Image {
    /// Opens the image at `path` and reads its signature (`.sig` beside `.sgxs`).
    ///
    /// # Errors
    /// If a file is missing or the signature is malformed. Whether the signature is the image's is
    /// checked when the image is loaded.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        let unreadable = |source| Error::Read { path: path.clone(), source };
        let file = File::open(&path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.is_dir() {
            return Err(unreadable(std::io::Error::from_raw_os_error(libc::EISDIR)));
        }
        let signature = twine_image::signature_path(&path);
        let sigstruct = match twine_image::read_signature(&path) {
            Ok(Some(sigstruct)) => sigstruct,
            Ok(None) => return Err(Error::NotSigned { signature, image: path }),
            Err(twine_image::Error::Io { source, .. }) => {
                return Err(Error::Read { path: signature, source });
            }
            Err(error) => {
                let reason = match error {
                    twine_image::Error::Signature { reason } => reason.to_owned(),
                    error => error.to_string(),
                };
                return Err(Error::Signature { path: signature, reason });
            }
        };
        Ok(Image { path, sigstruct })
    }

    /// Returns the SGXS file.
    pub(crate) fn file(&self) -> Result<File, Error> {
        File::open(&self.path).map_err(|source| Error::Read { path: self.path.clone(), source })
    }

    /// Returns the path of the SGXS file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the signature.
    pub fn sigstruct(&self) -> &Sigstruct {
        &self.sigstruct
    }
}
