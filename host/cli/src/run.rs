//! `twine run`.

use crate::evidence::EvidenceOptions;
use crate::failure::Failure;
use crate::formers;
use crate::manifest::Held;
use crate::mounts::{self, Prepared};
use crate::options::{CompilerName, LimitOptions, Target};
use crate::print::{print_error, print_line};
use crate::program::Program;
use crate::report::ReportOptions;
use crate::variables::{Variables, environment, is_named, secrets};
use crate::{cache, compile, custody, memory, oci, signals};
use clap::Args;
use std::ffi::OsString;
use std::net::TcpListener;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::thread;
use std::time::Duration;
use twine_host::{Platform, Report};
use twine_protocol::launch::{Diagnostics, End, Invoke, Launch, Limits, Streams};
use twine_protocol::task::Task;

/// The exit code after a trap: 128 + SIGABRT, as in wasmtime.
pub(crate) const TRAP_EXIT_CODE: u8 = 134;

/// The time that an enclave has after `--timeout` to end by itself.
const TIMEOUT_GRACE: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[arg(
        help = "Program to run (a .wasm or .wat file, - for the standard input, or \
                oci:FOLDER[:NAME] for an OCI image), and its arguments",
        required = true,
        trailing_var_arg = true,
        value_names = ["PROGRAM", "ARGUMENTS"]
    )]
    program: Vec<OsString>,

    /// Hold the run to this signed manifest. It decides all terms: arguments, environment, exported
    /// function, limits, streams, mounts and their keys. Give each of its volumes a file with --dir
    /// FILE::GUEST, each folder a place with --plain-dir, each secret a value with --secret, and
    /// each listener an address with --listen
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,

    /// Older image, from which the volumes of the manifest's deployment are taken over if the manifest
    /// says so. May be given several times
    #[arg(long = "from", value_name = "FILE", requires = "manifest")]
    from: Vec<PathBuf>,

    /// Set an environment variable of the program; without a value, pass on this command's own
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    environment: Vec<OsString>,

    /// Set an environment variable as --env does; evidence has its name, and not its value
    #[arg(long = "secret", value_name = "NAME[=VALUE|=@FILE]")]
    secrets: Vec<OsString>,

    /// Call this exported function instead of `_start`, with the arguments as its parameters
    #[arg(long, value_name = "FUNCTION")]
    invoke: Option<String>,

    #[command(flatten)]
    limits: LimitOptions,

    #[command(flatten)]
    files: mounts::Mounts,

    /// Give the program a socket that listens on this address, such as 127.0.0.1:8080; its
    /// descriptor follows those of the mounts
    #[arg(long = "listen", alias = "tcplisten", value_name = "ADDRESS")]
    listen: Vec<String>,

    /// Compiler to use if the program has no cached code
    #[arg(long, value_enum, default_value = "optimizing")]
    compiler: CompilerName,

    #[command(flatten)]
    evidence: EvidenceOptions,

    #[command(flatten)]
    target: Target,

    #[command(flatten)]
    report_options: ReportOptions,
}

fn listeners(addresses: &[String]) -> Result<Vec<TcpListener>, Failure> {
    let listen = |address: &String| {
        let failed = |error| {
            Failure::system(
                format!("--listen {address}: {error}"),
                &error,
                "name an address of this machine and a free port, such as 127.0.0.1:8080",
            )
        };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        // With port 0 the system chooses a port, and the user cannot know which.
        if address.ends_with(":0") {
            print_error!("twine: listening on {bound}");
        }
        Ok(listener)
    };
    addresses.iter().map(listen).collect()
}

/// Returns the platform that can run `launch`. If software SGX has no root secret, it can still run
/// requests that seal nothing, without the code cache; unless `quiet`, this prints a note about it.
pub(crate) fn usable_platform(
    platform: Platform,
    launch: &Launch,
    quiet: bool,
) -> Result<Platform, Failure> {
    match platform.sealing() {
        Ok(()) => Ok(platform),
        Err(error @ twine_host::Error::RootSecret(_)) if !twine_host::needs_sealing(launch) => {
            if !quiet {
                print_error!("twine: nothing can be sealed, and code is not cached: {error}");
            }
            Ok(Platform::Throwaway)
        }
        Err(error) => Err(error.into()),
    }
}

/// A run with everything that it needs.
pub(crate) struct Run {
    pub program: Program,
    /// The program's file.
    pub name: PathBuf,
    /// The file that messages name: the program, or the database of `twine sqlite`.
    pub subject: PathBuf,
    /// The program's arguments, its name first.
    pub arguments: Vec<Vec<u8>>,
    pub environment: Variables,
    /// The names of the variables whose values evidence leaves out.
    pub secrets: Vec<Vec<u8>>,
    pub invoke: Option<Invoke>,
    pub limits: Limits,
    pub streams: Streams,
    pub diagnostics: Diagnostics,
    /// The signed manifest that the enclave holds the run to.
    pub manifest: Option<Vec<u8>>,
    /// Older images, from which its volumes are taken over.
    pub from: Vec<PathBuf>,
    pub compiler: CompilerName,
    pub prepared: Prepared,
    pub evidence: EvidenceOptions,
    pub target: Target,
    pub report_options: ReportOptions,
}

/// Ends this command if the enclave is still running some time after the timeout. An enclave that
/// waits in a host call does not notice the timeout itself.
fn start_watchdog(timeout: Duration, is_held: bool) -> Result<(), Failure> {
    let (whose, more) = match is_held {
        false => ("of --timeout", "give it more time"),
        true => ("that its manifest allows", "have the manifest's owner give it more time"),
    };
    let wait = move || {
        thread::sleep(timeout.saturating_add(TIMEOUT_GRACE));
        print_error!(
            "error: the program was still running {TIMEOUT_GRACE:?} after the time {whose}"
        );
        print_error!("  help: it waits for input or output: close its streams, or {more}");
        signals::remove_folders();
        process::exit(TRAP_EXIT_CODE.into());
    };
    thread::Builder::new().spawn(wait).map(drop).map_err(|error| {
        Failure::new(
            format!("no thread can be started for the time limit: {error}"),
            "raise the limits of processes and of memory: `ulimit -u`, `ulimit -v`, `ulimit -d`",
        )
    })
}

pub(crate) fn run(arguments: Arguments) -> Result<ExitCode, Failure> {
    match &arguments.manifest {
        Some(path) => run_held(&Held::read(path)?, arguments),
        None => run_freely(arguments),
    }
}

/// Runs a program under a manifest.
fn run_held(held: &Held, arguments: Arguments) -> Result<ExitCode, Failure> {
    let mut given = arguments.program.into_iter();
    let path = PathBuf::from(given.next().expect("clap requires a program"));
    let fixed = [
        ("--env", !arguments.environment.is_empty()),
        ("--invoke", arguments.invoke.is_some()),
        ("--timeout", arguments.limits.timeout.is_some()),
        ("--max-memory", arguments.limits.max_memory.is_some()),
        ("--fuel", arguments.limits.fuel.is_some()),
        ("--key", arguments.files.key().is_some()),
        ("--read-only", arguments.files.is_read_only()),
        ("--tmpfs", !arguments.files.memories().is_empty()),
    ];
    held.check_fixed(&fixed, given.len(), arguments.report_options.statistics())?;
    arguments.files.check_mapdir()?;
    held.check_listeners(arguments.listen.len())?;
    let environment = held.environment(secrets(&arguments.secrets)?)?;
    let program = Program::read(&path)?;
    let mut prepared = held.mounts(&arguments.files, arguments.report_options.quiet)?;
    prepared.resources.listeners = listeners(&arguments.listen)?;
    Run {
        program,
        subject: path.clone(),
        name: path,
        arguments: held.arguments(),
        environment,
        secrets: held.secrets(),
        invoke: held.invoke(),
        limits: held.limits(),
        streams: held.streams(),
        diagnostics: held.diagnostics(),
        manifest: Some(held.bytes()),
        from: arguments.from,
        compiler: arguments.compiler,
        evidence: arguments.evidence,
        prepared,
        target: arguments.target,
        report_options: arguments.report_options,
    }
    .run()
}

/// Runs a program as the command line says.
fn run_freely(arguments: Arguments) -> Result<ExitCode, Failure> {
    let secrets = secrets(&arguments.secrets)?;
    let mut given = arguments.program.into_iter();
    let path = PathBuf::from(given.next().expect("clap requires a program"));
    let mut variables = arguments.environment;
    let has_arguments = given.len() > 0 || arguments.invoke.is_some();
    let (program, name, given, files) = match oci::reference(&path) {
        Some(reference) => {
            let found = oci::open(&reference, has_arguments)?;
            // Those of the command line come last, and so replace others.
            variables.splice(0..0, found.environment.into_iter().map(OsString::from));
            let given: Vec<_> =
                found.arguments.into_iter().map(OsString::from).chain(given).collect();
            (found.program, found.name.into_bytes(), given, found.files)
        }
        None => {
            let name = path.file_name().unwrap_or(path.as_os_str()).as_bytes().to_vec();
            (Program::read(&path)?, name, given.collect(), None)
        }
    };
    let mut prepared = arguments.files.prepare(arguments.report_options.quiet)?;
    if let Some(files) = files {
        prepared.image(files)?;
    }
    prepared.resources.listeners = listeners(&arguments.listen)?;
    let (invoke, rest) = match arguments.invoke {
        Some(function) => {
            let arguments =
                given.iter().map(|value| value.to_string_lossy().into_owned()).collect();
            (Some(Invoke { function, arguments }), Vec::new())
        }
        None => (None, given.into_iter().map(OsString::into_vec).collect()),
    };
    let names = secrets.iter().map(|(name, _)| name.clone()).collect();
    variables.retain(|variable| !secrets.iter().any(|(name, _)| is_named(variable, name)));
    Run {
        program,
        subject: path.clone(),
        name: path,
        arguments: [vec![name], rest].concat(),
        environment: [environment(variables), secrets].concat(),
        secrets: names,
        invoke,
        limits: Limits {
            memory: arguments.limits.max_memory,
            fuel: arguments.limits.fuel,
            timeout: arguments.limits.nanoseconds(),
            interrupts: false,
        },
        streams: Streams::default(),
        diagnostics: arguments.report_options.diagnostics(),
        manifest: None,
        from: Vec::new(),
        compiler: arguments.compiler,
        prepared,
        evidence: arguments.evidence,
        target: arguments.target,
        report_options: arguments.report_options,
    }
    .run()
}

impl Run {
    /// Runs the program, and returns the command's exit code.
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        self.evidence.check_file(&self.prepared)?;
        self.report_options.check_file(&self.prepared)?;
        let (image, platform) =
            self.target.choose(self.program.len(), self.report_options.quiet)?;
        // `made` is declared first, so that it is dropped last: it removes files whose locks are
        // in `resources`.
        let Prepared { made, image: _image, mounts, mut resources, .. } = self.prepared;
        let mut launch = Launch {
            task: Task::Program,
            arguments: self.arguments,
            environment: self.environment,
            invoke: self.invoke,
            mounts,
            listeners: resources.listeners.len() as u64,
            limits: self.limits,
            explicit_checks: self.target.no_guard_pages,
            compile_threads: compile::threads(),
            secrets: self.secrets,
            streams: self.streams,
            diagnostics: self.diagnostics,
            manifest: self.manifest,
            ..Launch::default()
        };
        if !self.report_options.quiet {
            memory::warn_if_too_large(&image, &launch);
            custody::note(&image, platform, &launch);
        }
        let evidence = self.evidence.prepare(platform)?;
        launch.evidence = evidence.request();
        resources.attestation = Some(evidence.attestation());
        let platform = usable_platform(platform, &launch, self.report_options.quiet)?;
        let target = match platform {
            Platform::Throwaway => self.target.without_code_cache(),
            _ => self.target,
        };
        resources.formers = formers::open(&self.from, platform, "twine: ")?;
        let settings = launch.code_settings();
        let plan = compile::plan(self.compiler, &target, &self.name, settings, |settings| {
            cache::code_file(&image, &self.program, settings)
        });
        resources.code = plan.code;
        launch.compiler = plan.compiler;
        launch.cache_code = resources.code.is_some();
        if !self.report_options.quiet {
            compile::announce(&self.name, self.program.len(), resources.code.as_ref());
        }
        if let Some(timeout) = self.limits.timeout {
            start_watchdog(Duration::from_nanos(timeout), launch.manifest.is_some())?;
        }
        let program = self.program.into_host_program()?;
        let cached = resources.code.as_ref().is_some_and(|code| code.path().exists());
        let compiler = Some(self.compiler).filter(|_| !cached);
        let report = twine_host::run(&image, platform, &launch, program, resources);
        drop(made);
        if let Some(failure) = evidence.failure() {
            return Err(failure);
        }
        let report = report.map_err(|error| memory::failure(error, &image, compiler))?;
        let code = exit_code(&self.subject, &report);
        self.report_options.print(&report)?;
        for trouble in &report.outcome.troubles {
            print_error!("error: {trouble}");
        }
        let code = code?;
        // A run is not successful if the program's files could not be written.
        let troubled = !report.outcome.troubles.is_empty() && code == ExitCode::SUCCESS;
        Ok(if troubled { ExitCode::FAILURE } else { code })
    }
}

fn exit_code(subject: &Path, report: &Report) -> Result<ExitCode, Failure> {
    match &report.outcome.end {
        End::Exited { code, results } => {
            for result in results {
                print_line!("{result}");
            }
            Ok(ExitCode::from(*code as u8))
        }
        End::Trapped { cause, backtrace } => {
            print_error!("error: {}: {cause}", subject.display());
            for frame in backtrace {
                print_error!("  {frame}");
            }
            Ok(ExitCode::from(TRAP_EXIT_CODE))
        }
        End::Refused { cause, remedy } => {
            Err(Failure::new(format!("{}: {cause}", subject.display()), remedy.clone()))
        }
    }
}
