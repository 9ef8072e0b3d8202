//! `twine sqlite --at`: SQLite's shell on a host, with a database that only its owner can open.
//!
//! The owner's key is at hand, so the manifest is made and signed here, for this one run.

use super::connect::{ConnectOptions, Host};
use super::streams;
use crate::collateral;
use crate::failure::Failure;
use crate::key_command::read_private;
use crate::locate;
use crate::manifest::{SignedFile, sign_with};
use crate::program::Program;
use crate::terminal::Lines;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use twine_channel::message::{self, Answer, Request};
use twine_evidence::access::Access;
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::manifest::{
    AllowedImage, Demands, Handover, Manifest, Restart, VERSION, is_name,
};
use twine_evidence::owner::PublicKey;
use twine_evidence::platform::{Platform, Root};
use twine_evidence::terms::{
    Diagnostics, KeyPolicy, Limits, Mount, MountKind, Stream, Streams, Terms, Variable,
};
use twine_image::inspect_file;

/// What a deployment of a database is called, before the database's name.
const PREFIX: &str = "sqlite-";

/// The memory that the shell may take, in bytes.
const MEMORY: u64 = 256 << 20;

/// The options of a shell on this machine: a host follows none of them.
const LOCAL: [&str; 12] = [
    "volumes",
    "folders",
    "memories",
    "key",
    "read_only",
    "cache",
    "tee",
    "image",
    "no_code_cache",
    "no_guard_pages",
    "stats",
    "stats_json",
];

/// Where the shell runs, and for whom.
#[derive(Debug, clap::Args)]
pub(crate) struct Elsewhere {
    /// Run the shell on this host, as HOST:PORT. DATABASE is then the name of a database there, which
    /// opens for the owner's key and in the installed image alone
    #[arg(long, value_name = "HOST:PORT", requires = "owner_key", conflicts_with_all = LOCAL)]
    pub(crate) at: Option<String>,

    /// Accept a host whose SGX is simulated, which protects nothing
    #[arg(long, requires = "at")]
    simulation: bool,

    /// Image that the host must run [default: the installed one]
    #[arg(long, value_name = "FILE", requires = "at")]
    host_image: Option<PathBuf>,

    /// Older image from which the database is taken over, by its MRENCLAVE. The host must have that image
    /// too (`twine host --from`). May be given several times
    #[arg(long = "from", value_name = "MRENCLAVE", requires = "at", value_parser = measurement)]
    from: Vec<Digest>,

    /// Private key of the database's owner, in PEM
    #[arg(long, value_name = "FILE", requires = "at")]
    owner_key: Option<PathBuf>,

    #[command(flatten)]
    collateral: collateral::Options,
}

/// Reads an MRENCLAVE.
fn measurement(text: &str) -> Result<Digest, String> {
    let wrong = "an MRENCLAVE has 64 hexadecimal digits: `twine image inspect` prints it";
    Digest::from_hex(text).ok_or_else(|| wrong.into())
}

/// Runs SQLite's shell with these arguments on the host `at`. On a terminal, the user edits `lines`.
pub(crate) fn run(
    at: &str,
    elsewhere: Elsewhere,
    database: &OsStr,
    rest: Vec<OsString>,
    lines: Option<Lines>,
    quiet: bool,
) -> Result<ExitCode, Failure> {
    let program = Program::read(&locate::program("sqlite.wasm")?)?.into_bytes()?;
    let key_file = elsewhere.owner_key.clone().unwrap_or_default();
    let key = read_private(&key_file)?;
    let manifest = manifest(&elsewhere, key.public(), Digest::of(&program), name(database)?, rest)?;
    let options = ConnectOptions { key: key_file, collateral: elsewhere.collateral, quiet };
    let held = SignedFile::of_bytes(Path::new(database), sign_with(&key, &manifest)?)?;
    let host = Host::new(at, &held, options)?;
    let mut proven = host.connect(false)?;
    let deploy = Request::Deploy(message::Deploy {
        manifest: Bytes(held.bytes()),
        secrets: Vec::new(),
        detach: false,
        replace: false,
        terminals: streams::terminals(),
    });
    let mut answer = proven.ask(&deploy, super::answer_limit())?;
    if answer == Answer::Wanted {
        answer = proven.upload(&program, |_| (), super::answer_limit())?;
    }
    match lines {
        Some(lines) => streams::edit(&host, &held, proven, answer, lines),
        None => streams::run(&host, &held, proven, answer),
    }
}

/// Returns the name of the deployment that has a database.
fn name(database: &OsStr) -> Result<String, Failure> {
    let name = database.to_str().filter(|name| !name.is_empty());
    let name = name.map(|name| format!("{PREFIX}{name}")).filter(|name| is_name(name));
    name.ok_or_else(|| {
        Failure::usage(
            format!("{} can't be the name of a database on a host", database.display()),
            "name it with letters, digits and characters of `._-`",
        )
    })
}

fn manifest(
    elsewhere: &Elsewhere,
    owner: &PublicKey,
    program: Digest,
    name: String,
    rest: Vec<OsString>,
) -> Result<Manifest, Failure> {
    let image = locate::host_image(elsewhere.host_image.clone())?;
    let inspected = inspect_file(image.path())?;
    let mut arguments: Vec<Bytes> = vec!["sqlite3".into(), "/main.db".into()];
    arguments.extend(rest.into_iter().map(|argument| Bytes(argument.into_vec())));
    Ok(Manifest {
        format: VERSION,
        name,
        // A newer one would shut out a second machine of the owner's. Nobody but the enclave gets the
        // manifest, so none needs to be withdrawn.
        version: 1,
        generation: 1,
        owner: owner.der().into(),
        terms: Terms {
            program,
            arguments,
            // The shell looks for its settings in HOME, which is in the volume.
            environment: vec![Variable { name: "HOME".into(), value: "/".into() }],
            secrets: Vec::new(),
            export: None,
            streams: Streams { stdin: Stream::Owner, stdout: Stream::Owner, stderr: Stream::Owner },
            mounts: vec![Mount {
                guest: "/".into(),
                kind: MountKind::Volume,
                key: Some(KeyPolicy::Deployment),
                read_only: false,
                size: None,
                main: None,
                former: None,
            }],
            sockets: Vec::new(),
            limits: Limits { memory: Some(MEMORY), fuel: None, timeout: None, interrupts: false },
            diagnostics: Diagnostics { backtraces: true, statistics: false },
        },
        images: vec![AllowedImage {
            measurement: Some(Digest(inspected.mrenclave.0)),
            ..AllowedImage::default()
        }],
        demands: Demands::default(),
        access: Access::default(),
        restart: Restart::Never,
        platform: Platform {
            root: if elsewhere.simulation { Root::Simulation } else { Root::Intel },
            ..Platform::default()
        },
        handover: Handover { from: elsewhere.from.clone() },
    })
}
