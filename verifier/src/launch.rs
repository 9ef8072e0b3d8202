//! The checks of the launch statement, the claim `twine`.

use crate::bytes::Hex;
use crate::claims::{Claims, KeyHash};
use crate::facts::LaunchFacts;
use crate::policy::LaunchRules;
use crate::verdict::{CheckName, Findings, Outcome};
use twine_evidence::bytes::Digest;
use twine_evidence::statement::{Deployment, Kind, Statement};

/// What a launch statement is compared with: a check for each.
const CHECKS: [CheckName; 4] =
    [CheckName::Launch, CheckName::Program, CheckName::Manifest, CheckName::Code];

/// Checks the statement: that it can be read, belongs to the other claims, and is of a launch that
/// the policy accepts. Returns what it says.
pub(crate) fn check(
    findings: &mut Findings,
    rules: Option<&LaunchRules>,
    claims: Option<&Claims>,
) -> Option<LaunchFacts> {
    match (statement(claims), rules) {
        (Ok(statement), rules) => {
            let reason = format!("the launch is {}", statement.launch());
            findings.set(CheckName::Statement, Outcome::Passed, reason);
            match rules {
                Some(rules) => compare(findings, rules, &statement),
                None => {
                    leave_out(findings, Outcome::NotChecked, "the policy has no table [launch]")
                }
            }
            Some(LaunchFacts { hash: Hex(statement.launch().0), statement })
        }
        // Evidence of other projects has none.
        (Err(Missing::None(reason)), None) => {
            findings.set(CheckName::Statement, Outcome::NotChecked, reason);
            leave_out(findings, Outcome::NotChecked, reason);
            None
        }
        (Err(Missing::None(reason)), Some(_)) => {
            findings.set(CheckName::Statement, Outcome::Failed, reason);
            leave_out(findings, Outcome::NotChecked, reason);
            None
        }
        (Err(Missing::Wrong(reason)), _) => {
            findings.set(CheckName::Statement, Outcome::Failed, reason);
            leave_out(findings, Outcome::NotChecked, "the statement is not usable");
            None
        }
    }
}

fn leave_out(findings: &mut Findings, outcome: Outcome, reason: &str) {
    for name in CHECKS {
        findings.set(name, outcome, reason);
    }
}

/// Why there is no statement.
enum Missing {
    /// The evidence has none.
    None(&'static str),
    /// It is damaged, or contradicts the other claims.
    Wrong(String),
}

/// Reads the statement. The nonce and the key in it must be those of the other claims: only the
/// runtime makes statements, so both were asked for in this launch.
fn statement(claims: Option<&Claims>) -> Result<Statement, Missing> {
    let claims = claims.ok_or(Missing::None("a quote alone has no statement"))?;
    let bytes = claims.twine().ok_or(Missing::None("the claims have no statement"))?;
    let wrong = |reason: &str| Missing::Wrong(reason.to_owned());
    let statement = Statement::decode(bytes)
        .map_err(|error| Missing::Wrong(format!("the statement can't be read: {error}")))?;
    if statement.run.nonce.as_ref().map(|nonce| &nonce.0[..]) != claims.nonce() {
        return Err(wrong("the nonce of the statement is not that of the claims"));
    }
    let of_claims = claims.key_hash().and_then(KeyHash::sha256).map(Digest);
    if statement.run.key.is_none() || statement.run.key != of_claims {
        return Err(wrong("the key of the statement is not that of the claims"));
    }
    Ok(statement)
}

fn compare(findings: &mut Findings, rules: &LaunchRules, statement: &Statement) {
    let among = |found: Digest, accepted: &[Hex<32>]| match accepted.contains(&Hex(found.0)) {
        true => Ok(format!("it is {found}")),
        false => Err(format!("{found} is not among those that the policy names")),
    };
    for (name, found, accepted) in [
        (CheckName::Launch, statement.launch(), &rules.launches),
        (CheckName::Program, statement.terms.program, &rules.programs),
    ] {
        match accepted.is_empty() {
            true => findings.set(name, Outcome::NotChecked, "the policy names none"),
            false => findings.decide(name, among(found, accepted)),
        }
    }
    match (rules.demands_manifest(), &statement.deployment) {
        (true, None) => {
            let reason = "a local launch, without a manifest, and the policy demands one";
            findings.set(CheckName::Manifest, Outcome::Failed, reason);
        }
        (true, Some(deployment)) => {
            findings.decide(CheckName::Manifest, manifest(rules, deployment));
        }
        (false, _) => {
            let reason = match statement.kind {
                Kind::Local => "a local launch: whoever started it chose its terms",
                Kind::Deployment => "the policy demands none",
            };
            findings.set(CheckName::Manifest, Outcome::NotChecked, reason);
        }
    }
    let (result, reason) = match (statement.engine.writable_code, rules.writable_code) {
        (false, _) => (Outcome::Passed, "no page of code is writable while code runs"),
        (true, true) => (Outcome::Warning, "code is writable while it runs: no SGX2"),
        (true, false) => (Outcome::Failed, "code is writable while it runs: no SGX2"),
    };
    findings.set(CheckName::Code, result, reason);
}

fn manifest(rules: &LaunchRules, deployment: &Deployment) -> Result<String, String> {
    let Deployment { owner, name, version, generation, manifest } = deployment;
    if !rules.owners.is_empty() && !rules.owners.contains(&Hex(owner.0)) {
        return Err(format!("its owner is {owner}, whom the policy does not name"));
    }
    if rules.name.as_ref().is_some_and(|wanted| wanted != name) {
        return Err(format!("it is of the deployment {name}"));
    }
    if rules.least_version.is_some_and(|least| *version < least) {
        return Err(format!("its version is {version}, too old"));
    }
    if rules.generation.is_some_and(|wanted| *generation != wanted) {
        return Err(format!("its generation is {generation}"));
    }
    if !rules.manifests.is_empty() && !rules.manifests.contains(&Hex(manifest.0)) {
        return Err(format!("{manifest} is not among those that the policy names"));
    }
    Ok(format!("{name}, version {version}, of owner {owner}"))
}
