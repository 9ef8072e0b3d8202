//! Blobs: the parts of an image, each named by its digest.

use crate::error::{Error, Result};
use oci_spec::image::{Descriptor, Digest, DigestAlgorithm};
use rustix::fs::{Mode, OFlags};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Limit on the size of a blob that is JSON, in bytes: containerd's.
pub(crate) const MAX_JSON: u64 = 8 << 20;

/// The SHA-256 of these bytes, as OCI writes it.
pub(crate) fn sha256(bytes: &[u8]) -> Digest {
    digest_of(&Sha256::digest(bytes))
}

/// A SHA-256 as OCI writes it.
fn digest_of(hash: &[u8]) -> Digest {
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
        other => Err(unsupported(other)),
    }
}

/// The image has digests by another algorithm than SHA-256.
pub(crate) fn unsupported(algorithm: &DigestAlgorithm) -> Error {
    Error::Unsupported {
        what: format!("a digest by {algorithm}"),
        remedy: "build the image with digests by sha256".into(),
    }
}

/// Opens a blob, which must be a file of the size that its descriptor says. Returns its path too.
///
/// # Errors
/// When it can't be opened, or is something else.
pub(crate) fn open(layout: &Path, blob: &Descriptor) -> Result<(PathBuf, File)> {
    let path = path(layout, blob)?;
    let open = || {
        // A pipe would wait for its other end.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(&path, flags, Mode::empty())?);
        let metadata = file.metadata()?;
        Ok((file, metadata))
    };
    let (file, metadata) = open().map_err(Error::at(&path))?;
    if !metadata.is_file() {
        return Err(Error::damaged(&path, "it is not a file"));
    }
    check_size(&path, blob, metadata.len())?;
    Ok((path, file))
}

/// Reads a blob of at most `most` bytes, and checks its size and its digest.
///
/// # Errors
/// When it can't be read, is too large, or is not what the descriptor says.
pub(crate) fn read(layout: &Path, blob: &Descriptor, most: u64) -> Result<Vec<u8>> {
    let (path, file) = open(layout, blob)?;
    if blob.size() > most {
        return Err(Error::damaged(
            &path,
            format!("its size is {}, and at most {most} is allowed", blob.size()),
        ));
    }
    let mut file = Hashed::new(file);
    let mut bytes = Vec::new();
    (&mut file).take(most).read_to_end(&mut bytes).map_err(Error::at(&path))?;
    file.check(&path, blob)?;
    Ok(bytes)
}

/// Compares a blob with its digest, and returns its path.
///
/// # Errors
/// When it can't be read, or is not what the descriptor says.
pub(crate) fn verify(layout: &Path, blob: &Descriptor) -> Result<PathBuf> {
    let (path, file) = open(layout, blob)?;
    let mut file = Hashed::new(file);
    io::copy(&mut file, &mut io::sink()).map_err(Error::at(&path))?;
    file.check(&path, blob)?;
    Ok(path)
}

fn check_size(path: &Path, blob: &Descriptor, size: u64) -> Result<()> {
    match size == blob.size() {
        true => Ok(()),
        false => Err(Error::damaged(path, format!("its size is not {}", blob.size()))),
    }
}

/// Counts and hashes what is read.
pub(crate) struct Hashed<R> {
    from: R,
    hash: Sha256,
    size: u64,
}

impl<R> Hashed<R> {
    pub(crate) fn new(from: R) -> Self {
        Hashed { from, hash: Sha256::new(), size: 0 }
    }

    /// The digest of all that was read.
    pub(crate) fn digest(self) -> Digest {
        digest_of(&self.hash.finalize())
    }

    /// Checks the size and the hash of all that was read against a descriptor.
    ///
    /// # Errors
    /// When one of them is another.
    pub(crate) fn check(self, path: &Path, blob: &Descriptor) -> Result<()> {
        check_size(path, blob, self.size)?;
        match self.digest() == *blob.digest() {
            true => Ok(()),
            false => Err(Error::damaged(path, "its SHA-256 is not the one in its name")),
        }
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or_default());
        self.size += count as u64;
        Ok(count)
    }
}
