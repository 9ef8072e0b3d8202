//! Runs one program in an enclave.

use crate::code::CodeFile;
use crate::device::{Device, Loaded, Platform};
use crate::driver::Memory;
use crate::enter;
use crate::error::Error;
use crate::image::Image;
use crate::limits::Shortage;
use crate::process;
use crate::program::Program;
use crate::service::{self, Abnormal, Interposer, Resources, Said, Service};
use crate::stats::Stats;
use std::sync::Arc;
use std::time::{Duration, Instant};
use twine_image::Sigstruct;
use twine_protocol::key::VolumeKey;
use twine_protocol::launch::{End, Launch, Outcome, Source};
use twine_protocol::task::{OpenVolume, Operation, Task};

/// The report of a run.
#[derive(Debug, Clone)]
pub struct Report {
    /// The outcome that the enclave reported.
    pub outcome: Outcome,
    /// Counts of host calls.
    pub stats: Stats,
    /// The durations of the host's phases.
    pub phases: Phases,
    /// The error that kept the program's compiled code from being cached.
    pub cache_error: Option<Arc<std::io::Error>>,
}

/// The durations of the host's phases.
#[derive(Debug, Clone, Copy, Default)]
pub struct Phases {
    /// Reading, measuring and loading the image.
    pub load: Duration,
    /// From the first entry to the last exit.
    pub inside: Duration,
}

/// Runs `program` in an enclave of `image`, with the settings in `launch`, until it ends. The mounts
/// in `launch` refer to storages and folders in `resources` by number.
///
/// # Errors
/// If the image can't be loaded, or the enclave ends abnormally. A program that traps or is refused
/// is not an error: the outcome reports it.
pub fn run(
    image: &Image,
    platform: Platform,
    launch: &Launch,
    program: impl Into<Program>,
    resources: Resources,
) -> Result<Report, Error> {
    let device = || Device::open(platform);
    run_with(image, platform, device, launch, program.into(), resources, None)
}

/// Does what [`run`] does, with an interposer between the enclave and this host.
///
/// # Errors
/// The errors of [`run`]. An interposer can cause any of them.
pub fn run_interposed(
    image: &Image,
    platform: Platform,
    launch: &Launch,
    program: impl Into<Program>,
    resources: Resources,
    interposer: Arc<dyn Interposer>,
) -> Result<Report, Error> {
    let device = || Device::open(platform);
    run_with(image, platform, device, launch, program.into(), resources, Some(interposer))
}

/// Does what [`run`] does, on a model of the kernel's driver that can inject faults.
///
/// # Errors
/// The errors of [`run`].
pub fn run_modelled(
    image: &Image,
    kernel: sgx_sim::Kernel,
    launch: &Launch,
    program: impl Into<Program>,
    resources: Resources,
) -> Result<Report, Error> {
    let device = || Ok(Device::of_model(kernel));
    run_with(image, Platform::Simulated, device, launch, program.into(), resources, None)
}

fn run_with(
    image: &Image,
    platform: Platform,
    device: impl FnOnce() -> Result<Device, Error>,
    launch: &Launch,
    program: Program,
    resources: Resources,
    interposer: Option<Arc<dyn Interposer>>,
) -> Result<Report, Error> {
    enter::link();
    let service = Arc::new(Service::new(&launch.encode(), program, resources, interposer));

    service.interrupts().connect(&service);
    let start = Instant::now();
    let attributes =
        twine_image::launch_attributes(&image.sigstruct, xcr0()).map_err(Error::Attributes)?;
    if platform == Platform::Throwaway && needs_sealing(launch) {
        return Err(Error::Throwaway);
    }
    let loaded = device()?.load(image, attributes)?;
    process::check_resources(loaded.threads.max(1))?;
    let memory = loaded.memory.clone();
    let _ = service.memory.set(memory.clone());
    let registration = service::register(memory.elrange(), service.clone());
    let command = command(loaded, &image.sigstruct)?;
    let load = start.elapsed();

    let start = Instant::now();
    let result = command.run();
    let inside = start.elapsed();
    drop(registration);

    let said = std::mem::take(&mut *service.said());
    let stats = service.stats();
    if stats.unread.program > 0 {
        return Err(Error::ProgramUnread { pages: stats.unread.program });
    }
    let outcome = outcome(said, result, platform, &memory)?;
    let cache_error = service.code().and_then(CodeFile::error);
    Ok(Report { outcome, stats, phases: Phases { load, inside }, cache_error })
}

/// Returns the runner of a loaded enclave.
fn command(loaded: Loaded, sigstruct: &Sigstruct) -> Result<enclave_runner::Command, Error> {
    // The enclave is loaded already, so the builder does not read an image.
    let mut builder = enclave_runner_sgx::EnclaveBuilder::new_from_memory(&[]);
    builder.sigstruct(sigstruct.clone());
    let mut builder = enclave_runner::EnclaveBuilder::new(builder);
    // One worker for each thread of the enclave, so that a thread that waits in a host call does not
    // hold up another one.
    builder.num_worker_threads(loaded.threads.max(1));
    builder.build(loaded).map_err(|error| Error::Runner(format!("{error:#}")))
}

/// Returns XCR0, the processor state that the operating system has switched on.
pub(crate) fn xcr0() -> u64 {
    #[target_feature(enable = "xsave")]
    fn read() -> u64 {
        // SAFETY: processors with XSAVE, which the caller has checked for, have XCR0.
        unsafe { std::arch::x86_64::_xgetbv(0) }
    }
    if !std::is_x86_feature_detected!("xsave") {
        return 3;
    }
    // SAFETY: the CPU has XSAVE.
    unsafe { read() }
}

fn outcome(
    said: Said,
    result: anyhow::Result<()>,
    platform: Platform,
    memory: &Memory,
) -> Result<Outcome, Error> {
    let no_memory = |what: String| Error::NoMemory { what, shortage: Shortage::of_memory() };
    let short = || no_memory("the heap can't grow".into());
    if let Some(bytes) = said.outcome {
        let outcome = Outcome::decode(&bytes)?;
        // The enclave may report another reason, but this one kept it from running the program.
        if memory.was_short() && matches!(outcome.end, End::Refused { .. }) {
            return Err(short());
        }
        return Ok(outcome);
    }
    // If an allocation failed before an abnormal end, the allocation is the cause.
    if let (Some(size), Some(_)) = (said.exhausted, &said.abnormal) {
        return Err(if memory.was_short() { short() } else { Error::Exhausted { size } });
    }
    Err(match said.abnormal {
        Some(Abnormal::Panicked) => Error::Panicked {
            place: said.panic_place.map(|place| format!(" at {place}")).unwrap_or_default(),
        },
        Some(Abnormal::NoPage { address }) => {
            let what = format!("a page can't be added at address {address:#x}");
            match platform {
                Platform::Hardware => Error::NoEpc(what),
                _ => no_memory(what),
            }
        }
        Some(Abnormal::Exception { vector, address }) => {
            Error::Exception { vector, name: exception_name(vector), address }
        }
        Some(Abnormal::NotEntered(errno)) => not_entered(std::io::Error::from_raw_os_error(-errno)),
        None => match result {
            Ok(()) => Error::NoReport,
            Err(error) => Error::Runner(format!("{error:#}")),
        },
    })
}

/// Returns the error for a thread that could not enter.
fn not_entered(error: std::io::Error) -> Error {
    match error.raw_os_error() {
        // Software SGX could not allocate a signal stack.
        Some(libc::EAGAIN | libc::ENOMEM) => Error::NoMemory {
            what: format!("a thread can't enter: {error}"),
            shortage: Shortage::of_memory(),
        },
        _ => Error::Runner(error.to_string()),
    }
}

/// Whether a request needs a sealing key. The code cache does not count, because a program can run
/// without it; but it is the only purpose of [`Task::Compile`].
pub fn needs_sealing(launch: &Launch) -> bool {
    let sealed = |key: &VolumeKey| matches!(key, VolumeKey::Sealed(_));
    let opened =
        |volume: &OpenVolume| [&volume.key].into_iter().chain(&volume.more_keys).any(sealed);
    match &launch.task {
        Task::Compile | Task::Host(_) | Task::Handover => true,
        Task::Program => launch.mounts.iter().any(|mount| match &mount.source {
            Source::Volume(volume) => sealed(&volume.key),
            Source::Folder(_) | Source::Memory(_) => false,
        }),
        Task::Volume(task) => match &task.operation {
            // Reading the header takes no key.
            Operation::Info { header: true, .. } => false,
            Operation::AddKey { key } | Operation::RotateKey { key, .. } => {
                sealed(key) || opened(&task.volume)
            }
            Operation::Export { target: other } | Operation::Import { source: other } => {
                opened(other) || opened(&task.volume)
            }
            _ => opened(&task.volume),
        },
    }
}

/// Returns the name of an exception (SDM Vol. 3A, table 6-1).
fn exception_name(vector: u16) -> &'static str {
    match vector {
        0 => "divide error",
        1 => "debug",
        3 => "breakpoint",
        5 => "bound range",
        6 => "invalid opcode",
        13 => "general protection",
        14 => "page fault",
        16 => "x87 floating point",
        17 => "alignment check",
        19 => "SIMD floating point",
        _ => "unknown",
    }
}
