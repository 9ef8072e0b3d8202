//! The result of a verification: what was checked, with which result, and why.

use crate::facts::Facts;
use crate::text::visible;
use serde::Serialize;
use std::fmt;

/// What a check is about. All verdicts have all checks, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CheckName {
    /// The evidence can be read.
    Format,
    /// The quote is of an SGX enclave.
    Tee,
    /// The evidence is of hardware or of the simulation, whichever the policy names.
    Simulated,
    /// `dcap-qvl` accepts quote and collateral under the policy's root at the given time. The five
    /// checks that follow say what it looked at; where it refuses, they are made one by one.
    Quote,
    /// The platform's certificate leads to the policy's root.
    Chain,
    /// No certificate is revoked, and the revocation lists are signed and in force.
    Revocation,
    /// The TCB info is signed, in force, and of this platform.
    TcbInfo,
    /// The QE identity is signed and in force, and the quoting enclave is the one that it names.
    QeIdentity,
    /// The platform's key signed the quoting enclave's report, which binds the key that signed the
    /// quote.
    Signature,
    /// The platform's TCB status is one that the policy accepts.
    TcbStatus,
    /// The advisories that apply to the platform are ones that the policy accepts.
    Advisories,
    /// The collateral's evaluation number is not less than the policy's.
    EvaluationNumber,
    /// The collateral is not older than the policy allows.
    CollateralAge,
    /// The collateral stays valid for a while.
    CollateralExpiry,
    /// The enclave is not a debug enclave.
    Debug,
    /// MRENCLAVE is one that the policy names.
    Measurement,
    /// MRSIGNER is one that the policy names.
    Signer,
    /// ISVPRODID is the policy's.
    ProductId,
    /// ISVSVN is not less than the policy's.
    Svn,
    /// All 64 bytes of the report data are those that the claims, or the caller, require.
    ReportData,
    /// The claim `pubkey-hash` is there, and is the hash of the key that it is compared with.
    PubkeyHash,
    /// The nonce is the one that was asked for: the claim `nonce`, or that of a program's evidence.
    Nonce,
    /// A program says what was expected.
    Data,
    /// The claim `twine` is a launch statement, and belongs to the other claims.
    Statement,
    /// The evidence was made for the connection at hand.
    Channel,
    /// The statement is of the kind that the policy names: a local launch, a deployment, an enclave that
    /// waits for deployments, or what a program says of itself.
    Kind,
    /// The launch is one that the policy names.
    Launch,
    /// The program is one that the policy names.
    Program,
    /// The manifest is of the owner, name and version that the policy names.
    Manifest,
    /// The policy accepts how the code is guarded.
    Code,
    /// The certificate's own key signed it.
    CertificateSignature,
    /// The certificate is valid at the given time.
    CertificateDates,
    /// The platform is one that the policy names.
    Platform,
    /// The policy accepts the platform's state of hyper-threading.
    Smt,
    /// The policy accepts whether packages can be added to the platform.
    DynamicPlatform,
    /// The policy accepts whether Intel keeps the platform's root keys.
    CachedKeys,
}

impl CheckName {
    /// All names, in the order of verdicts.
    pub const ALL: [CheckName; 36] = [
        CheckName::Format,
        CheckName::Tee,
        CheckName::Simulated,
        CheckName::Quote,
        CheckName::Chain,
        CheckName::Revocation,
        CheckName::TcbInfo,
        CheckName::QeIdentity,
        CheckName::Signature,
        CheckName::TcbStatus,
        CheckName::Advisories,
        CheckName::EvaluationNumber,
        CheckName::CollateralAge,
        CheckName::CollateralExpiry,
        CheckName::Debug,
        CheckName::Measurement,
        CheckName::Signer,
        CheckName::ProductId,
        CheckName::Svn,
        CheckName::ReportData,
        CheckName::PubkeyHash,
        CheckName::Nonce,
        CheckName::Data,
        CheckName::Statement,
        CheckName::Channel,
        CheckName::Kind,
        CheckName::Launch,
        CheckName::Program,
        CheckName::Manifest,
        CheckName::Code,
        CheckName::CertificateSignature,
        CheckName::CertificateDates,
        CheckName::Platform,
        CheckName::Smt,
        CheckName::DynamicPlatform,
        CheckName::CachedKeys,
    ];
}

impl fmt::Display for CheckName {
    /// Writes the name as JSON has it, such as `report-data`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(out)
    }
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// What the check is about holds.
    Passed,
    /// It does not hold. The evidence is refused.
    Failed,
    /// Nothing speaks against the evidence, but its receiver should know the reason.
    Warning,
    /// There was nothing to check, or nothing to check it by.
    NotChecked,
}

impl fmt::Display for Outcome {
    /// Writes the outcome as JSON has it, such as `not-checked`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(out)
    }
}

/// One check of a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What it is about.
    pub name: CheckName,
    /// How it ended.
    pub result: Outcome,
    /// Why, in one line for people. Text from evidence and collateral is escaped in it, and cut where it
    /// is long.
    pub reason: String,
}

/// The checks without which nothing is accepted.
const NEEDED: [CheckName; 8] = [
    CheckName::Format,
    CheckName::Tee,
    CheckName::TcbStatus,
    CheckName::Advisories,
    CheckName::CollateralAge,
    CheckName::CollateralExpiry,
    CheckName::Debug,
    CheckName::ReportData,
];

/// The result of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    accepted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
    checks: Vec<Check>,
    facts: Option<Facts>,
}

impl Verdict {
    pub(crate) fn new(findings: Findings, facts: Option<Facts>) -> Verdict {
        let checks = findings.checks;
        // Acceptance needs all three: that the quote was verified, that what matters in any policy was
        // looked at, and that nothing speaks against the evidence.
        let is = |name, result| {
            checks.iter().any(|check: &Check| check.name == name && check.result == result)
        };
        let is_genuine = is(CheckName::Quote, Outcome::Passed);
        let is_complete = !NEEDED.iter().any(|name| is(*name, Outcome::NotChecked));
        let has_failed = checks.iter().any(|check| check.result == Outcome::Failed);
        let accepted = is_genuine && is_complete && !has_failed;
        let refused = (!accepted).then(|| reasons(&checks));
        Verdict { accepted, refused, checks, facts }
    }

    /// Returns whether the evidence is accepted: the quote is genuine, and no check failed. Format, kind,
    /// TCB status, advisories, dates of the collateral, debug and report data are checked under any
    /// policy.
    pub fn is_accepted(&self) -> bool {
        self.accepted
    }

    /// Returns why the evidence is refused, in one line: the checks that failed, with their reasons.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// Writes the verdict as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("text and numbers can be written as JSON")
    }

    /// Returns all checks, in the order of [`CheckName::ALL`].
    pub fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Returns one check.
    pub fn check(&self, name: CheckName) -> &Check {
        self.checks.iter().find(|check| check.name == name).expect("a verdict has all checks")
    }

    /// Returns the checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.result == Outcome::Failed)
    }

    /// Returns what the evidence says; `None` if it could not be read.
    pub fn facts(&self) -> Option<&Facts> {
        self.facts.as_ref()
    }
}

/// Returns the names and the reasons of the checks that failed.
fn reasons(checks: &[Check]) -> String {
    let failed = checks.iter().filter(|check| check.result == Outcome::Failed);
    let reasons: Vec<_> = failed.map(|check| format!("{}: {}", check.name, check.reason)).collect();
    match reasons.is_empty() {
        true => "the quote could not be verified".to_owned(),
        false => reasons.join("; "),
    }
}

/// The checks of a verdict that is being made.
pub(crate) struct Findings {
    checks: Vec<Check>,
}

impl Findings {
    pub(crate) fn new() -> Findings {
        let reason = "what it needs could not be read or was refused";
        let unreached = |name| Check { name, result: Outcome::NotChecked, reason: reason.into() };
        Findings { checks: CheckName::ALL.map(unreached).to_vec() }
    }

    /// Sets the outcome of a check. The reason is made safe to show.
    pub(crate) fn set(&mut self, name: CheckName, result: Outcome, reason: impl AsRef<str>) {
        if let Some(check) = self.checks.iter_mut().find(|check| check.name == name) {
            *check = Check { name, result, reason: visible(reason.as_ref()) };
        }
    }

    /// Sets the outcome of a check to passed or failed.
    pub(crate) fn decide(&mut self, name: CheckName, result: Result<String, String>) {
        match result {
            Ok(reason) => self.set(name, Outcome::Passed, reason),
            Err(reason) => self.set(name, Outcome::Failed, reason),
        }
    }

    pub(crate) fn has_passed(&self, name: CheckName) -> bool {
        self.checks.iter().any(|check| check.name == name && check.result == Outcome::Passed)
    }
}
