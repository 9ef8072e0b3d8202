//! A program, from bytes to compiled code.

use crate::config::{EngineConfig, configuration_with};
use crate::error::Error;
use crate::limits::Limits;
use crate::memory::Refusals;
use sha2::{Digest, Sha256};
use std::any::Any;
use std::ptr::NonNull;
use std::slice;
use std::sync::Arc;
use wasmtime::component::Component;
use wasmtime::{Config, CustomCodeMemory, Engine, Module, Precompiled};

/// The version of the binary format of components.
const COMPONENT_VERSION: u16 = 0x0d;

/// What a program is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A core module.
    Module,
    /// A component.
    Component,
}

/// A program whose bytes were hashed. Only this type can be compiled, so the program that runs is
/// the identified one.
#[derive(Debug)]
pub struct Identified {
    bytes: Vec<u8>,
    sha256: [u8; 32],
}

impl Identified {
    /// Takes the bytes of a program and hashes them.
    pub fn new(bytes: Vec<u8>) -> Self {
        let sha256 = Sha256::digest(&bytes).into();
        Identified { bytes, sha256 }
    }

    /// Returns [`Self::sha256`] of bytes that come in pieces and are not kept.
    ///
    /// # Errors
    /// The error of `pieces`.
    pub fn hash<E>(
        pieces: impl FnOnce(&mut dyn FnMut(&[u8])) -> Result<(), E>,
    ) -> Result<[u8; 32], E> {
        let mut hash = Sha256::new();
        pieces(&mut |piece| hash.update(piece))?;
        Ok(hash.finalize().into())
    }

    /// The SHA-256 of the program's bytes: its identity.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Validates and compiles the program.
    ///
    /// # Errors
    /// The bytes are not a module or component that this engine runs, or the code does not fit into
    /// code memory.
    pub fn compile(&self, limits: &Limits, config: &EngineConfig) -> Result<Compiled, Error> {
        let kind = self.kind()?;
        if config.baseline && config.guarded.is_none() {
            return Err(Error::NoBaseline);
        }
        let refusals = Refusals::default();
        let engine = engine(&configuration_with(limits, config, refusals.clone()))?;
        let code = in_parallel(config.compile_threads, || {
            stop_profiling();
            match kind {
                Kind::Module => Module::from_binary(&engine, &self.bytes).map(Code::Module),
                Kind::Component => {
                    Component::from_binary(&engine, &self.bytes).map(Code::Component)
                }
            }
        })
        .map_err(|error| match compile_error(&error, config) {
            Error::Invalid(cause) | Error::Baseline(cause) if self.is_cut_off() => {
                Error::Truncated(cause)
            }
            error => error,
        })?;
        let memories = code.memories();
        if config.guarded.is_some_and(|guarded| memories > guarded.most) {
            let without = EngineConfig { guarded: None, ..*config };
            return self.compile(limits, &without);
        }
        Ok(Compiled { code, sha256: self.sha256, limits: *limits, config: *config, refusals })
    }

    /// Reads magic, version and layer, so that an error names what a file is that is no program.
    pub(crate) fn kind(&self) -> Result<Kind, Error> {
        let magic = b"\0asm";
        let Some((start, rest)) = self.bytes.split_first_chunk::<4>() else {
            let prefix = !self.bytes.is_empty() && magic.starts_with(&self.bytes);
            return Err(if prefix { truncated(self.bytes.len()) } else { Error::NotWasm });
        };
        if start != magic {
            return Err(Error::NotWasm);
        }
        let Some(&[version, version_high, layer, layer_high]) = rest.first_chunk::<4>() else {
            return Err(truncated(self.bytes.len()));
        };
        match (u16::from_le_bytes([version, version_high]), [layer, layer_high]) {
            (COMPONENT_VERSION, [1, 0]) => Ok(Kind::Component),
            (version, [1, 0]) => Err(Error::ComponentVersion(version)),
            (1, [0, 0]) => Ok(Kind::Module),
            (version, _) => Err(Error::Version(version)),
        }
    }
}

fn engine(configuration: &Config) -> Result<Engine, Error> {
    Engine::new(configuration).map_err(|error| Error::Engine(one_line(&error)))
}

/// Runs `work` on a pool of `threads` threads, or of half as many until they can be started.
fn in_parallel<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    let mut threads = threads;
    while threads > 1 {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .start_handler(|_| stop_profiling())
            .build();
        match pool {
            Ok(pool) => return pool.install(work),
            Err(_) => threads /= 2,
        }
    }
    work()
}

/// Keeps Cranelift from reading the time around each of its passes, on this thread. In an enclave
/// each of these reads would be an exit.
pub fn stop_profiling() {
    cranelift_codegen::timing::set_thread_profiler(Box::new(NoProfiler));
}

struct NoProfiler;

impl cranelift_codegen::timing::Profiler for NoProfiler {
    fn start_pass(&self, _: cranelift_codegen::timing::Pass) -> Box<dyn Any> {
        Box::new(())
    }
}

fn truncated(length: usize) -> Error {
    Error::Truncated(format!("it ends after {length} bytes"))
}

fn compile_error(error: &wasmtime::Error, config: &EngineConfig) -> Error {
    if let Some(wanted) = (config.code_refused)() {
        return Error::CodeTooLarge { wanted, arena: config.code_memory };
    }
    let message = one_line(error);
    if config.baseline { Error::Baseline(message) } else { Error::Invalid(message) }
}

/// Formats an error and its causes in one line.
pub(crate) fn one_line(error: &wasmtime::Error) -> String {
    let mut message = String::new();
    for cause in error.chain() {
        if !message.is_empty() {
            message += ": ";
        }
        message += &cause.to_string();
    }
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Compiled code.
#[derive(Clone)]
pub(crate) enum Code {
    /// Of a core module.
    Module(Module),
    /// Of a component.
    Component(Component),
}

impl Code {
    /// The number of linear memories. A component whose number is not known has more than can have
    /// guards.
    fn memories(&self) -> usize {
        match self {
            Code::Module(module) => module.resources_required().num_memories as usize,
            Code::Component(component) => component
                .resources_required()
                .map_or(usize::MAX, |required| required.num_memories as usize),
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        match self {
            Code::Module(module) => module.engine(),
            Code::Component(component) => component.engine(),
        }
    }
}

/// A compiled program, which can be linked and run.
pub struct Compiled {
    pub(crate) code: Code,
    pub(crate) limits: Limits,
    pub(crate) refusals: Refusals,
    sha256: [u8; 32],
    config: EngineConfig,
}

impl std::fmt::Debug for Compiled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compiled").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Compiled {
    /// Loads code that was compiled before from the program with this SHA-256, without moving it.
    /// `memory` makes it executable, and owns it until it is dropped.
    ///
    /// # Errors
    /// The code was compiled by another engine or with other settings.
    ///
    /// # Safety
    /// `code` must be the result of [`Compiled::code`] for the program with this hash, since it
    /// runs unchecked. It starts at a page boundary, and nobody changes it while `memory` exists.
    pub unsafe fn take_up(
        sha256: [u8; 32],
        code: NonNull<[u8]>,
        memory: Arc<dyn CustomCodeMemory>,
        limits: &Limits,
        config: &EngineConfig,
    ) -> Result<Self, Error> {
        let refusals = Refusals::default();
        let mut configuration = configuration_with(limits, config, refusals.clone());
        configuration.with_custom_code_memory(Some(memory));
        let engine = engine(&configuration)?;
        // SAFETY: the caller vouches for the code, and nobody changes it.
        let kind = Engine::detect_precompiled(unsafe { code.as_ref() });
        // SAFETY: the caller vouches for the code. The engine and the loaded code each hold
        // `memory`.
        let code = unsafe {
            match kind {
                Some(Precompiled::Component) => {
                    Component::deserialize_raw(&engine, code).map(Code::Component)
                }
                _ => Module::deserialize_raw(&engine, code).map(Code::Module),
            }
        }
        .map_err(|error| compile_error(&error, config))?;
        Ok(Compiled { code, sha256, limits: *limits, config: *config, refusals })
    }

    /// Returns the code where it is, for [`Compiled::take_up`] in a later run.
    pub fn code(&self) -> &[u8] {
        let image = match &self.code {
            Code::Module(module) => module.image_range(),
            Code::Component(component) => component.image_range(),
        };
        // SAFETY: the code owns these bytes. While it exists they can be read and are not
        // written.
        unsafe { slice::from_raw_parts(image.start, image.end.offset_from_unsigned(image.start)) }
    }

    /// Returns the settings it was compiled with. They have no guards if the program has more
    /// memories than can have one.
    pub fn config(&self) -> EngineConfig {
        self.config
    }

    /// The SHA-256 of the bytes that it was compiled from.
    pub fn sha256(&self) -> [u8; 32] {
        self.sha256
    }
}
