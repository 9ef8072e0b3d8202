//! Keys of owners, who sign manifests: P-256 or Ed25519, in PEM (RFC 7468). A private key is
//! PKCS#8 (RFC 5958), and a public key is a SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7).

use graviola::hashing::Sha256;
use graviola::signing::ecdsa::{P256, SigningKey};
use graviola::signing::eddsa::Ed25519SigningKey;
use pem::{EncodeConfig, LineEnding, Pem};
use std::fmt;
use twine_evidence::owner::{Algorithm, PublicKey};
use twine_evidence::signed::SIGNATURE_BYTES;

/// The label of a private key in PEM.
const PRIVATE: &str = "PRIVATE KEY";

/// The label of a public key in PEM.
const PUBLIC: &str = "PUBLIC KEY";

/// Room for a key in DER, in bytes. The longest is the PKCS#8 of P-256, with 138 bytes.
const DER_ROOM: usize = 256;

/// Why a text is not a key, or a key can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub(crate) enum Error {
    /// It is not PEM.
    Pem,
    /// The PEM contains something else. The text is its label.
    Label(String),
    /// The PEM contains a private key where a public one is wanted.
    Private,
    /// The PEM contains a public key where a private one is wanted.
    Public,
    /// The key is not one of P-256 or Ed25519.
    Unsupported,
    /// The CPU returns no random bytes.
    Randomness,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Pem => f.write_str("it is not a key in PEM"),
            Error::Label(label) => write!(f, "it is PEM of the kind {label}"),
            Error::Private => f.write_str("it is a private key, and the public one is wanted"),
            Error::Public => f.write_str("it is a public key, and the private one is wanted"),
            Error::Unsupported => f.write_str("it is not a key of P-256 or Ed25519"),
            Error::Randomness => f.write_str("the CPU returns no random bytes"),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// What a user can do about it, in one line.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            Error::Label(label) if label == "ENCRYPTED PRIVATE KEY" => {
                "decrypt it: openssl pkcs8 -in KEY -out owner.pem"
            }
            // `openssl ecparam -genkey` writes the parameters before the key.
            Error::Label(label) if label == "EC PRIVATE KEY" || label == "EC PARAMETERS" => {
                "convert it: openssl pkcs8 -topk8 -nocrypt -in KEY -out owner.pem"
            }
            Error::Private => "make it: twine key public owner.pem > owner.pub",
            Error::Public => "name the private key, such as owner.pem",
            Error::Randomness => "try again, or use another machine",
            Error::Pem | Error::Label(_) | Error::Unsupported => {
                "make a key: twine key new --output owner.pem --public owner.pub"
            }
        }
    }
}

/// The private key of an owner.
pub(crate) struct OwnerKey {
    private: Private,
    public: PublicKey,
}

enum Private {
    P256(Box<SigningKey<P256>>),
    Ed25519(Box<Ed25519SigningKey>),
}

impl Private {
    fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        let key = match algorithm {
            Algorithm::Es256 => SigningKey::generate().map(Box::new).map(Private::P256),
            Algorithm::EdDsa => Ed25519SigningKey::generate().map(Box::new).map(Private::Ed25519),
        };
        key.map_err(|_| Error::Randomness)
    }

    fn from_der(der: &[u8]) -> Option<Self> {
        let p256 = || SigningKey::from_pkcs8_der(der).map(Box::new).map(Private::P256);
        let ed25519 = || Ed25519SigningKey::from_pkcs8_der(der).map(Box::new).map(Private::Ed25519);
        p256().or_else(|_| ed25519()).ok()
    }

    /// Writes the key as PKCS#8 into `room`.
    fn der<'a>(&self, room: &'a mut [u8; DER_ROOM]) -> &'a [u8] {
        match self {
            Private::P256(key) => key.to_pkcs8_der(room),
            Private::Ed25519(key) => key.to_pkcs8_der(room),
        }
        .expect("a key fits")
    }

    fn public(&self) -> PublicKey {
        let room = &mut [0; DER_ROOM];
        let der = match self {
            Private::P256(key) => key.to_spki_der(room),
            Private::Ed25519(key) => key.public_key().to_spki_der(room),
        }
        .expect("a key fits");
        PublicKey::from_der(der).expect("this is the DER of such keys")
    }
}

impl From<Private> for OwnerKey {
    fn from(private: Private) -> Self {
        let public = private.public();
        OwnerKey { private, public }
    }
}

impl OwnerKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// The CPU returns no random bytes.
    pub(crate) fn generate(algorithm: Algorithm) -> Result<Self, Error> {
        Private::generate(algorithm).map(OwnerKey::from)
    }

    /// Reads a private key in PEM.
    ///
    /// # Errors
    /// The text is anything else.
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Self, Error> {
        let block = pem::parse(pem).map_err(|_| Error::Pem)?;
        match block.tag() {
            PRIVATE => {
                Private::from_der(block.contents()).map(OwnerKey::from).ok_or(Error::Unsupported)
            }
            PUBLIC => Err(Error::Public),
            other => Err(Error::Label(other.to_owned())),
        }
    }

    /// The private key in PEM.
    pub(crate) fn to_pem(&self) -> String {
        pem(PRIVATE, self.private.der(&mut [0; DER_ROOM]))
    }

    /// The public key.
    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    /// Signs a message, for P-256 in the fixed form of COSE (RFC 9053, section 2.1).
    ///
    /// # Errors
    /// The CPU returns no random bytes.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<[u8; SIGNATURE_BYTES], Error> {
        let mut signature = [0; SIGNATURE_BYTES];
        match &self.private {
            Private::P256(key) => {
                key.sign::<Sha256>(&[message], &mut signature).map_err(|_| Error::Randomness)?;
            }
            Private::Ed25519(key) => signature = key.sign(message),
        }
        Ok(signature)
    }
}

/// Reads a public key in PEM.
///
/// # Errors
/// The text is anything else.
pub(crate) fn public_from_pem(pem: &[u8]) -> Result<PublicKey, Error> {
    let block = pem::parse(pem).map_err(|_| Error::Pem)?;
    match block.tag() {
        PUBLIC => PublicKey::from_der(block.contents()).map_err(|_| Error::Unsupported),
        PRIVATE => Err(Error::Private),
        other => Err(Error::Label(other.to_owned())),
    }
}

/// The public key in PEM.
pub(crate) fn public_to_pem(key: &PublicKey) -> String {
    pem(PUBLIC, key.der())
}

fn pem(label: &str, der: &[u8]) -> String {
    let config = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new(label, der), config)
}

/// The name of a key's algorithm, as people write it.
pub(crate) fn algorithm_name(key: &PublicKey) -> &'static str {
    match key.algorithm() {
        Algorithm::Es256 => "P-256",
        Algorithm::EdDsa => "Ed25519",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `openssl genpkey`, which writes PKCS#8 of version 1, and for P-256 the public key
    /// within the private one.
    const OPENSSL: [(&str, &str); 2] = [("P-256", P256_PEM), ("Ed25519", ED25519_PEM)];

    const P256_PEM: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6qFPakZeXwwJpk7e\n\
XoWQPfYYBo3TfTquOG0Ba4lo0qKhRANCAAQPByzGHNGiZ3B+f59gWN7EnazmXJ06\n\
a+LY/tAZi8ekXqrbIhPMcKTEwK+fdUTR9z3QYezo96BsuXZUdZKKPDW6\n\
-----END PRIVATE KEY-----\n";

    const ED25519_PEM: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MC4CAQAwBQYDK2VwBCIEIKKx6wqGlSX4M4dDL6u8So9EuvTg4Bg7jKDXtgKnQwrb\n\
-----END PRIVATE KEY-----\n";

    #[test]
    fn keys_of_openssl_are_read_and_sign() {
        for (name, pem) in OPENSSL {
            let key = OwnerKey::from_pem(pem.as_bytes()).unwrap();
            assert_eq!(algorithm_name(key.public()), name);
            let signature = key.sign(b"message").unwrap();
            key.public().verify(b"message", &signature).unwrap();
            assert!(key.public().verify(b"massage", &signature).is_err(), "{name}");
        }
    }

    #[test]
    fn a_new_key_survives_its_pem() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
            let key = OwnerKey::generate(algorithm).unwrap();
            let read = OwnerKey::from_pem(key.to_pem().as_bytes()).unwrap();
            assert_eq!((read.public(), read.public().algorithm()), (key.public(), algorithm));
            let public = public_to_pem(key.public());
            assert_eq!(public_from_pem(public.as_bytes()).as_ref(), Ok(key.public()));
            assert!(public.ends_with("-----END PUBLIC KEY-----\n"), "{public}");
        }
    }

    #[test]
    fn the_two_halves_of_a_key_are_not_mistaken_for_each_other() {
        let key = OwnerKey::generate(Algorithm::EdDsa).unwrap();
        let public = public_to_pem(key.public());
        assert_eq!(OwnerKey::from_pem(public.as_bytes()).err(), Some(Error::Public));
        assert_eq!(public_from_pem(key.to_pem().as_bytes()), Err(Error::Private));
    }

    #[test]
    fn what_is_no_key_is_refused_by_its_kind() {
        let pem = |label, der: &[u8]| super::pem(label, der).into_bytes();
        for (text, error) in [
            (b"owner".to_vec(), Error::Pem),
            (pem("CERTIFICATE", &[0x30, 0]), Error::Label("CERTIFICATE".into())),
            (pem(PRIVATE, &[0x30, 0]), Error::Unsupported),
        ] {
            assert_eq!(OwnerKey::from_pem(&text).err(), Some(error));
        }
        assert_eq!(public_from_pem(&pem(PUBLIC, &[0x30, 0])), Err(Error::Unsupported));
        for label in ["EC PARAMETERS", "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"] {
            let error = OwnerKey::from_pem(&pem(label, &[0x30, 0])).err().unwrap();
            assert!(error.remedy().contains("openssl pkcs8"), "{label}");
        }
    }
}
