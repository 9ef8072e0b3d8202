//! Tests of code memory: the arena of compiled modules.

use super::{Verdict, binary, engine, ensure, failure, instance, tests};
use twine_sgx::{code_memory, code_refused, writable_code_pages};
use wasmtime::{Engine, Instance, Module, Store};

tests!(
    pages_of_published_code_are_not_writable,
    code_memory_of_dropped_modules_is_used_again,
    code_memory_is_whole_again_after_modules_of_all_sizes_came_and_went,
    a_module_that_is_larger_than_code_memory_is_an_error_that_says_how_much_it_wants,
);

const MIB: usize = 1 << 20;

/// Makes a module that returns 42 and has `size` bytes of data, which are stored with its code.
fn with_data(size: usize) -> Result<Vec<u8>, String> {
    fn leb(mut number: usize, bytes: &mut Vec<u8>) {
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
    }
    let mut wasm = binary(r#"(module (memory 1) (func (export "f") (result i32) i32.const 42))"#)?;
    // Adds one passive segment.
    let mut head = vec![1, 1];
    leb(size, &mut head);
    wasm.push(11);
    leb(head.len() + size, &mut wasm);
    wasm.extend(head);
    wasm.resize(wasm.len() + size, 0x5a);
    Ok(wasm)
}

fn compile(engine: &Engine, size: usize) -> Result<Module, String> {
    Module::from_binary(engine, &with_data(size)?).map_err(failure)
}

fn answers(module: &Module) -> Verdict {
    let mut store = Store::new(module.engine(), ());
    let instance = Instance::new(&mut store, module, &[]).map_err(failure)?;
    let function = instance.get_typed_func::<(), i32>(&mut store, "f").map_err(failure)?;
    let answer = function.call(&mut store, ()).map_err(failure)?;
    ensure!(answer == 42, "the module answers {answer}");
    Ok(())
}

/// A write to such a page ends the enclave, which a separate run tests.
fn pages_of_published_code_are_not_writable() -> Verdict {
    let (mut store, instance) =
        instance(&engine()?, r#"(module (func (export "f") (result i32) i32.const 1))"#)?;
    let function = instance.get_typed_func::<(), i32>(&mut store, "f").map_err(failure)?;
    function.call(&mut store, ()).map_err(failure)?;
    ensure!(!writable_code_pages(), "the platform can't narrow the permissions of pages");
    Ok(())
}

fn code_memory_of_dropped_modules_is_used_again() -> Verdict {
    let engine = engine()?;
    let size = 2 * MIB;
    let rounds = 4 * code_memory() as usize / size;
    for round in 0..rounds {
        let module = compile(&engine, size).map_err(|why| format!("round {round}: {why}"))?;
        answers(&module)?;
    }
    Ok(())
}

fn code_memory_is_whole_again_after_modules_of_all_sizes_came_and_went() -> Verdict {
    let engine = engine()?;
    let mut kept: Vec<Module> = Vec::new();
    for round in 0..300_usize {
        if kept.len() == 12 {
            kept.swap_remove(round * 7919 % 12);
        }
        let size = round * 104_729 % (4 * MIB);
        kept.push(compile(&engine, size).map_err(|why| format!("round {round}: {why}"))?);
        answers(&kept[round % kept.len()])?;
    }
    drop(kept);
    let nearly_all = code_memory() as usize - 4 * MIB;
    answers(&compile(&engine, nearly_all).map_err(|why| format!("nearly all of it: {why}"))?)
}

fn a_module_that_is_larger_than_code_memory_is_an_error_that_says_how_much_it_wants() -> Verdict {
    let engine = engine()?;
    let memory = code_memory();
    let before = code_refused();
    ensure!(before.is_none(), "before: {before:?} bytes were refused");
    let result = compile(&engine, memory as usize + MIB);
    ensure!(result.is_err(), "it was compiled");
    let wanted = code_refused();
    ensure!(wanted.is_some_and(|wanted| wanted > memory), "{wanted:?} bytes were wanted");
    answers(&compile(&engine, MIB)?)
}
