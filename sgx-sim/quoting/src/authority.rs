//! The certificate authorities: a root, and under it the CA of PCK certificates and the signer of
//! TCB info and QE identity.

use std::sync::Arc;

use pem::{EncodeConfig, LineEnding, Pem};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DistinguishedName,
    DnType, IsCa, Issuer, KeyIdMethod, KeyUsagePurpose, RevokedCertParams, SerialNumber,
};
use time::OffsetDateTime;
use time::macros::datetime;

use crate::NOTICE;
use crate::error::Error;
use crate::key::{Key, sha256};

/// The validity of all certificates.
pub(crate) const NOT_BEFORE: OffsetDateTime = datetime!(2020-01-01 0:00 UTC);
pub(crate) const NOT_AFTER: OffsetDateTime = datetime!(2049-12-31 23:59:59 UTC);

/// The secret of which the keys of the simulation's authority derive. It is no secret.
const SECRET: &[u8] = b"Twine simulation, protects nothing: everybody has this key";

/// The root certificate of the simulation: what this code issues for [`SECRET`], issued once.
const ROOT: &[u8] = include_bytes!("root.der");

/// Returns the root certificate of all simulated machines, in DER.
///
/// It is one and the same for ever, and protects nothing: everybody can sign under it. Its private
/// key derives from a constant in this source.
pub fn root_certificate() -> &'static [u8] {
    ROOT
}

/// A root, with the authorities under it that Intel has under its own.
///
/// Certificates are the same each time, but for their signatures: ECDSA's are random here.
#[derive(Clone)]
pub struct Authority(Arc<Parts>);

/// The certificates, in DER, and their keys.
struct Parts {
    root: Vec<u8>,
    root_key: Key,
    platform_ca: Vec<u8>,
    platform_ca_key: Key,
    tcb_signing: Vec<u8>,
    tcb_signing_key: Key,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

/// The names and serial numbers of the certificates.
const ROOT_CA: (&str, u8) = ("Simulated SGX Root CA", 1);
const PLATFORM_CA: (&str, u8) = ("Simulated SGX PCK Platform CA", 2);
const TCB_SIGNING: (&str, u8) = ("Simulated SGX TCB Signing", 3);

impl Authority {
    /// Returns the authority of the simulation, whose root is [`root_certificate`].
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn simulation() -> Result<Self, Error> {
        Self::issue(SECRET, Some(ROOT))
    }

    /// Returns an authority whose root nobody trusts. Equal names give equal keys.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn unknown(name: &str) -> Result<Self, Error> {
        Self::issue(&[b"Twine simulation, unknown authority: ", name.as_bytes()].concat(), None)
    }

    /// Returns the root certificate, in DER.
    pub fn root_certificate(&self) -> &[u8] {
        &self.0.root
    }

    /// Issues the certificates under a root with these keys; and the root, if there is none.
    fn issue(secret: &[u8], root: Option<&[u8]>) -> Result<Self, Error> {
        let key = |(name, _): (&str, u8)| Key::derive(secret, name, &[]);
        let (root_key, platform_ca_key, tcb_signing_key) =
            (key(ROOT_CA), key(PLATFORM_CA), key(TCB_SIGNING));
        let root_fields = authority_fields(ROOT_CA, &root_key);
        let root = match root {
            Some(root) => root.to_vec(),
            None => root_fields.self_signed(&root_key)?.der().to_vec(),
        };
        let issuer = Issuer::from_params(&root_fields, &root_key);
        let issue = |fields: CertificateParams, key: &Key| -> Result<Vec<u8>, Error> {
            Ok(fields.signed_by(key, &issuer)?.der().to_vec())
        };
        let platform_ca = issue(authority_fields(PLATFORM_CA, &platform_ca_key), &platform_ca_key)?;
        let (name, serial) = TCB_SIGNING;
        let tcb_signing =
            issue(leaf_fields(name, vec![serial], &tcb_signing_key), &tcb_signing_key)?;
        Ok(Authority(Arc::new(Parts {
            root,
            root_key,
            platform_ca,
            platform_ca_key,
            tcb_signing,
            tcb_signing_key,
        })))
    }

    /// Issues a PCK certificate. Returns its chain in PEM: the certificate, its CA and the root.
    pub(crate) fn pck_chain(&self, fields: &CertificateParams, key: &Key) -> Result<String, Error> {
        let parts = &*self.0;
        let ca = authority_fields(PLATFORM_CA, &parts.platform_ca_key);
        let issuer = Issuer::from_params(&ca, &parts.platform_ca_key);
        Ok(pem(fields.signed_by(key, &issuer)?.der()) + &self.platform_ca_chain())
    }

    /// Returns the chain of the CA of PCK certificates, in PEM.
    pub(crate) fn platform_ca_chain(&self) -> String {
        pem(&self.0.platform_ca) + &pem(&self.0.root)
    }

    /// Returns the chain of the signer of TCB info and QE identity, in PEM.
    pub(crate) fn tcb_signing_chain(&self) -> String {
        pem(&self.0.tcb_signing) + &pem(&self.0.root)
    }

    /// Signs a TCB info or a QE identity. Returns r, then s.
    pub(crate) fn sign_tcb(&self, json: &str) -> Result<[u8; 64], Error> {
        self.0.tcb_signing_key.sign(json.as_bytes())
    }

    /// Returns the root's CRL, in DER.
    pub(crate) fn root_crl(&self, fields: CrlFields) -> Result<Vec<u8>, Error> {
        crl(ROOT_CA, &self.0.root_key, fields)
    }

    /// Returns the CRL of the CA of PCK certificates, in DER.
    pub(crate) fn pck_crl(&self, fields: CrlFields) -> Result<Vec<u8>, Error> {
        crl(PLATFORM_CA, &self.0.platform_ca_key, fields)
    }
}

/// What differs between CRLs of one issuer.
pub(crate) struct CrlFields {
    pub(crate) this_update: OffsetDateTime,
    pub(crate) next_update: OffsetDateTime,
    /// The serial numbers of revoked certificates.
    pub(crate) revoked: Vec<SerialNumber>,
}

fn crl(issuer: (&str, u8), key: &Key, fields: CrlFields) -> Result<Vec<u8>, Error> {
    let CrlFields { this_update, next_update, revoked } = fields;
    let entry = |serial_number| RevokedCertParams {
        serial_number,
        revocation_time: this_update,
        reason_code: None,
        invalidity_date: None,
    };
    let issuer = authority_fields(issuer, key);
    let list = CertificateRevocationListParams {
        this_update,
        next_update,
        crl_number: SerialNumber::from_slice(&[1]),
        issuing_distribution_point: None,
        revoked_certs: revoked.into_iter().map(entry).collect(),
        key_identifier_method: key_identifier(key),
    };
    Ok(list.signed_by(&Issuer::from_params(&issuer, key))?.der().to_vec())
}

fn authority_fields((name, serial): (&str, u8), key: &Key) -> CertificateParams {
    let mut fields = leaf_fields(name, vec![serial], key);
    fields.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    fields.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    fields
}

/// Returns the fields of a certificate that issues none.
pub(crate) fn leaf_fields(name: &str, serial: Vec<u8>, key: &Key) -> CertificateParams {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names.push(DnType::OrganizationName, NOTICE);
    let mut fields = CertificateParams::default();
    fields.distinguished_name = names;
    fields.serial_number = Some(serial.into());
    fields.key_identifier_method = key_identifier(key);
    fields.not_before = NOT_BEFORE;
    fields.not_after = NOT_AFTER;
    fields.use_authority_key_identifier_extension = true;
    fields.is_ca = IsCa::ExplicitNoCa;
    fields.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    fields
}

/// The key identifier: the beginning of a hash of the key (RFC 7093, section 2, method 1).
fn key_identifier(key: &Key) -> KeyIdMethod {
    KeyIdMethod::PreSpecified(sha256(&[&[4], key.point()])[..20].to_vec())
}

/// Encodes a certificate as Intel does: with one byte at the end of a line.
fn pem(certificate: &[u8]) -> String {
    let lines = EncodeConfig::new().set_line_ending(LineEnding::LF);
    pem::encode_config(&Pem::new("CERTIFICATE", certificate), lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use graviola::hashing::Sha256;
    use graviola::signing::ecdsa::{P256, VerifyingKey};
    use rcgen::PublicKeyData;

    /// Returns the part of a certificate that is signed, and the signature in DER. Both sequences
    /// have lengths of two bytes.
    fn split(certificate: &[u8]) -> (&[u8], &[u8]) {
        let length =
            |at: usize| usize::from(u16::from_be_bytes([certificate[at], certificate[at + 1]]));
        assert_eq!(certificate[..2], [0x30, 0x82]);
        assert_eq!(certificate[4..6], [0x30, 0x82]);
        assert_eq!(certificate.len(), 4 + length(2));
        let (signed, rest) = certificate[4..].split_at(4 + length(6));
        // The algorithm of 12 bytes, and the header of a bit string.
        (signed, &rest[12 + 3..])
    }

    #[test]
    fn the_root_is_what_this_source_issues() {
        let key = Key::derive(SECRET, ROOT_CA.0, &[]);
        let again = authority_fields(ROOT_CA, &key).self_signed(&key).unwrap();
        let (signed, signature) = split(ROOT);
        assert_eq!(signed, split(again.der()).0);
        let public = VerifyingKey::<P256>::from_x962_uncompressed(key.der_bytes()).unwrap();
        public.verify_asn1::<Sha256>(&[signed], signature).unwrap();
    }

    #[test]
    fn every_certificate_says_that_it_protects_nothing() {
        let parts = Authority::simulation().unwrap().0;
        for certificate in [&parts.root, &parts.platform_ca, &parts.tcb_signing] {
            let names = certificate.windows(NOTICE.len());
            assert_eq!(names.filter(|name| *name == NOTICE.as_bytes()).count(), 2);
        }
    }

    #[test]
    fn authorities_of_other_names_have_other_roots() {
        let key = |name: &str| Authority::unknown(name).unwrap().0.root_key.der_bytes().to_vec();
        let simulation = Authority::simulation().unwrap().0.root_key.der_bytes().to_vec();
        assert_eq!(key("a"), key("a"));
        assert_ne!(key("a"), key("b"));
        assert_ne!(key("a"), simulation);
    }
}
