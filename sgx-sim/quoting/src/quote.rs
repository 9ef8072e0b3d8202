//! The bytes of a quote of version 3 ("Intel SGX ECDSA QuoteLibReference DCAP API", appendix A.4).
//! All numbers are little-endian.

use crate::error::Error;
use crate::key::{Key, sha256};

const VERSION: u16 = 3;
/// The type of the attestation key: ECDSA on P-256.
const ECDSA_P256: u16 = 2;
/// Intel's name for the maker of the quoting enclave. Verifiers know no other.
const VENDOR: [u8; 16] = [
    0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9, 0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07,
];
/// The type of certification data that is a chain of PCK certificates in PEM.
const PCK_CHAIN: u16 = 5;

/// The QE authentication data: any 32 bytes. Intel's quoting enclave has these.
fn authentication_data() -> [u8; 32] {
    std::array::from_fn(|index| index as u8)
}

/// The fields of the header that differ between quoting enclaves.
pub(crate) struct Header {
    pub(crate) qe_svn: u16,
    pub(crate) pce_svn: u16,
    /// The identifier of the quoting enclave on its machine, in the user data.
    pub(crate) qe_id: [u8; 16],
}

impl Header {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(48);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(ECDSA_P256.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(self.qe_svn.to_le_bytes());
        bytes.extend(self.pce_svn.to_le_bytes());
        bytes.extend(VENDOR);
        bytes.extend(self.qe_id);
        bytes.extend([0; 4]);
        bytes
    }
}

/// What the quoting enclave proves its attestation key with.
pub(crate) struct Certification<'a> {
    pub(crate) attestation_key: &'a Key,
    /// The report of the quoting enclave over [`key_digest`] of that key.
    pub(crate) qe_report: &'a [u8; 384],
    /// Its signature by the PCK.
    pub(crate) qe_report_signature: &'a [u8; 64],
    /// PEM.
    pub(crate) pck_chain: &'a str,
}

/// Returns what the report of the quoting enclave says of its attestation key.
pub(crate) fn key_digest(attestation_key: &Key) -> [u8; 32] {
    sha256(&[attestation_key.point(), &authentication_data()])
}

/// Returns the quote of an enclave with this report body.
///
/// # Errors
/// [`Error::Random`].
pub(crate) fn sign(
    header: &Header,
    body: &[u8; 384],
    certification: &Certification<'_>,
) -> Result<Vec<u8>, Error> {
    let mut quote = header.bytes();
    quote.extend(body);
    let signature = certification.attestation_key.sign(&quote)?;

    let mut data = Vec::new();
    data.extend(signature);
    data.extend(certification.attestation_key.point());
    data.extend(certification.qe_report);
    data.extend(certification.qe_report_signature);
    let authentication_data = authentication_data();
    data.extend((authentication_data.len() as u16).to_le_bytes());
    data.extend(authentication_data);
    data.extend(PCK_CHAIN.to_le_bytes());
    data.extend((certification.pck_chain.len() as u32).to_le_bytes());
    data.extend(certification.pck_chain.as_bytes());

    quote.extend((data.len() as u32).to_le_bytes());
    quote.extend(data);
    Ok(quote)
}
