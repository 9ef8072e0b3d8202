//! How wasmtime is set up.

use crate::memory::HeapMemory;
use std::sync::Arc;
use twine_protocol::launch::Limits;
use wasmtime::Config;

/// What the engine must know of the place it runs in.
#[derive(Debug, Clone, Copy)]
pub struct Platform {
    /// Bytes of stack that WebAssembly frames may take; the rest of the thread's stack is
    /// for the functions that a program calls.
    pub wasm_stack: usize,
    /// Bytes of code memory that the last refused request of wasmtime's asked for, if
    /// one was refused.
    pub code_refused: fn() -> Option<u64>,
    /// Bytes of code memory in all.
    pub code_memory: u64,
}

impl Default for Platform {
    fn default() -> Self {
        Platform { wasm_stack: 1 << 20, code_refused: || None, code_memory: u64::MAX }
    }
}

/// The settings that all programs are compiled with.
///
/// All proposals that wasmtime turns on by default stay on. Checks are explicit: no
/// signals, no guard pages. Memories lie on the heap.
pub fn configuration(limits: &Limits, platform: &Platform) -> Config {
    let mut config = Config::new();
    config
        .signals_based_traps(false)
        .memory_init_cow(false)
        .memory_reservation(0)
        .memory_guard_size(0)
        .memory_reservation_for_growth(0)
        .memory_may_move(true)
        .with_host_memory(Arc::new(HeapMemory))
        .max_wasm_stack(platform.wasm_stack)
        // No stacks of this kind are made; wasmtime compares the two all the same.
        .async_stack_size(platform.wasm_stack)
        .consume_fuel(limits.fuel.is_some())
        .epoch_interruption(limits.timeout.is_some());
    config
}
