//! The checks by the policy.

use crate::bytes::{DAY, Hex, days};
use crate::evidence::Evidence;
use crate::facts::Facts;
use crate::policy::{EnclaveRules, PlatformRules, TcbRules};
use crate::tcb::Comparison;
use crate::verdict::{CheckName, Findings, Outcome};
use crate::verify::Request;
use twine_evidence::bytes::Digest;
use twine_evidence::manifest::{AllowedImage, Identity};

/// Checks the certificate around the evidence, if there is one.
pub(crate) fn certificate(findings: &mut Findings, request: &Request<'_>, evidence: &Evidence) {
    let Some(certificate) = evidence.certificate() else {
        for name in [CheckName::CertificateSignature, CheckName::CertificateDates] {
            findings.set(name, Outcome::NotChecked, "the evidence came without a certificate");
        }
        return;
    };
    findings.decide(
        CheckName::CertificateSignature,
        match certificate.is_self_signed() {
            true => Ok("the certificate's own key signed it".to_owned()),
            false => {
                Err("the certificate's own key did not sign it by ECDSA with SHA-2".to_owned())
            }
        },
    );
    let (from, to) = certificate.validity();
    findings.decide(
        CheckName::CertificateDates,
        match request.at {
            at if at < from => Err(format!("the certificate is valid only from {from}")),
            at if at > to => Err(format!("the certificate ran out on {to}")),
            _ => Ok(format!("the certificate is valid until {to}")),
        },
    );
}

/// Checks the collateral's age and how long it stays valid.
pub(crate) fn collateral(findings: &mut Findings, request: &Request<'_>, facts: &Facts) {
    let Some(found) = &facts.collateral else {
        for name in [CheckName::CollateralAge, CheckName::CollateralExpiry] {
            findings.set(name, Outcome::Failed, "the collateral's dates can't be read");
        }
        return;
    };
    let rules = &request.policy.collateral;
    let (at, issued) = (request.at, found.issued);
    findings.decide(
        CheckName::CollateralAge,
        match at.days_since(issued) {
            _ if at < issued => Err(format!("it is from the future: issued on {issued}")),
            // Parts of a day count: 30 days and an hour are more than 30 days.
            old if at.0 - issued.0 > rules.most_days.saturating_mul(DAY) => Err(format!(
                "issued on {issued}, {} ago; the policy allows {}",
                days(old),
                days(rules.most_days)
            )),
            old => Ok(format!("issued on {issued}, {} ago", days(old))),
        },
    );
    let (expires, what) = (found.expires, found.first_to_expire);
    let (result, reason) = match expires.days_since(at) {
        _ if expires < at => (Outcome::Failed, format!("{what} ran out on {expires}")),
        left if left < rules.warning_days => {
            (Outcome::Warning, format!("{what} runs out on {expires}, in {}", days(left)))
        }
        _ => (Outcome::Passed, format!("all is valid until {expires}")),
    };
    findings.set(CheckName::CollateralExpiry, result, reason);
}

/// Checks what the report says about the enclave.
pub(crate) fn enclave(findings: &mut Findings, rules: &EnclaveRules, facts: &Facts) {
    let (result, reason) = match (facts.debug, rules.debug) {
        (false, _) => (Outcome::Passed, "not a debug enclave"),
        (true, true) => (Outcome::Warning, "a debug enclave, which the policy accepts"),
        (true, false) => (Outcome::Failed, "a debug enclave: its host can read its memory"),
    };
    findings.set(CheckName::Debug, result, reason);
    if !rules.images.is_empty() {
        return images(findings, &rules.images, facts);
    }
    let no_enclave = || Err("the quote is not of an enclave".to_owned());
    let open = match rules.any {
        true => (Outcome::Warning, "the policy accepts any enclave"),
        false => (Outcome::NotChecked, "the policy names none"),
    };
    let measurement: Option<[u8; 32]> = facts.measurement.0[..].try_into().ok();
    let lists = [
        (CheckName::Measurement, measurement.map(Hex), &rules.measurements),
        (CheckName::Signer, facts.signer, &rules.signers),
    ];
    for (name, found, accepted) in lists {
        match found {
            _ if accepted.is_empty() => findings.set(name, open.0, open.1),
            Some(found) => findings.decide(name, one_of(found, accepted)),
            None => findings.decide(name, no_enclave()),
        }
    }
    let product = rules.product_id.map(|wanted| match facts.product_id {
        Some(found) if found == wanted => Ok(format!("it is {found}")),
        Some(found) => Err(format!("it is {found}, not {wanted}")),
        None => no_enclave(),
    });
    let svn = rules.least_svn.map(|least| match facts.svn {
        Some(found) if found >= least => Ok(format!("it is {found}")),
        Some(found) => Err(format!("it is {found}, less than {least}")),
        None => no_enclave(),
    });
    let is_by_signer = rules.measurements.is_empty();
    warn_of_signer(findings, facts.signer, is_by_signer, rules.product_id, rules.least_svn);
    for (name, result) in [(CheckName::ProductId, product), (CheckName::Svn, svn)] {
        match result {
            Some(result) => findings.decide(name, result),
            None => findings.set(name, Outcome::NotChecked, "the policy names none"),
        }
    }
}

/// Warns if a signer passed, and the policy leaves open which of his images it is.
fn warn_of_signer(
    findings: &mut Findings,
    signer: Option<Hex<32>>,
    is_by_signer: bool,
    product: Option<u16>,
    least_svn: Option<u16>,
) {
    let left_open = match (product, least_svn) {
        (None, None) => "every product and older version",
        (None, Some(_)) => "every product",
        (Some(_), None) => "every older version",
        (Some(_), Some(_)) => return,
    };
    if let Some(signer) = signer
        && is_by_signer
        && findings.has_passed(CheckName::Signer)
    {
        let reason = format!("it is {signer}, of whom {left_open} is accepted");
        findings.set(CheckName::Signer, Outcome::Warning, reason);
    }
}

/// Checks that the enclave is one of these images: all that one of them names is the enclave's.
fn images(findings: &mut Findings, images: &[AllowedImage], facts: &Facts) {
    let found = identity(facts);
    let image = found.and_then(|found| images.iter().find(|image| image.is(&found)));
    let (Some(found), Some(image)) = (found, image) else {
        let reason = match found {
            None => "the quote is not of an enclave".to_owned(),
            Some(Identity { measurement, signer, product, svn, .. }) => format!(
                "no image of the manifest: MRENCLAVE {measurement}, MRSIGNER {signer}, ISVPRODID \
                 {product}, ISVSVN {svn}"
            ),
        };
        findings.set(CheckName::Measurement, Outcome::Failed, reason);
        for name in [CheckName::Signer, CheckName::ProductId, CheckName::Svn] {
            findings.set(name, Outcome::NotChecked, "it is no image of the manifest");
        }
        return;
    };
    for (name, is_named, found) in [
        (CheckName::Measurement, image.measurement.is_some(), found.measurement.to_string()),
        (CheckName::Signer, image.signer.is_some(), found.signer.to_string()),
        (CheckName::ProductId, image.product.is_some(), found.product.to_string()),
        (CheckName::Svn, image.min_svn.is_some(), found.svn.to_string()),
    ] {
        match is_named {
            true => findings.set(name, Outcome::Passed, format!("it is {found}")),
            false => findings.set(name, Outcome::NotChecked, "the manifest names none"),
        }
    }
    let is_by_signer = image.measurement.is_none();
    warn_of_signer(findings, facts.signer, is_by_signer, image.product, image.min_svn);
}

/// Returns the enclave's identity; `None` for a TDX domain.
fn identity(facts: &Facts) -> Option<Identity> {
    Some(Identity {
        measurement: Digest(facts.measurement.0[..].try_into().ok()?),
        signer: Digest(facts.signer?.0),
        product: facts.product_id?,
        svn: facts.svn?,
        debug: facts.debug,
    })
}

/// Why a flag of the platform has no value. Certificates for one package have none.
const UNSAID: &str = "the platform's certificate does not say";

/// Checks what the platform's certificate says.
pub(crate) fn platform(findings: &mut Findings, rules: &PlatformRules, facts: &Facts) {
    let Some(platform) = &facts.platform else {
        let reason = "the platform's certificate can't be read";
        return findings.set(CheckName::Platform, Outcome::Failed, reason);
    };
    let hash = one_of(platform.ppid_hash, &rules.ppid_hashes);
    let instance = match platform.instance {
        Some(instance) => one_of(instance, &rules.instances),
        None => Err("the platform has no instance".to_owned()),
    };
    let result = match (rules.ppid_hashes.is_empty(), rules.instances.is_empty()) {
        (true, true) => None,
        (false, true) => Some(hash),
        (true, false) => Some(instance),
        (false, false) => Some(hash.and(instance)),
    };
    match result {
        Some(result) => findings.decide(CheckName::Platform, result),
        None => {
            let reason =
                format!("the policy names none; the PPID's hash is {}", platform.ppid_hash);
            findings.set(CheckName::Platform, Outcome::NotChecked, reason);
        }
    }
    for (name, found, accepted, [what, not_so]) in [
        (
            CheckName::Smt,
            platform.smt,
            rules.smt,
            ["hyper-threading is on", "hyper-threading is off"],
        ),
        (
            CheckName::DynamicPlatform,
            platform.dynamic,
            rules.dynamic,
            ["packages can be added", "no packages can be added"],
        ),
        (
            CheckName::CachedKeys,
            platform.cached_keys,
            rules.cached_keys,
            ["Intel keeps the root keys", "Intel does not keep the root keys"],
        ),
    ] {
        let (result, reason) = match (found, accepted) {
            (Some(true), true) => (Outcome::Passed, format!("{what}, which the policy accepts")),
            (Some(true), false) => (Outcome::Failed, what.to_owned()),
            (Some(false), _) => (Outcome::Passed, not_so.to_owned()),
            (None, true) => (Outcome::NotChecked, UNSAID.to_owned()),
            (None, false) => (Outcome::Failed, UNSAID.to_owned()),
        };
        findings.set(name, result, reason);
    }
}

/// Checks what the collateral says about the platform's security version. Where that is not enough, a
/// comparison with the levels of the TCB info says what is short.
pub(crate) fn tcb<'c>(
    findings: &mut Findings,
    rules: &TcbRules,
    facts: &Facts,
    compare: impl Fn() -> Option<Comparison<'c>>,
) {
    let short =
        || compare().map(|levels| levels.what_is_short(&rules.statuses)).unwrap_or_default();
    let Some(tcb) = &facts.tcb else {
        let reason = format!("the platform reaches no level; {}", short());
        return findings.set(CheckName::TcbStatus, Outcome::Failed, reason);
    };
    let date = tcb.level_date.split('T').next().unwrap_or_default();
    let status = match rules.statuses.contains(&tcb.status) {
        true => Ok(format!("{} (level of {date})", tcb.status)),
        false => Err(format!("{} (level of {date}); {}", tcb.status, short())),
    };
    findings.decide(CheckName::TcbStatus, status);

    let is_refused = |advisory: &&String| {
        rules.refused_advisories.contains(advisory)
            || rules.accepted_advisories.as_ref().is_some_and(|list| !list.contains(advisory))
    };
    let refused: Vec<_> = tcb.advisories.iter().filter(is_refused).map(String::as_str).collect();
    let advisories = match (refused.is_empty(), tcb.advisories.is_empty()) {
        (false, _) => Err(format!("{}, which the policy does not accept", refused.join(", "))),
        (true, true) => Ok("none applies".to_owned()),
        (true, false) => Ok(tcb.advisories.join(", ")),
    };
    findings.decide(CheckName::Advisories, advisories);

    let number = tcb.evaluation_number;
    let evaluation = match rules.least_evaluation_number {
        Some(least) if number < least => Err(format!("it is {number}, less than {least}")),
        _ => Ok(format!("it is {number}")),
    };
    findings.decide(CheckName::EvaluationNumber, evaluation);
}

fn one_of<const N: usize>(found: Hex<N>, accepted: &[Hex<N>]) -> Result<String, String> {
    match accepted.contains(&found) {
        true => Ok(format!("it is {found}")),
        false => Err(format!("{found} is not among those that the policy names")),
    }
}
