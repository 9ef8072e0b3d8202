//! `twine ps`, `logs`, `attach`, `stop` and `rm`.

use super::connect::{ConnectOptions, Host};
use super::{answer_limit, streams};
use crate::failure::Failure;
use crate::manifest::SignedFile;
use crate::print::{foreign, print_json, print_line};
use clap::Args;
use serde_json::json;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use twine_channel::message::{Answer, End, Entry, Request, State};
use twine_client::TimeLimit;

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
    fn open(self) -> Result<(SignedFile, Host), Failure> {
        let held = SignedFile::read(&self.manifest)?;
        let host = Host::new(&self.at, &held, self.options)?;
        Ok((held, host))
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
        (State::Ended, Some(End::Interrupted)) => "interrupted".into(),
        (State::Ended, Some(End::Stopped) | None) => "stopped".into(),
    }
}

/// Runs `twine ps`.
pub(crate) fn ps(arguments: Ps) -> Result<ExitCode, Failure> {
    let (_, host) = arguments.deployed.open()?;
    let mut proven = host.connect(false)?;
    let Answer::Listing(entries) = proven.ask(&Request::List, answer_limit())? else {
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
    let (held, host) = arguments.deployed.open()?;
    let proven = host.connect(false)?;
    let request = Request::Logs { which: held.which(), follow: arguments.follow };
    let limit = if arguments.follow { TimeLimit::new(FOLLOWING) } else { answer_limit() };
    match proven.read_all(&request, streams::write, limit) {
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
    let (held, host) = arguments.deployed.open()?;
    let mut proven = host.connect(false)?;
    let request = Request::Attach { which: held.which(), from: None };
    let answer = proven.ask(&request, answer_limit())?;
    streams::run(&host, &held, proven, answer)
}

/// Runs `twine stop`.
pub(crate) fn stop(arguments: Stop) -> Result<ExitCode, Failure> {
    let (held, host) = arguments.deployed.open()?;
    let proven = host.connect(false)?;
    proven.do_it(&Request::Stop { which: held.which(), kill: arguments.kill }, answer_limit())?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `twine rm`.
pub(crate) fn remove(arguments: Remove) -> Result<ExitCode, Failure> {
    let (held, host) = arguments.deployed.open()?;
    let proven = host.connect(false)?;
    proven.do_it(
        &Request::Remove { which: held.which(), volumes: arguments.volumes },
        answer_limit(),
    )?;
    Ok(ExitCode::SUCCESS)
}
