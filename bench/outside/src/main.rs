//! Runs a program outside of any enclave, by wasmtime with its own WASI, on a plain folder: the
//! rival of a program on protected files.
//!
//!     outside [--own-settings] FOLDER PROGRAM [ARGUMENTS...]
//!
//! The program sees FOLDER as `/`. The engine has Twine's settings, or wasmtime's own: guard pages,
//! and signals for traps.

use std::process::ExitCode;
use wasmtime::{Config, Engine, Linker, Module, Store};
use wasmtime_wasi::p1::{WasiP1Ctx, add_to_linker_sync};
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtxBuilder};

/// The stack for WebAssembly frames, of the 8 MiB that a main thread has.
const WASM_STACK: usize = 4 << 20;

/// Returns the settings of `enclave/engine/src/config.rs`, except that memories are mapped.
fn settings_of_the_enclave() -> Config {
    let mut config = Config::new();
    config
        .signals_based_traps(false)
        .memory_init_cow(false)
        .memory_reservation(0)
        .memory_guard_size(0)
        .memory_reservation_for_growth(0)
        .memory_may_move(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(WASM_STACK);
    config
}

fn run(arguments: &[String]) -> wasmtime::Result<i32> {
    let (own_settings, arguments) = match arguments.split_first() {
        Some((first, rest)) if first == "--own-settings" => (true, rest),
        _ => (false, arguments),
    };
    let [folder, program, rest @ ..] = arguments else {
        return Err(wasmtime::Error::msg(
            "usage: outside [--own-settings] FOLDER PROGRAM [ARGUMENTS...]",
        ));
    };
    let config = if own_settings { Config::new() } else { settings_of_the_enclave() };
    let engine = Engine::new(&config)?;
    let module = Module::from_file(&engine, program)?;

    let mut wasi = WasiCtxBuilder::new();
    wasi.inherit_stdio().arg(program).args(rest);
    wasi.preopened_dir(folder, "/", FsPerms::ReadWrite)?;
    // The `wasmtime` command does this too: without it, another thread would make each call.
    wasi.allow_blocking_current_thread(true);
    let mut linker = Linker::<WasiP1Ctx>::new(&engine);
    add_to_linker_sync(&mut linker, |context| context)?;
    let mut store = Store::new(&engine, wasi.build_p1());
    let instance = linker.instantiate(&mut store, &module)?;
    let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
    match start.call(&mut store, ()) {
        Ok(()) => Ok(0),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(exit) => Ok(exit.0),
            None => Err(error),
        },
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(code) => ExitCode::from(code as u8),
        Err(error) => {
            eprintln!("error: {error:?}");
            ExitCode::FAILURE
        }
    }
}
