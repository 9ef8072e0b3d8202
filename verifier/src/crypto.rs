//! Hashes and signatures, all by graviola.

use dcap_qvl::config::{Config, CryptoProvider};
use graviola::hashing::{Hash, Sha256, Sha384, Sha512};
use graviola::signing::ecdsa::{P256, VerifyingKey};
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

/// Returns the SHA-256 of bytes.
pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest::<Sha256, 32>(bytes)
}

/// Returns the SHA-384 of bytes.
pub(crate) fn sha384(bytes: &[u8]) -> [u8; 48] {
    digest::<Sha384, 48>(bytes)
}

/// Returns the SHA-512 of bytes.
pub(crate) fn sha512(bytes: &[u8]) -> [u8; 64] {
    digest::<Sha512, 64>(bytes)
}

fn digest<H: Hash, const N: usize>(bytes: &[u8]) -> [u8; N] {
    H::hash(bytes).as_ref().try_into().expect("a hash function has one length")
}

/// The components with which `dcap-qvl` verifies.
pub(crate) struct Graviola;

impl Config for Graviola {
    type X509 = dcap_qvl::x509::X509CertBackend;
    type SigEncoder = dcap_qvl::signature::DerSigEncoder;
    type Crypto = Graviola;
}

impl CryptoProvider for Graviola {
    fn sig_algo() -> &'static dyn SignatureVerificationAlgorithm {
        &EcdsaP256Sha256
    }

    fn sha256(data: &[u8]) -> [u8; 32] {
        sha256(data)
    }

    fn sha384(data: &[u8]) -> [u8; 48] {
        sha384(data)
    }
}

/// ECDSA on P-256 with SHA-256, signatures in DER: the only algorithm of Intel's certificates,
/// revocation lists, collateral and quotes.
#[derive(Debug)]
pub(crate) struct EcdsaP256Sha256;

impl SignatureVerificationAlgorithm for EcdsaP256Sha256 {
    fn verify_signature(
        &self,
        public_key: &[u8],
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), InvalidSignature> {
        VerifyingKey::<P256>::from_x962_uncompressed(public_key)
            .and_then(|key| key.verify_asn1::<Sha256>(&[message], signature))
            .map_err(|_| InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA256
    }
}
