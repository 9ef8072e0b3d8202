//! The rivals as processes, each run new: what a user waits for, with nothing left over from
//! the run before.

use crate::error::{Error, Result, about};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Who runs a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runner {
    /// `twine run`.
    Enclave,
    /// Twine's engine outside of any enclave, with explicit checks of bounds.
    Outside,
    /// wasmtime as its crate sets it up, outside of any enclave.
    Wasmtime,
    /// The same with a module that was compiled at its first run, and is mapped from a file.
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

/// Milliseconds of the phases of one run; 0 for what a runner doesn't have.
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

/// What a runner tells of one run, as `twine run --stats-json` writes it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Stats {
    pub milliseconds: Milliseconds,
    /// Times that a thread left the enclave on purpose.
    pub exits: u64,
    /// Host calls by name.
    pub calls: BTreeMap<String, u64>,
    /// How long the host took to serve them.
    pub call_milliseconds: BTreeMap<String, f64>,
    pub volumes: Vec<VolumeStats>,
}

/// What a mounted volume has counted.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct VolumeStats {
    pub counts: BTreeMap<String, u64>,
}

impl Stats {
    /// What all volumes together have counted.
    pub(crate) fn count(&self, name: &str) -> u64 {
        self.volumes.iter().filter_map(|volume| volume.counts.get(name)).sum()
    }
}

/// What is to be run.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub program: PathBuf,
    /// An export instead of `_start`.
    pub invoke: Option<String>,
    pub arguments: Vec<String>,
    /// Throw the output away instead of keeping it.
    pub quiet: bool,
    /// Compile, whatever code the enclave has kept before.
    pub anew: bool,
    /// Options of `twine run`, for the enclave only.
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

/// One run.
#[derive(Debug)]
pub(crate) struct Run {
    /// From the start of the process to its end.
    pub wall: Duration,
    pub stdout: Vec<u8>,
    pub code: Option<i32>,
    /// What was told of it, if it was asked for.
    pub stats: Stats,
}

/// Where everything is.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// The checkout.
    pub root: PathBuf,
    /// The `twine` command.
    pub twine: PathBuf,
    /// The folder of the example programs.
    pub guests: PathBuf,
    /// The folder of what they are compared with.
    rivals: PathBuf,
    /// A folder for files of a run.
    pub scratch: PathBuf,
    /// This program.
    own: PathBuf,
}

impl Workspace {
    /// # Errors
    /// When the `twine` command has not been built.
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
        // Compiled code is kept there: nobody else may have made it, or write to it.
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

    /// The example program of that name.
    pub(crate) fn guest(&self, name: &str) -> Result<PathBuf> {
        let path = self.guests.join(name).with_extension("wasm");
        if path.exists() { Ok(path) } else { Err(Error::NoProgram(path)) }
    }

    /// A program that `cargo xtask rivals` has built.
    pub(crate) fn rival(&self, name: &str) -> Result<PathBuf> {
        let path = self.rivals.join(name);
        if path.exists() { Ok(path) } else { Err(Error::NoRival(path)) }
    }

    /// A program of the measurements' own, from its text.
    pub(crate) fn own_program(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.scratch.join(name).with_extension("wasm");
        let binary = wat::parse_str(text).map_err(|error| Error::Program(error.to_string()))?;
        about(path.display(), fs::write(&path, binary))?;
        Ok(path)
    }

    /// The `twine` command, with a workspace of its own for compiled code: what others have kept
    /// there is not used.
    pub(crate) fn twine(&self) -> Command {
        let mut command = Command::new(&self.twine);
        command.env("TWINE_CACHE", self.code(false));
        command
    }

    /// The workspace for compiled code, or for that of jobs that compile anew.
    pub(crate) fn code(&self, anew: bool) -> PathBuf {
        self.scratch.join(if anew { "code-anew" } else { "code" })
    }

    /// Runs a job to its end. Without `stats`, nothing is asked that a user would not ask.
    ///
    /// # Errors
    /// When it does not run. A program may end as it likes.
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

    /// The program, what it is given, and the workspace for its code.
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

    /// Runs a job to its good end: how long it took, and the most KiB that were resident.
    ///
    /// # Errors
    /// When it does not run or does not end well.
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
            // The kernel keeps it as long as the process is there.
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

    /// Runs a job, and fails unless the program ended well.
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

/// Of a process's status, the most KiB that were resident so far.
fn high_water(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

/// Why a process failed, in one line.
pub(crate) fn cause(stderr: &[u8], status: std::process::ExitStatus) -> String {
    let text = String::from_utf8_lossy(stderr);
    match text.lines().find(|line| !line.trim().is_empty()) {
        Some(line) => line.trim_start_matches("error: ").to_owned(),
        None => status.to_string(),
    }
}
