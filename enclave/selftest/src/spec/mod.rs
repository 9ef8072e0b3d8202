//! Runs the test scripts (`.wast`) of the WebAssembly specification.
//!
//! Every command of a script runs, whatever the results of earlier ones, and every `assert_...` is
//! counted. The comparisons are those of `wasmtime-wast` in wasmtime's own run of these tests.
//! Values are compared bit by bit, and messages of traps with a few known differences. For a module
//! that must be refused, only the refusal counts.

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

/// The reason why a command failed, in words.
type Failure = String;

/// Runs scripts, each in a store of its own.
#[derive(Clone)]
pub struct Runner {
    engine: Engine,
    /// An engine with memories that threads can share, for the scripts of [`SHARING`]. Wasmtime
    /// disables these by default.
    sharing: Engine,
    /// An engine without the proposals that came after version 2 of the specification. If only this
    /// one refuses a module, a later version withdrew the assertion.
    older: Engine,
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Runner")
    }
}

/// The group whose scripts share memories.
const SHARING: &str = "threads";

/// Disables the proposals that version 3 of the specification added to version 2, and threads.
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
    /// Makes a runner whose engine is configured like `config`.
    ///
    /// # Errors
    /// The engine refuses its settings.
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
