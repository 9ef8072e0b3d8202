//! The keys that sign images: RSA-3072 with the public exponent 3, as EINIT requires (SDM Vol. 3D,
//! "SIGSTRUCT").

use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{HasPublic, PKey, Private, Public};
use openssl::rsa::{Rsa, RsaRef};
use openssl::sha::sha256;
use openssl::sign::{Signer, Verifier};
use sgxs::crypto::SgxRsaPubOps;

use crate::Error;
use crate::io;
use crate::measure::Mrsigner;

const BITS: u32 = 3072;
/// The size of a modulus, a signature, Q1 and Q2, in bytes.
pub(crate) const RSA_SIZE: usize = BITS as usize / 8;

/// A private key that may sign images.
pub struct SigningKey {
    rsa: Rsa<Private>,
}

/// The public half of a [`SigningKey`].
#[derive(Clone)]
pub struct VerifyingKey {
    rsa: Rsa<Public>,
}

impl SigningKey {
    /// Makes a new key. This takes a moment.
    pub fn generate() -> Result<SigningKey, Error> {
        let exponent = BigNum::from_u32(3)?;
        Ok(SigningKey { rsa: Rsa::generate_with_e(BITS, &exponent)? })
    }

    /// Reads an unencrypted PEM file, PKCS #1 or PKCS #8.
    pub fn from_pem(pem: &[u8]) -> Result<SigningKey, Error> {
        // Without this callback, OpenSSL would ask for a passphrase on the terminal.
        let mut encrypted = false;
        let key = PKey::private_key_from_pem_callback(pem, |_| {
            encrypted = true;
            Ok(0)
        });
        let rsa = match key {
            Ok(key) => {
                key.rsa().map_err(|_| Error::Key { reason: "it is not an RSA key".into() })?
            }
            Err(_) if encrypted => {
                return Err(Error::Key { reason: "it is encrypted".into() });
            }
            Err(_) => {
                return Err(Error::Key { reason: "it is not a private key in PEM form".into() });
            }
        };
        check(&rsa)?;
        Ok(SigningKey { rsa })
    }

    /// Reads a PEM file. Only its owner may have access to it.
    pub fn from_file(path: impl AsRef<Path>) -> Result<SigningKey, Error> {
        let path = path.as_ref();
        let failed = |e| Error::io("reading the key", path, e);
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(Error::KeyPermissions { path: path.display().to_string(), mode });
        }
        SigningKey::from_pem(&io::read_all(file).map_err(failed)?)
    }

    /// Reads the key in a file. If the file does not exist, it is created with a new key.
    ///
    /// Anyone with the file can sign in its owner's name, so this is a key for development. A key
    /// that others rely on should be kept where it can't be copied, and sign in two steps: see
    /// [`crate::SigningRequest`]. If two processes create the file at the same time, both get the same
    /// key. An existing file is never replaced.
    pub fn development_key(path: impl AsRef<Path>) -> Result<SigningKey, Error> {
        let path = path.as_ref();
        match SigningKey::from_file(path) {
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            // The messages of these results name the file.
            result @ (Ok(_) | Err(Error::Io { .. } | Error::KeyPermissions { .. })) => {
                return result;
            }
            Err(damage) => {
                let path = path.display().to_string();
                return Err(Error::DevelopmentKey { path, source: Box::new(damage) });
            }
        }
        if let Some(parent) = path.parent() {
            let failed = |e| Error::io("making the directory", parent, e);
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
        }
        let pem = SigningKey::generate()?.rsa.private_key_to_pem()?;
        let draft = io::Draft::create(path, 0o600).and_then(|mut draft| {
            std::io::Write::write_all(&mut draft, &pem)?;
            draft.keep_if_first()
        });
        draft.map_err(|e| Error::io("writing the key", path, e))?;
        SigningKey::from_file(path)
    }

    /// Returns the public key.
    pub fn verifying_key(&self) -> Result<VerifyingKey, Error> {
        VerifyingKey::from_modulus(&self.rsa.n().to_vec())
    }

    /// Signs with PKCS #1 v1.5 and SHA-256. The signature is big-endian.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let key = PKey::from_rsa(self.rsa.clone())?;
        Ok(Signer::new(MessageDigest::sha256(), &key)?.sign_oneshot_to_vec(message)?)
    }
}

impl VerifyingKey {
    /// Reads a PEM file with a public key (`openssl rsa -pubout`).
    pub fn from_pem(pem: &[u8]) -> Result<VerifyingKey, Error> {
        let rsa = PKey::public_key_from_pem(pem)
            .and_then(|key| key.rsa())
            .map_err(|_| Error::Key { reason: "it is not an RSA public key in PEM form".into() })?;
        check(&rsa)?;
        Ok(VerifyingKey { rsa })
    }

    /// Reads the PEM file at `path`.
    pub fn from_file(path: impl AsRef<Path>) -> Result<VerifyingKey, Error> {
        let path = path.as_ref();
        VerifyingKey::from_pem(&fs::read(path).map_err(|e| Error::io("reading the key", path, e))?)
    }

    /// Makes a key from a big-endian modulus.
    pub(crate) fn from_modulus(modulus: &[u8]) -> Result<VerifyingKey, Error> {
        let rsa = Rsa::from_public_components(BigNum::from_slice(modulus)?, BigNum::from_u32(3)?)?;
        check(&rsa)?;
        Ok(VerifyingKey { rsa })
    }

    /// Returns MRSIGNER of all images signed with this key.
    pub fn mrsigner(&self) -> Mrsigner {
        Mrsigner(sha256(&self.modulus()))
    }

    /// Returns the modulus, little-endian, as in SIGSTRUCT.
    pub(crate) fn modulus(&self) -> [u8; RSA_SIZE] {
        little_endian(&self.rsa.n().to_vec())
    }

    /// Whether the big-endian `signature` verifies.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> Result<bool, Error> {
        let key = PKey::from_rsa(self.rsa.clone())?;
        // For OpenSSL, a malformed signature is an error, while a wrong one is not.
        Ok(Verifier::new(MessageDigest::sha256(), &key)?
            .verify_oneshot(signature, message)
            .unwrap_or(false))
    }

    /// Returns Q1 and Q2, with which EINIT verifies the signature without a division.
    pub(crate) fn quotients(
        &self,
        signature: &[u8],
    ) -> Result<([u8; RSA_SIZE], [u8; RSA_SIZE]), Error> {
        let (q1, q2) = self.rsa.calculate_q1_q2(signature)?;
        Ok((padded(&q1), padded(&q2)))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

impl std::fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "VerifyingKey({})", self.mrsigner())
    }
}

fn check<T: HasPublic>(rsa: &RsaRef<T>) -> Result<(), Error> {
    let bits = rsa.n().num_bits() as u32;
    if bits != BITS {
        return Err(Error::KeySize { bits });
    }
    if *rsa.e() != BigNum::from_u32(3)? {
        return Err(Error::KeyExponent { exponent: rsa.e().to_dec_str()?.to_string() });
    }
    Ok(())
}

fn little_endian(big_endian: &[u8]) -> [u8; RSA_SIZE] {
    let reversed: Vec<u8> = big_endian.iter().rev().copied().collect();
    padded(&reversed)
}

/// Pads a little-endian number that is at most the modulus.
fn padded(bytes: &[u8]) -> [u8; RSA_SIZE] {
    let mut all = [0; RSA_SIZE];
    all[..bytes.len()].copy_from_slice(bytes);
    all
}
