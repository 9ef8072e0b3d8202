//! Evidence in all forms that it comes in.

use crate::bytes::Moment;
use crate::cbor::CborError;
use crate::certificate::{Certificate, CertificateError};
use crate::chain::Chain;
use crate::claims::{self, Claims};
use crate::collateral::Collateral;
use crate::crypto::Graviola;
use crate::policy::Policy;
use crate::roots::Roots;
use dcap_qvl::config::PckCa;
use dcap_qvl::intel::{self, PckExtension};
use dcap_qvl::quote::{EnclaveReport, Quote, Report};
use rustls_pki_types::CertificateDer;
use scale::Decode;
use serde::Serialize;

/// How long evidence may be, in bytes. A quote has some 5 KB, and a certificate with evidence fits
/// into a TLS handshake message.
pub const MAX_EVIDENCE_BYTES: usize = 1 << 20;

/// Why bytes are not evidence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The bytes are more than any evidence has.
    #[error("more than {MAX_EVIDENCE_BYTES} bytes")]
    TooLong {
        /// How many bytes there are.
        length: usize,
    },
    /// The bytes begin like no form of evidence.
    #[error("neither a quote of version 3, 4 or 5, nor evidence in CBOR, nor a certificate")]
    Unknown,
    /// The quote can't be read.
    #[error("the quote: {0}")]
    Quote(String),
    /// Bytes other than zeros follow the quote's signature data.
    #[error("{length} bytes follow the quote, and they are not zero")]
    AfterQuote {
        /// How many bytes follow.
        length: usize,
    },
    /// The evidence in CBOR can't be read.
    #[error("the evidence: {0}")]
    Cbor(CborError),
    /// The claims can't be read.
    #[error("the claims: {0}")]
    Claims(CborError),
    /// The certificate can't be read, or has no evidence.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
}

/// The form in which evidence came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Form {
    /// A quote alone. What its report data means, the receiver must know.
    Quote,
    /// A quote and claims, in CBOR.
    Cbor,
    /// A quote and claims in an X.509 certificate.
    Certificate,
}

/// Evidence that was read. Nothing in it has been verified.
#[derive(Debug, Clone)]
pub struct Evidence {
    raw_quote: Vec<u8>,
    quote: Quote,
    claims: Option<Claims>,
    certificate: Option<Certificate>,
}

impl Evidence {
    /// Reads evidence in any form; the first bytes say which.
    ///
    /// # Errors
    /// [`EvidenceError`] if the bytes are not evidence.
    pub fn parse(bytes: &[u8]) -> Result<Evidence, EvidenceError> {
        if bytes.len() > MAX_EVIDENCE_BYTES {
            return Err(EvidenceError::TooLong { length: bytes.len() });
        }
        match bytes {
            [3..=5, 0, ..] => Evidence::read(bytes, None, None),
            // Something with a tag (RFC 8949, 3.4).
            [0xc0..=0xdb, ..] => Evidence::from_cbor(bytes, None),
            // A SEQUENCE whose length takes more than one byte.
            [0x30, 0x80..=0xff, ..] => Evidence::from_certificate(Certificate::from_der(bytes)?),
            _ if str::from_utf8(bytes).is_ok_and(|text| text.contains(PEM)) => {
                Evidence::from_certificate(Certificate::from_pem(bytes)?)
            }
            _ => Err(EvidenceError::Unknown),
        }
    }

    fn from_certificate(certificate: Certificate) -> Result<Evidence, EvidenceError> {
        let evidence = certificate.evidence().to_vec();
        Evidence::from_cbor(&evidence, Some(certificate))
    }

    fn from_cbor(bytes: &[u8], certificate: Option<Certificate>) -> Result<Self, EvidenceError> {
        let (quote, claims) = claims::quote_and_claims(bytes).map_err(EvidenceError::Cbor)?;
        let claims = Claims::parse(claims).map_err(EvidenceError::Claims)?;
        Evidence::read(quote, Some(claims), certificate)
    }

    fn read(
        raw_quote: &[u8],
        claims: Option<Claims>,
        certificate: Option<Certificate>,
    ) -> Result<Evidence, EvidenceError> {
        let quote =
            Quote::parse(raw_quote).map_err(|error| EvidenceError::Quote(error.to_string()))?;
        // A quote's buffer may be longer than the quote, as Linux's `configfs-tsm` has it.
        let after = raw_quote.get(end_of(raw_quote, &quote)..).unwrap_or_default();
        if after.iter().any(|&byte| byte != 0) {
            return Err(EvidenceError::AfterQuote { length: after.len() });
        }
        Ok(Evidence { raw_quote: raw_quote.to_vec(), quote, claims, certificate })
    }

    /// Returns the form in which the evidence came.
    pub fn form(&self) -> Form {
        match (&self.certificate, &self.claims) {
            (Some(_), _) => Form::Certificate,
            (None, Some(_)) => Form::Cbor,
            (None, None) => Form::Quote,
        }
    }

    /// Returns the quote's bytes.
    pub fn raw_quote(&self) -> &[u8] {
        &self.raw_quote
    }

    /// Returns the claims; a quote alone has none.
    pub fn claims(&self) -> Option<&Claims> {
        self.claims.as_ref()
    }

    /// Returns the certificate in which the evidence came.
    pub fn certificate(&self) -> Option<&Certificate> {
        self.certificate.as_ref()
    }

    /// Returns which collateral this evidence needs; `None` if the quote does not carry the
    /// platform's certificate.
    pub fn platform(&self) -> Option<Platform> {
        let chain = intel::extract_cert_chain(&self.quote).ok()?;
        let leaf = chain.first()?;
        Some(Platform {
            fmspc: pck_extension(leaf)?.fmspc,
            ca: match intel::pck_ca_with::<Graviola>(leaf).ok()? {
                PckCa::Processor => Ca::Processor,
                PckCa::Platform => Ca::Platform,
            },
            tee: self.tee(),
        })
    }

    /// Returns which collateral this evidence needs, if the platform's certificate is valid at this time
    /// and leads to the root that the policy names. Whether it is revoked, only collateral says. Who asks
    /// a service for collateral only then asks for no platform that somebody made up.
    pub fn certified_platform(
        &self,
        policy: &Policy,
        roots: &Roots,
        at: Moment,
    ) -> Option<Platform> {
        let root = CertificateDer::from(roots.find(&policy.root)?);
        let chain = Chain::from_pem(self.quote.raw_cert_chain().ok()?).ok()?;
        chain.verify(&root, at, None).ok()?;
        self.platform()
    }

    /// Returns whether the certificates in the quote claim to lead to the simulation's root. Then no
    /// collateral makes it evidence of hardware.
    pub fn is_simulated(&self, roots: &Roots) -> bool {
        let chain = self.quote.raw_cert_chain().ok().and_then(|pem| Chain::from_pem(pem).ok());
        let names = |root| chain.and_then(|chain| chain.names(root));
        roots.simulation().and_then(names) == Some(true)
    }

    /// Returns the kind of environment that the quote is of.
    pub fn tee(&self) -> Tee {
        match self.quote.report {
            Report::SgxEnclave(_) => Tee::Sgx,
            Report::TD10(_) | Report::TD15(_) | Report::TD15Ex(_) => Tee::Tdx,
        }
    }

    /// Returns the quote's report data.
    pub fn report_data(&self) -> [u8; 64] {
        match &self.quote.report {
            Report::SgxEnclave(report) => report.report_data,
            Report::TD10(report) => report.report_data,
            Report::TD15(report) => report.base.report_data,
            Report::TD15Ex(report) => report.base.base.report_data,
        }
    }

    pub(crate) fn quote(&self) -> &Quote {
        &self.quote
    }

    /// Returns the report of the quoting enclave.
    pub(crate) fn qe_report(&self) -> EnclaveReport {
        let mut bytes = &self.quote.qe_report()[..];
        EnclaveReport::decode(&mut bytes).expect("384 bytes are a report, whatever they hold")
    }

    /// Returns the chain of the platform's certificate. Collateral may bring one, for quotes that do
    /// not carry theirs.
    pub(crate) fn pck_chain(&self, collateral: &Collateral) -> Result<Chain, String> {
        if let Some(pem) = &collateral.parts().pck_certificate_chain {
            return Chain::from_pem(pem.as_bytes());
        }
        let pem = self.quote.raw_cert_chain().map_err(|_| {
            let kind = self.quote.inner_cert_type();
            format!("the quote has certification data of type {kind}, not a chain (type 5)")
        })?;
        Chain::from_pem(pem)
    }
}

/// How a certificate in PEM begins (RFC 7468, 5.1).
const PEM: &str = "-----BEGIN CERTIFICATE-----";

/// Returns the offset behind the quote's signature data, whose length precedes it.
fn end_of(raw_quote: &[u8], quote: &Quote) -> usize {
    let start = quote.signed_length();
    let length = raw_quote.get(start..).and_then(|rest| rest.first_chunk::<4>());
    let length = length.map_or(0, |length| u32::from_le_bytes(*length));
    usize::try_from(length).map_or(usize::MAX, |length| start.saturating_add(4 + length))
}

/// Reads Intel's extension of a PCK certificate.
pub(crate) fn pck_extension(certificate: &[u8]) -> Option<PckExtension> {
    intel::parse_pck_extension_with::<Graviola>(certificate).ok()
}

/// A kind of trusted execution environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tee {
    /// An SGX enclave.
    Sgx,
    /// A TDX domain.
    Tdx,
}

/// The authority that certifies a platform's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ca {
    /// For platforms with one processor package.
    Processor,
    /// For platforms with several.
    Platform,
}

/// What the collateral for a quote depends on, as the quote's own certificate says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Platform {
    /// The platform's family, model, stepping, platform type and custom SKU.
    pub fmspc: [u8; 6],
    /// The authority that certified the platform's key.
    pub ca: Ca,
    /// The kind of environment that the quote is of.
    pub tee: Tee,
}
