//! The rivals outside of an enclave: the hidden mode `native-run` of this program.
//!
//! It runs a program with Twine's engine, with the settings for memories without guard pages, or
//! with wasmtime with its crate's default settings: guard pages, signals for traps, linear memories
//! initialised copy-on-write. In both cases as many threads compile as there are cores, as for the
//! enclave, and WASI is Twine's, over [`Native`].

use crate::process::{Milliseconds, Stats};
use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::time::ClockId;
use std::fs;
use std::io::{self, IsTerminal};
use std::os::fd::BorrowedFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Instant;
use twine_engine::{End, EngineConfig, Identified, Invoke, Limits, Start};
use twine_wasi::{
    Clock, Exit, Interest, PollRequest, Readiness, StreamKind, System, SystemError, Wasi,
};
use wasmtime::{Engine, Linker, Module, Store, Val, ValType};

/// The stack for WebAssembly frames, of the 8 MiB that a main thread has.
const WASM_STACK: usize = 4 << 20;

/// The exit code of `twine run` after a trap.
const TRAPPED: u32 = 134;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// wasmtime's own settings instead of Twine's
    #[arg(long)]
    own_settings: bool,

    /// Where the compiled module is kept, if wasmtime's own settings are to run
    #[arg(long, value_name = "FILE", requires = "own_settings")]
    module: Option<PathBuf>,

    #[arg(long, value_name = "FUNCTION")]
    invoke: Option<String>,

    #[arg(long, value_name = "FILE")]
    stats_json: Option<PathBuf>,

    program: PathBuf,

    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// The result of a run: its exit code, and the results of the function, if one was called.
struct Ended {
    code: u32,
    results: Vec<String>,
}

/// Runs the program, and returns its exit code.
pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    match run_here(arguments) {
        Ok(ended) => {
            for result in ended.results {
                println!("{result}");
            }
            ExitCode::from(ended.code as u8)
        }
        Err(cause) => {
            eprintln!("error: {cause}");
            ExitCode::FAILURE
        }
    }
}

fn run_here(arguments: &Arguments) -> Result<Ended, String> {
    let start = start(arguments);
    let mut milliseconds = Milliseconds::default();
    let ended = if arguments.own_settings {
        with_own_settings(arguments, &start, &mut milliseconds)?
    } else {
        with_our_settings(read(&arguments.program)?, start, &mut milliseconds)?
    };
    if let Some(path) = &arguments.stats_json {
        let stats = Stats { milliseconds, ..Stats::default() };
        write_stats(path, &stats).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(ended)
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write_stats(path: &Path, stats: &Stats) -> io::Result<()> {
    fs::write(path, serde_json::to_vec(stats)?)
}

/// Returns the start of a program that `twine run` would make for the same arguments.
fn start(arguments: &Arguments) -> Start {
    let name = arguments.program.file_name().unwrap_or(arguments.program.as_os_str());
    let name = name.to_string_lossy().into_owned().into_bytes();
    let given = arguments.arguments.clone();
    let (invoke, rest) = match &arguments.invoke {
        Some(function) => {
            (Some(Invoke { function: function.clone(), arguments: given }), Vec::new())
        }
        None => (None, given.into_iter().map(String::into_bytes).collect()),
    };
    Start { arguments: [vec![name], rest].concat(), invoke, ..Start::default() }
}

/// Returns the milliseconds since the last call.
fn lap(last: &mut Instant) -> f64 {
    let now = Instant::now();
    (now - std::mem::replace(last, now)).as_secs_f64() * 1e3
}

fn with_our_settings(
    bytes: Vec<u8>,
    start: Start,
    milliseconds: &mut Milliseconds,
) -> Result<Ended, String> {
    let mut last = Instant::now();
    let program = Identified::new(bytes);
    milliseconds.receive = lap(&mut last);
    let compile_threads = thread::available_parallelism().map_or(1, |cores| cores.get());
    let platform =
        EngineConfig { wasm_stack: WASM_STACK, compile_threads, ..EngineConfig::default() };
    let compiled =
        program.compile(&Limits::default(), &platform).map_err(|error| error.to_string())?;
    milliseconds.compile = lap(&mut last);
    let linked =
        compiled.link(Box::new(Native), Vec::new(), start).map_err(|error| error.to_string())?;
    let end = linked.run(|| milliseconds.instantiate = lap(&mut last)).end;
    milliseconds.run = lap(&mut last);
    match end {
        End::Exited { code, results } => Ok(Ended { code, results }),
        End::Trapped { cause, .. } => {
            eprintln!("error: {cause}");
            Ok(Ended { code: TRAPPED, results: Vec::new() })
        }
        End::Refused(error) => Err(error.to_string()),
    }
}

/// Returns the compiled program, from a file if one is named. The first run creates that file.
#[allow(unsafe_code, reason = "wasmtime maps modules that it has compiled before")]
fn module(engine: &Engine, arguments: &Arguments) -> Result<Module, String> {
    let shown = |error: wasmtime::Error| format!("{error:#}");
    let Some(path) = &arguments.module else {
        return Module::from_binary(engine, &read(&arguments.program)?).map_err(shown);
    };
    if !path.exists() {
        let module = Module::from_binary(engine, &read(&arguments.program)?).map_err(shown)?;
        let bytes = module.serialize().map_err(shown)?;
        fs::write(path, bytes).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    // SAFETY: the file lies in a folder of this program. The program has just written it, or an
    // earlier run of the same measurement has.
    unsafe { Module::deserialize_file(engine, path) }.map_err(shown)
}

fn with_own_settings(
    arguments: &Arguments,
    start: &Start,
    milliseconds: &mut Milliseconds,
) -> Result<Ended, String> {
    let mut last = Instant::now();
    let shown = |error: wasmtime::Error| format!("{error:#}");
    let engine = Engine::default();
    let module = module(&engine, arguments)?;
    milliseconds.compile = lap(&mut last);

    let wasi = Wasi::new(Box::new(Native), start.arguments.clone(), start.environment.clone())
        .map_err(|error| error.to_string())?;
    let mut linker = Linker::new(&engine);
    twine_wasi::add_to_linker(&mut linker, |wasi| wasi).map_err(shown)?;
    let mut store = Store::new(&engine, wasi);
    let instance = linker.instantiate(&mut store, &module).map_err(shown)?;
    let name = start.function();
    let function = instance
        .get_func(&mut store, name)
        .ok_or_else(|| format!("the program has no function `{name}`"))?;
    let ty = function.ty(&store);
    let texts = start.invoke.iter().flat_map(|invoke| &invoke.arguments);
    let values = ty.params().zip(texts).map(|(ty, text)| value(&ty, text));
    let values = values.collect::<Option<Vec<_>>>().ok_or("arguments that are no integers")?;
    let mut results = vec![Val::I32(0); ty.results().len()];
    milliseconds.instantiate = lap(&mut last);

    let ended = function.call(&mut store, &values, &mut results);
    milliseconds.run = lap(&mut last);
    match ended {
        Ok(()) => Ok(Ended { code: 0, results: results.iter().map(show).collect() }),
        Err(error) => match error.downcast_ref() {
            Some(Exit(code)) => Ok(Ended { code: *code, results: Vec::new() }),
            None => {
                eprintln!("error: {error:#}");
                Ok(Ended { code: TRAPPED, results: Vec::new() })
            }
        },
    }
}

/// Parses a value. The programs of the measurements take and return only integers.
fn value(ty: &ValType, text: &str) -> Option<Val> {
    match ty {
        ValType::I32 => text.parse().ok().map(Val::I32),
        ValType::I64 => text.parse().ok().map(Val::I64),
        _ => None,
    }
}

fn show(value: &Val) -> String {
    match value {
        Val::I32(n) => n.to_string(),
        Val::I64(n) => n.to_string(),
        other => format!("{other:?}"),
    }
}

/// The host's functions, directly on the system.
struct Native;

fn system_error(error: &io::Error) -> SystemError {
    match Errno::from_io_error(error) {
        Some(Errno::BADF) => SystemError::BadStream,
        Some(Errno::PIPE) => SystemError::BrokenPipe,
        Some(Errno::NOSPC | Errno::DQUOT) => SystemError::NoSpace,
        Some(Errno::AGAIN) => SystemError::WouldBlock,
        Some(Errno::INTR) => SystemError::Interrupted,
        Some(Errno::INVAL) => SystemError::Invalid,
        _ => SystemError::Io,
    }
}

/// Returns one of the three standard streams.
fn descriptor(stream: u64) -> Result<BorrowedFd<'static>, SystemError> {
    match stream {
        0 => Ok(rustix::stdio::stdin()),
        1 => Ok(rustix::stdio::stdout()),
        2 => Ok(rustix::stdio::stderr()),
        _ => Err(SystemError::BadStream),
    }
}

/// Returns the stream as a separate file, which does not buffer.
fn file(stream: u64) -> Result<fs::File, SystemError> {
    let owned = descriptor(stream)?.try_clone_to_owned().map_err(|error| system_error(&error))?;
    Ok(owned.into())
}

fn clock(clock: Clock) -> ClockId {
    match clock {
        Clock::Realtime => ClockId::Realtime,
        Clock::Monotonic => ClockId::Monotonic,
        Clock::ProcessCpu => ClockId::ProcessCPUTime,
        Clock::ThreadCpu => ClockId::ThreadCPUTime,
    }
}

fn nanoseconds(time: Timespec) -> u64 {
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn readiness(polled: &PollFd<'_>) -> Readiness {
    let happened = polled.revents();
    if happened.contains(PollFlags::NVAL) {
        return Readiness::Bad;
    }
    if happened.is_empty() {
        return Readiness::Pending;
    }
    let bytes = match rustix::io::ioctl_fionread(polled) {
        Ok(bytes) if happened.contains(PollFlags::IN) => bytes.max(1),
        _ => 1,
    };
    Readiness::Ready { bytes, hangup: happened.intersects(PollFlags::HUP | PollFlags::ERR) }
}

impl System for Native {
    fn read(&mut self, stream: u64, bytes: &mut [u8]) -> Result<usize, SystemError> {
        loop {
            match rustix::io::read(descriptor(stream)?, &mut *bytes) {
                Err(Errno::INTR) => {}
                result => return result.map_err(|error| system_error(&error.into())),
            }
        }
    }

    fn write(&mut self, stream: u64, bytes: &[u8]) -> Result<usize, SystemError> {
        loop {
            match rustix::io::write(descriptor(stream)?, bytes) {
                Err(Errno::INTR) => {}
                result => return result.map_err(|error| system_error(&error.into())),
            }
        }
    }

    fn kind(&mut self, stream: u64) -> Result<StreamKind, SystemError> {
        let file = file(stream)?;
        let kind = file.metadata().map_err(|error| system_error(&error))?.file_type();
        Ok(if kind.is_file() {
            StreamKind::File
        } else if file.is_terminal() {
            StreamKind::Terminal
        } else if kind.is_char_device() {
            StreamKind::Device
        } else {
            StreamKind::Pipe
        })
    }

    fn poll(
        &mut self,
        requests: &[PollRequest],
        timeout: Option<u64>,
    ) -> Result<Vec<Readiness>, SystemError> {
        let mut polls = Vec::with_capacity(requests.len());
        for request in requests {
            let flags = match request.interest {
                Interest::Read => PollFlags::IN,
                Interest::Write => PollFlags::OUT,
            };
            polls.push(PollFd::from_borrowed_fd(descriptor(request.stream)?, flags));
        }
        let limit = timeout.map(|timeout| Timespec {
            tv_sec: (timeout / 1_000_000_000) as i64,
            tv_nsec: (timeout % 1_000_000_000) as _,
        });
        match rustix::event::poll(&mut polls, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(system_error(&error.into())),
        }
        Ok(polls.iter().map(readiness).collect())
    }

    fn time(&mut self, which: Clock) -> Result<u64, SystemError> {
        Ok(nanoseconds(rustix::time::clock_gettime(clock(which))))
    }

    fn resolution(&mut self, which: Clock) -> Result<u64, SystemError> {
        Ok(nanoseconds(rustix::time::clock_getres(clock(which))))
    }

    fn yield_now(&mut self) {
        thread::yield_now();
    }
}
