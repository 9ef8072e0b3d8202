//! Handles the launch request, and makes the outcome.

use crate::attestation::{self, identity};
use crate::code_cache::{self, Compilation};
use crate::guest::Guest;
use crate::host_system::HostSystem;
use crate::hosting;
use crate::mounts::{self, Mounted, Refused};
use crate::sealing_keys::SealingKeys;
use crate::takeover::{self, Takeover};
use crate::task;
use crate::terms::{Environment, NoValue, terms};
use std::cell::LazyCell;
use std::process;
use std::thread;
use twine_boundary::Error as BoundaryError;
use twine_engine::{
    self as engine, Compiled, Ended, EngineConfig, Guarded, Identified, Invoke, Limits, Linked,
    Socket, Start,
};
use twine_evidence::bytes::Bytes;
use twine_evidence::manifest::Refusal;
use twine_evidence::signed::Signed;
use twine_evidence::statement::{self, Deployment, Subject};
use twine_evidence::terms::Terms;
use twine_protocol::launch::{Compiler, End, Launch, Outcome, Timings, larger_image};
use twine_protocol::task::Task;
use twine_protocol::wire::{Clock, FIRST_SOCKET, Status};
use twine_sgx::{
    GuardedMemories, code_memory, code_refused, guarded_memories, host, pages_can_be_added,
    report_panics, use_processor, writable_code_at_start, writable_code_pages,
};

/// Size, in bytes, of the stack for the program's own frames. The main thread's stack in
/// `image.toml` has this size and 4 MiB for the functions that a program calls.
const WASM_STACK: usize = 8 << 20;

/// Limit on the threads that compile. More threads do not make it faster.
const MAX_COMPILE_THREADS: u64 = 16;

/// Does what the launch request asks for, and reports the outcome.
pub(crate) fn main() {
    report_panics();
    use_processor();
    let outcome = run();
    if host().report(&outcome).is_err() {
        process::exit(1);
    }
}

fn refused(cause: String, remedy: String) -> End {
    End::Refused { cause, remedy }
}

/// Makes the end of a program that the engine refuses.
pub(crate) fn refused_program(error: &engine::Error) -> End {
    let remedy = match error {
        engine::Error::NoMemory(_) => larger_image(0),
        engine::Error::CodeTooLarge { wanted, .. } => larger_image(*wanted),
        _ => error.remedy(),
    };
    refused(error.to_string(), remedy)
}

/// Makes the end for a message of the host that violates the protocol.
pub(crate) fn bad_host(error: &BoundaryError) -> End {
    let remedy = match error {
        BoundaryError::Memory { .. } => larger_image(0),
        _ => "use the `twine` command and the image of the same release".into(),
    };
    refused(error.to_string(), remedy)
}

/// Measures the time between its calls, if the launch request asks for timings.
struct Watch {
    wanted: bool,
    last: u64,
}

impl Watch {
    fn now(&self) -> u64 {
        if self.wanted { host().time(Clock::Monotonic).unwrap_or(self.last) } else { 0 }
    }

    fn lap(&mut self) -> u64 {
        let now = self.now();
        now - std::mem::replace(&mut self.last, now)
    }
}

fn run() -> Outcome {
    if !pages_can_be_added() {
        return Outcome::new(refused(
            "this image adds pages while it runs, and the machine can't: its CPU has no SGX2, or \
             Linux is older than 6.0"
                .into(),
            "use the image for such machines: --image twine-sgx1.sgxs".into(),
        ));
    }
    let launch = match host().launch() {
        Ok(launch) => launch,
        Err(error) => return Outcome::new(bad_host(&error)),
    };
    match &launch.task {
        Task::Volume(task) => return Outcome::new(task::run(task)),
        Task::Host(task) => return Outcome::new(hosting::run(task)),
        Task::Handover => return takeover::answer(),
        Task::Program | Task::Compile => {}
    }
    let mut outcome = Outcome::new(End::Exited { code: 0, results: Vec::new() });
    let mut timings = Timings::default();
    let end = match launch.task {
        Task::Compile => compile_program(&launch),
        _ => run_program(&launch, &mut timings, &mut outcome),
    };
    outcome.end = end;
    outcome.timings = launch.diagnostics.statistics.then_some(timings);
    outcome
}

/// Converts the memories with guards to the engine's type.
fn guarded(memories: GuardedMemories) -> Guarded {
    let GuardedMemories { reservation, guard, count, creator } = memories;
    Guarded { reservation, guard, most: count, memories: creator }
}

fn limits(launch: &Launch) -> Limits {
    Limits {
        memory: launch.limits.memory,
        tables: None,
        fuel: launch.limits.fuel,
        interruptible: launch.limits.epochs(),
    }
}

/// Limit on the listening sockets of a launch request. A program has fewer descriptors.
const MAX_LISTENERS: u64 = 1 << 16;

/// The number of listening sockets of a launch request.
pub(crate) fn listeners(launch: &Launch) -> u64 {
    launch.listeners.min(MAX_LISTENERS)
}

fn start(launch: &Launch, environment: &Environment) -> Start {
    let invoke = launch.invoke.as_ref().map(|invoke| Invoke {
        function: invoke.function.clone(),
        arguments: invoke.arguments.clone(),
    });
    Start {
        arguments: launch.arguments.clone(),
        environment: environment.variables(),
        invoke,
        sockets: (FIRST_SOCKET..FIRST_SOCKET.saturating_add(listeners(launch)))
            .map(Socket::Listening)
            .collect(),
    }
}

/// Returns how to compile the program of the launch request. Asks the host for pages.
fn compilation(launch: &Launch) -> Compilation {
    let guards = !launch.explicit_checks;
    let mut compilation = compilation_for(limits(launch), WASM_STACK, guards, launch.compiler);
    compilation.config.compile_threads =
        launch.compile_threads.clamp(1, MAX_COMPILE_THREADS) as usize;
    compilation
}

/// Returns how to compile a program on one thread: with `guards`, with guard pages if the image has
/// room for them.
pub(crate) fn compilation_for(
    limits: Limits,
    wasm_stack: usize,
    guards: bool,
    compiler: Compiler,
) -> Compilation {
    let config = EngineConfig {
        wasm_stack,
        code_refused,
        code_memory: code_memory(),
        guarded: if guards { guarded_memories().map(guarded) } else { None },
        ..EngineConfig::default()
    };
    Compilation { limits, config, compiler }
}

/// Compiles the program and has the host store its code.
fn compile_program(launch: &Launch) -> End {
    let cached = End::Exited { code: 0, results: Vec::new() };
    let wanted = compilation(launch);
    if code_cache::load(&wanted, || ()).is_some() {
        return cached;
    }
    let program = match host().program() {
        Ok(bytes) => Identified::new(bytes),
        Err(error) => return bad_host(&error),
    };
    let checked = program.check(&wanted.limits, None);
    match checked.and_then(|()| code_cache::compile(&program, &wanted)) {
        Ok(compiled) if code_cache::store(&compiled, &wanted.limits) => cached,
        Ok(_) => refused(
            "the compiled code could not be cached".into(),
            "see that there is space, and that the folder can be written: TWINE_CACHE names it"
                .into(),
        ),
        Err(error) => refused_program(&error),
    }
}

fn run_program(launch: &Launch, timings: &mut Timings, outcome: &mut Outcome) -> End {
    let mut watch = Watch { wanted: launch.diagnostics.statistics, last: 0 };
    watch.lap();
    let signed = match launch.manifest.as_deref().map(Signed::open).transpose() {
        Ok(signed) => signed,
        Err(error) => {
            return refused(
                error.to_string(),
                "sign the manifest with its owner's key: `twine manifest sign`".into(),
            );
        }
    };
    let environment = match Environment::of(launch) {
        Ok(environment) => environment,
        Err(error) => return no_value(&error),
    };
    let start = start(launch, &environment);
    // Evaluated only after the program was received, if no cached code is used.
    let wanted = LazyCell::new(|| compilation(launch));
    let opened = || timings.compile = watch.lap();
    let cached = launch.cache_code.then(|| code_cache::load(&wanted, opened)).flatten();
    let compiled = if let Some(cached) = cached {
        timings.receive = watch.lap();
        cached
    } else {
        let program = match host().program() {
            Ok(bytes) => Identified::new(bytes),
            Err(error) => return bad_host(&error),
        };
        timings.receive = watch.lap();
        let checked = program.check(&wanted.limits, Some(start.function()));
        let compiled = match checked.and_then(|()| code_cache::compile(&program, &wanted)) {
            Ok(compiled) => compiled,
            Err(error) => return refused_program(&error),
        };
        if launch.cache_code {
            // If this fails, the next run compiles again.
            let _ = code_cache::store(&compiled, &wanted.limits);
        }
        timings.compile = watch.lap();
        compiled
    };
    // Most runs have neither a manifest nor evidence, and need none of both.
    let held = signed.as_ref().map(|signed| &signed.manifest().terms);
    let terms = || terms(launch, &environment, compiled.sha256(), held);
    let engine = || engine_of(&compiled);
    let deployment = match &signed {
        None => None,
        Some(signed) => match allowed(signed, &terms(), &engine()) {
            Ok(deployment) => Some(deployment),
            Err(refusal) => return not_allowed(signed, &refusal),
        },
    };
    let keys = SealingKeys::of_program(compiled.sha256());
    // Only after the program was found valid, so that no volume is made for an invalid one.
    let warn = |line: String| {
        // Errors of the stream are ignored.
        let _ = host().write(2, format!("{line}\n").as_bytes());
    };
    let takeover = signed
        .as_ref()
        .map(|signed| Takeover::new(signed, launch.manifest.as_deref().unwrap_or_default()));
    let mounted = mounts::open(&launch.mounts, keys, takeover.as_ref(), warn);
    let Mounted { files, volumes } = match mounted {
        Ok(mounted) => mounted,
        Err(Refused { cause, remedy }) => return refused(cause, remedy),
    };
    let guest = compiled.attests().then(|| {
        let program = statement::Program { terms: terms(), engine: engine() };
        Guest::new(program, deployment.clone())
    });
    // Before anything of the program runs.
    if let Some(request) = &launch.evidence
        && let Err(error) = attestation::hand_over(request, subject(terms(), engine(), deployment))
    {
        return no_evidence(&error);
    }
    let end = match compiled.link(Box::new(HostSystem::new(launch.streams)), files, start) {
        Ok(mut linked) => {
            if let Some(guest) = guest {
                linked.attest_with(Box::new(guest));
            }
            run_linked(linked, launch, timings, &mut watch, outcome)
        }
        Err(error) => refused_program(&error),
    };
    let (troubles, statistics) = volumes.finish();
    outcome.troubles.extend(troubles);
    if launch.diagnostics.statistics {
        outcome.volumes = statistics;
    }
    end
}

/// Returns what the launch statement says of the engine, and of the code that it made.
pub(crate) fn engine_of(compiled: &Compiled) -> statement::Engine {
    let EngineConfig { baseline, guarded, .. } = compiled.config();
    statement::Engine {
        compiler: if baseline {
            statement::Compiler::Baseline
        } else {
            statement::Compiler::Optimizing
        },
        guard_pages: guarded.is_some(),
        writable_code: writable_code_pages() || writable_code_at_start(),
    }
}

/// Returns what the launch statement says of the launch.
fn subject(terms: Terms, engine: statement::Engine, deployment: Option<Deployment>) -> Subject {
    let program = statement::Program { terms, engine };
    match deployment {
        None => Subject::Local(program),
        Some(deployment) => Subject::Deployment { program, deployment },
    }
}

/// Checks that the manifest allows the launch, in this enclave.
fn allowed(
    signed: &Signed,
    terms: &Terms,
    engine: &statement::Engine,
) -> Result<Deployment, Refusal> {
    let manifest = signed.manifest();
    manifest.allow(terms, &identity())?;
    manifest.allow_code(engine)?;
    Ok(manifest.deployment(signed.owner()))
}

fn not_allowed(signed: &Signed, refusal: &Refusal) -> End {
    let to_owner = signed.manifest().terms.streams.to_owner().count();
    let remedy = match refusal {
        // No launch that the host asks for has such streams.
        Refusal::Terms(_) if to_owner > 0 => {
            "its streams lead to its owner: send it to a host with `twine deploy`, or have its owner \
             sign another with \"host\" for them"
        }
        Refusal::Terms(_) => {
            "start it as `twine manifest show` says, or have its owner change the manifest"
        }
        _ => "use an image that the manifest names, or have its owner add this one",
    };
    refused(refusal.to_string(), remedy.into())
}

fn no_value(NoValue(name): &NoValue) -> End {
    let name = Bytes(name.clone()).escaped();
    refused(
        format!("the secret {name} has no value, or several"),
        format!("give it one: --secret {name}=VALUE"),
    )
}

fn no_evidence(error: &attestation::Error) -> End {
    let (cause, remedy) = match error {
        attestation::Error::Request => (
            "the request for evidence is not valid".into(),
            "use the `twine` command and the image of the same release",
        ),
        attestation::Error::TooLong(length) => (
            format!("the launch statement has {length} bytes, too many for evidence"),
            "shorten the arguments or the environment; secrets take no room: --secret",
        ),
        attestation::Error::Key => (
            "no key for evidence was made: the CPU returns no random bytes, or the host no time"
                .into(),
            "set the machine's clock, and try again",
        ),
        attestation::Error::Host(error) => (
            format!("no evidence was made: {error}"),
            "run it with `twine run --evidence`, or give the host a source of quotes",
        ),
    };
    refused(cause, remedy.into())
}

/// Starts a thread that watches the program.
fn watcher(watch: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    thread::Builder::new().spawn(watch).map(drop)
}

fn run_linked(
    linked: Linked,
    launch: &Launch,
    timings: &mut Timings,
    watch: &mut Watch,
    outcome: &mut Outcome,
) -> End {
    // Without records, `poll` sleeps.
    let watched = launch.limits.timeout.map_or(Ok(()), |timeout| {
        let interrupter = linked.interrupter();
        watcher(move || {
            let _ = host().poll(&mut [], timeout);
            interrupter.end();
        })
    });
    let interrupted = launch.limits.interrupts.then(|| {
        let interrupter = linked.interrupter();
        watcher(move || {
            while host().poll(&mut [], u64::MAX) == Err(Status::Interrupted) {
                interrupter.interrupt();
            }
        })
    });
    if watched.and(interrupted.unwrap_or(Ok(()))).is_err() {
        return refused(
            "no thread that watches the program could be started".into(),
            "use an image with more threads, or leave --timeout out".into(),
        );
    }
    let Ended { end, synced } = linked.run(|| timings.instantiate = watch.lap());
    timings.run = watch.lap();
    if let Err(error) = synced {
        outcome.troubles.push(error.to_string());
    }
    end_of(end, launch.diagnostics.backtraces)
}

/// Returns what is told of the end of a program: its backtrace only if `backtraces` is set.
pub(crate) fn end_of(end: engine::End, backtraces: bool) -> End {
    match end {
        engine::End::Exited { code, results } => End::Exited { code, results },
        engine::End::Trapped { cause, backtrace } => {
            End::Trapped { cause, backtrace: if backtraces { backtrace } else { Vec::new() } }
        }
        engine::End::Refused(error) => refused_program(&error),
    }
}
