//! Tests of code that is compiled for memories with guards: it faults at addresses in a guard, and
//! nowhere else where a host could have influence.

use object::{Object, ObjectSection};
use std::sync::Arc;
use twine_engine::{EngineConfig, Guarded, Identified, Limits};
use wasmtime::{LinearMemory, MemoryCreator, MemoryType};
use wasmtime_environ::obj::ELF_WASMTIME_TRAPS;
use wasmtime_environ::{CompiledTrap, Trap, iterate_traps};

/// A creator that is never used, because no program is instantiated.
struct NoMemories;

// SAFETY: no memory is ever made.
unsafe impl MemoryCreator for NoMemories {
    fn new_memory(
        &self,
        _: MemoryType,
        _: usize,
        _: Option<usize>,
        _: Option<usize>,
        _: usize,
    ) -> Result<Box<dyn LinearMemory>, String> {
        Err("there are no memories".into())
    }
}

fn platform(guarded: bool, baseline: bool) -> EngineConfig {
    let memories = || Arc::new(NoMemories) as Arc<dyn MemoryCreator>;
    let guarded =
        guarded.then_some(Guarded { reservation: 4 << 30, guard: 32 << 20, most: 2, memories });
    EngineConfig { guarded, baseline, ..EngineConfig::default() }
}

/// Compiles a program, and returns its machine code.
fn compiled(text: &str, guarded: bool) -> Vec<u8> {
    compiled_on(text, &platform(guarded, false))
}

fn compiled_on(text: &str, platform: &EngineConfig) -> Vec<u8> {
    let program = Identified::new(wat::parse_str(text).unwrap());
    program.compile(&Limits::default(), platform).unwrap().code().to_vec()
}

/// Returns the places where code may trap, the traps, and the first bytes of the instructions.
fn sites(code: &[u8]) -> Vec<(u32, Trap, Vec<u8>)> {
    let file = object::File::parse(code).unwrap();
    let text = file.section_by_name(".text").unwrap().data().unwrap();
    let traps = file.section_by_name(ELF_WASMTIME_TRAPS).unwrap().data().unwrap();
    iterate_traps(traps)
        .unwrap()
        .map(|(at, trap)| {
            let CompiledTrap::Normal(trap) = trap else { panic!("at {at:#x}: {trap:?}") };
            let at = at as usize;
            (at as u32, trap, text[at..text.len().min(at + 16)].to_vec())
        })
        .collect()
}

const UD2: &[u8] = &[0x0f, 0x0b];

/// Calls that may be to null, and accesses of tables that may be out of bounds, of all kinds that
/// wasmtime checks with a load from address 0 if it may.
const NULLS: &str = r#"(module
    (type $f (func (result i32)))
    (table $any 10 funcref)
    (table $typed 10 (ref null $f))
    (table $objects 10 externref)
    (func (export "a") (param i32) (result i32) (call_indirect $any (type $f) (local.get 0)))
    (func (export "b") (param i32) (result i32) (call_indirect $typed (type $f) (local.get 0)))
    (func (export "c") (param (ref null $f)) (result i32) (call_ref $f (local.get 0)))
    (func (export "d") (param i32) (result i32)
        (return_call_indirect $any (type $f) (local.get 0)))
    (func (export "e") (param (ref null $f)) (result i32) (return_call_ref $f (local.get 0)))
    (func (export "f") (param i32) (result externref) (table.get $objects (local.get 0)))
    (func (export "g") (param i32) (table.set $objects (local.get 0) (ref.null extern)))
    (func (export "h") (param i32) (result (ref $f)) (ref.as_non_null (table.get $typed (local.get 0))))
    (func (export "i") (param i32 funcref) (table.set $any (local.get 0) (local.get 1))))"#;

#[test]
fn nothing_but_an_access_of_memory_and_a_division_stops_without_a_check() {
    let sites = sites(&compiled(NULLS, true));
    for wanted in [Trap::IndirectCallToNull, Trap::NullReference, Trap::TableOutOfBounds] {
        assert!(sites.iter().any(|(_, trap, _)| *trap == wanted), "{wanted:?} is not checked");
    }
    for (at, trap, bytes) in sites {
        assert!(bytes.starts_with(UD2), "{trap:?} at {at:#x} is no UD2 but {bytes:x?}");
    }
}

/// The part of these that the baseline compiler supports.
const BASELINE: &str = r#"(module
    (type $f (func (result i32)))
    (table $any 10 funcref)
    (func (export "a") (param i32) (result i32) (call_indirect $any (type $f) (local.get 0)))
    (func (export "i") (param i32 funcref) (table.set $any (local.get 0) (local.get 1))))"#;

#[test]
fn the_baseline_compiler_checks_as_much() {
    let sites = sites(&compiled_on(BASELINE, &platform(true, true)));
    for wanted in [Trap::IndirectCallToNull, Trap::TableOutOfBounds, Trap::BadSignature] {
        assert!(sites.iter().any(|(_, trap, _)| *trap == wanted), "{wanted:?} is not checked");
    }
    for (at, trap, bytes) in sites {
        assert!(bytes.starts_with(UD2), "{trap:?} at {at:#x} is no UD2 but {bytes:x?}");
    }
}

/// Accesses beyond the guard, whose bounds must be compared.
const FAR: &str = r#"(module (memory 1)
    (func (export "a") (param i32) (result i32) (i32.load offset=0x7fffffff (local.get 0)))
    (func (export "b") (param i32) (i64.store offset=0xfffffff0 (local.get 0) (i64.const 1))))"#;

#[test]
fn accesses_beyond_the_guards_are_compared_and_never_read_address_0() {
    let sites = sites(&compiled(FAR, true));
    let checks = sites.iter().filter(|(_, _, bytes)| bytes.starts_with(UD2)).count();
    assert!(checks >= 2, "{sites:x?}");
    let code = compiled(FAR, true);
    let file = object::File::parse(&code[..]).unwrap();
    let text = file.section_by_name(".text").unwrap().data().unwrap();
    // `cmov` can make an address 0 without a branch.
    let conditional_move = |two: &[u8]| two[0] == 0x0f && two[1] & 0xf0 == 0x40;
    assert!(!text.windows(2).any(conditional_move), "an address is chosen");
}

/// Accesses within the guard.
const NEAR: &str = r#"(module (memory 1)
    (func (export "f") (param i32) (result i32) (i32.load offset=1000 (local.get 0))))"#;

#[test]
fn an_access_within_reach_is_one_instruction() {
    let sites = sites(&compiled(NEAR, true));
    let access = |(_, trap, bytes): &&(u32, Trap, Vec<u8>)| {
        *trap == Trap::MemoryOutOfBounds && !bytes.starts_with(UD2)
    };
    assert_eq!(sites.iter().filter(access).count(), 1, "{sites:x?}");
    assert!(
        sites.iter().all(|(_, trap, bytes)| {
            *trap != Trap::MemoryOutOfBounds || !bytes.starts_with(UD2)
        })
    );
}

#[test]
fn a_program_with_more_memories_than_there_are_guards_has_them_compared() {
    let text = "(module (memory 1) (memory 1) (memory 1)
        (func (export \"f\") (result i32) (i32.load 2 (i32.const 5))))";
    assert_eq!(compiled(text, true), compiled(text, false));
}
