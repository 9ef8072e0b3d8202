//! A signed manifest in a file.

use super::{SIGNED_START, open_signed};
use crate::failure::Failure;
use crate::input;
use std::path::Path;
use twine_channel::message::Which;
use twine_evidence::manifest::Manifest;
use twine_evidence::owner::PublicKey;
use twine_evidence::signed::{MAX_BYTES, Signed};

/// A manifest with its owner's signature.
#[derive(Debug)]
pub(crate) struct SignedFile {
    bytes: Vec<u8>,
    signed: Signed,
}

impl SignedFile {
    /// Reads a signed manifest, and verifies its signature.
    ///
    /// # Errors
    /// The file can't be read, or is not a manifest with its owner's signature.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        SignedFile::of_bytes(path, input::whole(path, MAX_BYTES)?)
    }

    /// Takes the contents of the file `path`.
    ///
    /// # Errors
    /// They are not a manifest with its owner's signature.
    pub(crate) fn of_bytes(path: &Path, bytes: Vec<u8>) -> Result<Self, Failure> {
        if bytes.first() != Some(&SIGNED_START) {
            return Err(Failure::new(
                format!("{} is not a signed manifest", path.display()),
                "sign it with its owner's key: twine manifest sign app.toml --key owner.pem",
            ));
        }
        let signed = open_signed(path, &bytes)?;
        Ok(SignedFile { bytes, signed })
    }

    /// The manifest with its signature, as the enclave reads it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// The manifest.
    pub(crate) fn manifest(&self) -> &Manifest {
        self.signed.manifest()
    }

    /// Names its deployment on a host.
    pub(crate) fn which(&self) -> Which {
        Which { owner: Some(self.owner().id()), name: self.manifest().name.clone() }
    }

    /// Its owner.
    pub(crate) fn owner(&self) -> &PublicKey {
        self.signed.owner()
    }

    /// The manifest with its signature, encoded and decoded.
    pub(crate) fn into_parts(self) -> (Vec<u8>, Signed) {
        (self.bytes, self.signed)
    }
}
