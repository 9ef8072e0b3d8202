//! Unit tests of code that runs only inside an enclave. The name of each test is the sentence that
//! it proves.

mod code;
mod crypto;
mod guards;
mod heap;
mod memory;
mod outside;
mod stress;
mod threads;
mod traps;

use crate::setup::timed;
use twine_selftest::wire::Result as TestResult;
use wasmtime::{Engine, Instance, Module, Store};
use wast::Wat;
use wast::parser::{self, ParseBuffer};

/// The result of a test: the reason for its failure, if it failed.
type Verdict = Result<(), String>;

/// One test.
struct Test {
    name: &'static str,
    run: fn() -> Verdict,
}

/// Names functions as tests.
macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        pub(super) const TESTS: &[super::Test] =
            &[$(super::Test { name: stringify!($name), run: $name }),+];
    };
}
use tests;

/// Fails the test if a condition does not hold.
macro_rules! ensure {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err(format!($($why)+));
        }
    };
}
use ensure;

/// Runs the tests whose name contains `filter`.
pub(crate) fn run(filter: &str) -> Vec<TestResult> {
    let all = [
        threads::TESTS,
        outside::TESTS,
        traps::TESTS,
        guards::TESTS,
        code::TESTS,
        crypto::TESTS,
        heap::TESTS,
        memory::TESTS,
        stress::TESTS,
    ];
    let mut results = Vec::new();
    for test in all.into_iter().flatten() {
        let name = test.name.replace('_', " ");
        if name.contains(filter) {
            let mut result = TestResult { group: "unit".into(), name, ..TestResult::default() };
            timed(&mut result, |result| match (test.run)() {
                Ok(()) => result.passed = 1,
                Err(why) => result.failed.push(why),
            });
            results.push(result);
        }
    }
    results
}

fn failure(error: wasmtime::Error) -> String {
    format!("{error:#}")
}

/// Translates a module from the text format to the binary format.
fn binary(text: &str) -> Result<Vec<u8>, String> {
    let buffer = ParseBuffer::new(text).map_err(|error| error.to_string())?;
    let mut wat = parser::parse::<Wat<'_>>(&buffer).map_err(|error| error.to_string())?;
    wat.encode().map_err(|error| error.to_string())
}

fn module(engine: &Engine, text: &str) -> Result<Module, String> {
    Module::from_binary(engine, &binary(text)?).map_err(failure)
}

/// Makes an instance of a module without imports, in a store of its own.
fn instance(engine: &Engine, text: &str) -> Result<(Store<()>, Instance), String> {
    let module = module(engine, text)?;
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, &module, &[]).map_err(failure)?;
    Ok((store, instance))
}

/// Makes an engine for the main thread.
fn engine() -> Result<Engine, String> {
    Engine::new(&crate::setup::main_configuration()).map_err(failure)
}

/// Makes an engine for a thread with at most `stack` bytes for WebAssembly frames.
fn engine_with_stack(stack: usize) -> Result<Engine, String> {
    Engine::new(&crate::setup::configuration(stack)).map_err(failure)
}
