//! The rivals as processes. Each run is a new process: this is the time that a user waits, with
//! nothing left over from the run before.

use crate::error::{Error, Result, about};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The ways to run a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runner {
    /// `twine run`.
    Enclave,
    /// Twine's engine outside of any enclave, with explicit bounds checks.
    Outside,
    /// wasmtime with its crate's default settings, outside of any enclave.
    Wasmtime,
    /// The same with a module that its first run compiled, and that is mapped from a file.
    Precompiled,
}

impl Runner {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Runner::Enclave => "in the enclave",
            Runner::Outside => "outside, explicit checks",
            Runner::Wasmtime => "outside, wasmtime's own settings",
            Runner::Precompiled => "outside, wasmtime, precompiled",
        }
    }
}

/// The milliseconds of the phases of one run; 0 for a phase that a runner does not have.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Milliseconds {
    pub load: f64,
    pub enter_and_leave: f64,
    pub receive: f64,
    pub compile: f64,
    pub instantiate: f64,
    pub run: f64,
}

/// The report of one run, in the format of `twine run --stats-json`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Stats {
    pub milliseconds: Milliseconds,
    /// The number of times that a thread left the enclave on purpose.
    pub exits: u64,
    /// The number of host calls, by name.
    pub calls: BTreeMap<String, u64>,
    /// The time that the host took to serve them, by name.
    pub call_milliseconds: BTreeMap<String, f64>,
    pub volumes: Vec<VolumeStats>,
}

/// The counters of a mounted volume.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct VolumeStats {
    pub counts: BTreeMap<String, u64>,
}

impl Stats {
    /// Returns the sum of a counter over all volumes.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.volumes.iter().filter_map(|volume| volume.counts.get(name)).sum()
    }
}

/// A program to run.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub program: PathBuf,
    /// The export to call instead of `_start`.
    pub invoke: Option<String>,
    pub arguments: Vec<String>,
    /// Whether to discard the output instead of keeping it.
    pub quiet: bool,
    /// Whether to compile in any case, and ignore cached code.
    pub anew: bool,
    /// Options of `twine run`, only for the enclave.
    pub options: Vec<String>,
}

impl Job {
    pub(crate) fn new(program: impl Into<PathBuf>, arguments: &[&str]) -> Self {
        Job {
            program: program.into(),
            invoke: None,
            arguments: arguments.iter().map(ToString::to_string).collect(),
            quiet: false,
            anew: false,
            options: Vec::new(),
        }
    }

    pub(crate) fn invoke(program: impl Into<PathBuf>, function: &str, argument: u64) -> Self {
        let job = Job::new(program, &[&argument.to_string()]);
        Job { invoke: Some(function.to_owned()), ..job }
    }
}

/// The result of one run.
#[derive(Debug)]
pub(crate) struct Run {
    /// The time from the start of the process to its end.
    pub wall: Duration,
    pub stdout: Vec<u8>,
    pub code: Option<i32>,
    /// The report, if it was asked for.
    pub stats: Stats,
}

/// The paths of all programs and folders.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The checkout.
    pub root: PathBuf,
    /// The `twine` command.
    pub twine: PathBuf,
    /// The folder of the example programs.
    pub guests: PathBuf,
    /// The folder of the rivals.
    rivals: PathBuf,
    /// A folder for the files of a run.
    pub scratch: PathBuf,
    /// This program.
    own: PathBuf,
}

impl Workspace {
    /// Finds the paths.
    ///
    /// # Errors
    /// An error if the `twine` command has not been built.
    pub(crate) fn find(
        twine: Option<PathBuf>,
        guests: Option<PathBuf>,
        rivals: Option<PathBuf>,
    ) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new("."));
        let twine = twine.unwrap_or_else(|| root.join("target/release/twine"));
        if !twine.exists() {
            return Err(Error::NotBuilt(twine));
        }
        let own = about("the path of this program", std::env::current_exe())?;
        let scratch = std::env::temp_dir().join(format!("twine-bench-{}", std::process::id()));
        // The folder will hold compiled code: no other user may have made it, or may write to it.
        about(scratch.display(), DirBuilder::new().mode(0o700).create(&scratch))?;
        Ok(Workspace {
            root: root.to_owned(),
            twine,
            guests: guests.unwrap_or_else(|| root.join("target/guests")),
            rivals: rivals.unwrap_or_else(|| root.join("target/rivals")),
            scratch,
            own,
        })
    }

    /// Returns the example program with that name.
    pub(crate) fn guest(&self, name: &str) -> Result<PathBuf> {
        let path = self.guests.join(name).with_extension("wasm");
        if path.exists() { Ok(path) } else { Err(Error::NoProgram(path)) }
    }

    /// Returns a program that `cargo xtask rivals` has built.
    pub(crate) fn rival(&self, name: &str) -> Result<PathBuf> {
        let path = self.rivals.join(name);
        if path.exists() { Ok(path) } else { Err(Error::NoRival(path)) }
    }

    /// Compiles one of the benchmark's own programs from its text.
    pub(crate) fn own_program(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.scratch.join(name).with_extension("wasm");
        let binary = wat::parse_str(text).map_err(|error| Error::Program(error.to_string()))?;
        about(path.display(), fs::write(&path, binary))?;
        Ok(path)
    }

    /// Returns the `twine` command, with its own workspace for compiled code: it does not use code
    /// that others have stored.
    pub(crate) fn twine(&self) -> Command {
        let mut command = Command::new(&self.twine);
        command.env("TWINE_CACHE", self.code(false));
        command
    }

    /// Returns the workspace for compiled code, or that of jobs that compile anew.
    pub(crate) fn code(&self, anew: bool) -> PathBuf {
        self.scratch.join(if anew { "code-anew" } else { "code" })
    }

    /// Runs a job to its end. Without `stats`, the command is exactly a user's.
    ///
    /// # Errors
    /// An error if the job does not run. The program may end with any exit code.
    pub(crate) fn run(&self, runner: Runner, job: &Job, stats: bool) -> Result<Run> {
        let told = self.scratch.join("stats.json");
        let mut command = self.command(runner, job);
        if stats {
            let _ = fs::remove_file(&told);
            command.arg("--stats-json").arg(&told);
        }
        self.complete(&mut command, job);
        let start = Instant::now();
        let output = about(runner.name(), command.output())?;
        let wall = start.elapsed();

        let stats = if stats { fs::read(&told).ok() } else { Some(b"{}".to_vec()) };
        let stats = stats.and_then(|json| serde_json::from_slice(&json).ok());
        let code = output.status.code();
        let failed = |why: String| Error::Failed { command: runner.name().into(), why };
        match (stats, code) {
            (Some(stats), Some(_)) => Ok(Run { wall, stdout: output.stdout, code, stats }),
            _ => Err(failed(cause(&output.stderr, output.status))),
        }
    }

    /// Adds the program, its arguments, and the workspace for its code.
    fn complete(&self, command: &mut Command, job: &Job) {
        command.arg(&job.program).args(&job.arguments);
        command.stdin(Stdio::null());
        if job.quiet {
            command.stdout(Stdio::null());
        }
        if job.anew {
            let _ = fs::remove_dir_all(self.code(true));
            command.env("TWINE_CACHE", self.code(true));
        }
    }

    /// Runs a job to its successful end. Returns its time and its peak of resident KiB.
    ///
    /// # Errors
    /// An error if the job does not run, or does not succeed.
    pub(crate) fn peak(&self, runner: Runner, job: &Job) -> Result<(Duration, f64)> {
        let mut command = self.command(runner, job);
        self.complete(&mut command, job);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let mut child = about(runner.name(), command.spawn())?;
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0.0;
        let ended = loop {
            if let Some(ended) = about(runner.name(), child.try_wait())? {
                break ended;
            }
            // The kernel keeps this value as long as the process exists.
            let now = fs::read_to_string(&status).ok().as_deref().and_then(high_water);
            peak = now.unwrap_or(peak);
            std::thread::sleep(Duration::from_millis(2));
        };
        match ended.success() {
            true => Ok((start.elapsed(), peak)),
            false => Err(Error::Failed {
                command: format!("{}, {}", job.program.display(), runner.name()),
                why: ended.to_string(),
            }),
        }
    }

    fn native(&self) -> Command {
        let mut command = Command::new(&self.own);
        command.arg("native-run");
        command
    }

    pub(crate) fn command(&self, runner: Runner, job: &Job) -> Command {
        let mut command = match runner {
            Runner::Enclave => {
                let mut command = self.twine();
                command.args(["run", "--quiet"]).args(&job.options);
                command
            }
            Runner::Outside => self.native(),
            Runner::Wasmtime => {
                let mut command = self.native();
                command.arg("--own-settings");
                command
            }
            Runner::Precompiled => {
                let name = job.program.file_name().unwrap_or(job.program.as_os_str());
                let mut command = self.native();
                command.arg("--own-settings").arg("--module");
                command.arg(self.scratch.join(name).with_extension("cwasm"));
                command
            }
        };
        if let Some(function) = &job.invoke {
            command.args(["--invoke", function]);
        }
        command
    }

    /// Runs a job, and fails if the program did.
    pub(crate) fn run_well(&self, runner: Runner, job: &Job, stats: bool) -> Result<Run> {
        let run = self.run(runner, job, stats)?;
        match run.code {
            Some(0) => Ok(run),
            code => Err(Error::Failed {
                command: format!("{}, {}", job.program.display(), runner.name()),
                why: format!("exit code {code:?}"),
            }),
        }
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

/// Returns the peak of resident KiB from a process's status.
fn high_water(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Returns the cause of a process's failure, in one line.
pub(crate) fn cause(stderr: &[u8], status: std::process::ExitStatus) -> String {
    let text = String::from_utf8_lossy(stderr);
    match text.lines().find(|line| !line.trim().is_empty()) {
        Some(line) => line.trim_start_matches("error: ").to_owned(),
        None => status.to_string(),
    }
}
