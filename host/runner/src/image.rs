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
    /// When a file is missing or the signature's form is wrong. Whether it fits the image
    /// is found out when the image is loaded.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        File::open(&path).map_err(|source| Error::Read { path: path.clone(), source })?;
        let sigstruct =
            twine_image::read_signature(&path).map_err(Error::Signature)?.ok_or_else(|| {
                Error::NotSigned {
                    signature: twine_image::signature_path(&path),
                    image: path.clone(),
                }
            })?;
        Ok(Image { path, sigstruct })
    }

    /// The SGXS file.
    pub(crate) fn file(&self) -> Result<File, Error> {
        File::open(&self.path).map_err(|source| Error::Read { path: self.path.clone(), source })
    }

    /// The bytes of the SGXS file.
    pub(crate) fn read(&self) -> Result<Vec<u8>, Error> {
        std::fs::read(&self.path).map_err(|source| Error::Read { path: self.path.clone(), source })
    }

    /// The path of the SGXS file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the signature says.
    pub fn sigstruct(&self) -> &Sigstruct {
        &self.sigstruct
    }
}
