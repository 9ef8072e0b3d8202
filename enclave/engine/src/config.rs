//! Configures wasmtime.

use crate::limits::Limits;
use crate::memory::{Memories, Refusals};
use std::sync::Arc;
use wasmtime::{Config, MemoryCreator, Strategy};

/// Settings of the engine: facts about the environment it runs in, and how it compiles.
#[derive(Debug, Clone, Copy)]
pub struct EngineConfig {
    /// Size, in bytes, of the stack for WebAssembly frames. The rest of the thread's stack is for
    /// the functions that a program calls.
    pub wasm_stack: usize,
    /// Returns the size of code memory, in bytes, that would have satisfied wasmtime's last refused
    /// request. `None` if no request was refused.
    pub code_refused: fn() -> Option<u64>,
    /// Size of the code memory in bytes.
    pub code_memory: u64,
    /// Memories with guards. `None`: bounds checks are explicit.
    pub guarded: Option<Guarded>,
    /// Whether to compile with Winch, which compiles faster and makes slower code. It needs
    /// `guarded`.
    pub baseline: bool,
    /// Number of threads that compile at once.
    pub compile_threads: usize,
}

/// Linear memories with a guard, for an environment that passes faults to wasmtime.
#[derive(Debug, Clone, Copy)]
pub struct Guarded {
    /// Size of the addresses of each memory, in bytes.
    pub reservation: usize,
    /// Size of the guard after them, in bytes.
    pub guard: usize,
    /// Limit on the number of memories at one time.
    pub most: usize,
    /// Returns the creator that wasmtime asks for memories.
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

/// Returns the wasmtime configuration for all programs.
///
/// All proposals that wasmtime enables by default stay enabled. Without guards, bounds checks are
/// explicit and memories are on the heap. With guards, an access out of bounds, a division by zero
/// and `unreachable` are faults. But no code reads address 0 to cause a fault, as wasmtime's code
/// can otherwise do to save a check or to hinder speculation: in an enclave it would read data that
/// the host puts there.
pub fn configuration(limits: &Limits, engine: &EngineConfig) -> Config {
    configuration_with(limits, engine, Refusals::default())
}

/// As [`configuration`], and also records refused memories.
pub(crate) fn configuration_with(
    limits: &Limits,
    engine: &EngineConfig,
    refusals: Refusals,
) -> Config {
    let mut config = Config::new();
    config
        // No memory images are mapped, but this setting also merges the data segments into one.
        // Otherwise one function initializes each of them. For the 100,000 segments of a Go
        // program, compiling that function takes a gigabyte. Natively, the setting would need
        // mapped memories.
        .memory_init_cow(cfg!(target_env = "sgx"))
        // No unwinder of the system walks compiled code.
        .native_unwind_info(false)
        .memory_reservation_for_growth(0)
        // For the program's GC objects, which refer to each other by index; not for memories.
        .gc_heap_reservation(0)
        .gc_heap_guard_size(0)
        .gc_heap_reservation_for_growth(0)
        .gc_heap_may_move(true)
        .max_wasm_stack(engine.wasm_stack)
        // No such stacks are made, but wasmtime compares the two sizes anyway.
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
            // SAFETY: both flags only select how bounds are checked: with a comparison and a
            // branch.
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
