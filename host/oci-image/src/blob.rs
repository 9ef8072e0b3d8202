//! Blobs: the parts of an image, each named by its digest.

use crate::error::{Error, Result};
use oci_spec::image::{Descriptor, Digest, DigestAlgorithm};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Limit on the size of a blob that is JSON, in bytes: containerd's.
pub(crate) const MAX_JSON: u64 = 8 << 20;

/// The SHA-256 of these bytes, as OCI writes it.
pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    digest_of(&Sha256::digest(bytes))
}

/// A SHA-256 as OCI writes it.
pub(crate) fn digest_of(hash: &[u8]) -> Digest {
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Digest::from_str(&format!("sha256:{hex}")).expect("64 hexadecimal digits are a SHA-256")
}

/// JSON that is the same for the same value. The types of the specification keep maps without an
/// order, so the keys are sorted.
pub(crate) fn json(value: &impl Serialize) -> Vec<u8> {
    let mut value = serde_json::to_value(value).expect("these types have only text for keys");
    value.sort_all_objects();
    value.to_string().into_bytes()
}

/// The file of a blob in a layout.
///
/// # Errors
/// When its digest is not a SHA-256.
pub(crate) fn path(layout: &Path, blob: &Descriptor) -> Result<PathBuf> {
    match blob.digest().algorithm() {
        DigestAlgorithm::Sha256 => Ok(layout.join("blobs/sha256").join(blob.digest().digest())),
        other => Err(Error::Unsupported {
            what: format!("a digest by {other}"),
            remedy: "build the image with digests by sha256".into(),
        }),
    }
}

/// Reads a blob of at most `most` bytes, and checks its size and its digest.
///
/// # Errors
/// When it can't be read, is too large, or is not what the descriptor says.
pub(crate) fn read(layout: &Path, blob: &Descriptor, most: u64) -> Result<Vec<u8>> {
    let path = path(layout, blob)?;
    let size = blob.size();
    if size > most {
        return Err(Error::damaged(
            &path,
            format!("its size is {size}, and at most {most} is allowed"),
        ));
    }
    let mut bytes = Vec::new();
    File::open(&path)
        .and_then(|file| file.take(size + 1).read_to_end(&mut bytes))
        .map_err(Error::at(&path))?;
    check(&path, blob, bytes.len() as u64, &Sha256::digest(&bytes))?;
    Ok(bytes)
}

/// Checks the size and the hash of a blob against its descriptor.
pub(crate) fn check(path: &Path, blob: &Descriptor, size: u64, hash: &[u8]) -> Result<()> {
    if size != blob.size() {
        return Err(Error::damaged(path, format!("its size is not {}", blob.size())));
    }
    if digest_of(hash) != *blob.digest() {
        return Err(Error::damaged(path, "its SHA-256 is not the one in its name"));
    }
    Ok(())
}
