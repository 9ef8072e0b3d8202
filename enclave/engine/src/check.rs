//! What can be said of a program before it is compiled, which may take minutes.

use crate::error::Error;
use crate::program::Identified;
use twine_protocol::launch::Launch;
use wasmparser::{ExternalKind, MemoryType, Parser, Payload, TypeRef};

/// A page of linear memory has two to this power bytes, where a memory says nothing else.
const PAGE_BITS: u32 = 16;

/// What a module says of itself before its code.
#[derive(Default)]
struct Outline<'a> {
    missing: Vec<String>,
    functions: Vec<&'a str>,
    shared: bool,
    /// Bytes of all memories at the start.
    memory: u64,
}

impl Identified {
    /// Refuses what would be refused after compiling: imports that nobody provides, memories that
    /// are too large or shared and, for a program that is to run, nothing to start at. What is not
    /// valid is left to the compiler to tell.
    ///
    /// # Errors
    /// The first of these.
    pub fn check(&self, launch: &Launch, to_run: bool) -> Result<(), Error> {
        self.check_preamble()?;
        let Ok(outline) = self.outline() else { return Ok(()) };
        if outline.shared {
            return Err(Error::SharedMemory);
        }
        if !outline.missing.is_empty() {
            return Err(Error::UnknownImports(outline.missing));
        }
        let start = launch.invoke.as_ref().map_or("_start", |invoke| &invoke.function);
        if to_run && !outline.functions.contains(&start) {
            return Err(Error::NoFunction(start.into()));
        }
        match launch.limits.memory {
            Some(limit) if outline.memory > limit => {
                Err(Error::MemoryLimit { wanted: outline.memory, limit })
            }
            _ => Ok(()),
        }
    }

    fn outline(&self) -> wasmparser::Result<Outline<'_>> {
        let mut outline = Outline::default();
        for payload in Parser::new(0).parse_all(self.bytes()) {
            match payload? {
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import?;
                        let provided = match import.ty {
                            TypeRef::Func(_) | TypeRef::FuncExact(_) => {
                                twine_wasi::provides(import.module, import.name)
                            }
                            TypeRef::Memory(memory) => {
                                outline.shared |= memory.shared;
                                false
                            }
                            _ => false,
                        };
                        if !provided {
                            outline.missing.push(format!("{}::{}", import.module, import.name));
                        }
                    }
                }
                Payload::MemorySection(memories) => {
                    for memory in memories {
                        let memory = memory?;
                        outline.shared |= memory.shared;
                        outline.memory = outline.memory.saturating_add(initial_bytes(&memory));
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        if let ExternalKind::Func | ExternalKind::FuncExact = export.kind {
                            outline.functions.push(export.name);
                        }
                    }
                }
                Payload::CodeSectionStart { .. } => break,
                _ => {}
            }
        }
        Ok(outline)
    }
}

fn initial_bytes(memory: &MemoryType) -> u64 {
    let bits = memory.page_size_log2.unwrap_or(PAGE_BITS);
    memory.initial.saturating_mul(1 << bits.min(63))
}
