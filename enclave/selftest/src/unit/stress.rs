//! Programs that stress the compiler or the engine's memory.

use super::{Verdict, engine, ensure, failure, instance, tests};
use wasmtime::{Instance, Module, Store};

tests!(
    a_hundred_thousand_nested_blocks_are_compiled,
    an_expression_of_a_hundred_thousand_operands_is_compiled,
    a_branch_table_of_sixty_five_thousand_targets_is_compiled,
    a_function_of_fifty_thousand_locals_is_compiled,
    ten_thousand_functions_are_compiled,
    a_program_whose_tables_take_all_memory_ends_with_an_error,
    a_program_that_fills_its_garbage_collected_heap_ends_with_an_error,
    garbage_is_collected_many_times_over,
);

fn leb(mut number: usize, bytes: &mut Vec<u8>) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn section(id: u8, content: &[u8], wasm: &mut Vec<u8>) {
    wasm.push(id);
    leb(content.len(), wasm);
    wasm.extend_from_slice(content);
}

/// Makes a module whose functions have these bodies (locals and code, without `end`). They take no
/// parameters and return an `i32`; the first is exported as `f`.
fn functions(bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut wasm = b"\0asm\x01\0\0\0".to_vec();
    section(1, &[1, 0x60, 0, 1, 0x7f], &mut wasm);
    let mut types = Vec::new();
    leb(bodies.len(), &mut types);
    types.resize(types.len() + bodies.len(), 0);
    section(3, &types, &mut wasm);
    section(7, &[1, 1, b'f', 0, 0], &mut wasm);
    let mut code = Vec::new();
    leb(bodies.len(), &mut code);
    for body in bodies {
        leb(body.len() + 1, &mut code);
        code.extend_from_slice(body);
        code.push(END);
    }
    section(10, &code, &mut wasm);
    wasm
}

const BLOCK: u8 = 0x02;
const END: u8 = 0x0b;
const BR_TABLE: u8 = 0x0e;
const I32_CONST: u8 = 0x41;
const I32_ADD: u8 = 0x6a;
const LOCAL_GET: u8 = 0x20;
const NO_VALUE: u8 = 0x40;

/// Compiles a module, calls `f` and checks its result.
fn f_returns(wasm: &[u8], expected: i32) -> Verdict {
    let module = Module::from_binary(&engine()?, wasm).map_err(failure)?;
    let mut store = Store::new(module.engine(), ());
    let instance = Instance::new(&mut store, &module, &[]).map_err(failure)?;
    let function = instance.get_typed_func::<(), i32>(&mut store, "f").map_err(failure)?;
    let answer = function.call(&mut store, ()).map_err(failure)?;
    ensure!(answer == expected, "{answer}, not {expected}");
    Ok(())
}

fn a_hundred_thousand_nested_blocks_are_compiled() -> Verdict {
    let mut body = vec![0];
    body.extend([BLOCK, NO_VALUE].repeat(100_000));
    body.extend([END].repeat(100_000));
    body.extend([I32_CONST, 5]);
    f_returns(&functions(&[body]), 5)
}

fn an_expression_of_a_hundred_thousand_operands_is_compiled() -> Verdict {
    let mut body = vec![1, 1, 0x7f];
    // A local, because constants would be folded.
    body.extend([LOCAL_GET, 0].repeat(100_000));
    body.extend([I32_ADD].repeat(99_999));
    f_returns(&functions(&[body]), 0)
}

fn a_branch_table_of_sixty_five_thousand_targets_is_compiled() -> Verdict {
    let mut body = vec![0, BLOCK, NO_VALUE, I32_CONST, 7, BR_TABLE];
    // Wasmtime accepts at most 65,520.
    leb(65_000, &mut body);
    body.resize(body.len() + 65_001, 0);
    body.extend([END, I32_CONST, 6]);
    f_returns(&functions(&[body]), 6)
}

fn a_function_of_fifty_thousand_locals_is_compiled() -> Verdict {
    let mut body = vec![1];
    leb(50_000, &mut body);
    body.extend([0x7e, I32_CONST, 4]);
    f_returns(&functions(&[body]), 4)
}

fn ten_thousand_functions_are_compiled() -> Verdict {
    f_returns(&functions(&vec![vec![0, I32_CONST, 3]; 10_000]), 3)
}

fn a_program_whose_tables_take_all_memory_ends_with_an_error() -> Verdict {
    let free = super::heap::free();
    let (mut store, instance) = instance(
        &engine()?,
        r#"(module (table $a 1 funcref) (table $b 1 externref)
            (func (export "f") (result i32)
                (loop $again
                    (br_if $again (i32.ne (i32.const -1)
                        (table.grow $a (ref.null func) (i32.const 100000))))
                    (br_if $again (i32.ne (i32.const -1)
                        (table.grow $b (ref.null extern) (i32.const 100000)))))
                (table.size $a)))"#,
    )?;
    let function = instance.get_typed_func::<(), i32>(&mut store, "f").map_err(failure)?;
    // Not -1 as for a memory: wasmtime 48 reports an error if it has no memory for a table.
    match function.call(&mut store, ()) {
        Ok(size) => return Err(format!("it ended at {size} elements")),
        Err(error) => {
            let why = format!("{error:#}");
            ensure!(why.contains("out of memory"), "{why}");
        }
    }
    drop(store);
    let left = super::heap::free();
    ensure!(left + (1 << 20) > free, "{free} bytes were free before and {left} after");
    Ok(())
}

const LIST: &str = r#"(module
    (type $node (struct (field (ref null $node)) (field i64)))
    (global $list (mut (ref null $node)) (ref.null $node))
    (func (export "keep") (param i32)
        (loop $again
            (global.set $list (struct.new $node (global.get $list) (i64.const 1)))
            (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
            (br_if $again (local.get 0))))
    (func (export "drop") (param i32)
        (loop $again
            (global.set $list (struct.new $node (ref.null $node) (i64.const 1)))
            (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
            (br_if $again (local.get 0)))))"#;

fn a_program_that_fills_its_garbage_collected_heap_ends_with_an_error() -> Verdict {
    let free = super::heap::free();
    let (mut store, instance) = instance(&engine()?, LIST)?;
    let keep = instance.get_typed_func::<i32, ()>(&mut store, "keep").map_err(failure)?;
    ensure!(keep.call(&mut store, -1).is_err(), "four thousand million objects fit");
    drop(store);
    let left = super::heap::free();
    ensure!(left + (1 << 20) > free, "{free} bytes were free before and {left} after");
    Ok(())
}

fn garbage_is_collected_many_times_over() -> Verdict {
    let (mut store, instance) = instance(&engine()?, LIST)?;
    let drop = instance.get_typed_func::<i32, ()>(&mut store, "drop").map_err(failure)?;
    drop.call(&mut store, 20_000_000).map_err(failure)
}
