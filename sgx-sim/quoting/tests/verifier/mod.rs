//! A verifier: `dcap-qvl` with graviola's cryptography, as a relying party has it.

use dcap_qvl::config::{Config, CryptoProvider};
use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::{QuoteClaims, QuoteCollateralV3, QuotePolicy};
use graviola::hashing::{Hash, Sha256, Sha384};
use graviola::signing::ecdsa::{P256, VerifyingKey};
use rustls_pki_types::{
    AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id,
};

/// Verifies a quote with collateral at a time, in seconds since 1970, under a root certificate. The
/// error is the verifier's message.
fn verify_by(
    policy: &QuotePolicy,
    root: &[u8],
    quote: &[u8],
    collateral: &str,
    now: u64,
) -> Result<QuoteClaims, String> {
    let collateral: QuoteCollateralV3 = serde_json::from_str(collateral).unwrap();
    QuoteVerifier::<Graviola>::new_with_config(root.to_vec())
        .verify_with_policy(quote, collateral, now, policy)
        .map_err(|error| format!("{error:#}"))
}

/// Verifies under a root. All statuses but `Revoked` pass.
pub fn verify_under(
    root: &[u8],
    quote: &[u8],
    collateral: &str,
    now: u64,
) -> Result<QuoteClaims, String> {
    verify_by(&QuotePolicy::claims_only(now), root, quote, collateral, now)
}

/// Verifies under the simulation's root.
pub fn verify(quote: &[u8], collateral: &str, now: u64) -> Result<QuoteClaims, String> {
    verify_under(sgx_sim_quoting::root_certificate(), quote, collateral, now)
}

/// Verifies under the simulation's root, by the verifier's strictest policy.
pub fn verify_strictly(quote: &[u8], collateral: &str, now: u64) -> Result<QuoteClaims, String> {
    let root = sgx_sim_quoting::root_certificate();
    verify_by(&QuotePolicy::strict(now), root, quote, collateral, now)
}

struct Graviola;

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
        Sha256::hash(data).as_ref().try_into().unwrap()
    }

    fn sha384(data: &[u8]) -> [u8; 48] {
        Sha384::hash(data).as_ref().try_into().unwrap()
    }
}

#[derive(Debug)]
struct EcdsaP256Sha256;

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
