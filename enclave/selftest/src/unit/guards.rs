//! Tests of accesses of all kinds at the end of memories and after it.

use super::{Verdict, engine, engine_with_stack, ensure, failure, instance, module, tests};
use crate::setup::on_three;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use wasmtime::{Engine, Instance, Linker, MemoryType, SharedMemory, Store, Trap};

tests!(
    every_access_works_up_to_the_end_and_traps_behind_it,
    bulk_operations_work_up_to_the_end_and_trap_behind_it,
    a_memory_ends_where_it_should_each_time_it_has_grown,
    memories_end_where_they_should_however_many_came_before,
    a_memory_of_no_pages_has_none,
    three_threads_trap_ten_thousand_times_at_once,
    threads_that_share_a_memory_see_its_end_while_it_grows,
);

const PAGE: u64 = 65536;

/// Accesses: the instruction, the type of its value if it takes one, and its size in bytes.
const ACCESSES: &[(&str, Option<&str>, u64)] = &[
    ("i32.load", None, 4),
    ("i64.load", None, 8),
    ("f32.load", None, 4),
    ("f64.load", None, 8),
    ("i32.load8_s", None, 1),
    ("i32.load8_u", None, 1),
    ("i32.load16_s", None, 2),
    ("i32.load16_u", None, 2),
    ("i64.load8_s", None, 1),
    ("i64.load8_u", None, 1),
    ("i64.load16_s", None, 2),
    ("i64.load16_u", None, 2),
    ("i64.load32_s", None, 4),
    ("i64.load32_u", None, 4),
    ("v128.load", None, 16),
    ("v128.load8x8_s", None, 8),
    ("v128.load32x2_u", None, 8),
    ("v128.load8_splat", None, 1),
    ("v128.load64_splat", None, 8),
    ("v128.load32_zero", None, 4),
    ("i32.store", Some("i32.const 0"), 4),
    ("i64.store", Some("i64.const 0"), 8),
    ("f32.store", Some("f32.const 0"), 4),
    ("f64.store", Some("f64.const 0"), 8),
    ("i32.store8", Some("i32.const 0"), 1),
    ("i32.store16", Some("i32.const 0"), 2),
    ("i64.store8", Some("i64.const 0"), 1),
    ("i64.store16", Some("i64.const 0"), 2),
    ("i64.store32", Some("i64.const 0"), 4),
    ("v128.store", Some("v128.const i64x2 0 0"), 16),
    ("i32.atomic.load", None, 4),
    ("i64.atomic.load", None, 8),
    ("i32.atomic.store", Some("i32.const 0"), 4),
    ("i64.atomic.rmw.add", Some("i64.const 0"), 8),
    ("i32.atomic.rmw8.xchg_u", Some("i32.const 0"), 1),
];

/// Constant offsets: within the guard, at its end (32 MiB) and beyond.
const OFFSETS: &[u64] =
    &[0, 1, 8, PAGE - 16, PAGE, (32 << 20) - 16, 32 << 20, 0x7fff_fff0, 0xffff_ffff];

fn call(store: &mut Store<()>, instance: Instance, name: &str, index: u64) -> wasmtime::Result<()> {
    let function = instance.get_typed_func::<i32, ()>(&mut *store, name)?;
    function.call(store, index as u32 as i32)
}

/// Whether a call had the right result: it returned, or trapped because of an access out of bounds.
fn is_as_it_must(result: wasmtime::Result<()>, in_bounds: bool) -> bool {
    match result {
        Ok(()) => in_bounds,
        Err(error) => !in_bounds && error.downcast_ref() == Some(&Trap::MemoryOutOfBounds),
    }
}

fn every_access_works_up_to_the_end_and_traps_behind_it() -> Verdict {
    let mut text = String::from("(module (memory 2)");
    let mut names = Vec::new();
    for (operation, value, length) in ACCESSES {
        for offset in OFFSETS {
            let name = format!("{operation} {offset}");
            let value = value.map(|value| format!("({value})")).unwrap_or_default();
            let access = format!("({operation} offset={offset} (local.get 0) {value})");
            let gives = value.is_empty() || operation.contains("rmw");
            let body = if gives { format!("(drop {access})") } else { access };
            let _ = write!(text, "(func (export \"{name}\") (param i32) {body})");
            names.push((name, *offset, *length, operation.contains("atomic")));
        }
    }
    text += ")";
    let (mut store, instance) = instance(&engine()?, &text)?;
    let size = 2 * PAGE;
    for (name, offset, length, aligned) in names {
        let last = size.wrapping_sub(length).wrapping_sub(offset);
        let around = [0, 1, length, 4096, PAGE, 1 << 30].map(|more| last.wrapping_add(more));
        let below = [last.wrapping_sub(length), last.wrapping_sub(4096)];
        let far = [0, u64::from(u32::MAX) - 7, 1 << 31];
        for index in around.into_iter().chain(below).chain(far) {
            let index = index & u64::from(u32::MAX);
            let start = index + offset;
            if aligned && !start.is_multiple_of(length) {
                continue;
            }
            let result = call(&mut store, instance, &name, index);
            let in_bounds = start + length <= size;
            ensure!(is_as_it_must(result, in_bounds), "{name} at {index:#x}");
        }
    }
    Ok(())
}

fn bulk_operations_work_up_to_the_end_and_trap_behind_it() -> Verdict {
    let (mut store, instance) = instance(
        &engine()?,
        r#"(module (memory 2) (data $bytes "0123456789")
            (func (export "fill") (param i32)
                (memory.fill (local.get 0) (i32.const 1) (i32.const 10)))
            (func (export "to") (param i32)
                (memory.copy (local.get 0) (i32.const 0) (i32.const 10)))
            (func (export "from") (param i32)
                (memory.copy (i32.const 0) (local.get 0) (i32.const 10)))
            (func (export "init") (param i32)
                (memory.init $bytes (local.get 0) (i32.const 0) (i32.const 10))))"#,
    )?;
    for name in ["fill", "to", "from", "init"] {
        for index in [0, 2 * PAGE - 10, 2 * PAGE - 9, 2 * PAGE, 3 * PAGE, 0xffff_fff0, 0xffff_ffff]
        {
            let result = call(&mut store, instance, name, index);
            ensure!(is_as_it_must(result, index + 10 <= 2 * PAGE), "{name} at {index:#x}");
        }
    }
    Ok(())
}

const MEMORY: &str = r#"(module (memory (export "memory") MINIMUM)
    (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
    (func (export "load") (param i32) (drop (i64.load (local.get 0))))
    (func (export "store") (param i32) (i64.store (local.get 0) (i64.const -1))))"#;

fn memory(engine: &Engine, pages: u64) -> Result<(Store<()>, Instance), String> {
    instance(engine, &MEMORY.replace("MINIMUM", &pages.to_string()))
}

/// Checks that the memory's last bytes are accessible, and none after them.
fn ends_at(store: &mut Store<()>, instance: Instance, size: u64) -> Verdict {
    for name in ["load", "store"] {
        for index in [size.wrapping_sub(8), size.wrapping_sub(7), size, size + 4096, size + PAGE] {
            let index = index & u64::from(u32::MAX);
            let result = call(store, instance, name, index);
            ensure!(
                is_as_it_must(result, index + 8 <= size),
                "{name} at {index:#x} of {size:#x} bytes"
            );
        }
    }
    Ok(())
}

fn a_memory_ends_where_it_should_each_time_it_has_grown() -> Verdict {
    for minimum in [0, 1, 5, 1100] {
        let (mut store, instance) = memory(&engine()?, minimum)?;
        let grow = instance.get_typed_func::<i32, i32>(&mut store, "grow").map_err(failure)?;
        let memory = instance.get_memory(&mut store, "memory").ok_or("no memory")?;
        let mut pages = minimum;
        for more in [0, 1, 1, 2, 3, 16, 17, 1, 300, 1, 0] {
            let before = grow.call(&mut store, more as i32).map_err(failure)?;
            ensure!(before as u64 == pages, "{pages} pages were {before}");
            let new = &memory.data(&store)[(pages * PAGE) as usize..];
            ensure!(new.iter().all(|byte| *byte == 0), "what {pages} pages got is not zero");
            pages += more;
            ends_at(&mut store, instance, pages * PAGE)?;
        }
        let kept = memory.data(&store).iter().filter(|byte| **byte == 0xff).count();
        ensure!(kept >= 7 * 8, "{kept} bytes are left of what was stored");
    }
    Ok(())
}

fn memories_end_where_they_should_however_many_came_before() -> Verdict {
    let engine = engine()?;
    let mut live = Vec::new();
    for at in 0..600_u64 {
        let pages = at * 7919 % 37;
        let (mut store, instance) = memory(&engine, pages)?;
        let memory = instance.get_memory(&mut store, "memory").ok_or("no memory")?;
        ensure!(memory.data(&store).iter().all(|byte| *byte == 0), "memory {at} is not zero");
        ends_at(&mut store, instance, pages * PAGE)?;
        memory.data_mut(&mut store).fill(0xa5);
        live.push((store, instance, pages));
        if live.len() > 20 {
            live.swap_remove((at * 31 % 20) as usize);
        }
        let old = (at as usize * 17) % live.len();
        let (store, instance, pages) = &mut live[old];
        ends_at(store, *instance, *pages * PAGE)?;
    }
    Ok(())
}

fn a_memory_of_no_pages_has_none() -> Verdict {
    let (mut store, instance) = memory(&engine()?, 0)?;
    for index in [0, 1, 8, PAGE, 0xffff_ffff] {
        let result = call(&mut store, instance, "load", index);
        ensure!(is_as_it_must(result, false), "at {index:#x}");
    }
    Ok(())
}

fn three_threads_trap_ten_thousand_times_at_once() -> Verdict {
    on_three(|_| {
        let (mut store, instance) = memory(&engine_with_stack(1 << 20)?, 1)?;
        for at in 0..10_000_u64 {
            let index = PAGE - 8 + at % 3;
            let result = call(&mut store, instance, "store", index);
            ensure!(is_as_it_must(result, index + 8 <= PAGE), "time {at}");
        }
        Ok(())
    })
}

fn threads_that_share_a_memory_see_its_end_while_it_grows() -> Verdict {
    const PAGES: u32 = 300;
    let mut config = crate::setup::configuration(1 << 20);
    config.shared_memory(true);
    let engine = Engine::new(&config).map_err(failure)?;
    let memory = SharedMemory::new(&engine, MemoryType::shared(1, PAGES)).map_err(failure)?;
    let module = module(
        &engine,
        "(module (import \"\" \"memory\" (memory 1 300 shared))
            (func (export \"load\") (param i32) (drop (i64.load (local.get 0)))))",
    )?;
    let (over, loads) = (AtomicBool::new(false), AtomicUsize::new(0));
    let look = || -> Verdict {
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::new(&engine);
        linker.define(&store, "", "memory", memory.clone()).map_err(failure)?;
        let instance = linker.instantiate(&mut store, &module).map_err(failure)?;
        while !over.load(Ordering::SeqCst) {
            let before = memory.size() * PAGE;
            for index in [before - 8, before, before + 8, before + PAGE - 4] {
                let result = call(&mut store, instance, "load", index);
                let after = memory.size() * PAGE;
                // The access may have come before or after the growth.
                let right = match result {
                    Ok(()) => index + 8 <= after,
                    error => index + 8 > before && is_as_it_must(error, false),
                };
                ensure!(right, "at {index:#x}, {before:#x} bytes before and {after:#x} after");
                loads.fetch_add(1, Ordering::SeqCst);
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads = [scope.spawn(look), scope.spawn(look)];
        for _ in 1..PAGES {
            let until = loads.load(Ordering::SeqCst) + 5;
            while loads.load(Ordering::SeqCst) < until
                && !threads.iter().all(thread::ScopedJoinHandle::is_finished)
            {
                thread::yield_now();
            }
            memory.grow(1).map_err(failure)?;
        }
        over.store(true, Ordering::SeqCst);
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().map_err(|_| "a thread panicked".to_owned())?)
    })
}
