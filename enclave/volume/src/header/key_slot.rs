//! Key slots: each holds the volume key, encrypted under another key.

use crate::crypto::{SecretKey, derive, random, unwrap, wrap};
use crate::error::{Error, Result};
use crate::format::bytes::Reader;
use crate::format::identity::VolumeId;
use crate::format::slot_kind::SlotKind;
use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroizing;

/// Limit on the bytes of a slot's parameters.
pub const MAX_PARAMETER_BYTES: usize = 128;

const _: () = assert!(MAX_PARAMETER_BYTES <= u8::MAX as usize);

/// Minimum size of a key file in bytes.
pub const MIN_KEY_FILE_BYTES: usize = 32;

/// Size of an encoded slot in bytes.
pub(crate) const KEY_SLOT_BYTES: usize = 256;

/// Size in bytes of the random salt in the slot of a key file or a passphrase.
const KEY_SALT_BYTES: usize = 16;

/// A key that encrypts the volume key.
pub type KeyEncryptionKey = Zeroizing<[u8; 32]>;

/// The cost of trying a passphrase (Argon2id).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB: from 8 times the lanes up to 256 MiB.
    pub memory: u32,
    /// Passes over the memory: 1 to 16.
    pub passes: u32,
    /// Lanes: 1 to 8.
    pub lanes: u32,
}

impl Default for Cost {
    fn default() -> Self {
        Cost { memory: 64 << 10, passes: 3, lanes: 1 }
    }
}

impl Cost {
    /// Checks the bounds. Until a slot is open, the header is not authentic and these numbers are
    /// untrusted.
    fn check(self) -> Option<Params> {
        let bounded = (1..=256 << 10).contains(&self.memory)
            && (1..=16).contains(&self.passes)
            && (1..=8).contains(&self.lanes);
        if !bounded {
            return None;
        }
        Params::new(self.memory, self.passes, self.lanes, Some(32)).ok()
    }
}

/// A slot to be added to a volume.
pub struct NewSlot {
    kind: SlotKind,
    parameters: Vec<u8>,
    key: KeyEncryptionKey,
}

impl NewSlot {
    /// A slot for the caller's own `key`. The `parameters` tell the caller later which key that is.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the parameters are longer than [`MAX_PARAMETER_BYTES`].
    pub fn sealed(parameters: &[u8], key: KeyEncryptionKey) -> Result<Self> {
        if parameters.len() > MAX_PARAMETER_BYTES {
            return Err(Error::Invalid("a key slot has room for 128 bytes of parameters"));
        }
        Ok(NewSlot { kind: SlotKind::Sealed, parameters: parameters.to_vec(), key })
    }

    /// A slot that the contents of a key file open.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the contents are shorter than [`MIN_KEY_FILE_BYTES`];
    /// [`Error::NoRandom`].
    pub fn key_file(contents: &[u8]) -> Result<Self> {
        if contents.len() < MIN_KEY_FILE_BYTES {
            return Err(Error::Invalid("a key file must have 32 bytes or more, best random ones"));
        }
        let mut salt = [0; KEY_SALT_BYTES];
        random(&mut salt)?;
        let key = key_file_key(&salt, contents);
        Ok(NewSlot { kind: SlotKind::KeyFile, parameters: salt.to_vec(), key })
    }

    /// A slot that a passphrase opens.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the passphrase is empty, the cost is out of bounds or memory is short;
    /// [`Error::NoRandom`].
    pub fn passphrase(passphrase: &[u8], cost: Cost) -> Result<Self> {
        if passphrase.is_empty() {
            return Err(Error::Invalid("a passphrase must not be empty"));
        }
        let mut salt = [0; KEY_SALT_BYTES];
        random(&mut salt)?;
        let key = passphrase_key(passphrase, &salt, cost).map_err(Error::Invalid)?;
        let mut parameters = salt.to_vec();
        for number in [cost.memory, cost.passes, cost.lanes] {
            parameters.extend_from_slice(&number.to_le_bytes());
        }
        Ok(NewSlot { kind: SlotKind::Passphrase, parameters, key })
    }
}

fn key_file_key(salt: &[u8], contents: &[u8]) -> KeyEncryptionKey {
    // HKDF: extract, then expand to one block.
    let extracted = derive(salt, "", contents);
    derive(&*extracted, "twine volume 3: key file", &[1])
}

fn passphrase_key(
    passphrase: &[u8],
    salt: &[u8],
    cost: Cost,
) -> Result<KeyEncryptionKey, &'static str> {
    let params = cost.check().ok_or("the cost of the passphrase is out of bounds")?;
    let mut memory: Vec<Block> = Vec::new();
    memory
        .try_reserve_exact(params.block_count())
        .map_err(|_| "there is not enough memory to try a passphrase")?;
    memory.resize(params.block_count(), Block::default());
    let mut key = KeyEncryptionKey::default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(passphrase, salt, &mut *key, &mut memory)
        .map_err(|_| "Argon2 refused the passphrase")?;
    Ok(key)
}

/// The reason why a caller has no key for a slot, in words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// Gives the keys that open a volume. A volume asks for a kind of key only if it has a slot of that
/// kind, and asks for the passphrase last, because trying it is slow.
pub trait Unlock {
    /// Returns the key of a [`SlotKind::Sealed`] slot with these parameters. The parameters are
    /// untrusted bytes of the host until the volume is open.
    ///
    /// # Errors
    /// The reason, if there is no such key.
    fn sealed(&mut self, parameters: &[u8]) -> Result<KeyEncryptionKey, Refusal> {
        let _ = parameters;
        Err(Refusal("no sealing key is at hand".into()))
    }

    /// Returns the contents of the key file, if there is one.
    fn key_file(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        None
    }

    /// Returns the passphrase, if there is one.
    fn passphrase(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        None
    }
}

/// An [`Unlock`] with the contents of a key file or a passphrase.
#[derive(Default)]
pub struct Secret {
    key_file: Option<Zeroizing<Vec<u8>>>,
    passphrase: Option<Zeroizing<Vec<u8>>>,
}

impl Secret {
    /// Unlocks with the contents of a key file.
    pub fn key_file(contents: &[u8]) -> Self {
        Secret { key_file: Some(Zeroizing::new(contents.to_vec())), passphrase: None }
    }

    /// Unlocks with a passphrase.
    pub fn passphrase(passphrase: &[u8]) -> Self {
        Secret { key_file: None, passphrase: Some(Zeroizing::new(passphrase.to_vec())) }
    }
}

impl Unlock for Secret {
    fn key_file(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.key_file.clone()
    }

    fn passphrase(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.passphrase.clone()
    }
}

/// The public fields of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotInfo {
    /// The slot's number, which no other slot of the volume ever gets.
    pub number: u32,
    /// The kind of key that opens it.
    pub kind: SlotKind,
    /// The parameters of a sealed slot; empty for other kinds.
    pub parameters: Vec<u8>,
}

/// A slot as stored in the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeySlot {
    pub(crate) number: u32,
    pub(crate) kind: SlotKind,
    pub(crate) parameters: Vec<u8>,
    nonce: [u8; 12],
    wrapped: [u8; 32],
    tag: [u8; 16],
}

impl KeySlot {
    pub(crate) fn new(
        new: &NewSlot,
        number: u32,
        volume: &VolumeId,
        volume_key: &SecretKey,
    ) -> Result<Self> {
        let extra = extra(volume, number, new.kind, &new.parameters);
        let (nonce, wrapped, tag) = wrap(&new.key, &extra, volume_key)?;
        let parameters = new.parameters.clone();
        Ok(KeySlot { number, kind: new.kind, parameters, nonce, wrapped, tag })
    }

    pub(crate) fn info(&self) -> SlotInfo {
        let parameters = match self.kind {
            SlotKind::Sealed => self.parameters.clone(),
            _ => Vec::new(),
        };
        SlotInfo { number: self.number, kind: self.kind, parameters }
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::indexing_slicing,
        reason = "`NewSlot::sealed` and `decode` limit the parameters to `MAX_PARAMETER_BYTES`"
    )]
    pub(crate) fn encode(&self) -> [u8; KEY_SLOT_BYTES] {
        let mut bytes = [0; KEY_SLOT_BYTES];
        bytes[..4].copy_from_slice(&self.number.to_le_bytes());
        bytes[4] = self.kind.code();
        bytes[5] = self.parameters.len() as u8;
        bytes[8..8 + self.parameters.len()].copy_from_slice(&self.parameters);
        bytes[136..148].copy_from_slice(&self.nonce);
        bytes[148..180].copy_from_slice(&self.wrapped);
        bytes[180..196].copy_from_slice(&self.tag);
        bytes
    }

    pub(crate) fn decode(bytes: &[u8; KEY_SLOT_BYTES]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let number = reader.u32().ok()?;
        let kind = SlotKind::from_code(reader.u8().ok()?)?;
        let length = usize::from(reader.u8().ok()?);
        reader.u16().ok()?;
        let parameters = reader.bytes(MAX_PARAMETER_BYTES).ok()?.get(..length)?.to_vec();
        Some(KeySlot {
            number,
            kind,
            parameters,
            nonce: reader.array().ok()?,
            wrapped: reader.array().ok()?,
            tag: reader.array().ok()?,
        })
    }

    /// Decrypts the volume key in this slot, or returns the reason why that is not possible.
    pub(crate) fn open(
        &self,
        volume: &VolumeId,
        from: &mut dyn Unlock,
    ) -> Result<SecretKey, String> {
        let key = match self.kind {
            SlotKind::Sealed => from.sealed(&self.parameters).map_err(|refusal| refusal.0)?,
            SlotKind::KeyFile => {
                let contents = from.key_file().ok_or("no key file was given")?;
                key_file_key(&self.parameters, &contents)
            }
            SlotKind::Passphrase => {
                let passphrase = from.passphrase().ok_or("no passphrase was given")?;
                let mut reader = Reader::new(&self.parameters);
                let mut read = || {
                    let salt = reader.array::<KEY_SALT_BYTES>()?;
                    let cost =
                        Cost { memory: reader.u32()?, passes: reader.u32()?, lanes: reader.u32()? };
                    Ok((salt, cost))
                };
                let (salt, cost) = read()
                    .map_err(|_: crate::format::bytes::Short| "its parameters are damaged")?;
                passphrase_key(&passphrase, &salt, cost)?
            }
        };
        let extra = extra(volume, self.number, self.kind, &self.parameters);
        unwrap(&key, &extra, &self.nonce, &self.wrapped, &self.tag)
            .ok_or_else(|| "this key is a different one".into())
    }
}

/// Returns additional data that bind an encrypted volume key to its volume and slot.
fn extra(volume: &VolumeId, number: u32, kind: SlotKind, parameters: &[u8]) -> Vec<u8> {
    let mut extra = b"twine volume 3: slot".to_vec();
    extra.extend_from_slice(&volume.0);
    extra.extend_from_slice(&number.to_le_bytes());
    extra.push(kind.code());
    extra.extend_from_slice(parameters);
    extra
}
