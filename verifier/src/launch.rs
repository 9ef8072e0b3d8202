//! The checks of the launch statement, the claim `twine`.

use crate::bytes::Hex;
use crate::claims::{Claims, KeyHash};
use crate::facts::LaunchFacts;
use crate::policy::LaunchRules;
use crate::text::Quoted;
use crate::verdict::{CheckName, Findings, Outcome};
use crate::verify::Request;
use twine_evidence::bytes::Digest;
use twine_evidence::claims::no_key;
use twine_evidence::statement::{Deployment, Kind, Statement};

/// What a launch statement is compared with: a check for each.
const CHECKS: [CheckName; 5] =
    [CheckName::Kind, CheckName::Launch, CheckName::Program, CheckName::Manifest, CheckName::Code];

/// Checks the statement: that it can be read, belongs to the other claims, and is of a launch that
/// the policy accepts. Returns what it says.
pub(crate) fn check(
    findings: &mut Findings,
    request: &Request<'_>,
    statement: Result<Statement, Missing>,
) -> Option<LaunchFacts> {
    let rules = request.policy.launch.as_ref();
    channel(findings, request.channel, statement.as_ref().ok());
    match (statement, rules) {
        (Ok(statement), rules) => {
            let reason = format!("the launch is {}", statement.launch());
            findings.set(CheckName::Statement, Outcome::Passed, reason);
            compare(findings, rules, &statement);
            Some(LaunchFacts { hash: Hex(statement.launch().0), statement })
        }
        // Evidence of other projects has none.
        (Err(Missing::None(reason)), None) => {
            findings.set(CheckName::Statement, Outcome::NotChecked, reason);
            leave_out(findings, reason);
            None
        }
        (Err(Missing::None(reason)), Some(_)) => {
            findings.set(CheckName::Statement, Outcome::Failed, reason);
            leave_out(findings, reason);
            None
        }
        (Err(Missing::Wrong(reason)), _) => {
            findings.set(CheckName::Statement, Outcome::Failed, reason);
            leave_out(findings, "the statement is not usable");
            None
        }
    }
}

fn leave_out(findings: &mut Findings, reason: &str) {
    for name in CHECKS {
        findings.set(name, Outcome::NotChecked, reason);
    }
}

/// Why there is no statement.
pub(crate) enum Missing {
    /// The evidence has none.
    None(&'static str),
    /// It is damaged, or contradicts the other claims.
    Wrong(String),
}

/// Reads the statement. The nonce and the key in it must be those of the other claims: only the
/// runtime makes statements, so both were asked for in this launch. What a program says comes without
/// both.
pub(crate) fn statement(claims: Option<&Claims>) -> Result<Statement, Missing> {
    let claims = claims.ok_or(Missing::None("a quote alone has no statement"))?;
    let bytes = claims.twine().ok_or(Missing::None("the claims have no statement"))?;
    let wrong = |reason: &str| Missing::Wrong(reason.to_owned());
    let statement = Statement::decode(bytes)
        .map_err(|error| Missing::Wrong(format!("the statement can't be read: {error}")))?;
    if statement.run.nonce.as_ref().map(|nonce| &nonce.0[..]) != claims.nonce() {
        return Err(wrong("the nonce of the statement is not that of the claims"));
    }
    let of_claims = claims.key_hash().and_then(KeyHash::sha256).map(Digest);
    let key = match statement.subject.said() {
        Some(_) => Some(no_key()),
        None => statement.run.key,
    };
    if key.is_none() || key != of_claims {
        return Err(wrong("the key of the statement is not that of the claims"));
    }
    Ok(statement)
}

/// Checks that the evidence was made for the connection at hand.
fn channel(findings: &mut Findings, wanted: Option<[u8; 32]>, statement: Option<&Statement>) {
    let found = statement.and_then(|statement| statement.run.channel);
    let (result, reason) = match (wanted.map(Digest), found) {
        (None, None) => (Outcome::NotChecked, "the evidence is bound to no connection"),
        (None, Some(_)) => {
            (Outcome::Warning, "the evidence is bound to a connection that is not known here")
        }
        (Some(_), None) => (Outcome::Failed, "the evidence is bound to no connection"),
        (Some(wanted), Some(found)) if wanted != found => {
            (Outcome::Failed, "the evidence is bound to another connection")
        }
        (Some(_), Some(_)) => (Outcome::Passed, "the evidence is bound to this connection"),
    };
    findings.set(CheckName::Channel, result, reason);
}

fn compare(findings: &mut Findings, rules: Option<&LaunchRules>, statement: &Statement) {
    let unnamed = match rules {
        Some(_) => "the policy names none",
        None => "the policy has no table [launch]",
    };
    kind(findings, rules.and_then(|rules| rules.kind), statement.subject.kind());
    let launch = statement.launch();
    let launches = rules.map_or(&[][..], |rules| &rules.launches);
    match launches.is_empty() {
        true => findings.set(CheckName::Launch, Outcome::NotChecked, unnamed),
        false => findings.decide(CheckName::Launch, among(launch, launches)),
    }
    let Some(launched) = statement.subject.program() else {
        return without_program(findings, rules);
    };
    let program = launched.terms.program;
    let programs = rules.map_or(&[][..], |rules| &rules.programs);
    match (programs.is_empty(), rules.is_some_and(LaunchRules::names_any)) {
        (false, _) => findings.decide(CheckName::Program, among(program, programs)),
        (true, true) => findings.set(CheckName::Program, Outcome::NotChecked, unnamed),
        (true, false) => {
            let reason = format!("{unnamed}: any program in this image is accepted");
            findings.set(CheckName::Program, Outcome::Warning, reason);
        }
    }
    manifest(findings, rules, statement.subject.deployment());
    let (result, reason) = match (launched.engine.writable_code, rules) {
        (false, _) => (Outcome::Passed, "no page of code is writable while code runs"),
        (true, Some(rules)) if !rules.writable_code => {
            (Outcome::Failed, "code is writable while it runs: no SGX2")
        }
        (true, _) => (Outcome::Warning, "code is writable while it runs: no SGX2"),
    };
    findings.set(CheckName::Code, result, reason);
}

/// Checks the kind of the statement.
fn kind(findings: &mut Findings, wanted: Option<Kind>, found: Kind) {
    let found_one = found.description();
    match wanted {
        // Whoever does not know of it could take what a program says for what the runtime says.
        None if found == Kind::Guest => {
            let reason =
                format!("it is {found_one}, and the policy does not say `kind = \"guest\"`");
            findings.set(CheckName::Kind, Outcome::Failed, reason);
        }
        None => findings.set(CheckName::Kind, Outcome::NotChecked, format!("it is {found_one}")),
        Some(wanted) if wanted == found => {
            findings.set(CheckName::Kind, Outcome::Passed, format!("it is {found_one}"));
        }
        Some(wanted) => {
            let reason = format!("it is {found_one}, not {}", wanted.description());
            findings.set(CheckName::Kind, Outcome::Failed, reason);
        }
    }
}

/// Says of the checks of a program that an enclave has none which waits for deployments. They fail
/// where the policy demands one.
fn without_program(findings: &mut Findings, rules: Option<&LaunchRules>) {
    let reason = "no program: it is an enclave that waits for deployments";
    let demands = |is_demanded| if is_demanded { Outcome::Failed } else { Outcome::NotChecked };
    let program = rules.is_some_and(|rules| !rules.programs.is_empty());
    let manifest = rules.is_some_and(LaunchRules::demands_manifest);
    findings.set(CheckName::Program, demands(program), reason);
    findings.set(CheckName::Manifest, demands(manifest), reason);
    findings.set(CheckName::Code, Outcome::NotChecked, reason);
}

fn among(found: Digest, accepted: &[Hex<32>]) -> Result<String, String> {
    match accepted.contains(&Hex(found.0)) {
        true => Ok(format!("it is {found}")),
        false => Err(format!("{found} is not among those that the policy names")),
    }
}

/// Checks on whose terms the launch was made.
fn manifest(findings: &mut Findings, rules: Option<&LaunchRules>, deployment: Option<&Deployment>) {
    let name = CheckName::Manifest;
    let is_named = findings.has_passed(CheckName::Launch);
    let demand = rules.filter(|rules| rules.demands_manifest());
    let (result, reason) = match (demand, deployment) {
        (Some(_), None) => {
            (Outcome::Failed, "a local launch, without a manifest, and the policy demands one")
        }
        (Some(rules), Some(deployment)) => {
            return findings.decide(name, is_manifest(rules, deployment));
        }
        (None, _) if is_named => {
            (Outcome::NotChecked, "the policy names the launch, with its terms")
        }
        (None, None) => (Outcome::Warning, "a local launch: whoever started it chose its terms"),
        (None, Some(_)) => (
            Outcome::Warning,
            "the policy names no owner: whoever signed the manifest chose its terms",
        ),
    };
    findings.set(name, result, reason);
}

fn is_manifest(rules: &LaunchRules, deployment: &Deployment) -> Result<String, String> {
    let Deployment { owner, name, version, generation, manifest } = deployment;
    let quoted = Quoted(name);
    if !rules.owners.is_empty() && !rules.owners.contains(&Hex(owner.0)) {
        return Err(format!("its owner is {owner}, whom the policy does not name"));
    }
    if rules.name.as_ref().is_some_and(|wanted| wanted != name) {
        return Err(format!("it is of the deployment {quoted}"));
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
    Ok(format!("{quoted}, version {version}, of owner {owner}"))
}
