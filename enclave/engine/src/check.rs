//! Checks a program before it is compiled, which may take minutes.

use crate::error::Error;
use crate::limits::Limits;
use crate::program::{Identified, Kind};
use wasmparser::{Chunk, ExternalKind, MemoryType, Parser, Payload, TypeRef};

/// Binary logarithm of the size of a page of linear memory, unless a memory states another.
const PAGE_BITS: u32 = 16;

/// The facts about a module that precede its code.
#[derive(Default)]
struct Outline<'a> {
    missing: Vec<String>,
    functions: Vec<&'a str>,
    shared: bool,
    /// Initial size of all memories together, in bytes.
    memory: u64,
}

impl Identified {
    /// Refuses a program that would be refused after compiling: missing imports, memories that are
    /// too large or shared, and, for a program that is to run, a function `start` that is not
    /// exported. The compiler reports invalid programs.
    ///
    /// # Errors
    /// The first of these.
    pub fn check(&self, limits: &Limits, start: Option<&str>) -> Result<(), Error> {
        if self.kind()? == Kind::Component {
            return self.check_component();
        }
        let Ok(outline) = self.outline() else { return Ok(()) };
        if outline.shared {
            return Err(Error::SharedMemory);
        }
        if !outline.missing.is_empty() {
            return Err(Error::UnknownImports(outline.missing));
        }
        if let Some(start) = start
            && !outline.functions.contains(&start)
        {
            return Err(Error::NoFunction(start.into()));
        }
        match limits.memory {
            Some(limit) if outline.memory > limit => {
                Err(Error::MemoryLimit { wanted: outline.memory, limit })
            }
            _ => Ok(()),
        }
    }

    /// Names all interfaces that a component imports and nobody provides.
    fn check_component(&self) -> Result<(), Error> {
        let mut missing = Vec::new();
        // Modules and components within have imports of their own, which are not the program's.
        let mut depth = 0u32;
        for payload in Parser::new(0).parse_all(self.bytes()) {
            let Ok(payload) = payload else { return Ok(()) };
            match payload {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(imports) if depth == 0 => {
                    for import in imports {
                        let Ok(import) = import else { return Ok(()) };
                        if !twine_wasi::provides_interface(import.name.name) {
                            missing.push(import.name.name.to_owned());
                        }
                    }
                }
                _ => {}
            }
        }
        if missing.is_empty() { Ok(()) } else { Err(Error::UnknownImports(missing)) }
    }

    /// Whether the bytes end in the middle of a section.
    pub(crate) fn is_cut_off(&self) -> bool {
        let mut parser = Parser::new(0);
        let mut rest = self.bytes();
        loop {
            match parser.parse(rest, false) {
                Ok(Chunk::NeedMoreData(_)) => return !rest.is_empty(),
                Ok(Chunk::Parsed { consumed, payload }) => {
                    if let Payload::CodeSectionStart { size, .. } = payload {
                        // Skip the functions.
                        parser.skip_section();
                        let after = rest.get(consumed + size as usize..);
                        let Some(after) = after else { return true };
                        rest = after;
                        continue;
                    }
                    rest = rest.get(consumed..).unwrap_or_default();
                }
                Err(_) => return false,
            }
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
                                    || twine_guest::provides(import.module, import.name)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EngineConfig;

    #[test]
    fn a_program_that_ends_in_the_middle_of_a_section_is_called_truncated_and_no_other() {
        let text = "(module
            (func (export \"f\") (result i32) i32.const 7)
            (memory (export \"memory\") 1)
            (data (i32.const 0) \"some bytes of data\"))";
        let whole = wat::parse_str(text).unwrap();
        let compile = |bytes: &[u8]| {
            let program = Identified::new(bytes.to_vec());
            program.compile(&Limits::default(), &EngineConfig::default())
        };
        let mut truncated = 0;
        for length in 8..whole.len() {
            let cut = &whole[..length];
            let middle = Identified::new(cut.to_vec()).is_cut_off();
            let error = compile(cut).err();
            // At the end of a section, nothing shows that more sections are missing.
            assert!(error.is_some() || !middle, "{length} bytes");
            assert_eq!(matches!(error, Some(Error::Truncated(_))), middle, "{length}: {error:?}");
            truncated += usize::from(middle);
        }
        assert!(truncated > whole.len() / 2);
        assert!(compile(&whole).is_ok());
        // If a complete section contains something that ends too early, the file is not truncated.
        let mut invalid = whole.clone();
        let body = invalid.windows(2).position(|bytes| bytes == [0x41, 7]).unwrap();
        invalid[body + 2] = 0x01;
        assert!(matches!(compile(&invalid), Err(Error::Invalid(_))));
    }
}
