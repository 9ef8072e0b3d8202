//! Reads an EDP program: an ELF file linked for `x86_64-fortanix-unknown-sgx`.
//!
//! An enclave has no dynamic linker. Its start code (Rust's `std`, `sys/pal/sgx/abi`)
//! applies `R_X86_64_RELATIVE` relocations and nothing else, so everything else that an ELF
//! file can ask a loader for is refused here, at build time.

use std::collections::BTreeMap;

use object::LittleEndian as LE;
use object::elf;
use object::read::elf::{FileHeader as _, ProgramHeader as _, SectionHeader as _, Sym as _};
use object::read::elf::{SectionTable, SymbolTable};

use crate::Error;
use crate::dynamic::{check_relocations, read_dynamic};
use crate::manifest::MAX_ELRANGE;
use crate::segment::{Extent, Segment, unreadable};

type Header = elf::FileHeader64<LE>;

/// The known version of the contract between Rust's `std` and image writers (the note in
/// `entry.S`).
const TOOLCHAIN_VERSION: u32 = 1;
const TOOLCHAIN_NOTE: &str = ".note.x86_64-fortanix-unknown-sgx";

/// Limit on the size of a program, in bytes. All of a program is measured memory, which has a cost.
/// A larger one is damaged, or has a buffer that belongs on the heap.
pub(crate) const MAX_PROGRAM: u64 = 512 << 20;

/// The symbols for the image's layout that a program may define; see [`crate::build`].
pub(crate) const LAYOUT_SYMBOLS: [&str; 9] = [
    "TWINE_GROWTH_BASE",
    "TWINE_GROWTH_SIZE",
    "TWINE_ARENA_BASE",
    "TWINE_ARENA_SIZE",
    "TWINE_ARENA_AT_START",
    "TWINE_MEMORY_BASE",
    "TWINE_MEMORY_SIZE",
    "TWINE_GUARD_BASE",
    "TWINE_GUARD_SIZE",
];

/// The symbols of every program for the target, with their sizes in bytes (`entry.S`).
pub(crate) const EDP_SYMBOLS: [(&str, u64); 13] = [
    ("HEAP_BASE", 8),
    ("HEAP_SIZE", 8),
    ("RELA", 8),
    ("RELACOUNT", 8),
    ("ENCLAVE_SIZE", 8),
    ("CFGDATA_BASE", 8),
    ("DEBUG", 1),
    ("TEXT_BASE", 8),
    ("TEXT_SIZE", 8),
    ("EH_FRM_HDR_OFFSET", 8),
    ("EH_FRM_HDR_LEN", 8),
    ("EH_FRM_OFFSET", 8),
    ("EH_FRM_LEN", 8),
];

/// The facts about a program that an image needs. Every range in it has been checked.
pub(crate) struct Program<'a> {
    /// In ascending order, without common pages.
    pub(crate) segments: Vec<Segment<'a>>,
    /// The relocation table: its address and its number of entries.
    pub(crate) relocations: (u64, u64),
    pub(crate) text: Extent,
    pub(crate) eh_frame: Extent,
    pub(crate) eh_frame_hdr: Extent,
    /// The code that only makes sense outside an enclave: it prints a message and exits.
    pub(crate) text_no_sgx: Extent,
    /// The fields of the ELF header about sections, if they are loaded. Code inside does not read
    /// them, and their values depend on symbols that are not loaded.
    pub(crate) section_fields: Vec<Extent>,
    /// The address where each TCS starts to run.
    pub(crate) entry: u64,
    /// The addresses of the symbols to fill in: all of [`EDP_SYMBOLS`], and the defined ones of
    /// [`LAYOUT_SYMBOLS`].
    pub(crate) symbols: BTreeMap<&'static str, u64>,
}

impl<'a> Program<'a> {
    /// Reads a program with the entry symbol `entry`.
    pub(crate) fn parse(file: &'a [u8], entry: &str) -> Result<Program<'a>, Error> {
        let header = Header::parse(file).map_err(unreadable)?;
        header.endian().map_err(unreadable)?;
        if header.e_machine(LE) != elf::EM_X86_64 {
            return Err(Error::Machine { found: header.e_machine(LE) });
        }
        if header.e_type(LE) != elf::ET_DYN {
            return Err(Error::FileType { found: header.e_type(LE) });
        }
        let sections = header.sections(LE, file).map_err(unreadable)?;
        check_toolchain(&sections, file)?;

        let headers = header.program_headers(LE, file).map_err(unreadable)?;
        let segments = read_segments(headers, file)?;
        let end = segments.last().map_or(0, |s| s.pages().end());
        let relocations = match read_dynamic(headers, file)? {
            Some(table) => check_relocations(&table, &segments, end)?,
            None => (0, 0),
        };

        let names = Names::read(&sections, file, entry)?;
        let section = |name| find_section(&sections, &segments, name);
        let required = |name| section(name)?.ok_or(Error::MissingSection { name });
        Ok(Program {
            relocations,
            text: required(".text")?,
            eh_frame: required(".eh_frame")?,
            eh_frame_hdr: required(".eh_frame_hdr")?,
            text_no_sgx: section(".text_no_sgx")?.unwrap_or_default(),
            section_fields: section_fields(file, &segments),
            entry: find_entry(&names, &segments, entry)?,
            symbols: find_symbols(&names, &segments)?,
            segments,
        })
    }

    /// Returns the end of the program's last page.
    pub(crate) fn end(&self) -> u64 {
        self.segments.last().map_or(0, |s| s.pages().end())
    }
}

fn check_toolchain(sections: &SectionTable<'_, Header>, file: &[u8]) -> Result<(), Error> {
    let missing = Error::MissingSection { name: TOOLCHAIN_NOTE };
    let (_, section) = sections.section_by_name(LE, TOOLCHAIN_NOTE.as_bytes()).ok_or(missing)?;
    let damaged =
        || Error::Elf { reason: format!("section `{TOOLCHAIN_NOTE}` holds no toolchain version") };
    let mut notes = section.notes(LE, file).map_err(unreadable)?.ok_or_else(damaged)?;
    let note = notes
        .next()
        .map_err(unreadable)?
        .filter(|n| n.name() == b"toolchain-version")
        .ok_or_else(damaged)?;
    let found = u32::from_le_bytes(note.desc().try_into().map_err(|_| damaged())?);
    if found > TOOLCHAIN_VERSION {
        return Err(Error::ToolchainVersion { found, supported: TOOLCHAIN_VERSION });
    }
    Ok(())
}

fn read_segments<'a>(
    headers: &[elf::ProgramHeader64<LE>],
    file: &'a [u8],
) -> Result<Vec<Segment<'a>>, Error> {
    let mut segments = Vec::<Segment<'a>>::new();
    let mut total = 0;
    for header in headers {
        match header.p_type(LE) {
            elf::PT_LOAD => {}
            elf::PT_INTERP => {
                return Err(Error::UnsupportedSegment { what: "an interpreter (PT_INTERP)" });
            }
            elf::PT_TLS if header.p_memsz(LE) > 0 => {
                return Err(Error::UnsupportedSegment {
                    what: "ELF thread-local storage (PT_TLS)",
                });
            }
            _ => continue,
        }
        let memory = Extent { start: header.p_vaddr(LE), size: header.p_memsz(LE) };
        if memory.size == 0 {
            continue;
        }
        let segment = read_segment(header, memory, file)?;
        total += segment.pages().size;
        if total > MAX_PROGRAM {
            return Err(Error::ProgramTooLarge { size: total, limit: MAX_PROGRAM });
        }
        if segments.last().is_some_and(|last| segment.pages().start < last.pages().end()) {
            return Err(Error::SegmentOverlap { address: memory.start });
        }
        segments.push(segment);
    }
    if segments.is_empty() {
        return Err(Error::Elf { reason: "it has no loadable segments".into() });
    }
    Ok(segments)
}

fn read_segment<'a>(
    header: &elf::ProgramHeader64<LE>,
    memory: Extent,
    file: &'a [u8],
) -> Result<Segment<'a>, Error> {
    let damaged =
        |what| Error::Elf { reason: format!("the segment at {:#x} {what}", memory.start) };
    if memory.size > MAX_PROGRAM {
        return Err(Error::ProgramTooLarge { size: memory.size, limit: MAX_PROGRAM });
    }
    // All sizes are bounded from here on, so their sums can't wrap.
    if memory.start > MAX_ELRANGE {
        return Err(damaged("lies outside any address space"));
    }
    let data = header.data(LE, file).map_err(|()| damaged("lies outside the file"))?;
    if data.len() as u64 > memory.size {
        return Err(damaged("is larger in the file than in memory"));
    }
    let has = |flag| header.p_flags(LE) & flag != 0;
    let (read, write, execute) = (has(elf::PF_R), has(elf::PF_W), has(elf::PF_X));
    if !read || (write && execute) {
        let permissions =
            [(read, 'r'), (write, 'w'), (execute, 'x')].map(|(on, c)| if on { c } else { '-' });
        return Err(Error::SegmentPermissions {
            address: memory.start,
            permissions: permissions.iter().collect(),
        });
    }
    let segment = Segment { memory, data, write, execute };
    // Against load value injection, address 0 must not hold code.
    if execute && segment.pages().start == 0 {
        return Err(Error::FirstPageExecutable);
    }
    Ok(segment)
}

/// Returns the fields `e_shoff`, and `e_shentsize` to `e_shstrndx`, of the header (ELF-64 Object
/// File Format, "ELF Header").
fn section_fields(file: &[u8], segments: &[Segment<'_>]) -> Vec<Extent> {
    let begins_file = |segment: &&Segment<'_>| segment.data.as_ptr() == file.as_ptr();
    let fields = [(40, 8), (58, 6)];
    segments.iter().find(begins_file).map_or(Vec::new(), |segment| {
        let loaded = segment.data.len() as u64;
        let fields = fields.into_iter().filter(|(offset, size)| offset + size <= loaded);
        fields.map(|(offset, size)| Extent { start: segment.memory.start + offset, size }).collect()
    })
}

fn find_section(
    sections: &SectionTable<'_, Header>,
    segments: &[Segment<'_>],
    name: &'static str,
) -> Result<Option<Extent>, Error> {
    let Some((_, section)) = sections.section_by_name(LE, name.as_bytes()) else {
        return Ok(None);
    };
    let (start, size) = (section.sh_addr(LE), section.sh_size(LE));
    if !segments.iter().any(|s| s.memory.contains(start, size)) {
        return Err(Error::Elf { reason: format!("section `{name}` is not in a loaded segment") });
    }
    Ok(Some(Extent { start, size }))
}

fn find_entry(names: &Names, segments: &[Segment<'_>], name: &str) -> Result<u64, Error> {
    let address = names.require(name, None)?;
    if !segments.iter().any(|s| s.execute && s.memory.contains(address, 1)) {
        return Err(Error::EntryNotCode { name: name.into(), address });
    }
    Ok(address)
}

fn find_symbols(
    names: &Names,
    segments: &[Segment<'_>],
) -> Result<BTreeMap<&'static str, u64>, Error> {
    let mut symbols = BTreeMap::new();
    let own = LAYOUT_SYMBOLS
        .into_iter()
        .filter(|name| names.found.contains_key(*name))
        .map(|name| (name, 8));
    for (name, size) in EDP_SYMBOLS.into_iter().chain(own) {
        let address = names.require(name, Some(size))?;
        if !segments.iter().any(|s| s.memory.contains(address, size)) {
            return Err(Error::SymbolPlace { name: name.into(), address });
        }
        symbols.insert(name, address);
    }
    Ok(symbols)
}

/// The relevant symbols, by name.
struct Names {
    found: BTreeMap<String, Vec<(u64, u64)>>,
}

impl Names {
    /// Reads `.dynsym`, and `.symtab` for names that are missing there. An executable exports
    /// everything on this target, but a linker script may change that.
    fn read(sections: &SectionTable<'_, Header>, file: &[u8], entry: &str) -> Result<Names, Error> {
        let mut found = BTreeMap::<String, Vec<(u64, u64)>>::new();
        for (kind, dynamic) in [(elf::SHT_DYNSYM, true), (elf::SHT_SYMTAB, false)] {
            let table = sections.symbols(LE, file, kind).map_err(unreadable)?;
            let mut here = BTreeMap::<String, Vec<(u64, u64)>>::new();
            for (index, symbol) in table.enumerate() {
                if index.0 == 0 {
                    continue;
                }
                let name = symbol_name(&table, symbol)?;
                if symbol.is_undefined(LE) {
                    if dynamic {
                        return Err(Error::UndefinedSymbol {
                            name: String::from_utf8_lossy(name).into_owned(),
                        });
                    }
                    continue;
                }
                if let Some(name) = wanted(name, entry) {
                    let place = (symbol.st_value(LE), symbol.st_size(LE));
                    let places = here.entry(name.into()).or_default();
                    if !places.contains(&place) {
                        places.push(place);
                    }
                }
            }
            for (name, places) in here {
                found.entry(name).or_insert(places);
            }
        }
        Ok(Names { found })
    }

    fn require(&self, name: &str, size: Option<u64>) -> Result<u64, Error> {
        let name = || name.to_owned();
        match self.found.get(&name()).map(Vec::as_slice) {
            None | Some([]) => Err(Error::MissingSymbol { name: name() }),
            Some(&[(address, found)]) => match size {
                Some(expected) if expected != found => {
                    Err(Error::SymbolSize { name: name(), expected, found })
                }
                _ => Ok(address),
            },
            Some(_) => Err(Error::AmbiguousSymbol { name: name() }),
        }
    }
}

fn symbol_name<'a>(
    table: &SymbolTable<'a, Header>,
    symbol: &elf::Sym64<LE>,
) -> Result<&'a [u8], Error> {
    // Section symbols and the like have no name, and some linkers give them strange ones.
    match symbol.st_type() {
        elf::STT_SECTION | elf::STT_FILE => Ok(b""),
        _ => table.symbol_name(LE, symbol).map_err(unreadable),
    }
}

fn wanted<'n>(name: &'n [u8], entry: &str) -> Option<&'n str> {
    let name = std::str::from_utf8(name).ok()?;
    let known = name == entry
        || EDP_SYMBOLS.iter().any(|(n, _)| *n == name)
        || LAYOUT_SYMBOLS.contains(&name);
    known.then_some(name)
}
