//! Records in the host's state folder: each is sealed to this image, under a key of its own and its own
//! name.

use crate::sealing_keys::{MOVABLE_PARAMETER_BYTES, SealingKeys};
use graviola::aead::AesGcm;
use twine_evidence::bytes::Digest;
use twine_sgx::host;
use twine_volume::KeyEncryptionKey;
use zeroize::Zeroizing;

const MAGIC: &[u8; 8] = b"TWINEREC";

/// Each record has a key of its own.
const NONCE: [u8; 12] = [0; 12];
const TAG_BYTES: usize = 16;

/// Limit on the size of a record, in bytes.
pub(crate) const MAX_BYTES: usize = 1 << 30;

/// What the host returned as a record.
pub(crate) enum Record {
    /// None.
    Missing,
    /// One of this image, opened.
    Own(Zeroizing<Vec<u8>>),
    /// One that says it is of another image.
    Former {
        /// MRENCLAVE of that image.
        image: Digest,
        /// The record as that image sealed it.
        sealed: Vec<u8>,
    },
    /// It is damaged, of another version or machine, or the host can't read it: the cause, in words.
    Unreadable(String),
}

/// Reads a record. One that this image sealed under another CPUSVN or ISVSVN is sealed anew.
pub(crate) fn read(name: &str) -> Record {
    read_within(name, MAX_BYTES)
}

/// Reads a record of at most `most` bytes.
pub(crate) fn read_within(name: &str, most: usize) -> Record {
    let sealed = match host().record(name, most) {
        Ok(Some(sealed)) => sealed,
        Ok(None) => return Record::Missing,
        Err(status) => return Record::Unreadable(format!("{status:?}")),
    };
    let damaged = || Record::Unreadable("it is damaged, or of another version".into());
    let Some(parameters) = parameters(&sealed) else { return damaged() };
    match SealingKeys::image(parameters) {
        Some(image) if image != SealingKeys::own_image() => {
            return Record::Former { image, sealed };
        }
        Some(_) => {}
        None => return damaged(),
    }
    let renew = !SealingKeys::is_present_record(parameters);
    let key = match SealingKeys::record_key(name, parameters) {
        Ok(key) => key,
        Err(refusal) => return Record::Unreadable(refusal.0),
    };
    let Some(bytes) = open(&key, name, sealed) else { return damaged() };
    let bytes = Zeroizing::new(bytes);
    if renew {
        // If the host does not keep it, the old one is still there.
        write(name, &bytes);
    }
    Record::Own(bytes)
}

/// Seals a record and has the host keep it. Returns whether the host does.
pub(crate) fn write(name: &str, bytes: &[u8]) -> bool {
    seal(name, bytes).is_some_and(|sealed| host().write_record(name, &sealed).is_ok())
}

/// Returns the parameters of a record's key.
pub(crate) fn parameters(sealed: &[u8]) -> Option<&[u8]> {
    sealed.strip_prefix(MAGIC)?.get(..MOVABLE_PARAMETER_BYTES)
}

fn seal(name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
    let (parameters, key) = SealingKeys::new_record_key(name).ok()?;
    let head = [&MAGIC[..], &parameters].concat();
    let start = head.len() + TAG_BYTES;
    let mut sealed = Vec::new();
    sealed.try_reserve_exact(start + bytes.len()).ok()?;
    sealed.extend_from_slice(&head);
    sealed.extend_from_slice(&[0; TAG_BYTES]);
    sealed.extend_from_slice(bytes);
    let (tag, contents) = sealed.get_mut(head.len()..)?.split_first_chunk_mut()?;
    AesGcm::new(&*key).encrypt(&NONCE, name.as_bytes(), contents, tag);
    Some(sealed)
}

/// Opens a record that was sealed with this key under this name.
pub(crate) fn open(key: &KeyEncryptionKey, name: &str, mut sealed: Vec<u8>) -> Option<Vec<u8>> {
    let (_, rest) = sealed.split_at_mut_checked(MAGIC.len() + MOVABLE_PARAMETER_BYTES)?;
    let (tag, contents) = rest.split_first_chunk_mut::<TAG_BYTES>()?;
    AesGcm::new(&**key).decrypt(&NONCE, name.as_bytes(), contents, tag).ok()?;
    let length = contents.len();
    let start = sealed.len() - length;
    sealed.drain(..start);
    Some(sealed)
}
