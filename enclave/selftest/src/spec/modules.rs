//! Compiles the modules of a script, or checks that they are refused.

use super::Failure;
use json_from_wast::{WasmFile, WasmFileType};
use std::collections::HashMap;
use wasmtime::{Engine, Module};
use wast::Wat;
use wast::parser::{self, ParseBuffer};

/// The bytes of the modules in a script, and the engines that compile them.
pub(super) struct Modules {
    engine: Engine,
    older: Engine,
    files: HashMap<String, Vec<u8>>,
}

/// When a module that must be refused is refused.
pub(super) enum Refusal {
    /// It is refused.
    Now,
    /// It is accepted, and refused if later proposals are disabled.
    WithoutLaterProposals,
}

impl Modules {
    pub(super) fn new(engine: Engine, older: Engine, files: Vec<(String, Vec<u8>)>) -> Self {
        Modules { engine, older, files: files.into_iter().collect() }
    }

    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Returns the bytes of a module, encoded from its text if necessary.
    fn binary(&self, file: &WasmFile<'_>) -> Result<Vec<u8>, Failure> {
        let name = file.binary_filename.as_ref().unwrap_or(&file.filename);
        let bytes = self.files.get(&**name).ok_or_else(|| format!("no module {name}"))?;
        if file.module_type == WasmFileType::Binary || file.binary_filename.is_some() {
            return Ok(bytes.clone());
        }
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let buffer = ParseBuffer::new(text).map_err(|error| error.to_string())?;
        let mut wat = parser::parse::<Wat<'_>>(&buffer).map_err(|error| error.to_string())?;
        wat.encode().map_err(|error| error.to_string())
    }

    pub(super) fn compile(&self, file: &WasmFile<'_>) -> Result<Module, Failure> {
        Module::from_binary(self.engine(), &self.binary(file)?)
            .map_err(|error| format!("{error:#}"))
    }

    /// Checks that a module is refused: either as a text, or by both the validator alone and the
    /// compiler. So no other error counts, such as a lack of memory.
    pub(super) fn refuse(&self, file: &WasmFile<'_>) -> Result<Refusal, Failure> {
        let Ok(binary) = self.binary(file) else { return Ok(Refusal::Now) };
        let compiled = Module::from_binary(self.engine(), &binary);
        match (Module::validate(self.engine(), &binary), compiled) {
            (Err(_), Err(_)) => Ok(Refusal::Now),
            (Err(error), Ok(_)) => Err(format!("compiled, though not valid: {error:#}")),
            (Ok(()), Err(error)) => Err(format!("valid, but not compiled: {error:#}")),
            (Ok(()), Ok(_)) => match Module::validate(&self.older, &binary) {
                Err(_) => Ok(Refusal::WithoutLaterProposals),
                Ok(()) => Err("accepted".into()),
            },
        }
    }
}
