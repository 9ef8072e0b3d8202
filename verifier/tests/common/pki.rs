//! Keys, certificates and revocation lists of tests.

use graviola::hashing::{Hash, Sha256};
use graviola::signing::ecdsa::{P256, SigningKey};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa, Issuer,
    KeyIdMethod, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, RevokedCertParams,
    SerialNumber, SignatureAlgorithm, date_time_ymd,
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// A key on P-256.
pub struct Key {
    key: SigningKey<P256>,
    point: Vec<u8>,
    info: Vec<u8>,
}

impl Key {
    pub fn new() -> Key {
        let key = SigningKey::<P256>::generate().unwrap();
        let mut buffer = [0; 256];
        let info = key.to_spki_der(&mut buffer).unwrap().to_vec();
        Key { key, point: info[info.len() - 65..].to_vec(), info }
    }

    /// The SubjectPublicKeyInfo in DER.
    pub fn info(&self) -> &[u8] {
        &self.info
    }

    /// The private key, in PKCS #8.
    pub fn private(&self) -> PrivateKeyDer<'static> {
        let mut buffer = [0; 256];
        let der = self.key.to_pkcs8_der(&mut buffer).unwrap().to_vec();
        PrivateKeyDer::Pkcs8(der.into())
    }

    /// Signs; the signature is `r || s`.
    pub fn raw(&self, message: &[u8]) -> Vec<u8> {
        let mut signature = [0; 64];
        self.key.sign::<Sha256>(&[message], &mut signature).unwrap().to_vec()
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut signature = [0; 128];
        Ok(self.key.sign_asn1::<Sha256>(&[message], &mut signature).unwrap().to_vec())
    }
}

pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::hash(bytes).as_ref().try_into().unwrap()
}

/// What certificates of tests have in common.
pub fn parameters(name: &str, key: &Key, serial: u8, is_ca: bool) -> CertificateParams {
    let mut parameters = CertificateParams::new(vec![]).unwrap();
    parameters.distinguished_name = Default::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.serial_number = Some(SerialNumber::from(vec![serial]));
    parameters.key_identifier_method = key_identifier(key);
    parameters.not_before = date_time_ymd(2025, 1, 1);
    parameters.not_after = date_time_ymd(2045, 1, 1);
    parameters.use_authority_key_identifier_extension = true;
    parameters.is_ca = IsCa::ExplicitNoCa;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    if is_ca {
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    }
    parameters
}

fn key_identifier(key: &Key) -> KeyIdMethod {
    KeyIdMethod::PreSpecified(sha256(key.der_bytes())[..20].to_vec())
}

/// A revocation list in DER, with serial numbers.
pub fn crl(issuer: &CertificateParams, key: &Key, revoked: Vec<u8>) -> Vec<u8> {
    let revoke = |serial| RevokedCertParams {
        serial_number: SerialNumber::from(vec![serial]),
        revocation_time: date_time_ymd(2025, 6, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2026, 1, 4),
        next_update: date_time_ymd(2026, 2, 20),
        crl_number: SerialNumber::from(vec![1]),
        issuing_distribution_point: None,
        revoked_certs: revoked.into_iter().map(revoke).collect(),
        key_identifier_method: key_identifier(key),
    };
    list.signed_by(&Issuer::from_params(issuer, key)).unwrap().der().to_vec()
}

/// Writes certificates in PEM.
pub fn pem(certificates: &[&CertificateDer<'_>]) -> String {
    let one = |der: &&CertificateDer<'_>| {
        format!("-----BEGIN CERTIFICATE-----\n{}-----END CERTIFICATE-----\n", base64(der))
    };
    certificates.iter().map(one).collect()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for (index, group) in bytes.chunks(3).enumerate() {
        if index > 0 && index % 16 == 0 {
            text.push('\n');
        }
        let number = group.iter().fold(0_u32, |sum, &byte| sum << 8 | u32::from(byte));
        let number = number << (8 * (3 - group.len()));
        for place in 0..4 {
            let digit = DIGITS[(number >> (18 - 6 * place)) as usize & 63];
            text.push(if place > group.len() { '=' } else { char::from(digit) });
        }
    }
    text + "\n"
}

/// Intel's extension of a PCK certificate (Intel, "SGX PCK Certificate and CRL Profile", 3.5): a
/// platform of several packages, with hyper-threading, whose components all have one security version.
pub fn pck_extension(svn: u8) -> Vec<u8> {
    let arc = |arcs: &[u8]| {
        let root = [0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01];
        der(0x06, &[&root[..], arcs].concat())
    };
    let pair = |arcs: &[u8], value: Vec<u8>| der(0x30, &[arc(arcs), value].concat());
    let mut tcb: Vec<u8> =
        (1..=16).flat_map(|number| pair(&[2, number], der(0x02, &[svn]))).collect();
    tcb.extend(pair(&[2, 17], der(0x02, &[11])));
    tcb.extend(pair(&[2, 18], der(0x04, &[svn; 16])));
    let configuration = [
        pair(&[7, 1], der(0x01, &[0xff])),
        pair(&[7, 2], der(0x01, &[0])),
        pair(&[7, 3], der(0x01, &[0xff])),
    ]
    .concat();
    let fields = [
        pair(&[1], der(0x04, &[0x77; 16])),
        pair(&[2], der(0x30, &tcb)),
        pair(&[3], der(0x04, &[0, 0])),
        pair(&[4], der(0x04, &[0x00, 0x60, 0x6a, 0, 0, 0])),
        pair(&[5], der(0x0a, &[1])),
        pair(&[6], der(0x04, &[0x88; 16])),
        pair(&[7], der(0x30, &configuration)),
    ]
    .concat();
    der(0x30, &fields)
}

/// Encodes one value of up to 65,535 bytes (X.690, 8.1).
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match length {
        [0, length @ 0..=0x7f] => vec![tag, length],
        [0, length] => vec![tag, 0x81, length],
        [high, low] => vec![tag, 0x82, high, low],
    };
    [head, content.to_vec()].concat()
}
