//! A verification from the bytes to the verdict.

use crate::appraise;
use crate::binding;
use crate::bytes::{Bytes, Hex, Moment};
use crate::claims::Claims;
use crate::collateral::Collateral;
use crate::evidence::{Evidence, Tee};
use crate::facts::{ClaimFacts, CollateralFacts, Facts, TcbFacts};
use crate::genuine;
use crate::launch;
use crate::platform::PlatformIdentity;
use crate::policy::{Policy, Root};
use crate::roots::Roots;
use crate::tcb::Comparison;
use crate::verdict::{CheckName, Findings, Outcome, Verdict};
use dcap_qvl::quote::{Report, TDReport10};
use dcap_qvl::{QuoteClaims, TcbStatusWithAdvisory};

/// What is to be verified, by what, and at which time.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The evidence: a quote, evidence in CBOR, or a certificate in DER or PEM.
    pub evidence: &'a [u8],
    /// The collateral for the evidence's platform.
    pub collateral: &'a Collateral,
    /// What is accepted.
    pub policy: &'a Policy,
    /// The certificates of the roots that the policy can name.
    pub roots: &'a Roots,
    /// The time of the verification. Old evidence is verified at the time of its making.
    pub at: Moment,
    /// The nonce that the evidence must hold, if the evidence was asked for with some: 16 random
    /// bytes or more, which were never used before. Fewer than 8 give a warning, and none at all never
    /// pass.
    pub nonce: Option<&'a [u8]>,
    /// What a program must say in its evidence, all of it.
    pub data: Option<&'a [u8]>,
    /// The key that the claim `pubkey-hash` must be of: a SubjectPublicKeyInfo in DER. Evidence in a
    /// certificate is compared with the certificate's key in any case.
    pub public_key: Option<&'a [u8]>,
    /// The connection that the evidence must be bound to: what `twine_evidence::channel::binder` returns
    /// for the key of whoever made the evidence, one's own, and the exporter of this connection.
    pub channel: Option<[u8; 32]>,
    /// The report data that a quote without claims must have.
    pub report_data: Option<&'a [u8; 64]>,
}

/// Verifies evidence: makes all checks, and says of each how it ended and why.
pub fn verify(request: &Request<'_>) -> Verdict {
    let mut findings = Findings::new();
    let evidence = match Evidence::parse(request.evidence) {
        Ok(evidence) => evidence,
        Err(error) => {
            findings.set(CheckName::Format, Outcome::Failed, error.to_string());
            return Verdict::new(findings, None);
        }
    };
    let version = evidence.quote().header.version;
    findings.set(CheckName::Format, Outcome::Passed, format!("a quote of version {version}"));
    findings.decide(
        CheckName::Tee,
        match evidence.tee() {
            Tee::Sgx => Ok("the quote is of an SGX enclave".to_owned()),
            Tee::Tdx => Err("the quote is of a TDX domain, not of an SGX enclave".to_owned()),
        },
    );
    let claims = match request.roots.find(&request.policy.root) {
        Some(root) => {
            genuine::verify(&mut findings, &evidence, request.collateral, root, request.at)
        }
        None => {
            let reason = "the policy names the simulation's root, which is not given here";
            findings.set(CheckName::Quote, Outcome::Failed, reason);
            None
        }
    };
    simulated(&mut findings, request, &evidence);
    let platform = match &claims {
        Some(claims) => Some(PlatformIdentity::verified(claims)),
        None => PlatformIdentity::claimed(&evidence, request.collateral),
    };
    // It takes time, and most evidence needs none.
    let compare = || Comparison::new(request.collateral, &evidence, platform.as_ref()?);
    let tcb = match &claims {
        Some(claims) => Some(verified_tcb(claims)),
        None => compare().and_then(|levels| claimed_tcb(&evidence, request.collateral, &levels)),
    };
    let mut facts = facts(&evidence, claims.is_some());
    facts.platform = platform.as_ref().map(|platform| platform.facts.clone());
    facts.tcb = tcb;
    facts.collateral = collateral_facts(request.collateral, claims.as_ref());

    if binding::report_data(&mut findings, request, &evidence) {
        let claims = evidence.claims();
        let statement = launch::statement(claims);
        if let Some(claims) = claims {
            let said = statement.as_ref().ok().and_then(|statement| statement.subject.said());
            binding::claims(&mut findings, request, &evidence, claims, said);
        }
        facts.claims = claims.map(claim_facts);
        facts.launch = launch::check(&mut findings, request, statement);
    }
    appraise::certificate(&mut findings, request, &evidence);
    appraise::collateral(&mut findings, request, &facts);
    // What was not signed is not compared with the policy.
    if findings.has_passed(CheckName::Chain) && findings.has_passed(CheckName::Signature) {
        appraise::enclave(&mut findings, &request.policy.enclave, &facts);
        appraise::platform(&mut findings, &request.policy.platform, &facts);
        if findings.has_passed(CheckName::TcbInfo) && findings.has_passed(CheckName::QeIdentity) {
            appraise::tcb(&mut findings, &request.policy.tcb, &facts, compare);
        }
    }
    Verdict::new(findings, Some(facts))
}

/// Compares the kind of the evidence, hardware or simulation, with the policy's. This names the reason
/// when the two are mixed up; what makes it safe is that the chain must end at the policy's root.
fn simulated(findings: &mut Findings, request: &Request<'_>, evidence: &Evidence) {
    let Some(root) = request.roots.simulation() else {
        let reason = "the simulation's root is not given here";
        return findings.set(CheckName::Simulated, Outcome::NotChecked, reason);
    };
    let chain = evidence.pck_chain(request.collateral).ok();
    let is_simulated = match chain.and_then(|chain| chain.names(root)) {
        Some(is_simulated) => is_simulated,
        // `dcap-qvl` has read the chain, and it led to the policy's root.
        None if findings.has_passed(CheckName::Quote) => {
            request.roots.find(&request.policy.root) == Some(root)
        }
        None => {
            let reason = "the platform's certificates can't be read";
            return findings.set(CheckName::Simulated, Outcome::NotChecked, reason);
        }
    };
    let result = match (is_simulated, request.policy.root == Root::Simulation) {
        (true, true) => {
            let reason = "the quote is simulated, as the policy wants it: it protects nothing";
            return findings.set(CheckName::Simulated, Outcome::Warning, reason);
        }
        (true, false) => Err("the quote is simulated, and the policy wants hardware"),
        (false, true) => {
            Err("the quote is not simulated, and the policy takes only simulated ones")
        }
        (false, false) => Ok("the quote is not simulated"),
    };
    findings.decide(CheckName::Simulated, result.map(str::to_owned).map_err(str::to_owned));
}

/// Returns what the quote itself says.
fn facts(evidence: &Evidence, genuine: bool) -> Facts {
    let report = &evidence.quote().report;
    let enclave = report.as_sgx();
    let domain = |report: &TDReport10| (report.mr_td.to_vec(), report.td_attributes[0] & 1 != 0);
    let (measurement, debug) = match report {
        Report::SgxEnclave(report) => (report.mr_enclave.to_vec(), report.attributes[0] & 2 != 0),
        Report::TD10(report) => domain(report),
        Report::TD15(report) => domain(&report.base),
        Report::TD15Ex(report) => domain(&report.base.base),
    };
    Facts {
        genuine,
        form: evidence.form(),
        quote_version: evidence.quote().header.version,
        tee: evidence.tee(),
        measurement: Bytes(measurement),
        signer: enclave.map(|report| Hex(report.mr_signer)),
        product_id: enclave.map(|report| report.isv_prod_id),
        svn: enclave.map(|report| report.isv_svn),
        debug,
        report_data: Hex(evidence.report_data()),
        claims: None,
        launch: None,
        platform: None,
        tcb: None,
        collateral: None,
    }
}

fn claim_facts(claims: &Claims) -> ClaimFacts {
    ClaimFacts {
        pubkey_hash: claims.key_hash().map(ToString::to_string),
        nonce: claims.nonce().map(|nonce| Bytes(nonce.to_vec())),
        ignored: claims.others().to_vec(),
    }
}

/// Returns what `dcap-qvl` says of the platform's TCB.
fn verified_tcb(claims: &QuoteClaims) -> TcbFacts {
    TcbFacts {
        status: claims.tcb.status,
        advisories: claims.tcb.advisory_ids.clone(),
        level_date: claims.platform.tcb_level.tcb_date.clone(),
        evaluation_number: claims.tcb.eval_data_number,
    }
}

/// Returns what the levels of the collateral say of the TCB, for the explanation of a refusal.
fn claimed_tcb(
    evidence: &Evidence,
    collateral: &Collateral,
    levels: &Comparison<'_>,
) -> Option<TcbFacts> {
    let identity = collateral.qe_identity()?;
    let qe = evidence.qe_report();
    let level = identity.tcb_levels.iter().find(|level| level.tcb.isvsvn <= qe.isv_svn)?;
    let qe = TcbStatusWithAdvisory::new(level.tcb_status, level.advisory_ids.clone());
    let mut facts = levels.level(&qe)?;
    facts.evaluation_number = facts.evaluation_number.min(identity.tcb_evaluation_data_number);
    Some(facts)
}

fn collateral_facts(
    collateral: &Collateral,
    claims: Option<&QuoteClaims>,
) -> Option<CollateralFacts> {
    let lifetime = collateral.lifetime()?;
    let mut facts = CollateralFacts {
        issued: lifetime.issued,
        expires: lifetime.expires,
        first_to_expire: lifetime.first_to_expire,
    };
    if let Some(claims) = claims
        && Moment(claims.earliest_expiration_date) < facts.expires
    {
        facts.expires = Moment(claims.earliest_expiration_date);
        facts.first_to_expire = "a certificate";
    }
    Some(facts)
}
