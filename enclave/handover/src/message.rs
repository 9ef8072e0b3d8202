//! The request and the answer, as bytes.
//!
//! A request is a REPORT, for the older enclave, and an encoded [`Request`]. An answer is a REPORT, for
//! the newer enclave, and the wanted key, encrypted to the key of the request by HPKE (RFC 9180) in its base
//! mode, with DHKEM(X25519, HKDF-SHA256), HKDF-SHA256 and AES-128-GCM.

use crate::Key;
use crate::error::Error;
use crate::report::REPORT_BYTES;
use hpke::aead::AesGcm128;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable, Kem, OpModeR, OpModeS, Serializable};
use minicbor::{Decode, Encode};
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::cbor;
use zeroize::Zeroizing;

/// The version of the protocol.
pub(crate) const VERSION: u32 = 1;

/// What the report of a request is about.
pub(crate) const REQUEST: &str = "twine-handover-request-v1";

/// What the report of an answer is about.
pub(crate) const ANSWER: &str = "twine-handover-answer-v1";

/// What the keys are encrypted for.
const INFO: &[u8] = b"twine-handover-v1";

/// Limit on the size of a request without its report, in bytes.
const MAX_REQUEST: usize = 4 << 20;

/// A request.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cbor(map)]
pub(crate) struct Request {
    /// [`VERSION`].
    #[n(0)]
    pub(crate) version: u32,
    /// The public key to which the answer is encrypted.
    #[n(1)]
    pub(crate) key: Bytes,
    /// What is asked for.
    #[n(2)]
    pub(crate) asked: Asked,
}

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub(crate) enum Asked {
    /// A key of a deployment.
    #[n(0)]
    Deployment {
        /// Its signed manifest.
        #[n(0)]
        manifest: Bytes,
        /// The key.
        #[n(1)]
        wanted: Wanted,
    },
    /// The key of the record of a deployment that was kept.
    #[n(1)]
    Kept {
        /// The record's name.
        #[n(0)]
        name: String,
        /// The record, as the older image sealed it.
        #[n(1)]
        record: Bytes,
    },
}

/// A key of a deployment.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Wanted {
    /// That of a slot of a volume.
    #[n(0)]
    Volume {
        /// The path at which the manifest mounts the volume.
        #[n(0)]
        guest: String,
        /// The slot's parameters.
        #[n(1)]
        parameters: Bytes,
    },
    /// That of the record with the program.
    #[n(1)]
    Program {
        /// The record's parameters.
        #[n(0)]
        parameters: Bytes,
    },
}

impl Request {
    /// Decodes a request.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let request: Self =
            cbor::decode(bytes, MAX_REQUEST).map_err(|error| Error::Message(Some(error)))?;
        match request.version {
            VERSION => Ok(request),
            version => Err(Error::Version(version)),
        }
    }
}

/// Splits a message into its report and the rest.
pub(crate) fn split(message: &[u8]) -> Result<(&[u8; REPORT_BYTES], &[u8]), Error> {
    message.split_first_chunk().ok_or(Error::Message(None))
}

/// The key pair of a request.
pub(crate) struct Pair {
    private: <X25519HkdfSha256 as Kem>::PrivateKey,
    public: Vec<u8>,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let (private, public) = X25519HkdfSha256::gen_keypair();
        Pair { private, public: public.to_bytes().to_vec() }
    }

    /// The public key.
    pub(crate) fn public(&self) -> &[u8] {
        &self.public
    }

    /// Decrypts the key that [`encrypt`] encrypted to this pair, in answer to this request.
    pub(crate) fn decrypt(&self, request: &Digest, bytes: &[u8]) -> Result<Key, Error> {
        let opened = decrypt(&self.private, INFO, &request.0, bytes)?;
        opened
            .first_chunk()
            .filter(|key| key.len() == opened.len())
            .copied()
            .map(Key::new)
            .ok_or(Error::Encryption)
    }
}

/// Encrypts a key to the public key of the request with this hash.
pub(crate) fn encrypt(public: &[u8], request: &Digest, key: &Key) -> Result<Vec<u8>, Error> {
    let wrong = |_| Error::Encryption;
    let public = <X25519HkdfSha256 as Kem>::PublicKey::from_bytes(public).map_err(wrong)?;
    let (encapsulated, sealed) = hpke::single_shot_seal::<AesGcm128, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &public,
        INFO,
        &key[..],
        &request.0,
    )
    .map_err(wrong)?;
    Ok([&encapsulated.to_bytes()[..], &sealed].concat())
}

fn decrypt(
    private: &<X25519HkdfSha256 as Kem>::PrivateKey,
    info: &[u8],
    additional: &[u8],
    bytes: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    type Encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey;
    let wrong = |_| Error::Encryption;
    let (encapsulated, sealed) =
        bytes.split_at_checked(Encapsulated::size()).ok_or(Error::Message(None))?;
    let encapsulated = Encapsulated::from_bytes(encapsulated).map_err(wrong)?;
    hpke::single_shot_open::<AesGcm128, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        private,
        &encapsulated,
        info,
        sealed,
        additional,
    )
    .map(Zeroizing::new)
    .map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use twine_evidence::bytes::from_hex;

    /// RFC 9180, A.1.1: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, the base mode, number 0.
    #[test]
    fn the_vector_of_the_rfc_is_decrypted() {
        let hex = |text: &str| from_hex(text).unwrap();
        let private = hex("4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8");
        let private = <X25519HkdfSha256 as Kem>::PrivateKey::from_bytes(&private).unwrap();
        let sealed = [
            hex("37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431"),
            hex(
                "f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e1\
                 3c512a",
            ),
        ]
        .concat();
        let opened = decrypt(&private, b"Ode on a Grecian Urn", b"Count-0", &sealed);
        assert_eq!(&opened.unwrap()[..], b"Beauty is truth, truth beauty");
    }
}
