//! Faults that must end the enclave. The host's test checks the error that it gets.

use crate::setup::main_configuration;
use std::hint::black_box;
use std::thread;
use wasmtime::{Engine, Module};

/// A text that must not leave the enclave.
const SECRET: &str = "the secret of the suite";

/// Causes a fault. Returns a message if the enclave survived it.
pub(crate) fn run(fault: &str) -> String {
    match fault {
        "panic" => panic!("{SECRET}"),
        "panic in a thread" => drop(thread::spawn(|| panic!("{SECRET}")).join()),
        "exhaust the heap" => drop(black_box(vec![1_u8; 2 << 30])),
        "write to code" => return write_to_code(),
        "run the heap" => run_bytes(&mut vec![RET; 4096]),
        "run the stack" => run_bytes(&mut [RET; 64]),
        "overflow the stack" => drop(black_box(deep(1))),
        "overflow a thread's stack" => drop(thread::spawn(|| black_box(deep(1))).join()),
        "say nothing" => std::process::exit(0),
        _ => return format!("there is no fault {fault:?}"),
    }
    format!("{fault:?} did not end the enclave")
}

/// The instruction that returns.
const RET: u8 = 0xc3;

fn run_bytes(bytes: &mut [u8]) {
    let start = black_box(bytes).as_ptr();
    // SAFETY: deliberately unsound. If the page were executable, the bytes would be a function that
    // only returns.
    let function = unsafe { std::mem::transmute::<*const u8, extern "C" fn()>(start) };
    function();
}

fn write_to_code() -> String {
    // A module without a memory: a function that returns.
    let wasm = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x04\x01\x02\0\x0b";
    let module =
        match Engine::new(&main_configuration()).and_then(|engine| Module::new(&engine, wasm)) {
            Ok(module) => module,
            Err(error) => return format!("no module: {error:#}"),
        };
    let code = module.text().as_ptr().cast_mut();
    // SAFETY: deliberately unsound. If the page were writable, this would replace a byte by itself.
    unsafe { code.write_volatile(code.read_volatile()) };
    "code could be written to".into()
}

#[expect(unconditional_recursion, reason = "the test needs endless recursion")]
fn deep(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    deep(depth + 1) + frame[depth as usize % 64]
}
