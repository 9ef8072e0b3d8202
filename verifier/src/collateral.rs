//! Collateral: what Intel says about platforms, signed and dated.

use crate::bytes::Moment;
#[cfg(feature = "fetch")]
use crate::{bytes::DAY, policy::CollateralRules};
use dcap_qvl::{QeIdentity, QuoteCollateralV3, TcbInfo};
use serde::Deserialize;
use x509_cert::certificate::Rfc5280;
use x509_cert::crl::CertificateList;
use x509_cert::der::Decode;

/// How long collateral may be, in bytes. Intel's has some 20 KB.
pub const MAX_COLLATERAL_BYTES: usize = 4 << 20;

/// Why bytes are not collateral.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollateralError {
    /// The bytes are more than any collateral has.
    #[error("the collateral has more than {MAX_COLLATERAL_BYTES} bytes")]
    TooLong {
        /// How many bytes there are.
        length: usize,
    },
    /// The bytes are not the JSON of collateral.
    #[error("the collateral can't be read: {0}")]
    Json(#[from] serde_json::Error),
}

/// Collateral for the quotes of one kind of platform: TCB info, QE identity, two revocation lists, and
/// the certificates of those who signed them. Nothing in it has been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collateral {
    parts: QuoteCollateralV3,
}

/// From when to when collateral is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// When the oldest of TCB info, QE identity and PCK CRL was issued.
    pub issued: Moment,
    /// When the first part runs out.
    pub expires: Moment,
    /// Which part that is.
    pub first_to_expire: &'static str,
}

impl Collateral {
    /// Reads collateral in JSON, as `dcap-qvl` and its tools write it (`QuoteCollateralV3`): chains in
    /// PEM, TCB info and QE identity as text, all else in hexadecimal.
    ///
    /// # Errors
    /// [`CollateralError`] if the bytes are something else.
    pub fn from_json(bytes: &[u8]) -> Result<Collateral, CollateralError> {
        if bytes.len() > MAX_COLLATERAL_BYTES {
            return Err(CollateralError::TooLong { length: bytes.len() });
        }
        Ok(Collateral { parts: serde_json::from_slice(bytes)? })
    }

    /// Writes the collateral as [`Collateral::from_json`] reads it.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(&self.parts).expect("text and bytes can be written as JSON")
    }

    /// Returns from when to when the collateral is good, as its parts say themselves; `None` if a part
    /// can't be read. The certificates' dates are not looked at.
    pub fn lifetime(&self) -> Option<Lifetime> {
        let (tcb_issued, tcb_next) = dates_of_json(&self.parts.tcb_info)?;
        let (qe_issued, qe_next) = dates_of_json(&self.parts.qe_identity)?;
        let (pck_issued, pck_next) = dates_of_crl(&self.parts.pck_crl)?;
        // The root's CRL is issued once a year, so its age says nothing.
        let (_, root_next) = dates_of_crl(&self.parts.root_ca_crl)?;
        let ends = [
            (tcb_next, "the TCB info"),
            (qe_next, "the QE identity"),
            (pck_next, "the PCK CRL"),
            (root_next, "the root's CRL"),
        ];
        let (expires, first_to_expire) = ends.into_iter().min_by_key(|end| end.0)?;
        Some(Lifetime {
            issued: tcb_issued.min(qe_issued).min(pck_issued),
            expires,
            first_to_expire,
        })
    }

    #[cfg(feature = "fetch")]
    pub(crate) fn from_parts(parts: QuoteCollateralV3) -> Collateral {
        Collateral { parts }
    }

    /// Returns whether a verdict at this time would find the collateral neither too old nor out of
    /// date, by its own dates.
    #[cfg(feature = "fetch")]
    pub(crate) fn is_valid(&self, rules: &CollateralRules, at: Moment) -> bool {
        self.lifetime().is_some_and(|lifetime| {
            let age = at.0.checked_sub(lifetime.issued.0);
            let is_young = age.is_some_and(|age| age <= rules.most_days.saturating_mul(DAY));
            is_young && at <= lifetime.expires
        })
    }

    /// Returns whether it is valid, and no warning would be given.
    #[cfg(feature = "fetch")]
    pub(crate) fn is_fresh(&self, rules: &CollateralRules, at: Moment) -> bool {
        let is_far = |expires: Moment| expires.days_since(at) >= rules.warning_days;
        self.is_valid(rules, at) && self.lifetime().is_some_and(|lifetime| is_far(lifetime.expires))
    }

    pub(crate) fn parts(&self) -> &QuoteCollateralV3 {
        &self.parts
    }

    pub(crate) fn tcb_info(&self) -> Option<TcbInfo> {
        serde_json::from_str(&self.parts.tcb_info).ok()
    }

    pub(crate) fn qe_identity(&self) -> Option<QeIdentity> {
        serde_json::from_str(&self.parts.qe_identity).ok()
    }
}

/// Returns when a TCB info or a QE identity was issued and when it runs out.
pub(crate) fn dates_of_json(json: &str) -> Option<(Moment, Moment)> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Dates<'a> {
        issue_date: &'a str,
        next_update: &'a str,
    }
    let dates: Dates<'_> = serde_json::from_str(json).ok()?;
    Some((Moment::parse(dates.issue_date)?, Moment::parse(dates.next_update)?))
}

/// Returns when a revocation list was issued and when it runs out.
pub(crate) fn dates_of_crl(crl: &[u8]) -> Option<(Moment, Moment)> {
    let list = CertificateList::<Rfc5280>::from_der(crl).ok()?.tbs_cert_list;
    let moment = |time: x509_cert::time::Time| Moment(time.to_unix_duration().as_secs());
    Some((moment(list.this_update), moment(list.next_update?)))
}
