//! `twine verify`.

use crate::collateral;
use crate::failure::Failure;
use crate::input;
use crate::peer;
use crate::print::{foreign, print_error, print_json, print_line};
use clap::Args;
use spki::SubjectPublicKeyInfoRef;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;
use twine_evidence::bytes::from_hex;
use twine_verifier::{
    Check, CheckName, MAX_EVIDENCE_BYTES, Moment, Outcome, Policy, PolicyError, Request, Roots,
    Verdict, verify,
};

/// The exit code for evidence that is refused. A failure to verify exits with 1, wrong usage with 2.
const REFUSED: u8 = 3;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 if the evidence is accepted, 3 if it is refused, 1 if it could \
                        not be verified, 2 for wrong usage."
)]
pub(crate) struct Arguments {
    /// Evidence of `twine run --evidence`, a certificate with evidence (PEM or DER), or a quote; -
    /// for the standard input; HOST:PORT for the certificate of a TLS server
    evidence: PathBuf,

    /// What to accept; `twine policy init` writes one
    #[arg(long, value_name = "FILE")]
    policy: PathBuf,

    /// Nonce that the evidence must contain, in hexadecimal. It shows that the evidence is new if
    /// you chose it at random, with 16 bytes or more, for this verification
    #[arg(long, value_name = "HEX", value_parser = nonce)]
    nonce: Option<Given>,

    /// What a program must say in its evidence, in hexadecimal: all of it
    #[arg(long, value_name = "HEX", value_parser = data)]
    data: Option<Given>,

    /// Public key that the evidence must be for: a SubjectPublicKeyInfo, PEM or DER
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,

    /// Time of the verification, in seconds since 1970 or as 2026-11-29T12:00:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<Moment>,

    #[command(flatten)]
    collateral: collateral::Options,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Bytes of the command line.
#[derive(Debug, Clone)]
struct Given(Vec<u8>);

fn nonce(text: &str) -> Result<Given, String> {
    let bytes = from_hex(text).filter(|bytes| !bytes.is_empty());
    bytes.map(Given).ok_or_else(|| "write 1 byte or more as hexadecimal digits".into())
}

fn data(text: &str) -> Result<Given, String> {
    from_hex(text).map(Given).ok_or_else(|| "write bytes as hexadecimal digits".into())
}

fn moment(text: &str) -> Result<Moment, String> {
    let seconds = text.parse().ok().map(Moment);
    seconds
        .or_else(|| Moment::parse(text))
        .ok_or_else(|| "write seconds since 1970, or a time such as 2026-11-29T12:00:00Z".into())
}

/// The time of this machine's clock.
pub(crate) fn now() -> Moment {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Moment(since.as_secs())
}

/// Reads evidence from a file, from the standard input, or from a TLS server.
fn evidence(name: &Path) -> Result<Vec<u8>, Failure> {
    let address = name.to_str().and_then(peer::address).filter(|_| !name.exists());
    match address {
        Some((host, port)) => peer::certificate(&host, port),
        None => input::whole_or_standard(name, MAX_EVIDENCE_BYTES),
    }
}

/// Reads a public key, a SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7) in PEM or DER.
fn public_key(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = input::whole_or_standard(path, input::MAX_TEXT_BYTES)?;
    let der = match pem::parse(&bytes) {
        Ok(block) if block.tag() == "PUBLIC KEY" => Some(block.into_contents()),
        Ok(_) => None,
        Err(_) => Some(bytes),
    };
    der.filter(|der| SubjectPublicKeyInfoRef::try_from(&der[..]).is_ok()).ok_or_else(|| {
        Failure::new(
            format!("{} is no public key", path.display()),
            "name the key's file in PEM (BEGIN PUBLIC KEY) or DER",
        )
    })
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let policy = Policy::read(&arguments.policy).map_err(|error| match error {
        PolicyError::Read { ref source, .. } => Failure::system(
            &error,
            source,
            "name a policy; `twine policy init` writes one with comments",
        ),
        error => Failure::new(
            format!("{}: {error}", arguments.policy.display()),
            "correct the policy; `twine policy init` writes one with comments",
        ),
    })?;
    let evidence = evidence(&arguments.evidence)?;
    let at = arguments.at.unwrap_or_else(now);
    let key = arguments.key.as_deref().map(public_key).transpose()?;
    let roots = Roots::with_simulation(sgx_sim_quoting::root_certificate().to_vec());
    let found = arguments.collateral.find(&evidence, &policy, &roots, at)?;
    let request = Request {
        evidence: &evidence,
        collateral: found.now.collateral(),
        policy: &policy,
        roots: &roots,
        at,
        nonce: arguments.nonce.as_ref().map(|Given(nonce)| &nonce[..]),
        data: arguments.data.as_ref().map(|Given(data)| &data[..]),
        public_key: key.as_deref(),
        channel: None,
        report_data: None,
    };
    let verdict = verify(&request);
    if arguments.json {
        print_json(&json(&verdict)?);
    } else {
        print(&verdict);
    }
    found.now.keep(&verdict)?;
    if let (true, Some(early)) = (verdict.is_accepted(), &found.early) {
        let verdict = verify(&Request { collateral: early.collateral(), ..request });
        warn_early(&verdict);
        early.keep(&verdict)?;
    }
    Ok(if verdict.is_accepted() { ExitCode::SUCCESS } else { ExitCode::from(REFUSED) })
}

/// Warns if the newest TCB info would refuse what is accepted today.
fn warn_early(early: &Verdict) {
    for check in early.failed() {
        print_error!(
            "warning: Intel's newest TCB info refuses this platform, and will be in force soon: \
             {}: {}",
            check.name,
            foreign(&check.reason)
        );
    }
}

fn json(verdict: &Verdict) -> Result<String, Failure> {
    serde_json::to_string_pretty(verdict).map_err(|error| {
        Failure::new(
            format!("the verdict can't be written as JSON: {error}"),
            "this is a bug in Twine: please report it with the command",
        )
    })
}

/// Returns the line for a check. `None` for one that was not made, and is only named.
fn line(check: &Check) -> Option<String> {
    let sign = match (check.result, check.name) {
        (Outcome::Passed, _) => "ok",
        (Outcome::Failed, _) => "FAILED",
        (Outcome::Warning, _) => "warning",
        // Their reasons say who chose the terms of the launch, and which machine it was.
        (Outcome::NotChecked, CheckName::Manifest | CheckName::Platform) => "-",
        (Outcome::NotChecked, _) => return None,
    };
    Some(format!("{sign:>8}  {:<22} {}", check.name.to_string(), foreign(&check.reason)))
}

/// Prints a line for each check that was made, the names of those that were not, and the verdict.
fn print(verdict: &Verdict) {
    for line in verdict.checks().iter().filter_map(line) {
        print_line!("{line}");
    }
    let left_out: Vec<_> = verdict
        .checks()
        .iter()
        .filter(|check| line(check).is_none())
        .map(|check| check.name.to_string())
        .collect();
    if !left_out.is_empty() {
        print_line!("{:>8}  not checked: {}", "", left_out.join(", "));
    }
    if verdict.is_accepted() {
        print_line!("accepted");
    } else {
        let failed: Vec<_> = verdict.failed().map(|check| check.name.to_string()).collect();
        let failed = if failed.is_empty() { "quote".into() } else { failed.join(", ") };
        print_error!("error: the evidence is refused: {failed}");
        print_error!("  help: docs/verifying.md says for each check what to do");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: CheckName, result: Outcome, reason: &str) -> Check {
        Check { name, result, reason: reason.into() }
    }

    #[test]
    fn a_reason_can_not_forge_another_line() {
        let forged = check(CheckName::Program, Outcome::Failed, "x\r\u{1b}[1A      ok  program\n");
        assert_eq!(
            line(&forged).unwrap(),
            r"  FAILED  program                x\r\u{1b}[1A      ok  program\n"
        );
        let long = check(CheckName::Chain, Outcome::Failed, &"x".repeat(10_000));
        assert_eq!(line(&long).unwrap().chars().count(), 33 + 500 + 1);
    }

    #[test]
    fn the_reasons_are_shown_why_manifest_and_platform_were_not_checked() {
        for name in [CheckName::Manifest, CheckName::Platform] {
            let shown = line(&check(name, Outcome::NotChecked, "the policy names none"));
            let wanted = format!("       -  {:<22} the policy names none", name.to_string());
            assert_eq!(shown, Some(wanted));
        }
        assert_eq!(line(&check(CheckName::Nonce, Outcome::NotChecked, "none")), None);
    }
}
