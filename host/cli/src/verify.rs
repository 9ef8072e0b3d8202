//! `twine verify`.

use crate::collateral;
use crate::failure::Failure;
use crate::peer;
use crate::print::{print_error, print_line};
use clap::Args;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;
use twine_evidence::bytes::from_hex;
use twine_verifier::{
    MAX_EVIDENCE_BYTES, Moment, Outcome, Policy, PolicyError, Request, Roots, Verdict, verify,
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

    /// Nonce that the evidence must contain, in hexadecimal
    #[arg(long, value_name = "HEX", value_parser = hexadecimal)]
    nonce: Option<Given>,

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

fn hexadecimal(text: &str) -> Result<Given, String> {
    from_hex(text).map(Given).ok_or_else(|| "write bytes as hexadecimal digits".into())
}

fn moment(text: &str) -> Result<Moment, String> {
    let seconds = text.parse().ok().map(Moment);
    seconds
        .or_else(|| Moment::parse(text))
        .ok_or_else(|| "write seconds since 1970, or a time such as 2026-11-29T12:00:00Z".into())
}

fn now() -> Moment {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Moment(since.as_secs())
}

/// Reads a file, or the standard input for `-`, but not more than `limit` bytes and one.
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let most = limit as u64 + 1;
    let read = if path == Path::new("-") {
        std::io::stdin().lock().take(most).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(most).read_to_end(&mut bytes))
    };
    read.map_err(|error| {
        Failure::system(
            format!("{} can't be read: {error}", path.display()),
            &error,
            "check the path and its permissions",
        )
    })?;
    Ok(bytes)
}

/// Reads evidence from a file, from the standard input, or from a TLS server.
fn evidence(name: &Path) -> Result<Vec<u8>, Failure> {
    let address = name.to_str().and_then(peer::address).filter(|_| !name.exists());
    match address {
        Some((host, port)) => peer::certificate(&host, port),
        None => read(name, MAX_EVIDENCE_BYTES),
    }
}

/// Reads a public key, in PEM or DER.
fn public_key(path: &Path) -> Result<Vec<u8>, Failure> {
    let bytes = read(path, MAX_EVIDENCE_BYTES)?;
    if !bytes.starts_with(b"-----") {
        return Ok(bytes);
    }
    match pem::parse(&bytes) {
        Ok(block) if block.tag() == "PUBLIC KEY" => Ok(block.into_contents()),
        _ => Err(Failure::new(
            format!("{} is no public key", path.display()),
            "name the key's file in PEM (BEGIN PUBLIC KEY) or DER",
        )),
    }
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
    let found = arguments.collateral.find(&evidence, &policy, at)?;
    let request = Request {
        evidence: &evidence,
        collateral: &found.collateral,
        policy: &policy,
        roots: &roots,
        at,
        nonce: arguments.nonce.as_ref().map(|Given(nonce)| &nonce[..]),
        public_key: key.as_deref(),
        report_data: None,
    };
    let verdict = verify(&request);
    if arguments.json {
        print_json(&verdict)?;
    } else {
        print(&verdict);
    }
    if let (true, Some(early)) = (verdict.is_accepted(), &found.early) {
        warn_early(&verify(&Request { collateral: early, ..request }));
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
            check.reason
        );
    }
}

fn print_json(verdict: &Verdict) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(verdict).map_err(|error| {
        Failure::new(
            format!("the verdict can't be written as JSON: {error}"),
            "this is a bug in Twine: please report it with the command",
        )
    })?;
    print_line!("{json}");
    Ok(())
}

/// Prints a line for each check that was made, and the verdict last.
fn print(verdict: &Verdict) {
    for check in verdict.checks() {
        let sign = match check.result {
            Outcome::Passed => "ok",
            Outcome::Failed => "FAILED",
            Outcome::Warning => "warning",
            Outcome::NotChecked => continue,
        };
        print_line!("{sign:>8}  {:<22} {}", check.name.to_string(), check.reason);
    }
    let left_out: Vec<_> = verdict
        .checks()
        .iter()
        .filter(|check| check.result == Outcome::NotChecked)
        .map(|check| check.name.to_string())
        .collect();
    if !left_out.is_empty() {
        print_line!("{:>8}  {}", "", format!("not checked: {}", left_out.join(", ")));
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
