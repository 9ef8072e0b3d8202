//! Collateral: the CRLs, the TCB info and the QE identity by which a verifier judges quotes.

use std::time::Duration;

use rcgen::SerialNumber;
use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::authority::{Authority, CrlFields, NOT_AFTER, NOT_BEFORE};
use crate::enclave::QuotingEnclave;
use crate::error::Error;
use crate::level::{TcbLevel, TcbStatus};
use crate::{FMSPC, QE_SVN, hex, identity};

/// The time from the issue of collateral to the next update, after which verifiers refuse it. Intel
/// has the same.
pub const VALIDITY: Duration = Duration::from_hours(30 * 24);

/// The same for the root's CRL, as Intel has it.
const ROOT_CRL_VALIDITY: Duration = Duration::from_hours(365 * 24);

/// Returns the collateral of all usual machines, issued at `now`, in seconds since 1970.
///
/// It is JSON in the form of `dcap-qvl`'s `QuoteCollateralV3`: bytes are in hexadecimal, certificates
/// in PEM. It has no PCK certificates, which are in quotes.
///
/// # Errors
/// [`Error::Time`] and [`Error::Random`].
pub fn collateral(now: u64) -> Result<String, Error> {
    Collateral::new(now).to_json()
}

/// A description of collateral. What is not set is as in [`collateral`].
#[derive(Debug, Clone)]
pub struct Collateral {
    issued: u64,
    fmspc: [u8; 6],
    levels: Vec<TcbLevel>,
    evaluation: u32,
    revoked: Vec<Vec<u8>>,
    authority: Option<Authority>,
}

impl Collateral {
    /// Returns the description of collateral that is issued at this time, in seconds since 1970. A
    /// machine with the present SVNs is up to date, any other out of date.
    pub fn new(issued: u64) -> Self {
        Collateral {
            issued,
            fmspc: FMSPC,
            levels: vec![
                TcbLevel::present(TcbStatus::UpToDate),
                TcbLevel::any(TcbStatus::OutOfDate),
            ],
            evaluation: 1,
            revoked: Vec::new(),
            authority: None,
        }
    }

    /// Sets the FMSPC of the machines that the TCB info is about.
    #[must_use]
    pub fn fmspc(self, fmspc: [u8; 6]) -> Self {
        Collateral { fmspc, ..self }
    }

    /// Sets the levels of the TCB info. A machine has the first of which it reaches all numbers.
    #[must_use]
    pub fn levels(self, levels: Vec<TcbLevel>) -> Self {
        Collateral { levels, ..self }
    }

    /// Sets the TCB evaluation data number of the TCB info and the QE identity, by which Intel counts
    /// its judgements.
    #[must_use]
    pub fn evaluation_number(self, evaluation: u32) -> Self {
        Collateral { evaluation, ..self }
    }

    /// Adds the PCK certificate of a machine to the revoked ones.
    #[must_use]
    pub fn revoke(mut self, machine: &QuotingEnclave) -> Self {
        self.revoked.push(machine.serial().to_vec());
        self
    }

    /// Sets the authority that issues all this.
    #[must_use]
    pub fn authority(self, authority: &Authority) -> Self {
        Collateral { authority: Some(authority.clone()), ..self }
    }

    /// Issues the collateral. See [`collateral`].
    ///
    /// # Errors
    /// - [`Error::Time`] if the certificates are not valid from the issue to the next update, or if the
    ///   date of a level is after the year 9999.
    /// - [`Error::Random`].
    pub fn to_json(&self) -> Result<String, Error> {
        let authority = match &self.authority {
            Some(authority) => authority.clone(),
            None => Authority::simulation()?,
        };
        let issued = self.issued()?;
        let next = issued + VALIDITY;
        let (issued_text, next_text) = (text(issued), text(next));
        let root_crl = CrlFields {
            this_update: issued,
            next_update: issued + ROOT_CRL_VALIDITY,
            revoked: Vec::new(),
        };
        let revoked = self.revoked.iter().map(|serial| SerialNumber::from_slice(serial));
        let pck_crl =
            CrlFields { this_update: issued, next_update: next, revoked: revoked.collect() };
        let tcb_info = self.tcb_info(&issued_text, &next_text)?.to_string();
        let qe_identity = self.qe_identity(&issued_text, &next_text)?.to_string();
        let signers = authority.tcb_signing_chain();
        let collateral = json!({
            "pck_crl_issuer_chain": authority.platform_ca_chain(),
            "root_ca_crl": hex(&authority.root_crl(root_crl)?),
            "pck_crl": hex(&authority.pck_crl(pck_crl)?),
            "tcb_info_issuer_chain": signers,
            "tcb_info_signature": hex(&authority.sign_tcb(&tcb_info)?),
            "tcb_info": tcb_info,
            "qe_identity_issuer_chain": signers,
            "qe_identity_signature": hex(&authority.sign_tcb(&qe_identity)?),
            "qe_identity": qe_identity,
        });
        Ok(collateral.to_string())
    }

    /// Returns the time of the issue.
    fn issued(&self) -> Result<OffsetDateTime, Error> {
        let issued = time(self.issued)?;
        let valid = NOT_BEFORE..=NOT_AFTER - VALIDITY;
        if valid.contains(&issued) { Ok(issued) } else { Err(Error::Time(self.issued)) }
    }

    /// Returns a TCB info of version 3.
    fn tcb_info(&self, issued: &str, next: &str) -> Result<Value, Error> {
        let level = |level: &TcbLevel| {
            let components: Vec<Value> =
                level.cpusvn.iter().map(|svn| json!({ "svn": svn })).collect();
            Ok(json!({
                "tcb": { "sgxtcbcomponents": components, "pcesvn": level.pce_svn },
                "tcbDate": text(time(level.date)?),
                "tcbStatus": level.status.name(),
                "advisoryIDs": level.advisories,
            }))
        };
        Ok(json!({
            "id": "SGX",
            "version": 3,
            "issueDate": issued,
            "nextUpdate": next,
            "fmspc": hex(&self.fmspc),
            "pceId": "0000",
            "tcbType": 0,
            "tcbEvaluationDataNumber": self.evaluation,
            "tcbLevels": self.levels.iter().map(level).collect::<Result<Vec<_>, Error>>()?,
        }))
    }

    /// Returns a QE identity of version 2: a quoting enclave below [`QE_SVN`] is out of date.
    fn qe_identity(&self, issued: &str, next: &str) -> Result<Value, Error> {
        let date = text(time(TcbLevel::DATE)?);
        let level = |isvsvn: u16, status: TcbStatus| {
            json!({
                "tcb": { "isvsvn": isvsvn },
                "tcbDate": date,
                "tcbStatus": status.name(),
            })
        };
        let attributes = |flags: u64| hex(&[flags.to_le_bytes(), [0; 8]].concat());
        Ok(json!({
            "id": "QE",
            "version": 2,
            "issueDate": issued,
            "nextUpdate": next,
            "tcbEvaluationDataNumber": self.evaluation,
            "miscselect": "00000000",
            "miscselectMask": "ffffffff",
            "attributes": attributes(identity::FLAGS_MASKED),
            "attributesMask": attributes(identity::FLAGS_MASK),
            "mrsigner": hex(&identity::mrsigner()),
            "isvprodid": identity::PRODUCT,
            "tcbLevels": [level(QE_SVN, TcbStatus::UpToDate), level(0, TcbStatus::OutOfDate)],
        }))
    }
}

/// Returns the time that lies this many seconds after the beginning of 1970.
fn time(seconds: u64) -> Result<OffsetDateTime, Error> {
    let signed = i64::try_from(seconds).ok();
    signed
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .ok_or(Error::Time(seconds))
}

/// Writes a time as Intel does (RFC 3339, in UTC).
fn text(time: OffsetDateTime) -> String {
    let (year, month, day) = time.to_calendar_date();
    let (hour, minute, second) = time.to_hms();
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}
