//! Keys, and sealing and opening with them.

use crate::error::{Error, Result};
use crate::format::block::Kind;
use crate::format::pointer::{Salt, Tag};
use graviola::aead::AesGcm;
use graviola::hashing::Sha256;
use graviola::hashing::hmac::Hmac;
use zeroize::Zeroizing;

/// A key of 32 bytes. It is cleared when it is dropped.
pub(crate) type SecretKey = Zeroizing<[u8; 32]>;

/// Limit on seals under one salt, far below the limit of AES-GCM for one key. At the limit, the
/// sealer draws a new salt.
const MAX_SEALS: u64 = 1 << 32;

/// Limit on expanded keys of other mounts that a sealer keeps.
const KEPT_KEYS: usize = 64;

/// Fills `bytes` with random bytes.
pub(crate) fn random(bytes: &mut [u8]) -> Result<()> {
    #[cfg(feature = "fuzzing")]
    if crate::fuzz_hooks::fill(bytes) {
        return Ok(());
    }
    graviola::random::fill(bytes).map_err(|_| Error::NoRandom)
}

/// Returns a random key.
pub(crate) fn random_key() -> Result<SecretKey> {
    let mut key = SecretKey::default();
    random(&mut *key)?;
    Ok(key)
}

/// Derives a key for one purpose: HMAC-SHA-256(key, purpose || context).
pub(crate) fn derive(key: &[u8], purpose: &str, context: &[u8]) -> SecretKey {
    let mut hmac = Hmac::<Sha256>::new(key);
    hmac.update(purpose);
    hmac.update(context);
    let mut derived = SecretKey::default();
    derived.copy_from_slice(hmac.finish().as_ref());
    derived
}

/// Returns the MAC of `bytes`: HMAC-SHA-256(key, bytes).
pub(crate) fn mac(key: &SecretKey, bytes: &[u8]) -> [u8; 32] {
    let mut hmac = Hmac::<Sha256>::new(**key);
    hmac.update(bytes);
    let mut tag = [0; 32];
    tag.copy_from_slice(hmac.finish().as_ref());
    tag
}

/// A key that makes many MACs. The part that depends only on the key is computed once.
pub(crate) struct Tagger(Hmac<Sha256>);

impl Tagger {
    pub(crate) fn new(key: &SecretKey) -> Self {
        Tagger(Hmac::new(**key))
    }

    /// Returns the MAC of `bytes`, like [`mac`].
    pub(crate) fn mac(&self, bytes: &[u8]) -> [u8; 32] {
        let mut hmac = self.0.clone();
        hmac.update(bytes);
        let mut tag = [0; 32];
        tag.copy_from_slice(hmac.finish().as_ref());
        tag
    }
}

/// Whether `tag` is the MAC of `bytes`. Takes the same time in both cases.
pub(crate) fn mac_is(key: &SecretKey, bytes: &[u8], tag: &[u8; 32]) -> bool {
    let mut hmac = Hmac::<Sha256>::new(**key);
    hmac.update(bytes);
    hmac.verify(tag).is_ok()
}

/// Salt, counter and tag of one seal.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seal {
    pub(crate) salt: Salt,
    pub(crate) counter: u64,
    pub(crate) tag: Tag,
}

/// The bytes were not sealed with this seal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotAuthentic;

/// Seals with the key of this mount, and opens with the keys of all mounts.
pub(crate) struct Sealer {
    volume_key: SecretKey,
    salt: Salt,
    counter: u64,
    current: Box<AesGcm>,
    others: Vec<(Salt, Box<AesGcm>)>,
}

fn mount_key(volume_key: &SecretKey, salt: &Salt) -> Box<AesGcm> {
    Box::new(AesGcm::new(&*derive(&**volume_key, "twine volume 3: mount", salt)))
}

fn nonce(kind: Kind, counter: u64) -> [u8; 12] {
    let mut nonce = [0; 12];
    nonce[0] = kind.code();
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    nonce
}

impl Sealer {
    /// Begins a mount with a random salt, so that no nonce is used twice, whatever happened to the
    /// storage before.
    pub(crate) fn new(volume_key: SecretKey) -> Result<Self> {
        let mut salt = Salt::default();
        random(&mut salt)?;
        let current = mount_key(&volume_key, &salt);
        Ok(Sealer { volume_key, salt, counter: 0, current, others: Vec::new() })
    }

    pub(crate) fn volume_key(&self) -> &SecretKey {
        &self.volume_key
    }

    /// Returns the salt and counter of the last seal. Later seals under this salt have larger
    /// counters.
    pub(crate) fn now(&self) -> (Salt, u64) {
        (self.salt, self.counter)
    }

    /// Whether a seal is later than `mark`, a result of [`now`](Self::now) in this mount.
    pub(crate) fn is_after(&self, salt: &Salt, counter: u64, mark: &(Salt, u64)) -> bool {
        if *salt == mark.0 { counter > mark.1 } else { *salt == self.salt }
    }

    /// Draws a new salt if fewer than `seals` seals are left under the current one.
    pub(crate) fn reserve_seals(&mut self, seals: u64) -> Result<()> {
        if self.counter + seals <= MAX_SEALS {
            return Ok(());
        }
        let mut salt = Salt::default();
        random(&mut salt)?;
        let current = mount_key(&self.volume_key, &salt);
        let old = std::mem::replace(&mut self.current, current);
        self.keep(self.salt, old);
        self.salt = salt;
        self.counter = 0;
        Ok(())
    }

    /// Encrypts `bytes` in place.
    pub(crate) fn seal(&mut self, kind: Kind, extra: &[u8], bytes: &mut [u8]) -> Result<Seal> {
        #[cfg(feature = "fuzzing")]
        crate::fuzz_hooks::before_seal(kind, bytes);
        self.reserve_seals(1)?;
        self.counter += 1;
        #[cfg(feature = "fuzzing")]
        if let Some(tag) = crate::fuzz_hooks::seal(kind, &self.salt, self.counter, bytes) {
            return Ok(Seal { salt: self.salt, counter: self.counter, tag });
        }
        let mut tag = Tag::default();
        self.current.encrypt(&nonce(kind, self.counter), extra, bytes, &mut tag);
        Ok(Seal { salt: self.salt, counter: self.counter, tag })
    }

    /// Decrypts `bytes` in place, or clears them if they are not authentic.
    pub(crate) fn open(
        &mut self,
        kind: Kind,
        seal: &Seal,
        extra: &[u8],
        bytes: &mut [u8],
    ) -> Result<(), NotAuthentic> {
        #[cfg(feature = "fuzzing")]
        if let Some(is_authentic) =
            crate::fuzz_hooks::open(kind, &seal.salt, seal.counter, &seal.tag, bytes)
        {
            return if is_authentic { Ok(()) } else { Err(NotAuthentic) };
        }
        let nonce = nonce(kind, seal.counter);
        self.key_of(&seal.salt).decrypt(&nonce, extra, bytes, &seal.tag).map_err(|_| NotAuthentic)
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "`at` is an index of `others`; in the other cases `others` has an element"
    )]
    fn key_of(&mut self, salt: &Salt) -> &AesGcm {
        if *salt == self.salt {
            return &self.current;
        }
        match self.others.iter().position(|(other, _)| other == salt) {
            // The key that was used last is first.
            Some(0) => {}
            Some(at) => self.others[..=at].rotate_right(1),
            None => {
                let key = mount_key(&self.volume_key, salt);
                self.keep(*salt, key);
            }
        }
        &self.others[0].1
    }

    fn keep(&mut self, salt: Salt, key: Box<AesGcm>) {
        self.others.truncate(KEPT_KEYS - 1);
        self.others.insert(0, (salt, key));
    }
}

/// Encrypts a key under another one, and returns nonce, ciphertext and tag. The nonce is random,
/// which is safe because a key-encryption key encrypts only a few times in its life.
pub(crate) fn wrap(
    under: &SecretKey,
    extra: &[u8],
    key: &SecretKey,
) -> Result<([u8; 12], [u8; 32], [u8; 16])> {
    let mut nonce = [0; 12];
    random(&mut nonce)?;
    let mut wrapped = **key;
    let mut tag = [0; 16];
    AesGcm::new(&**under).encrypt(&nonce, extra, &mut wrapped, &mut tag);
    Ok((nonce, wrapped, tag))
}

/// Decrypts a key that [`wrap`] encrypted. Returns `None` if it is not authentic.
pub(crate) fn unwrap(
    under: &SecretKey,
    extra: &[u8],
    nonce: &[u8; 12],
    wrapped: &[u8; 32],
    tag: &[u8; 16],
) -> Option<SecretKey> {
    let mut key = SecretKey::new(*wrapped);
    AesGcm::new(&**under).decrypt(nonce, extra, &mut *key, tag).ok()?;
    Some(key)
}
