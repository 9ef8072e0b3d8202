//! Programs that can't become images, and damaged files.

mod common;

use common::{Program, Symbol, build, manifest, small};
use twine_image::Error;

/// Builds a changed program, which must fail, and returns the message.
fn refusal(change: impl FnOnce(&mut Program)) -> String {
    let mut program = Program::default();
    change(&mut program);
    let error = build(&program.bytes(), &small()).map(|_| ()).unwrap_err();
    assert!(!error.to_string().contains('\n'));
    assert!(error.remedy().is_none_or(|r| !r.contains('\n')));
    error.to_string()
}

#[track_caller]
fn refused(word: &str, change: impl FnOnce(&mut Program)) {
    let message = refusal(change);
    assert!(message.contains(word), "{message}");
}

#[test]
fn a_program_for_another_machine_is_refused() {
    refused("machine 183", |p| p.machine = 183);
    refused("type 2", |p| p.file_type = 2);
    let mut big_endian = Program::default().bytes();
    big_endian[5] = 2;
    assert!(matches!(build(&big_endian, &small()), Err(Error::Elf { .. })));
    let mut small_class = Program::default().bytes();
    small_class[4] = 1;
    assert!(matches!(build(&small_class, &small()), Err(Error::Elf { .. })));
    assert!(matches!(build(b"#!/bin/sh\n", &small()), Err(Error::Elf { .. })));
    assert!(matches!(build(b"", &small()), Err(Error::Elf { .. })));
}

#[test]
fn a_program_of_a_newer_toolchain_is_refused() {
    refused("version 2", |p| p.toolchain = 2);
}

#[test]
fn every_section_of_the_contract_is_needed() {
    for name in [".text", ".eh_frame", ".eh_frame_hdr", ".note.x86_64-fortanix-unknown-sgx"] {
        refused(name, |p| p.without.push(name));
    }
}

#[test]
fn every_symbol_of_the_contract_is_needed() {
    for name in
        common::CELL_NAMES.into_iter().filter(|n| !n.starts_with("TWINE_")).chain(["sgx_entry"])
    {
        refused(&format!("does not export `{name}`"), |p| *p = p.clone().without_symbol(name));
    }
}

#[test]
fn an_arena_needs_symbols_that_say_where_it_is() {
    for name in ["TWINE_ARENA_BASE", "TWINE_ARENA_SIZE", "TWINE_GUARD_BASE", "TWINE_GUARD_SIZE"] {
        let file = Program::default().without_symbol(name).bytes();
        build(&file, &small()).unwrap();
        let both = manifest("code-arena-size = 4096\nguard-size = 4096");
        match build(&file, &both) {
            Err(Error::MissingLayoutSymbol { name: missing, .. }) => assert_eq!(missing, name),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_symbol_must_be_one_thing_of_the_right_size_in_the_program() {
    refused("`HEAP_BASE` is 4 bytes long", |p| p.symbol("HEAP_BASE").size = 4);
    refused("`TWINE_ARENA_SIZE` is 0 bytes long", |p| p.symbol("TWINE_ARENA_SIZE").size = 0);
    refused("`RELA` at 0x9000", |p| p.symbol("RELA").address = 0x9000);
    refused("`RELA` at 0xfffffffffffffffc", |p| p.symbol("RELA").address = u64::MAX - 3);
    // This symbol crosses the end of a segment.
    refused("`RELA` at 0x2ffc", |p| p.symbol("RELA").address = 0x2ffc);
    refused("more than one symbol `RELA`", |p| {
        let other = Symbol { address: 0x2100, ..p.symbol("RELA").clone() };
        p.symbols.push(other);
    });
    refused("needs the external symbol `memcpy`", |p| {
        p.symbols.push(Symbol { name: "memcpy".into(), address: 0, size: 0, defined: false });
    });
}

#[test]
fn the_entry_must_be_code() {
    refused("`sgx_entry` at 0x4100", |p| p.symbol("sgx_entry").address = common::DATA);
    let error = build(&Program::default().bytes(), &manifest("entry = \"nowhere\""))
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(&error, Error::MissingSymbol { name } if name == "nowhere"), "{error}");
}

#[test]
fn requests_to_a_dynamic_linker_are_refused() {
    refused("DT_TEXTREL", |p| p.dynamic.push((22, 0)));
    refused("DT_TEXTREL", |p| p.dynamic[4] = (30, 4));
    for (tag, name) in [
        (1, "DT_NEEDED"),
        (23, "DT_JMPREL"),
        (25, "DT_INIT_ARRAY"),
        (17, "DT_REL"),
        (36, "DT_RELR"),
    ] {
        refused(name, |p| p.dynamic.push((tag, 0)));
    }
    refused("interpreter", |p| p.segments.push((3, 4, 0x2000, 8, 8)));
    refused("thread-local", |p| p.segments.push((7, 4, 0x2000, 0, 8)));
    refused("no dynamic section", |p| p.segments.truncate(3));
}

#[test]
fn a_relocation_that_the_enclave_would_not_apply_is_refused() {
    refused("type 6", |p| p.relocations[1].1 = 6);
    refused("symbol 1", |p| p.relocations[1].1 = (1 << 32) | 8);
    refused("0x2000 is not in a writable segment", |p| p.relocations[0].0 = 0x2000);
    refused("0x63fc is not in a writable segment", |p| p.relocations[0].0 = 0x63fc);
    refused("points to 0x7001", |p| p.relocations[0].2 = 0x7001);
    refused("relocation table", |p| p.dynamic[3].1 = 3);
    refused("relocation table", |p| p.dynamic[3].1 = u64::MAX);
    refused("relocation table", |p| p.dynamic[1].1 = 72);
    refused("relocation table", |p| p.dynamic[2].1 = 16);
    refused("relocation table", |p| p.dynamic[0].1 = 0x9000);
    refused("relocation table", |p| p.dynamic.retain(|(tag, _)| *tag != 7));
    refused("relocation table", |p| p.dynamic.push((7, common::RELA)));
}

#[test]
fn a_program_without_relocations_is_fine() {
    let program = Program { dynamic: vec![], relocations: vec![], ..Program::default() };
    build(&program.bytes(), &small()).unwrap();
}

#[test]
fn segments_must_be_readable_ordered_and_never_writable_code() {
    refused("is rwx", |p| p.segments[2].1 = 7);
    refused("is --x", |p| p.segments[1].1 = 1);
    refused("first page", |p| p.segments[0].1 = 5);
    refused("shares a page", |p| p.segments[0].4 = 0x3001);
    refused("shares a page", |p| p.segments.swap(0, 1));
    refused("larger in the file", |p| p.segments[2].4 = 0x100);
    refused("outside the file", |p| p.segments[2].3 = 0x2000);
    refused("limit", |p| p.segments[2].4 = 1 << 30);
    refused("limit", |p| p.segments[2].4 = u64::MAX);
    refused("outside any address space", |p| p.segments.push((1, 4, u64::MAX - 0xfff, 0, 0x1000)));
    refused("no loadable segments", |p| p.segments.retain(|s| s.0 != 1));
}

#[test]
fn more_address_space_than_there_is_is_refused() {
    for text in [
        "heap-size = \"64TiB\"",
        "guard-size = \"64TiB\"",
        "heap-size = \"40TiB\"\nelrange = \"64TiB\"",
    ] {
        let result = twine_image::build(&Program::default().bytes(), &manifest(text), &mut Refuse);
        if text.contains("elrange") {
            assert!(matches!(result, Err(Error::Io { .. })));
        } else {
            assert!(matches!(result, Err(Error::ElrangeTooLarge { .. })), "{text}");
        }
    }
}

/// An output that stops a build after its layout was accepted.
struct Refuse;

impl std::io::Write for Refuse {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::StorageFull.into())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_truncated_program_is_an_error_at_every_length() {
    let file = Program::default().bytes();
    let headers_end = 0x5800 + 11 * 64;
    for length in 0..headers_end {
        assert!(
            twine_image::build(&file[..length], &small(), &mut std::io::sink()).is_err(),
            "{length}"
        );
    }
}

#[test]
fn a_damaged_program_never_panics() {
    let file = Program::default().bytes();
    // These are headers, symbols, relocations, the dynamic section, the note, section names and
    // headers.
    let metadata = (0..0x620)
        .chain(0x2900..0x2930)
        .chain(0x4200..0x4280)
        .chain(0x4400..0x4500)
        .chain(0x5800..0x5ac0);
    for at in metadata {
        for change in [0x01, 0x80, 0xff] {
            let mut damaged = file.clone();
            damaged[at] ^= change;
            let _ = twine_image::build(&damaged, &small(), &mut Limited(1 << 20));
        }
    }
}

/// An output that takes this many bytes, and then fails.
struct Limited(usize);

impl std::io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
