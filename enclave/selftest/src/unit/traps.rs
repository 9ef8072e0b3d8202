//! Tests of traps: thousands in a row, of every kind, after which the thread still works.

use super::{Verdict, engine, engine_with_stack, ensure, failure, heap, instance, module, tests};
use wasmtime::{Caller, Engine, Extern, Linker, Store, Trap};

tests!(
    ten_thousand_traps_in_a_row_leave_nothing_behind,
    a_thread_that_ran_out_of_stack_ten_thousand_times_still_works,
    the_main_thread_has_all_the_stack_that_programs_are_promised,
    recursion_through_functions_of_the_host_ends_in_a_trap,
    ten_thousand_exceptions_in_a_row_leave_nothing_behind,
);

/// Size, in bytes, of the heap that caches may keep after their first use.
const SLACK: usize = 256 << 10;

fn trap_of(
    store: &mut Store<()>,
    instance: wasmtime::Instance,
    name: &str,
) -> Result<Trap, String> {
    let function = instance.get_typed_func::<(), ()>(&mut *store, name).map_err(failure)?;
    match function.call(store, ()) {
        Ok(()) => Err(format!("`{name}` returned")),
        Err(error) => {
            error.downcast_ref::<Trap>().copied().ok_or_else(|| format!("no trap: {error:#}"))
        }
    }
}

fn ten_thousand_traps_in_a_row_leave_nothing_behind() -> Verdict {
    let engine = engine()?;
    let (mut store, instance) = instance(
        &engine,
        r#"(module (memory 1) (table 1 funcref) (type $f (func)) (global $zero (mut i32) (i32.const 0))
            (func (export "unreachable") unreachable)
            (func (export "divide") (drop (i32.div_u (i32.const 1) (global.get $zero))))
            (func (export "load") (drop (i32.load (i32.const 65536))))
            (func (export "store") (i32.store offset=4294967295 (i32.const -1) (i32.const 1)))
            (func (export "call") (call_indirect (type $f) (global.get $zero)))
            (func (export "convert") (drop (i32.trunc_f32_s (f32.const nan)))))"#,
    )?;
    let kinds = [
        ("unreachable", Trap::UnreachableCodeReached),
        ("divide", Trap::IntegerDivisionByZero),
        ("load", Trap::MemoryOutOfBounds),
        ("store", Trap::MemoryOutOfBounds),
        ("call", Trap::IndirectCallToNull),
        ("convert", Trap::BadConversionToInteger),
    ];
    let mut round = |rounds: usize| -> Verdict {
        for at in 0..rounds {
            let (name, expected) = kinds[at % kinds.len()];
            let trap = trap_of(&mut store, instance, name)?;
            ensure!(trap == expected, "`{name}` trapped with {trap:?}");
        }
        Ok(())
    };
    round(100)?;
    let before = heap::free();
    round(10_000)?;
    let after = heap::free();
    ensure!(after + SLACK >= before, "{before} bytes were free before, {after} after");
    Ok(())
}

const DEEP: &str = r#"(module
    (global $depth (mut i32) (i32.const 0))
    (func (export "depth") (result i32) global.get $depth)
    (func $deep (export "deep")
        (global.set $depth (i32.add (global.get $depth) (i32.const 1)))
        (call $deep)
        ;; Work after the call, so that it is none in tail position.
        (global.set $depth (i32.const 0))))"#;

/// Overflows the stack `times` times. Returns the depth of the last overflow.
fn overflow(engine: &Engine, times: usize) -> Result<i32, String> {
    let (mut store, instance) = instance(engine, DEEP)?;
    let depth = instance.get_typed_func::<(), i32>(&mut store, "depth").map_err(failure)?;
    let mut each = 0;
    for at in 0..times {
        let trap = trap_of(&mut store, instance, "deep")?;
        ensure!(trap == Trap::StackOverflow, "time {at}: {trap:?}");
        let now = depth.call(&mut store, ()).map_err(failure)?;
        let this = now - each * at as i32;
        ensure!(at == 0 || this == each, "{each} deep at first, {this} deep at time {at}");
        each = this;
    }
    Ok(each)
}

fn a_thread_that_ran_out_of_stack_ten_thousand_times_still_works() -> Verdict {
    let overflows = || -> Verdict {
        twine_engine::stop_profiling();
        overflow(&engine_with_stack(128 << 10)?, 10_000)?;
        Ok(())
    };
    overflows()?;
    std::thread::spawn(overflows).join().map_err(|_| "the thread panicked")?
}

fn the_main_thread_has_all_the_stack_that_programs_are_promised() -> Verdict {
    let depth = overflow(&engine()?, 100)?;
    // A frame of this function has at least a return address and a frame pointer.
    ensure!(depth > (8 << 20) / 64, "it went {depth} deep only");
    Ok(())
}

fn recursion_through_functions_of_the_host_ends_in_a_trap() -> Verdict {
    let engine = engine()?;
    let module = module(
        &engine,
        r#"(module (import "host" "again" (func $again)) (func (export "f") (call $again)))"#,
    )?;
    let mut linker = Linker::new(&engine);
    linker
        .func_wrap("host", "again", |mut caller: Caller<'_, ()>| match caller.get_export("f") {
            Some(Extern::Func(f)) => f.call(&mut caller, &[], &mut []),
            _ => Ok(()),
        })
        .map_err(failure)?;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module).map_err(failure)?;
    for at in 0..100 {
        let trap = trap_of(&mut store, instance, "f")?;
        ensure!(trap == Trap::StackOverflow, "time {at}: {trap:?}");
    }
    Ok(())
}

fn ten_thousand_exceptions_in_a_row_leave_nothing_behind() -> Verdict {
    let engine = engine()?;
    let (mut store, instance) = instance(
        &engine,
        r#"(module (tag $t (param i64))
            (func $throw (param i32)
                (if (local.get 0)
                    (then (call $throw (i32.sub (local.get 0) (i32.const 1))))
                    (else (throw $t (i64.const 7)))))
            (func (export "f") (result i64)
                (block $caught (result i64)
                    (try_table (catch $t $caught) (call $throw (i32.const 50)))
                    (i64.const 0))))"#,
    )?;
    let function = instance.get_typed_func::<(), i64>(&mut store, "f").map_err(failure)?;
    let mut round = |rounds: usize| -> Verdict {
        for _ in 0..rounds {
            let caught = function.call(&mut store, ()).map_err(failure)?;
            ensure!(caught == 7, "caught {caught}");
        }
        Ok(())
    };
    round(5_000)?;
    let before = heap::free();
    round(10_000)?;
    let after = heap::free();
    ensure!(after + SLACK >= before, "{before} bytes were free before, {after} after");
    Ok(())
}
