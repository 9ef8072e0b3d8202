//! A small handmade program for `x86_64-fortanix-unknown-sgx`, of which tests can change all parts;
//! and a reader of images that shares no code with the crate's.

#![allow(dead_code, reason = "each test program uses only a part of this module")]

use std::collections::BTreeMap;

use sgx_isa::SecinfoFlags;
use sgxs::sgxs::{CreateInfo, PageReader};
use twine_image::{Built, Error, Manifest};

pub const TEXT: (u64, u64) = (0x3010, 0x800);
pub const TEXT_NO_SGX: (u64, u64) = (0x3a00, 0x40);
pub const EH_FRAME_HDR: (u64, u64) = (0x2800, 0x20);
pub const EH_FRAME: (u64, u64) = (0x2840, 0x40);
pub const RELA: u64 = 0x2900;
pub const DATA: u64 = 0x4100;
pub const DYNAMIC: u64 = 0x4200;
pub const PROGRAM_END: u64 = 0x7000;
pub const ENTRY: u64 = TEXT.0 + 0x20;
pub const STUB: u64 = TEXT.0 + 0x40;
const CELLS: u64 = 0x2000;
const NOTE: u64 = 0x4400;
const DYNSYM: u64 = 0x400;
const DYNSTR: u64 = 0x1000;
const SHSTRTAB: u64 = 0x4480;
const SYMTAB: u64 = 0x4800;
const STRTAB: u64 = 0x5000;
const SECTION_HEADERS: u64 = 0x5800;

pub const CELL_NAMES: [&str; 20] = [
    "HEAP_BASE",
    "HEAP_SIZE",
    "RELA",
    "RELACOUNT",
    "ENCLAVE_SIZE",
    "CFGDATA_BASE",
    "DEBUG",
    "TEXT_BASE",
    "TEXT_SIZE",
    "EH_FRM_HDR_OFFSET",
    "EH_FRM_HDR_LEN",
    "EH_FRM_OFFSET",
    "EH_FRM_LEN",
    "TWINE_GROWTH_BASE",
    "TWINE_GROWTH_SIZE",
    "TWINE_ARENA_BASE",
    "TWINE_ARENA_SIZE",
    "TWINE_ARENA_AT_START",
    "TWINE_GUARD_BASE",
    "TWINE_GUARD_SIZE",
];

#[derive(Clone)]
pub struct Symbol {
    pub name: String,
    pub address: u64,
    pub size: u64,
    pub defined: bool,
}

/// A program whose parts can be changed before it is encoded. Addresses are file offsets.
#[derive(Clone)]
pub struct Program {
    pub machine: u16,
    pub file_type: u16,
    pub toolchain: u32,
    pub symbols: Vec<Symbol>,
    /// The symbols that are only in `.symtab`.
    pub more_symbols: Vec<Symbol>,
    /// The offset, info and addend of each.
    pub relocations: Vec<(u64, u64, u64)>,
    /// The tag and value of each.
    pub dynamic: Vec<(u64, u64)>,
    /// The type, flags, address, size in the file and size in memory of each.
    pub segments: Vec<(u32, u32, u64, u64, u64)>,
    /// The names of sections to leave out.
    pub without: Vec<&'static str>,
}

impl Default for Program {
    fn default() -> Program {
        let symbol =
            |name: &str, address, size| Symbol { name: name.into(), address, size, defined: true };
        let mut symbols = vec![symbol("sgx_entry", ENTRY, 0), symbol("stub", STUB, 0)];
        for (index, name) in CELL_NAMES.into_iter().enumerate() {
            symbols.push(symbol(name, cell_address(index), if name == "DEBUG" { 1 } else { 8 }));
        }
        let relocations = vec![(DATA, 8, TEXT.0), (DATA + 8, 8, 0x2000)];
        Program {
            machine: 62,
            file_type: 3,
            toolchain: 1,
            symbols,
            more_symbols: vec![],
            dynamic: vec![(7, RELA), (8, 48), (9, 24), (0x6fff_fff9, 2), (30, 2)],
            relocations,
            segments: vec![
                (1, 4, 0, 0x3000, 0x3000),
                (1, 5, TEXT.0, 0xa30, 0xa30),
                (1, 6, DATA, 0x300, 0x2300),
                (2, 6, DYNAMIC, 0x200, 0x200),
            ],
            without: vec![],
        }
    }
}

fn cell_address(index: usize) -> u64 {
    CELLS + 16 * index as u64
}

/// Returns the address of the value of a symbol that is filled in.
pub fn cell(name: &str) -> u64 {
    cell_address(CELL_NAMES.iter().position(|n| *n == name).unwrap())
}

impl Program {
    pub fn symbol(&mut self, name: &str) -> &mut Symbol {
        self.symbols.iter_mut().find(|s| s.name == name).unwrap()
    }

    pub fn without_symbol(mut self, name: &str) -> Program {
        self.symbols.retain(|s| s.name != name);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut file = vec![0u8; 0x5e00];
        put(&mut file, 0, b"\x7fELF\x02\x01\x01");
        put(&mut file, 16, &self.file_type.to_le_bytes());
        put(&mut file, 18, &self.machine.to_le_bytes());
        put(&mut file, 20, &[1]);
        put(&mut file, 32, &[64]);
        put(&mut file, 40, &SECTION_HEADERS.to_le_bytes());
        put(&mut file, 52, &[64, 0, 56, 0, self.segments.len() as u8, 0, 64]);
        for (index, &(kind, flags, address, in_file, in_memory)) in self.segments.iter().enumerate()
        {
            let at = 64 + 56 * index;
            put(&mut file, at, &kind.to_le_bytes());
            put(&mut file, at + 4, &flags.to_le_bytes());
            for (field, value) in
                [address, address, address, in_file, in_memory, 0x1000].into_iter().enumerate()
            {
                put(&mut file, at + 8 + 8 * field, &value.to_le_bytes());
            }
        }

        for address in TEXT.0..TEXT.0 + TEXT.1 {
            file[address as usize] = 0x90;
        }
        put(&mut file, TEXT_NO_SGX.0 as usize, &[0x0f; TEXT_NO_SGX.1 as usize]);
        put(&mut file, DATA as usize, b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0initialised");
        let symbols = put_symbols(&mut file, &self.symbols, DYNSYM, DYNSTR);
        let more_symbols = put_symbols(&mut file, &self.more_symbols, SYMTAB, STRTAB);
        for (index, (offset, info, addend)) in self.relocations.iter().enumerate() {
            for (field, value) in [offset, info, addend].into_iter().enumerate() {
                put(&mut file, RELA as usize + 24 * index + 8 * field, &value.to_le_bytes());
            }
        }
        for (index, (tag, value)) in self.dynamic.iter().enumerate() {
            put(&mut file, DYNAMIC as usize + 16 * index, &tag.to_le_bytes());
            put(&mut file, DYNAMIC as usize + 16 * index + 8, &value.to_le_bytes());
        }
        put(&mut file, NOTE as usize, &[18, 0, 0, 0, 4, 0, 0, 0, 1]);
        put(&mut file, NOTE as usize + 12, b"toolchain-version\0");
        put(&mut file, NOTE as usize + 32, &self.toolchain.to_le_bytes());

        self.put_sections(&mut file, symbols, more_symbols);
        file
    }

    fn put_sections(&self, file: &mut [u8], symbols: u64, more_symbols: u64) {
        let note = ".note.x86_64-fortanix-unknown-sgx";
        // The fields are name, type, address (0 for none), offset, size and link.
        let all = [
            ("", 0, 0, 0, 0, 0),
            (".dynsym", 11, DYNSYM, DYNSYM, symbols, 2),
            (".dynstr", 3, DYNSTR, DYNSTR, 0x800, 0),
            (".shstrtab", 3, 0, SHSTRTAB, 0x200, 0),
            (".symtab", 2, 0, SYMTAB, more_symbols, 5),
            (".strtab", 3, 0, STRTAB, 0x800, 0),
            (".text", 1, TEXT.0, TEXT.0, TEXT.1, 0),
            (".text_no_sgx", 1, TEXT_NO_SGX.0, TEXT_NO_SGX.0, TEXT_NO_SGX.1, 0),
            (".eh_frame_hdr", 1, EH_FRAME_HDR.0, EH_FRAME_HDR.0, EH_FRAME_HDR.1, 0),
            (".eh_frame", 1, EH_FRAME.0, EH_FRAME.0, EH_FRAME.1, 0),
            (note, 7, 0, NOTE, 36, 0),
        ];
        let kept: Vec<_> = all.into_iter().filter(|s| !self.without.contains(&s.0)).collect();
        put(file, 60, &[kept.len() as u8, 0, 3, 0]);
        let mut name_at = 1;
        for (index, (name, kind, address, offset, size, link)) in kept.into_iter().enumerate() {
            let at = SECTION_HEADERS as usize + 64 * index;
            put(file, SHSTRTAB as usize + name_at, name.as_bytes());
            put(file, at, &(if name.is_empty() { 0 } else { name_at as u32 }).to_le_bytes());
            put(file, at + 4, &[kind]);
            for (field, value) in [(16, address), (24, offset), (32, size), (40, link), (48, 4)] {
                put(file, at + field, &u64::to_le_bytes(value)[..if field == 40 { 4 } else { 8 }]);
            }
            name_at += name.len() + 1;
        }
    }
}

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn put_symbols(file: &mut [u8], symbols: &[Symbol], table: u64, strings: u64) -> u64 {
    let mut name_at = 1;
    for (index, symbol) in symbols.iter().enumerate() {
        let at = table as usize + 24 * (index + 1);
        put(file, strings as usize + name_at, symbol.name.as_bytes());
        put(file, at, &(name_at as u32).to_le_bytes());
        put(file, at + 4, &[0x10, 0, symbol.defined as u8]);
        put(file, at + 8, &symbol.address.to_le_bytes());
        put(file, at + 16, &symbol.size.to_le_bytes());
        name_at += symbol.name.len() + 1;
    }
    24 * (symbols.len() as u64 + 1)
}

/// Returns the smallest manifest.
pub fn small() -> Manifest {
    manifest("heap-size = 4096\nthreads = 1\nstack-size = 16384\nthread-stack-size = 16384")
}

pub fn manifest(text: &str) -> Manifest {
    Manifest::from_toml_str(text).unwrap()
}

pub fn build(elf: &[u8], manifest: &Manifest) -> Result<(Built, Vec<u8>), Error> {
    let mut image = Vec::new();
    twine_image::build(elf, manifest, &mut image).map(|built| (built, image))
}

/// A page of an image.
pub struct Page {
    pub flags: SecinfoFlags,
    /// A bit for each measured chunk of 256 bytes.
    pub measured: u16,
    pub data: [u8; 4096],
}

impl Page {
    pub fn permissions(&self) -> &'static str {
        match (self.flags & (SecinfoFlags::R | SecinfoFlags::W | SecinfoFlags::X)).bits() {
            0 => "",
            1 => "r",
            3 => "rw",
            5 => "rx",
            7 => "rwx",
            other => panic!("permissions {other}"),
        }
    }

    pub fn is_tcs(&self) -> bool {
        self.flags.page_type() == 1
    }
}

/// An image as the `sgxs` crate reads it.
pub struct Image {
    pub elrange: u64,
    pub ssa_frame_pages: u32,
    pub pages: BTreeMap<u64, Page>,
}

impl Image {
    pub fn read(mut sgxs: &[u8]) -> Image {
        let (CreateInfo { ecreate, sized }, mut reader) = PageReader::new(&mut sgxs).unwrap();
        assert!(sized);
        let mut pages = BTreeMap::new();
        while let Some((eadd, measured, data)) = reader.read_page().unwrap() {
            let page = Page { flags: eadd.secinfo.flags, measured: measured.0, data };
            assert!(pages.insert(eadd.offset, page).is_none());
        }
        Image { elrange: ecreate.size, ssa_frame_pages: ecreate.ssaframesize, pages }
    }

    /// Returns the bytes at an address, which must be loaded.
    pub fn at(&self, address: u64, size: u64) -> Vec<u8> {
        (address..address + size)
            .map(|a| self.pages[&(a & !0xfff)].data[(a & 0xfff) as usize])
            .collect()
    }

    pub fn u64_at(&self, address: u64) -> u64 {
        u64::from_le_bytes(self.at(address, 8).try_into().unwrap())
    }

    /// Returns the value of a symbol that was filled in.
    pub fn value(&self, name: &str) -> u64 {
        self.u64_at(cell(name))
    }

    /// Returns the addresses of all TCSs.
    pub fn tcss(&self) -> Vec<u64> {
        self.pages.iter().filter(|(_, p)| p.is_tcs()).map(|(offset, _)| *offset).collect()
    }
}
