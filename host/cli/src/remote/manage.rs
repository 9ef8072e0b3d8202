//! `twine ps`, `logs`, `attach`, `stop` and `rm`.

use super::connect::{ConnectOptions, Host};
use super::streams;
use crate::failure::Failure;
use crate::manifest::SignedFile;
use crate::print::{foreign, print_json, print_line};
use clap::Args;
use serde_json::json;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use twine_channel::frame::Kind;
use twine_channel::message::{Answer, End, Entry, Request, State, Which};
use twine_client::TimeLimit;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(60);

/// How long a log is followed at most: a year.
const FOLLOWING: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A deployment on a host.
#[derive(Debug, Args)]
pub(crate) struct Deployed {
    /// Signed manifest of the deployment. It names the deployment and its owner, and says what to
    /// demand of the host; its version does not matter
    manifest: PathBuf,

    /// Host that holds it, as HOST:PORT
    #[arg(long, value_name = "HOST:PORT")]
    at: String,

    #[command(flatten)]
    options: ConnectOptions,
}

impl Deployed {
    fn open(self) -> Result<(SignedFile, Host, Which), Failure> {
        let held = SignedFile::read(&self.manifest)?;
        let host = Host::new(&self.at, &held, self.options)?;
        let which = Which { owner: Some(held.owner().id()), name: held.manifest().name.clone() };
        Ok((held, host, which))
    }
}

#[derive(Debug, Args)]
pub(crate) struct Ps {
    #[command(flatten)]
    deployed: Deployed,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    deployed: Deployed,

    /// Go on with what the program writes from now on
    #[arg(long, short)]
    follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Attach {
    #[command(flatten)]
    deployed: Deployed,
}

#[derive(Debug, Args)]
pub(crate) struct Stop {
    #[command(flatten)]
    deployed: Deployed,

    /// End it at once. Else the program gets SIGINT, and ends if it does not handle that
    #[arg(long)]
    kill: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    deployed: Deployed,

    /// Remove its volumes too. What is in them is lost
    #[arg(long)]
    volumes: bool,
}

fn limit() -> TimeLimit {
    TimeLimit::new(ANSWER)
}

fn write(kind: Kind, bytes: &[u8]) -> io::Result<()> {
    match kind {
        Kind::Output => {
            let mut stdout = io::stdout();
            stdout.write_all(bytes)?;
            stdout.flush()
        }
        _ => io::stderr().write_all(bytes),
    }
}

fn unexpected() -> Failure {
    Failure::new(
        "the host sent something that is not expected",
        "use a client and a host of the same release",
    )
}

fn state(entry: &Entry) -> String {
    match (&entry.state, &entry.end) {
        (State::Starting, _) => "starting".into(),
        (State::Running, _) => "running".into(),
        (State::Ended, Some(End::Exited { code, .. })) => format!("exited ({code})"),
        (State::Ended, Some(End::Trapped { .. })) => "trapped".into(),
        (State::Ended, Some(End::Refused { .. })) => "refused".into(),
        (State::Ended, Some(End::Stopped) | None) => "stopped".into(),
    }
}

/// Runs `twine ps`.
pub(crate) fn ps(arguments: Ps) -> Result<ExitCode, Failure> {
    let (_, host, _) = arguments.deployed.open()?;
    let mut proven = host.connect(false)?;
    let Answer::Listing(entries) = proven.ask(&Request::List, limit())? else {
        return Err(unexpected());
    };
    if arguments.json {
        let list: Vec<_> = entries
            .iter()
            .map(|entry| {
                json!({
                    "owner": entry.owner.to_string(),
                    "name": entry.name,
                    "version": entry.version,
                    "program": entry.program.to_string(),
                    "state": state(entry),
                    "seconds": entry.seconds,
                    "attached": entry.attached,
                })
            })
            .collect();
        let text = serde_json::to_string_pretty(&list).map_err(|_| unexpected())?;
        print_json(&text);
        return Ok(ExitCode::SUCCESS);
    }
    print_line!("{:<24} {:>7}  {:<14} {:>9}  OWNER", "NAME", "VERSION", "STATE", "FOR");
    for entry in &entries {
        let owner: String = entry.owner.to_string().chars().take(16).collect();
        print_line!(
            "{:<24} {:>7}  {:<14} {:>8}s  {owner}",
            foreign(&entry.name),
            entry.version,
            state(entry),
            entry.seconds,
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs `twine logs`.
pub(crate) fn logs(arguments: Logs) -> Result<ExitCode, Failure> {
    let (_, host, which) = arguments.deployed.open()?;
    let proven = host.connect(false)?;
    let request = Request::Logs { which, follow: arguments.follow };
    let limit = if arguments.follow { TimeLimit::new(FOLLOWING) } else { limit() };
    match proven.read_all(&request, write, limit) {
        Err(twine_client::Error::Stream(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::from(super::UNREAD_EXIT_CODE))
        }
        ended => {
            ended?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Runs `twine attach`.
pub(crate) fn attach(arguments: Attach) -> Result<ExitCode, Failure> {
    let (held, host, which) = arguments.deployed.open()?;
    let mut proven = host.connect(false)?;
    let request = Request::Attach { which: which.clone(), from: None };
    let answer = proven.ask(&request, limit())?;
    let manifest = held.manifest();
    let input = streams::input(&manifest.terms.streams);
    let end = streams::attach(&host, &which, proven, answer, input)?;
    super::exit_code(&manifest.name, &end)
}

/// Runs `twine stop`.
pub(crate) fn stop(arguments: Stop) -> Result<ExitCode, Failure> {
    let (_, host, which) = arguments.deployed.open()?;
    let proven = host.connect(false)?;
    proven.do_it(&Request::Stop { which, kill: arguments.kill }, limit())?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `twine rm`.
pub(crate) fn remove(arguments: Remove) -> Result<ExitCode, Failure> {
    let (_, host, which) = arguments.deployed.open()?;
    let proven = host.connect(false)?;
    proven.do_it(&Request::Remove { which, volumes: arguments.volumes }, limit())?;
    Ok(ExitCode::SUCCESS)
}
