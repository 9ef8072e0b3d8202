//! How wasmtime is set up.

use crate::limits::Limits;
use crate::memory::{Memories, Refusals};
use std::sync::Arc;
use wasmtime::{Config, MemoryCreator, Strategy};

/// Settings of the engine: what it must know of the place it runs in, and how it compiles.
#[derive(Debug, Clone, Copy)]
pub struct EngineConfig {
    /// Bytes of stack that WebAssembly frames may take; the rest of the thread's stack is
    /// for the functions that a program calls.
    pub wasm_stack: usize,
    /// Bytes of code memory that the last refused request of wasmtime's asked for, if
    /// one was refused.
    pub code_refused: fn() -> Option<u64>,
    /// Bytes of code memory in all.
    pub code_memory: u64,
    /// Memories with guards, if there are any; else bounds checks are explicit.
    pub guarded: Option<Guarded>,
    /// Compile with Winch, which makes slower code in less time. It needs `guarded`.
    pub baseline: bool,
    /// Threads that compile at once.
    pub compile_threads: usize,
}

/// Linear memories with addresses behind them where an access faults, and somebody who hands
/// faults to wasmtime.
#[derive(Debug, Clone, Copy)]
pub struct Guarded {
    /// Bytes of addresses of each memory.
    pub reservation: usize,
    /// Bytes of addresses behind those.
    pub guard: usize,
    /// How many memories there can be at once.
    pub most: usize,
    /// Makes them, as wasmtime asks for them.
    pub memories: fn() -> Arc<dyn MemoryCreator>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        EngineConfig {
            wasm_stack: 1 << 20,
            code_refused: || None,
            code_memory: u64::MAX,
            guarded: None,
            baseline: false,
            compile_threads: 1,
        }
    }
}

/// The settings that all programs are compiled with.
///
/// All proposals that wasmtime turns on by default stay on. Without guards, checks are explicit and
/// memories lie on the heap. With them, an access out of bounds, a division by zero and
/// `unreachable` are faults. But no code reads address 0 in the hope of a fault, as wasmtime's has
/// it where that saves a check or hinders speculation: in an enclave it would read what the host
/// puts there.
pub fn configuration(limits: &Limits, engine: &EngineConfig) -> Config {
    configuration_with(limits, engine, Refusals::default())
}

/// As [`configuration`], with word of memories that are refused.
pub(crate) fn configuration_with(
    limits: &Limits,
    engine: &EngineConfig,
    refusals: Refusals,
) -> Config {
    let mut config = Config::new();
    config
        // There are no images of memories to map, but this also makes one data segment of all. Else
        // each is code of one function: of the 100,000 segments that Go writes, compiling that takes
        // a gigabyte. Natively it would ask for memories that are mapped.
        .memory_init_cow(cfg!(target_env = "sgx"))
        // No unwinder of the system's goes through compiled code.
        .native_unwind_info(false)
        .memory_reservation_for_growth(0)
        // Objects of the program's, which refer to each other by index, not memories.
        .gc_heap_reservation(0)
        .gc_heap_guard_size(0)
        .gc_heap_reservation_for_growth(0)
        .gc_heap_may_move(true)
        .max_wasm_stack(engine.wasm_stack)
        // No stacks of this kind are made; wasmtime compares the two all the same.
        .async_stack_size(engine.wasm_stack)
        .consume_fuel(limits.fuel.is_some())
        .epoch_interruption(limits.interruptible);
    if engine.baseline {
        config.strategy(Strategy::Winch);
    }
    config.parallel_compilation(engine.compile_threads > 1);
    let guarded = engine.guarded.map(|guarded| (guarded.memories)());
    config.with_host_memory(Arc::new(Memories { guarded, refusals }));
    match engine.guarded {
        None => config
            .signals_based_traps(false)
            .memory_reservation(0)
            .memory_guard_size(0)
            .memory_may_move(true),
        Some(Guarded { reservation, guard, .. }) => {
            // SAFETY: both flags only choose how bounds are checked: by a comparison and a branch.
            unsafe {
                config
                    .cranelift_flag_set("enable_heap_access_spectre_mitigation", "false")
                    .cranelift_flag_set("enable_table_access_spectre_mitigation", "false");
            }
            config
                .signals_based_traps(true)
                .memory_reservation(reservation as u64)
                .memory_guard_size(guard as u64)
                .guard_before_linear_memory(false)
                .memory_may_move(false)
        }
    };
    config
}
