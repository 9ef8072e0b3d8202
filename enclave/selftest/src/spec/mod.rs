//! Runs the test scripts (`.wast`) of the WebAssembly specification.
//!
//! Every command of a script runs, whatever came of the ones before it, and every
//! `assert_...` counts. What is compared, and how far, is what `wasmtime-wast` compares in
//! wasmtime's own run of these tests: all values bit by bit, the messages of traps with a
//! few known differences, and of modules that must be refused that they are refused.

mod command;
mod context;
mod modules;
mod spectest;
mod threads;
mod value;

use crate::wire::{Result as ScriptResult, Script};
use wasmtime::{Config, Engine};
use wast::lexer::Lexer;
use wast::parser::{self, ParseBuffer};

/// What did not hold, in words.
type Failure = String;

/// Runs scripts, each in a store of its own.
#[derive(Clone)]
pub struct Runner {
    engine: Engine,
    /// The same with memories that threads can share, which wasmtime has off by default: for
    /// the scripts of [`SHARING`].
    sharing: Engine,
    /// The first without the proposals that came after version 2 of the specification: what
    /// only it refuses was taken back by a later version.
    older: Engine,
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Runner")
    }
}

/// The group whose scripts share memories.
const SHARING: &str = "threads";

/// Turns off what version 3 of the specification, and threads, added to version 2.
fn without_later_proposals(mut config: Config) -> Config {
    config
        .wasm_exceptions(false)
        .wasm_extended_const(false)
        .wasm_function_references(false)
        .wasm_gc(false)
        .wasm_memory64(false)
        .wasm_multi_memory(false)
        .wasm_relaxed_simd(false)
        .wasm_tail_call(false)
        .wasm_threads(false);
    config
}

impl Runner {
    /// A runner whose engine is configured like `config`.
    ///
    /// # Errors
    /// When the engine refuses its settings.
    pub fn new(config: Config) -> Result<Self, String> {
        let engine = |config: &Config| Engine::new(config).map_err(|error| format!("{error:#}"));
        Ok(Runner {
            engine: engine(&config)?,
            sharing: engine(config.clone().shared_memory(true))?,
            older: engine(&without_later_proposals(config))?,
        })
    }

    /// Runs a script to its end.
    pub fn run(&self, script: &Script) -> ScriptResult {
        let mut result = ScriptResult {
            group: script.group.clone(),
            name: script.name.clone(),
            ..ScriptResult::default()
        };
        if let Err(failure) = self.run_into(script, &mut result) {
            result.failed.push(failure);
        }
        result
    }

    fn run_into(&self, script: &Script, result: &mut ScriptResult) -> Result<(), Failure> {
        let unreadable = |error: wast::Error| format!("the script can't be read: {error}");
        let mut lexer = Lexer::new(&script.text);
        lexer.allow_confusing_unicode(true);
        let buffer = ParseBuffer::new_with_lexer(lexer).map_err(unreadable)?;
        let ast = parser::parse::<wast::Wast<'_>>(&buffer).map_err(unreadable)?;
        let engine = if script.group == SHARING { &self.sharing } else { &self.engine };
        let script = json_from_wast::Wast::from_ast(&script.name, &script.text, ast)
            .map_err(|error| format!("the script can't be encoded: {error:#}"))?;
        let modules = modules::Modules::new(engine.clone(), self.older.clone(), script.wasms);
        let mut context = context::Context::new(modules.into())?;
        threads::run(&mut context, &script.commands, result);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
