//! `twine host`.

use crate::collateral;
use crate::failure::Failure;
use crate::formers;
use crate::input::{self, MAX_TEXT_BYTES};
use crate::key_command::bad_key;
use crate::memory;
use crate::options::Target;
use crate::owner_key::public_from_pem;
use crate::print::print_error;
use crate::prover::Prover;
use crate::size;
use crate::xdg;
use clap::Args;
use clap::builder::RangedU64ValueParser;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::thread;
use twine_host::{
    Attestation, ConnectRule, Image, ListenRule, Network, NoQuote, Platform, Resources, State,
};
use twine_image::inspect_file;
use twine_protocol::launch::{End, Launch};
use twine_protocol::task::{HostTask, Task};
use twine_protocol::wire::Issuer;

#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 after SIGTERM or SIGINT, when all programs have ended; 1 if the host \
                  can't be started; 2 for wrong usage."
)]
pub(crate) struct Arguments {
    /// Address to listen on, such as 0.0.0.0:7443
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7443")]
    listen: String,

    /// Folder for the volumes of deployments, and for what the enclave keeps sealed [default:
    /// ~/.local/state/twine/host]
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,

    /// Admit this owner: a public key in PEM. May be given several times [default: everybody]
    #[arg(long = "owner", value_name = "FILE")]
    owners: Vec<PathBuf>,

    /// Limit on the number of deployments
    #[arg(long, value_name = "N", default_value = "1024", value_parser = at_least_one())]
    max_deployments: u64,

    /// Limit on the number of deployments of one owner [default: that of all]
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    per_owner: Option<u64>,

    /// Limit on the number of programs that run at once. Others wait
    #[arg(long, value_name = "N", default_value = "64", value_parser = at_least_one())]
    max_running: u64,

    /// Limit on the memory of all programs that run together, such as 2GiB [default: what the
    /// image has]
    #[arg(long, value_name = "SIZE", value_parser = size::bytes)]
    max_memory: Option<u64>,

    /// Limit on the memory of one program, such as 256MiB [default: that of all]
    #[arg(long, value_name = "SIZE", value_parser = size::bytes)]
    max_memory_each: Option<u64>,

    // For the evidence of peers, which programs in the enclave verify.
    #[command(flatten)]
    collateral: collateral::Options,

    /// Let programs listen on this address of the machine, and on these ports [default: all], such as
    /// 0.0.0.0:8000-8999 or 127.0.0.1:443. May be given several times [default: they listen nowhere]
    #[arg(long = "allow-listen", value_name = "ADDRESS[:PORTS]")]
    allow_listen: Vec<ListenRule>,

    /// Let programs connect to this host, and to these ports [default: all], such as
    /// db.example.com:5432, *.example.com:443 or *. May be given several times [default: to nobody]
    #[arg(long = "allow-connect", value_name = "HOST[:PORTS]")]
    allow_connect: Vec<ConnectRule>,

    /// Limit on the memory of all programs of one owner that run together, such as 1GiB. Others of
    /// that owner wait [default: that of all]
    #[arg(long, value_name = "SIZE", value_parser = size::bytes)]
    max_memory_owner: Option<u64>,

    /// Older image of `twine host`, whose deployments the newer image takes over if their owners'
    /// manifests allow it. May be given several times
    #[arg(long = "from", value_name = "FILE")]
    from: Vec<PathBuf>,

    #[command(flatten)]
    target: Target,
}

/// A host that may run nothing would let every program wait for ever.
fn at_least_one() -> RangedU64ValueParser {
    RangedU64ValueParser::new().range(1..)
}

/// The failure with the address to listen on.
fn listen(address: &str) -> Result<TcpListener, Failure> {
    let failed = |error: io::Error| {
        Failure::system(
            format!("--listen {address}: {error}"),
            &error,
            "name an address of this machine and a free port, such as 0.0.0.0:7443",
        )
    };
    TcpListener::bind(address).map_err(failed)
}

fn owner(path: &Path) -> Result<[u8; 32], Failure> {
    let pem = input::whole(path, MAX_TEXT_BYTES)?;
    let key = public_from_pem(&pem).map_err(|error| bad_key(path, &error))?;
    Ok(key.id().0)
}

/// Threads of the enclave beside those of programs: for connections, and for evidence.
const OWN_THREADS: u64 = 2;

/// Checks that the image has threads for so many programs at once.
fn check_threads(image: &Image, running: u64) -> Result<(), Failure> {
    let threads = inspect_file(image.path())?.threads.len() as u64;
    if threads >= running.saturating_add(OWN_THREADS) {
        return Ok(());
    }
    let cause = format!(
        "{} has {threads} threads; {running} programs at once take {}",
        image.path().display(),
        running.saturating_add(OWN_THREADS)
    );
    Err(Failure::usage(
        cause,
        match threads.saturating_sub(OWN_THREADS) {
            0 => "leave --image out, or build one with more: `twine image build --threads`".into(),
            most => format!(
                "leave --image out, allow fewer programs (--max-running {most}), or build an image \
                 with more threads: `twine image build --threads`"
            ),
        },
    ))
}

/// Serves the enclave, and says on the standard error what fails.
struct Served(Prover);

fn no_quote(failure: &Failure) -> NoQuote {
    print_error!("<3>no quote: {}", failure.cause());
    NoQuote
}

impl Attestation for Served {
    fn quote(&self, report: &[u8]) -> Result<Vec<u8>, NoQuote> {
        self.0.quote(report).map_err(|failure| no_quote(&failure))
    }

    fn target(&self) -> Result<Vec<u8>, NoQuote> {
        self.0.target().map_err(|failure| no_quote(&failure))
    }

    fn collateral(&self, fmspc: [u8; 6], issuer: Issuer) -> Option<Vec<u8>> {
        let warn =
            |failure: Failure| print_error!("<4>no collateral of a peer: {}", failure.cause());
        self.0.collateral(fmspc, issuer, warn)
    }

    fn evidence(&self, _: &[u8]) -> io::Result<()> {
        // The enclave passes its evidence on to clients.
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Makes the standard input a pipe, whose end asks the enclave to end, and closes it at the first
/// signal. The second one ends this process.
fn end_at_signals() -> io::Result<()> {
    let (read, write) = rustix::pipe::pipe()?;
    rustix::stdio::dup2_stdin(&read)?;
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    thread::Builder::new().spawn(move || {
        let mut write: Option<OwnedFd> = Some(write);
        for signal in signals.forever() {
            if write.take().is_none() {
                process::exit(128 + signal);
            }
            print_error!("<6>ending: programs have 10 seconds");
        }
    })?;
    Ok(())
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    let owners = arguments.owners.iter().map(|path| owner(path)).collect::<Result<_, _>>()?;
    let (image, platform) = arguments.target.choose_host()?;
    platform.sealing()?;
    check_threads(&image, arguments.max_running)?;
    let folder = arguments
        .state
        .or_else(|| xdg::folder("XDG_STATE_HOME", ".local/state").map(|at| at.join("twine/host")));
    let folder = folder.ok_or_else(|| {
        Failure::usage(
            "there is no folder for the state: this user has no home",
            "name one: --state",
        )
    })?;
    let state = State::open(&folder).map_err(|error| Failure::new(&error, error.remedy()))?;
    let formers = formers::open(&arguments.from, platform, "<4>")?;
    let prover = Prover::new(platform, arguments.collateral.for_peers()?);
    let quoting_target = prover.target()?;
    let listener = listen(&arguments.listen)?;
    let address = listener.local_addr();
    let launch = Launch {
        task: Task::Host(Box::new(HostTask {
            target: quoting_target,
            owners,
            deployments: arguments.max_deployments,
            per_owner: arguments.per_owner.unwrap_or(u64::MAX),
            running: arguments.max_running,
            memory: arguments.max_memory,
            each: arguments.max_memory_each,
            each_owner: arguments.max_memory_owner,
        })),
        listeners: 1,
        ..Launch::default()
    };
    let resources = Resources {
        listeners: vec![listener],
        state: Some(state),
        formers,
        network: Network {
            listen: arguments.allow_listen,
            connect: arguments.allow_connect,
            log: |line| print_error!("{line}"),
        },
        attestation: Some(Box::new(Served(prover))),
        ..Resources::default()
    };
    end_at_signals().map_err(|error| {
        Failure::system(
            format!("signals can't be handled: {error}"),
            &error,
            "raise the limits of processes and of files: `ulimit -u`, `ulimit -n`",
        )
    })?;
    if let Ok(address) = address {
        print_error!("<6>listening on {address}, with {}", image.path().display());
    }
    if platform == Platform::Simulated {
        print_error!("<4>SGX is simulated: it protects nothing from this machine");
    }
    let report = twine_host::run(&image, platform, &launch, Vec::new(), resources)
        .map_err(|error| memory::failure(error, &image, None))?;
    match report.outcome.end {
        End::Exited { .. } => Ok(ExitCode::SUCCESS),
        End::Trapped { cause, .. } => Err(Failure::new(cause, "this is a bug in Twine")),
        End::Refused { cause, remedy } => Err(Failure::new(cause, remedy)),
    }
}
