//! X.509 certificates that carry evidence: interoperable RA-TLS.

use crate::bytes::Moment;
use graviola::hashing::{Hash, Sha256, Sha384, Sha512};
#[cfg(feature = "p384")]
use graviola::signing::ecdsa::P384;
use graviola::signing::ecdsa::{Curve, P256, VerifyingKey};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_cert::certificate::Version;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Header, Reader, SliceReader};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

/// The extension with evidence: "tagged evidence", in later documents of TCG
/// `tcg-dice-conceptual-message-wrapper`.
const EVIDENCE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.133.5.4.9");

/// `id-ecPublicKey` (RFC 5480, 2.1.1).
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
/// `secp256r1` (RFC 5480, 2.1.1.1).
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
/// `secp384r1` (RFC 5480, 2.1.1.1).
#[cfg(feature = "p384")]
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");

/// `ecdsa-with-SHA256` (RFC 5758, 3.2).
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
/// `ecdsa-with-SHA384` (RFC 5758, 3.2).
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
/// `ecdsa-with-SHA512` (RFC 5758, 3.2).
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");

/// Why bytes are not a certificate with evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CertificateError {
    /// The text is not one certificate in PEM (RFC 7468).
    #[error("not a certificate in PEM: {0}")]
    Pem(String),
    /// The bytes are not a certificate in DER (RFC 5280, 4.1).
    #[error("not a certificate in DER: {0}")]
    Der(String),
    /// The certificate is not of version 3, the only one with extensions.
    #[error("the certificate is not of version 3")]
    Version,
    /// The certificate names one signature algorithm inside and another outside.
    #[error("the certificate names two signature algorithms")]
    Algorithms,
    /// The signature is not a whole number of bytes.
    #[error("the certificate's signature is not a whole number of bytes")]
    Signature,
    /// The certificate has no extension with evidence.
    #[error("the certificate has no evidence (extension {EVIDENCE})")]
    NoEvidence,
    /// The certificate has more than one extension with evidence.
    #[error("the certificate has evidence twice (extension {EVIDENCE})")]
    EvidenceTwice,
    /// The extension is critical, so that peers without attestation would refuse the certificate.
    #[error("the extension with evidence is critical; interoperable RA-TLS has it not critical")]
    Critical,
    /// The key is neither on P-256 nor on P-384.
    #[error("the certificate's key is not one of ECDSA on P-256 or P-384")]
    Key,
}

/// A certificate whose extension 2.23.133.5.4.9 holds evidence.
#[derive(Debug, Clone)]
pub struct Certificate {
    signed: Vec<u8>,
    algorithm: AlgorithmIdentifierOwned,
    signature: Vec<u8>,
    public_key: Vec<u8>,
    key: Key,
    not_before: Moment,
    not_after: Moment,
    evidence: Vec<u8>,
}

#[derive(Debug, Clone)]
enum Key {
    P256(Vec<u8>),
    #[cfg(feature = "p384")]
    P384(Vec<u8>),
}

impl Certificate {
    /// Reads a certificate in PEM. Text around it is ignored, and so are certificates after the first.
    ///
    /// # Errors
    /// [`CertificateError`] if there is none, or none with evidence.
    pub fn from_pem(text: &[u8]) -> Result<Certificate, CertificateError> {
        let der = CertificateDer::from_pem_slice(text)
            .map_err(|error| CertificateError::Pem(error.to_string()))?;
        Certificate::from_der(&der)
    }

    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// [`CertificateError`] if the bytes are not a certificate with evidence.
    pub fn from_der(der: &[u8]) -> Result<Certificate, CertificateError> {
        let syntax = |error: x509_cert::der::Error| CertificateError::Der(error.to_string());
        let certificate = x509_cert::Certificate::from_der(der).map_err(syntax)?;
        let [signed, public_key] = raw_parts(der).map_err(syntax)?;
        let content = certificate.tbs_certificate();
        if content.version() != Version::V3 {
            return Err(CertificateError::Version);
        }
        if content.signature() != certificate.signature_algorithm() {
            return Err(CertificateError::Algorithms);
        }
        let mut extensions = content.extensions().into_iter().flatten();
        let extension = extensions
            .find(|extension| extension.extn_id == EVIDENCE)
            .ok_or(CertificateError::NoEvidence)?;
        if extensions.any(|extension| extension.extn_id == EVIDENCE) {
            return Err(CertificateError::EvidenceTwice);
        }
        if extension.critical {
            return Err(CertificateError::Critical);
        }
        let signature = certificate.signature().as_bytes();
        let signature = signature.ok_or(CertificateError::Signature)?;
        let moment = |time: x509_cert::time::Time| Moment(time.to_unix_duration().as_secs());
        Ok(Certificate {
            signed: signed.to_vec(),
            algorithm: certificate.signature_algorithm().clone(),
            signature: signature.to_vec(),
            public_key: public_key.to_vec(),
            key: Key::read(content.subject_public_key_info())?,
            not_before: moment(content.validity().not_before),
            not_after: moment(content.validity().not_after),
            evidence: extension.extn_value.as_bytes().to_vec(),
        })
    }

    /// Returns the certificate's key, as a SubjectPublicKeyInfo in DER.
    pub fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    /// Returns the evidence: `60000([quote, claims])` in CBOR.
    pub fn evidence(&self) -> &[u8] {
        &self.evidence
    }

    /// Returns the moments of which the certificate is valid from the first to the last.
    pub fn validity(&self) -> (Moment, Moment) {
        (self.not_before, self.not_after)
    }

    /// Returns whether the certificate's own key signed it, by ECDSA with SHA-2.
    pub fn is_self_signed(&self) -> bool {
        // The parameters are absent (RFC 5758, 3.2). Gramine writes NULL.
        if self.algorithm.parameters.as_ref().is_some_and(|parameters| !parameters.is_null()) {
            return false;
        }
        match self.algorithm.oid {
            ECDSA_SHA256 => self.key.verifies::<Sha256>(&self.signed, &self.signature),
            ECDSA_SHA384 => self.key.verifies::<Sha384>(&self.signed, &self.signature),
            ECDSA_SHA512 => self.key.verifies::<Sha512>(&self.signed, &self.signature),
            _ => false,
        }
    }
}

/// Returns the bytes that are signed, and those of the SubjectPublicKeyInfo (RFC 5280, 4.1), as they
/// were received: encoding them anew might change them.
fn raw_parts(der: &[u8]) -> x509_cert::der::Result<[&[u8]; 2]> {
    let inside = |der| -> x509_cert::der::Result<SliceReader<'_>> {
        let mut reader = SliceReader::new(der)?;
        Header::decode(&mut reader)?;
        Ok(reader)
    };
    let signed = inside(der)?.tlv_bytes()?;
    let mut fields = inside(signed)?;
    // Version, serial number, algorithm, issuer, validity and subject come before the key. Only
    // version 1, which has no extensions, is left out.
    for _ in 0..6 {
        fields.tlv_bytes()?;
    }
    Ok([signed, fields.tlv_bytes()?])
}

impl Key {
    fn read(info: &SubjectPublicKeyInfoOwned) -> Result<Key, CertificateError> {
        let curve = info.algorithm.parameters.as_ref();
        let curve = curve.and_then(|curve| curve.decode_as::<ObjectIdentifier>().ok());
        let point = info.subject_public_key.as_bytes().ok_or(CertificateError::Key)?.to_vec();
        match (info.algorithm.oid, curve) {
            (EC_PUBLIC_KEY, Some(SECP256R1)) => Ok(Key::P256(point)),
            #[cfg(feature = "p384")]
            (EC_PUBLIC_KEY, Some(SECP384R1)) => Ok(Key::P384(point)),
            _ => Err(CertificateError::Key),
        }
    }

    fn verifies<H: Hash>(&self, signed: &[u8], signature: &[u8]) -> bool {
        fn on<C: Curve, H: Hash>(point: &[u8], signed: &[u8], signature: &[u8]) -> bool {
            VerifyingKey::<C>::from_x962_uncompressed(point)
                .and_then(|key| key.verify_asn1::<H>(&[signed], signature))
                .is_ok()
        }
        match self {
            Key::P256(point) => on::<P256, H>(point, signed, signature),
            #[cfg(feature = "p384")]
            Key::P384(point) => on::<P384, H>(point, signed, signature),
        }
    }
}
