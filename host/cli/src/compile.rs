//! `twine compile`, and what compiles a program when it is run.

use crate::cache::{self, Settings};
use crate::failure::Failure;
use crate::options::{CompilerName, Target};
use crate::print::{print_error, print_line};
use crate::program::{Program, is_standard_input};
use crate::{memory, xdg};
use clap::Args;
use serde_json::json;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Instant;
use twine_host::{CodeFile, Resources};
use twine_protocol::launch::{Compiler, End, Launch, Limits};
use twine_protocol::task::Task;

/// Programs of more bytes take long enough to compile that one wants to be told.
const LARGE: usize = 1 << 20;

/// Of the file that is locked while code is compiled for the one beside it.
const LOCK: &str = "lock";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The program, a .wasm or .wat file, or - for the standard input
    program: PathBuf,

    /// With what
    #[arg(long, value_enum, default_value = "optimizing")]
    compiler: OneCompiler,

    /// For runs with --fuel
    #[arg(long)]
    fuel: bool,

    /// For runs with --timeout
    #[arg(long)]
    timeout: bool,

    #[command(flatten)]
    target: Target,

    /// Say nothing but errors
    #[arg(long, short)]
    quiet: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum OneCompiler {
    /// Cranelift: takes its time, and makes fast code
    Optimizing,
    /// Winch: takes a fraction of that time, and makes slower code
    Baseline,
}

/// Holds others off who would compile the same; nothing if somebody does already. What can't be
/// locked can't be kept there either: that is found out before the work.
fn lock(code: &Path) -> Result<Option<fs::File>, Failure> {
    let file = xdg::make_folder(code)
        .and_then(|()| fs::File::create(code.with_extension(LOCK)))
        .map_err(|error| cache::cannot_store(code, &error))?;
    match file.try_lock() {
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        // Without a lock the same is compiled twice, and one of them kept.
        _ => Ok(Some(file)),
    }
}

/// How many threads may compile.
pub(crate) fn threads() -> u64 {
    thread::available_parallelism().map_or(1, |cores| cores.get() as u64)
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let program = Program::read(&arguments.program)?;
    let (image, platform) = arguments.target.choose(program.len(), arguments.quiet)?;
    let baseline = arguments.compiler == OneCompiler::Baseline;
    let settings = Settings {
        fuel: arguments.fuel,
        timeout: arguments.timeout,
        explicit_checks: arguments.target.no_guard_pages,
        baseline,
    };
    let code = cache::code_file(&image, &program, settings).ok_or_else(cache::no_folder)?;
    if arguments.target.no_code_cache {
        // What is kept is made anew.
        let _ = fs::remove_file(code.path());
    }
    let path = code.path().to_owned();
    let Some(_lock) = lock(&path)? else {
        if arguments.json {
            print_line!(
                "{:#}",
                json!({ "program": arguments.program.display().to_string(), "kept": false })
            );
        } else if !arguments.quiet {
            print_line!("{}: another process is compiling it", arguments.program.display());
        }
        return Ok(ExitCode::SUCCESS);
    };
    if !arguments.quiet {
        announce(&arguments.program, program.len(), Some(&code));
    }
    let launch = Launch {
        task: Task::Compile,
        limits: Limits {
            memory: None,
            fuel: arguments.fuel.then_some(1),
            timeout: arguments.timeout.then_some(1),
            interrupts: false,
        },
        explicit_checks: arguments.target.no_guard_pages,
        compiler: if baseline { Compiler::Baseline } else { Compiler::Optimizing },
        compile_threads: threads(),
        keep_code: true,
        ..Launch::default()
    };
    let resources = Resources { code: Some(code), ..Resources::default() };
    let program = program.into_host_program()?;
    let begun = Instant::now();
    let report = twine_host::run(&image, platform, &launch, program, resources);
    let _ = fs::remove_file(path.with_extension(LOCK));
    let compiler = if baseline { CompilerName::Baseline } else { CompilerName::Optimizing };
    let report = report.map_err(|error| memory::failure(error, &image, Some(compiler)))?;
    if let End::Refused { cause, remedy } = report.outcome.end {
        if let Some(error) = &report.not_kept {
            return Err(cache::cannot_store(&path, error));
        }
        return Err(Failure::new(cause, remedy));
    }
    let bytes = fs::metadata(&path).map_or(0, |metadata| metadata.len());
    let seconds = begun.elapsed().as_secs_f64();
    if arguments.json {
        let program = arguments.program.display().to_string();
        let value = json!({ "program": program, "kept": true, "bytes": bytes, "seconds": seconds });
        print_line!("{value:#}");
    } else if !arguments.quiet {
        print_line!(
            "{}: {:.1} MiB of code are kept, after {:.1} s",
            arguments.program.display(),
            bytes as f64 / f64::from(1 << 20),
            seconds,
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// What compiles a program that is to be run, and where its code is.
pub(crate) struct CompilePlan {
    pub compiler: Compiler,
    pub code: Option<CodeFile>,
}

/// Chooses by what the user wants and what is kept; with `auto` and nothing kept, has another
/// process compile the program for the next start.
pub(crate) fn plan(
    wanted: CompilerName,
    target: &Target,
    program: &Path,
    settings: Settings,
    file: impl Fn(Settings) -> Option<CodeFile>,
) -> CompilePlan {
    let compiler = match wanted {
        CompilerName::Optimizing => Compiler::Optimizing,
        CompilerName::Baseline => Compiler::Baseline,
        // Without guard pages, or where no other process can read the program or leave its code,
        // there is nothing to choose.
        CompilerName::Auto
            if target.no_guard_pages || target.no_code_cache || is_standard_input(program) =>
        {
            Compiler::Optimizing
        }
        CompilerName::Auto => Compiler::BaselineIfPossible,
    };
    if target.no_code_cache {
        return CompilePlan { compiler, code: None };
    }
    let optimized = file(settings);
    let baseline = Settings { baseline: true, ..settings };
    match compiler {
        Compiler::Optimizing => CompilePlan { compiler, code: optimized },
        Compiler::Baseline => CompilePlan { compiler, code: file(baseline) },
        Compiler::BaselineIfPossible => match optimized {
            Some(code) if code.path().exists() => {
                CompilePlan { compiler: Compiler::Optimizing, code: Some(code) }
            }
            _ => {
                compile_in_background(target, program, settings);
                CompilePlan { compiler, code: file(baseline) }
            }
        },
    }
}

/// Starts another `twine` that compiles the program, and does not wait for it. If that fails,
/// the next start is as this one.
fn compile_in_background(target: &Target, program: &Path, settings: Settings) {
    let Ok(twine) = env::current_exe() else { return };
    let mut arguments: Vec<OsString> = vec![twine.into(), "compile".into(), "--quiet".into()];
    arguments.extend(target.options());
    if settings.fuel {
        arguments.push("--fuel".into());
    }
    if settings.timeout {
        arguments.push("--timeout".into());
    }
    arguments.extend(["--".into(), program.into()]);
    let spawned = Command::new("nice")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C at the terminal is for the program, not for it.
        .process_group(0)
        .spawn();
    drop(spawned);
}

/// Tells somebody at a terminal that compiling will take a while.
pub(crate) fn announce(program: &Path, bytes: usize, code: Option<&CodeFile>) {
    let cached = code.is_some_and(|code| code.path().exists());
    if bytes > LARGE && !cached && io::stderr().is_terminal() {
        let later = if code.is_some() { "; later starts need not" } else { "" };
        print_error!("twine: compiling {}{later}", program.display());
    }
}
