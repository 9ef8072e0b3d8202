//! `twine deploy`.

use super::connect::{ConnectOptions, Host};
use super::streams;
use crate::failure::Failure;
use crate::manifest::SignedFile;
use crate::print::print_error;
use crate::program::Program;
use crate::variables;
use crate::volume::progress::ProgressLine;
use clap::Args;
use std::ffi::OsString;
use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use twine_channel::message::{self, Answer, Request, Secret};
use twine_client::TimeLimit;
use twine_evidence::bytes::{Bytes, Digest};
use twine_host::Progress;
use twine_protocol::wire::Unit;

/// How long a program may take on its way.
const UPLOAD: Duration = Duration::from_secs(60 * 60);

#[derive(Debug, Args)]
pub(crate) struct Deploy {
    #[command(flatten)]
    start: Start,

    /// Replace the version that runs
    #[arg(long)]
    replace: bool,
}

/// The options of `twine update`, which are those of `twine deploy --replace`.
#[derive(Debug, Args)]
pub(crate) struct Update {
    #[command(flatten)]
    start: Start,
}

/// What to start, and where.
#[derive(Debug, Args)]
struct Start {
    /// Host to deploy to, as HOST:PORT
    host: String,

    /// Signed manifest of the deployment, as `twine manifest sign` writes it
    manifest: PathBuf,

    /// Program (a .wasm or .wat file). It can be left out if the host has got it from this owner
    /// before
    program: Option<PathBuf>,

    /// Give a secret of the manifest its value: the contents of a file with @, this command's own
    /// variable of that name without a value
    #[arg(long = "secret", value_name = "NAME[=VALUE|=@FILE]")]
    secrets: Vec<OsString>,

    /// Leave the program running on the host, and return at once
    #[arg(long, short)]
    detach: bool,

    #[command(flatten)]
    options: ConnectOptions,
}

/// Checks that the secrets are those that the manifest names, each once.
fn check_secrets(held: &SignedFile, given: &[Secret]) -> Result<(), Failure> {
    let wanted: Vec<_> = held.manifest().terms.secrets.iter().map(|name| name.0.clone()).collect();
    for name in &wanted {
        let count = given.iter().filter(|secret| secret.name.0 == *name).count();
        if count != 1 {
            let name = Bytes(name.clone()).escaped();
            return Err(Failure::usage(
                match count {
                    0 => format!("the manifest's secret {name} has no value"),
                    _ => format!("the secret {name} is given twice"),
                },
                format!("give it one value: --secret {name}=@FILE"),
            ));
        }
    }
    match given.iter().find(|secret| !wanted.contains(&secret.name.0)) {
        None => Ok(()),
        Some(secret) => Err(Failure::usage(
            format!("--secret {}: the manifest has no such secret", secret.name.escaped()),
            "leave it out, or have the manifest's owner name it",
        )),
    }
}

/// Returns the program's bytes, if they are what the manifest names.
fn program(path: &Path, held: &SignedFile) -> Result<Vec<u8>, Failure> {
    let bytes = Program::read(path)?.into_bytes()?;
    let (found, wanted) = (Digest::of(&bytes), held.manifest().terms.program);
    if found != wanted {
        return Err(Failure::new(
            format!(
                "{} is another program than the manifest names: its SHA-256 is {found}, and the \
                 manifest's {wanted}",
                path.display()
            ),
            "name the program that the manifest was made for, or sign a manifest for this one",
        ));
    }
    Ok(bytes)
}

/// Runs `twine deploy`.
pub(crate) fn deploy(arguments: Deploy) -> Result<ExitCode, Failure> {
    start(arguments.start, arguments.replace)
}

/// Runs `twine update`.
pub(crate) fn update(arguments: Update) -> Result<ExitCode, Failure> {
    start(arguments.start, true)
}

fn start(arguments: Start, replace: bool) -> Result<ExitCode, Failure> {
    let held = SignedFile::read(&arguments.manifest)?;
    let given = variables::each_secret(&arguments.secrets)?.into_iter();
    let given = given.map(|(name, value)| Secret { name: Bytes(name), value: Bytes(value) });
    let given: Vec<Secret> = given.collect();
    check_secrets(&held, &given)?;
    // Found before the host is asked, so that a mistake shows at once.
    let bytes = arguments.program.as_deref().map(|path| program(path, &held)).transpose()?;
    let manifest = held.manifest();
    let host = Host::new(&arguments.host, &held, arguments.options)?;
    let mut proven = host.connect(true)?;
    let request = Request::Deploy(message::Deploy {
        manifest: Bytes(held.bytes()),
        secrets: given,
        detach: arguments.detach,
        replace,
        terminals: streams::terminals(),
    });
    let mut answer = proven.ask(&request, super::answer_limit())?;
    if answer == Answer::Wanted {
        let bytes = bytes.ok_or_else(|| {
            Failure::usage(
                format!("{} has not got the program of {} yet", host.address(), manifest.name),
                "name the program's file after the manifest",
            )
        })?;
        let shows = !host.is_quiet() && stderr().is_terminal();
        let line = ProgressLine::default();
        let total = bytes.len() as u64;
        let progress = |sent| {
            if shows {
                line.progress(sent, Some(total), Unit::Bytes);
            }
        };
        answer = proven.upload(&bytes, progress, TimeLimit::new(UPLOAD))?;
    }
    if answer == Answer::Done {
        if !host.is_quiet() {
            print_error!("twine: {} runs at {}", manifest.name, host.address());
        }
        return Ok(ExitCode::SUCCESS);
    }
    streams::run(&host, &held, proven, answer)
}
