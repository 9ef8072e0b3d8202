//! Checks a program's requests to a dynamic linker: the dynamic section and the relocations.

use std::collections::BTreeMap;

use object::LittleEndian as LE;
use object::elf;
use object::read::elf::{Dyn as _, ProgramHeader as _, Rela as _};

use crate::Error;
use crate::segment::{Segment, unreadable};

/// The place of the relocations, from the dynamic section.
pub(crate) struct RelocationTable {
    address: u64,
    size: u64,
    count: u64,
}

/// Refuses every request to a dynamic linker except relocations, which the start code applies.
pub(crate) fn read_dynamic(
    headers: &[elf::ProgramHeader64<LE>],
    file: &[u8],
) -> Result<Option<RelocationTable>, Error> {
    let inconsistent = |reason: &str| Error::RelocationTable { reason: reason.into() };
    let Some(header) = headers.iter().find(|h| h.p_type(LE) == elf::PT_DYNAMIC) else {
        return Err(Error::Elf { reason: "it has no dynamic section".into() });
    };
    let entries = header.dynamic(LE, file).map_err(unreadable)?.unwrap_or_default();
    let mut found = BTreeMap::new();
    for entry in entries.iter().take_while(|e| e.tag(LE) != elf::DT_NULL) {
        let tag = entry.tag(LE);
        if let Some((_, name)) = REFUSED.iter().find(|(refused, _)| *refused == tag) {
            return Err(Error::UnsupportedDynamic { tag: name });
        }
        if tag == elf::DT_TEXTREL
            || (tag == elf::DT_FLAGS && entry.val(LE) & u64::from(elf::DF_TEXTREL) != 0)
        {
            return Err(Error::TextRelocations);
        }
        if found.insert(tag, entry.val(LE)).is_some() && RELA_TAGS.contains(&tag) {
            return Err(inconsistent("the dynamic section names it twice"));
        }
    }
    match RELA_TAGS.map(|tag| found.get(&tag).copied()) {
        [None, None | Some(0), None | Some(0), _] => Ok(None),
        [Some(address), Some(size), count, entry_size] => {
            if entry_size != Some(size_of::<elf::Rela64<LE>>() as u64) {
                return Err(inconsistent("DT_RELAENT is not 24"));
            }
            Ok(Some(RelocationTable { address, size, count: count.unwrap_or(0) }))
        }
        _ => Err(inconsistent("of DT_RELA, DT_RELASZ and DT_RELACOUNT not all are there")),
    }
}

const RELA_TAGS: [i64; 4] = [elf::DT_RELA, elf::DT_RELASZ, elf::DT_RELACOUNT, elf::DT_RELAENT];

const REFUSED: [(i64, &str); 16] = [
    (elf::DT_NEEDED, "DT_NEEDED"),
    (elf::DT_PLTRELSZ, "DT_PLTRELSZ"),
    (elf::DT_PLTREL, "DT_PLTREL"),
    (elf::DT_JMPREL, "DT_JMPREL"),
    (elf::DT_INIT, "DT_INIT"),
    (elf::DT_INIT_ARRAY, "DT_INIT_ARRAY"),
    (elf::DT_INIT_ARRAYSZ, "DT_INIT_ARRAYSZ"),
    (elf::DT_PREINIT_ARRAY, "DT_PREINIT_ARRAY"),
    (elf::DT_FINI, "DT_FINI"),
    (elf::DT_FINI_ARRAY, "DT_FINI_ARRAY"),
    (elf::DT_FINI_ARRAYSZ, "DT_FINI_ARRAYSZ"),
    (elf::DT_REL, "DT_REL"),
    (elf::DT_RELSZ, "DT_RELSZ"),
    (elf::DT_RELCOUNT, "DT_RELCOUNT"),
    (elf::DT_RELR, "DT_RELR"),
    (elf::DT_RELRSZ, "DT_RELRSZ"),
];

/// Checks every relocation that the start code will apply, and returns the table's address
/// and number of entries.
pub(crate) fn check_relocations(
    table: &RelocationTable,
    segments: &[Segment<'_>],
    end: u64,
) -> Result<(u64, u64), Error> {
    let inconsistent = |reason: String| Error::RelocationTable { reason };
    let entry_size = size_of::<elf::Rela64<LE>>() as u64;
    if table.size != table.count.saturating_mul(entry_size) {
        return Err(inconsistent(format!(
            "{} bytes for {} relative relocations",
            table.size, table.count
        )));
    }
    let bytes = segments
        .iter()
        .find(|s| s.memory.contains(table.address, table.size))
        .and_then(|s| {
            let start = (table.address - s.memory.start) as usize;
            s.data.get(start..start.checked_add(table.size as usize)?)
        })
        .ok_or_else(|| inconsistent("it does not lie in the program".into()))?;
    let (entries, _) =
        object::pod::slice_from_bytes::<elf::Rela64<LE>>(bytes, table.count as usize)
            .map_err(|()| inconsistent("it can't be read".into()))?;
    for entry in entries {
        let (address, target) = (entry.r_offset(LE), entry.r_addend(LE) as u64);
        let (kind, symbol) = (entry.r_type(LE, false), entry.r_sym(LE, false));
        if (kind, symbol) != (elf::R_X86_64_RELATIVE, 0) {
            return Err(Error::Relocation { address, kind, symbol });
        }
        if !segments.iter().any(|s| s.write && s.memory.contains(address, 8)) {
            return Err(Error::RelocationPlace { address });
        }
        if target > end {
            return Err(Error::RelocationTarget { address, target });
        }
    }
    Ok((table.address, table.count))
}
