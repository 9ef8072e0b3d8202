//! Keys on P-256 that derive from a secret, and the signatures with them.

use graviola::hashing::{Hash, Sha256, hmac::Hmac};
use graviola::key_agreement::p256::StaticPrivateKey;
use graviola::signing::ecdsa::{P256, SigningKey};
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm};

use crate::error::Error;

/// Returns 32 bytes that derive from a secret, a label and the bytes that it is for: HMAC-SHA-256
/// under the secret. No label is the beginning of another.
pub(crate) fn derive(secret: &[u8], label: &str, context: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new(secret);
    mac.update(label);
    mac.update(context);
    array(mac.finish().as_ref())
}

/// Returns the first 16 bytes of [`derive`].
pub(crate) fn derive_id(secret: &[u8], label: &str) -> [u8; 16] {
    array(&derive(secret, label, &[])[..16])
}

pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    array(Sha256::hash(&parts.concat()).as_ref())
}

fn array<const SIZE: usize>(bytes: &[u8]) -> [u8; SIZE] {
    bytes.try_into().expect("callers give as many bytes")
}

/// A key that signs with ECDSA on P-256 over SHA-256.
pub(crate) struct Key {
    signing: SigningKey<P256>,
    /// X9.62, uncompressed.
    public: [u8; 65],
}

impl Key {
    /// Returns the key that derives from a secret, a label and the bytes that it is for.
    pub(crate) fn derive(secret: &[u8], label: &str, context: &[u8]) -> Self {
        // One candidate in 2^32 is not below the order of the group.
        let private_key = (0..=u8::MAX)
            .find_map(|attempt| {
                let context = [context, &[attempt]].concat();
                StaticPrivateKey::from_bytes(&derive(secret, label, &context)).ok()
            })
            .expect("one of 256 candidates is in range");
        let public = private_key.public_key_uncompressed();
        Key { signing: SigningKey { private_key }, public }
    }

    /// Returns the coordinates of the public key: x, then y.
    pub(crate) fn point(&self) -> &[u8] {
        &self.public[1..]
    }

    /// Returns a signature: r, then s.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub(crate) fn sign(&self, message: &[u8]) -> Result<[u8; 64], Error> {
        let mut signature = [0; 64];
        self.signing.sign::<Sha256>(&[message], &mut signature).map_err(|_| Error::Random)?;
        Ok(signature)
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        /// The longest Ecdsa-Sig-Value (RFC 3279, section 2.2.3) on P-256.
        const MAX: usize = 72;
        let mut signature = [0; MAX];
        let signature = self.signing.sign_asn1::<Sha256>(&[message], &mut signature);
        Ok(signature.map_err(|_| rcgen::Error::RemoteKeyError)?.to_vec())
    }
}
