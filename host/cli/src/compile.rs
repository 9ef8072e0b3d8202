//! `twine compile`, and the choice of the compiler for `twine run`.

use crate::cache;
use crate::failure::Failure;
use crate::options::{CompilerName, Target};
use crate::print::{print_error, print_line};
use crate::program::{Program, is_standard_input};
use crate::{locate, memory, xdg};
use clap::Args;
use serde_json::json;
use std::ffi::OsString;
use std::fs;
use std::io::{self, IsTerminal};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Instant;
use twine_host::{CodeFile, Resources};
use twine_protocol::code::CodeSettings;
use twine_protocol::launch::{Compiler, End, Launch, Limits};
use twine_protocol::task::Task;

/// The command prints a note before it compiles a program larger than this many bytes.
const LARGE: usize = 1 << 20;

/// The extension of the file that is locked while the code beside it is compiled.
const LOCK: &str = "lock";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Program to compile: a .wasm or .wat file, or - for the standard input
    program: PathBuf,

    /// Compiler to use
    #[arg(long, value_enum, default_value = "optimizing")]
    compiler: OneCompiler,

    /// Compile for runs that use --fuel
    #[arg(long)]
    fuel: bool,

    /// Compile for runs that use --timeout
    #[arg(long)]
    timeout: bool,

    #[command(flatten)]
    target: Target,

    /// Print errors only
    #[arg(long, short)]
    quiet: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum OneCompiler {
    /// Cranelift, which makes fast code
    Optimizing,
    /// Winch, which takes a fraction of the time and makes slower code
    Baseline,
}

/// Locks a file in the code cache, so that no other process compiles the same code. Returns `None`
/// if another process holds the lock. Fails if the cache can't be written, before any work is done.
fn lock(code: &Path) -> Result<Option<fs::File>, Failure> {
    let file = xdg::make_folder(code)
        .and_then(|()| fs::File::create(code.with_extension(LOCK)))
        .map_err(|error| cache::cannot_store(code, &error))?;
    match file.try_lock() {
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        // Without a lock the code may be compiled twice, and one result is stored.
        _ => Ok(Some(file)),
    }
}

/// Returns the number of threads that may compile.
pub(crate) fn threads() -> u64 {
    thread::available_parallelism().map_or(1, |cores| cores.get() as u64)
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let program = Program::read(&arguments.program)?;
    let (image, platform) = arguments.target.choose(program.len(), arguments.quiet)?;
    let baseline = arguments.compiler == OneCompiler::Baseline;
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
        cache_code: true,
        ..Launch::default()
    };
    let code =
        cache::code_file(&image, &program, launch.code_settings()).ok_or_else(cache::no_folder)?;
    if arguments.target.no_code_cache {
        // The cached code is replaced.
        let _ = fs::remove_file(code.path());
    }
    let path = code.path().to_owned();
    let Some(_lock) = lock(&path)? else {
        if arguments.json {
            print_line!(
                "{:#}",
                json!({ "program": arguments.program.display().to_string(), "cached": false })
            );
        } else if !arguments.quiet {
            print_line!("another process is compiling {}", arguments.program.display());
        }
        return Ok(ExitCode::SUCCESS);
    };
    if !arguments.quiet {
        announce(&arguments.program, program.len(), Some(&code));
    }
    let resources = Resources { code: Some(code), ..Resources::default() };
    let program = program.into_host_program()?;
    let begun = Instant::now();
    let report = twine_host::run(&image, platform, &launch, program, resources);
    let _ = fs::remove_file(path.with_extension(LOCK));
    let compiler = if baseline { CompilerName::Baseline } else { CompilerName::Optimizing };
    let report = report.map_err(|error| memory::failure(error, &image, Some(compiler)))?;
    if let End::Refused { cause, remedy } = report.outcome.end {
        if let Some(error) = &report.cache_error {
            return Err(cache::cannot_store(&path, error));
        }
        return Err(Failure::new(cause, remedy));
    }
    let bytes = fs::metadata(&path).map_or(0, |metadata| metadata.len());
    let seconds = begun.elapsed().as_secs_f64();
    if arguments.json {
        let program = arguments.program.display().to_string();
        let value =
            json!({ "program": program, "cached": true, "bytes": bytes, "seconds": seconds });
        print_line!("{value:#}");
    } else if !arguments.quiet {
        print_line!(
            "{}: compiled in {:.1} s, {:.1} MiB of code cached",
            arguments.program.display(),
            seconds,
            bytes as f64 / f64::from(1 << 20),
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// The compiler of a program that will run, and the file of its cached code.
pub(crate) struct CompilePlan {
    pub compiler: Compiler,
    pub code: Option<CodeFile>,
}

/// Chooses the compiler by the user's option and the code cache. With `auto` and no cached code,
/// starts another process that compiles the program for the next run.
pub(crate) fn plan(
    wanted: CompilerName,
    target: &Target,
    program: &Path,
    settings: CodeSettings,
    file: impl Fn(CodeSettings) -> Option<CodeFile>,
) -> CompilePlan {
    let compiler = match wanted {
        CompilerName::Optimizing => Compiler::Optimizing,
        CompilerName::Baseline => Compiler::Baseline,
        // Winch needs guard pages. Another process can compile for the next run only if it can read
        // the program and store the code.
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
    let baseline = CodeSettings { baseline: true, ..settings };
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

/// Starts another `twine` process that compiles the program, and does not wait for it. If that
/// fails, the next run does the same as this one.
fn compile_in_background(target: &Target, program: &Path, settings: CodeSettings) {
    let Ok(twine) = locate::command() else { return };
    let mut arguments: Vec<OsString> = vec![twine.into(), "compile".into(), "--quiet".into()];
    arguments.extend(target.options());
    if settings.fuel {
        arguments.push("--fuel".into());
    }
    if settings.epochs {
        arguments.push("--timeout".into());
    }
    arguments.extend(["--".into(), program.into()]);
    let spawned = Command::new("nice")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C at the terminal is for the program, not for this process.
        .process_group(0)
        .spawn();
    drop(spawned);
}

/// Prints a note on a terminal that compiling takes a while.
pub(crate) fn announce(program: &Path, bytes: usize, code: Option<&CodeFile>) {
    let cached = code.is_some_and(|code| code.path().exists());
    if bytes > LARGE && !cached && io::stderr().is_terminal() {
        let later = if code.is_some() { " (only at the first start)" } else { "" };
        print_error!("twine: compiling {}{later}", program.display());
    }
}
