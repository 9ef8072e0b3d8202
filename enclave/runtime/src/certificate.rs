//! A certificate with evidence in it, as the Confidential Computing Consortium's interoperable
//! RA-TLS has it. Its key is made here and never leaves the enclave.

use graviola::hashing::Sha256;
use graviola::signing::ecdsa::{P256, SigningKey};
use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, DnType, KeyIdMethod,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use std::sync::Arc;
use std::time::Duration;
use twine_evidence::bytes::Digest;
use twine_protocol::wire::Clock;

/// The extension with evidence: tcg-dice-TaggedEvidence. It is not critical.
const EVIDENCE_OID: [u64; 6] = [2, 23, 133, 5, 4, 9];

/// Room for the SubjectPublicKeyInfo of a P-256 key, which has 91 bytes, and for a signature in DER,
/// which has at most 72.
const ROOM: usize = 128;

/// Size of the point at the end of a P-256 key's SubjectPublicKeyInfo, in bytes (SEC 1, section
/// 2.3.3).
const POINT_BYTES: usize = 65;

/// How long a certificate is valid, by the host's clock, and how long it seems to have been. The
/// second allows for clocks that differ.
const VALID: Duration = Duration::from_secs(24 * 60 * 60);
const BEFORE: Duration = Duration::from_secs(60 * 60);

/// No key or no certificate was made.
#[derive(Debug)]
pub(crate) struct Failed;

/// The key of a run.
pub(crate) struct RunKey {
    key: SigningKey<P256>,
    spki: Vec<u8>,
}

impl RunKey {
    /// Makes a key.
    ///
    /// # Errors
    /// The CPU returns no randomness.
    pub(crate) fn new() -> Result<Self, Failed> {
        let key = SigningKey::<P256>::generate().map_err(|_| Failed)?;
        let mut room = [0; ROOM];
        let spki = key.to_spki_der(&mut room).map_err(|_| Failed)?.to_vec();
        Ok(RunKey { key, spki })
    }

    /// The SHA-256 of the public key, as a DER-encoded SubjectPublicKeyInfo.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(&self.spki)
    }

    /// The private key.
    pub(crate) fn into_key(self) -> Arc<SigningKey<P256>> {
        Arc::new(self.key)
    }

    /// Makes a certificate for this key, signed by it, with this evidence. Returns its DER.
    ///
    /// # Errors
    /// The host's clock is out of the range of certificates.
    pub(crate) fn certificate(&self, evidence: Vec<u8>) -> Result<Vec<u8>, Failed> {
        let now = twine_sgx::time(Clock::Realtime).map_err(|_| Failed)?;
        let now = date_time_ymd(1970, 1, 1)
            .checked_add(Duration::from_nanos(now).try_into().map_err(|_| Failed)?)
            .ok_or(Failed)?;
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "Twine enclave");
        let Digest(digest) = self.digest();
        let (id, _) = digest.split_at(digest.len() / 2);
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = name;
        parameters.serial_number = Some(SerialNumber::from_slice(id));
        parameters.key_identifier_method = KeyIdMethod::PreSpecified(id.to_vec());
        parameters.not_before = now - BEFORE;
        parameters.not_after = now + VALID;
        parameters.custom_extensions =
            vec![CustomExtension::from_oid_content(&EVIDENCE_OID, evidence)];
        let certificate = parameters.self_signed(self).map_err(|_| Failed)?;
        Ok(certificate.der().to_vec())
    }
}

impl PublicKeyData for RunKey {
    fn der_bytes(&self) -> &[u8] {
        self.spki.last_chunk::<POINT_BYTES>().map_or(&[], |point| &point[..])
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for RunKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut room = [0; ROOM];
        let signed = self.key.sign_asn1::<Sha256>(&[message], &mut room);
        signed.map(<[u8]>::to_vec).map_err(|_| rcgen::Error::RemoteKeyError)
    }
}
