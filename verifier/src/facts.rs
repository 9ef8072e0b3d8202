//! What evidence and collateral say, for people and programs that read a verdict.

use crate::bytes::{Bytes, Hex, Moment};
use crate::evidence::{Form, Tee};
use crate::policy::TcbStatus;
use serde::Serialize;
use twine_evidence::statement::Statement;

/// What the evidence and the collateral say. In JSON, bytes are hexadecimal and moments are dates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Facts {
    /// Whether the check `quote` passed. Where it did not, everything here may be made up.
    pub genuine: bool,
    /// The form in which the evidence came.
    pub form: Form,
    /// The version of the quote's format: 3, 4 or 5.
    pub quote_version: u16,
    /// The kind of environment.
    pub tee: Tee,
    /// MRENCLAVE, 32 bytes; of a TDX domain MRTD, 48 bytes.
    pub measurement: Bytes,
    /// MRSIGNER of an enclave.
    pub signer: Option<Hex<32>>,
    /// ISVPRODID of an enclave.
    pub product_id: Option<u16>,
    /// ISVSVN of an enclave.
    pub svn: Option<u16>,
    /// Whether the host can read and write the memory.
    pub debug: bool,
    /// The report data.
    pub report_data: Hex<64>,
    /// What the claims say. `None` if there are none, or if no genuine quote vouches for them: the check
    /// `quote` or `report-data` failed.
    pub claims: Option<ClaimFacts>,
    /// What the launch statement says. `None` if there is none that can be read, or if no genuine quote
    /// vouches for the claims.
    pub launch: Option<LaunchFacts>,
    /// What the platform's certificate says, if it could be read.
    pub platform: Option<PlatformFacts>,
    /// What the collateral says about the platform, if it could be read and has a matching level.
    pub tcb: Option<TcbFacts>,
    /// From when to when the collateral is good, if it could be read.
    pub collateral: Option<CollateralFacts>,
}

/// What the claims say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct ClaimFacts {
    /// The claim `pubkey-hash`, with the name of its algorithm.
    pub pubkey_hash: Option<String>,
    /// The claim `nonce`.
    pub nonce: Option<Bytes>,
    /// The names of claims that no check looks at.
    pub ignored: Vec<String>,
}

/// What the launch statement says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LaunchFacts {
    /// The hash of the statement without nonce, key and connection.
    pub hash: Hex<32>,
    /// The statement.
    pub statement: Statement,
}

/// What the platform's certificate says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct PlatformFacts {
    /// The family, model, stepping, platform type and custom SKU.
    pub fmspc: Hex<6>,
    /// The SHA-256 of the PPID, which is the same for all quotes of a platform.
    pub ppid_hash: Hex<32>,
    /// The platform instance; platforms with one package have none.
    pub instance: Option<Hex<16>>,
    /// Whether hyper-threading is on; `None` where the certificate does not say it.
    pub smt: Option<bool>,
    /// Whether packages can be added; `None` where the certificate does not say it.
    pub dynamic: Option<bool>,
    /// Whether Intel keeps the root keys; `None` where the certificate does not say it.
    pub cached_keys: Option<bool>,
}

/// What the collateral says about the platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TcbFacts {
    /// The status of platform and quoting enclave together.
    pub status: TcbStatus,
    /// The advisories that apply to them.
    pub advisories: Vec<String>,
    /// The date of the TCB level that the platform reaches, as the TCB info has it.
    pub level_date: String,
    /// The lower evaluation number of TCB info and QE identity.
    pub evaluation_number: u32,
}

/// From when to when the collateral is good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct CollateralFacts {
    /// When the oldest of TCB info, QE identity and PCK CRL was issued.
    pub issued: Moment,
    /// When the first part runs out.
    pub expires: Moment,
    /// Which part that is.
    pub first_to_expire: &'static str,
}
