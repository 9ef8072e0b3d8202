//! Shared by the suites: engines configured as for a user's program, timing, and threads.

use std::thread;
use twine_engine::{EngineConfig, Guarded};
use twine_protocol::wire::Clock;
use twine_selftest::wire::Result as TestResult;
use twine_sgx::{GuardedMemories, code_memory, code_refused, guarded_memories, host};

/// Stack of the main thread for WebAssembly frames, as for a user's program.
const WASM_STACK: usize = 8 << 20;

/// Translates the guarded memories to the engine's type.
fn guarded(memories: GuardedMemories) -> Guarded {
    let GuardedMemories { reservation, guard, count, creator } = memories;
    Guarded { reservation, guard, most: count, memories: creator }
}

/// The configuration of an engine that runs on a thread with `wasm_stack` bytes of stack for
/// WebAssembly frames.
pub(crate) fn configuration(wasm_stack: usize) -> wasmtime::Config {
    let platform = EngineConfig {
        wasm_stack,
        code_refused,
        code_memory: code_memory(),
        guarded: guarded_memories().map(guarded),
        ..EngineConfig::default()
    };
    twine_engine::configuration(&Default::default(), &platform)
}

/// The same, for the main thread.
pub(crate) fn main_configuration() -> wasmtime::Config {
    configuration(WASM_STACK)
}

/// Runs a test and records its duration in the result.
pub(crate) fn timed(result: &mut TestResult, run: impl FnOnce(&mut TestResult)) {
    let now = || host().time(Clock::Monotonic).unwrap_or_default();
    let start = now();
    run(result);
    result.milliseconds = now().saturating_sub(start) / 1_000_000;
}

/// Runs `run` on three threads at once.
pub(crate) fn on_three(run: impl Fn(usize) -> Result<(), String> + Sync) -> Result<(), String> {
    thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = (0..3).map(|at| scope.spawn(move || run(at))).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?)
    })
}
