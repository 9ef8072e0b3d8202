//! Tests of threads in the enclave.

use super::{Verdict, engine_with_stack, ensure, failure, instance, tests};
use crate::setup::on_three;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::thread;
use twine_engine::stop_profiling;
use twine_sgx::host;
use wasmtime::{Engine, Trap};

tests!(
    threads_can_be_started_again_and_again,
    one_thread_more_than_the_image_has_is_an_error,
    waiting_threads_are_woken,
    three_threads_compile_and_run_at_once,
    three_threads_share_one_engine,
    another_thread_can_interrupt_a_program_that_never_ends,
);

/// Size, in bytes, of the stack for WebAssembly frames on other threads than the main one.
const STACK: usize = 1 << 20;

/// The number of threads in the image's manifest, with the main thread.
const THREADS: usize = 16;

fn threads_can_be_started_again_and_again() -> Verdict {
    for at in 0..500_u64 {
        let thread = thread::Builder::new().spawn(move || at * at);
        let thread = thread.map_err(|error| format!("thread {at}: {error}"))?;
        let answer = thread.join().map_err(|_| format!("thread {at} panicked"))?;
        ensure!(answer == at * at, "thread {at} answers {answer}");
    }
    Ok(())
}

fn one_thread_more_than_the_image_has_is_an_error() -> Verdict {
    for round in 0..3 {
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let mut threads = Vec::new();
        let refused = loop {
            let gate = gate.clone();
            let wait = move || {
                let mut open = gate.0.lock().unwrap_or_else(|error| error.into_inner());
                while !*open {
                    open = gate.1.wait(open).unwrap_or_else(|error| error.into_inner());
                }
            };
            match thread::Builder::new().spawn(wait) {
                Ok(thread) if threads.len() <= THREADS => threads.push(thread),
                Ok(_) => break None,
                Err(error) => break Some(error),
            }
        };
        let count = threads.len();
        *gate.0.lock().unwrap_or_else(|error| error.into_inner()) = true;
        gate.1.notify_all();
        for thread in threads {
            thread.join().map_err(|_| "a thread panicked")?;
        }
        ensure!(refused.is_some(), "round {round}: no thread was refused");
        ensure!(count == THREADS - 1, "round {round}: {count} threads could be started");
    }
    Ok(())
}

fn waiting_threads_are_woken() -> Verdict {
    const ROUNDS: usize = 300;
    let barrier = Barrier::new(3);
    let arrived = AtomicUsize::new(0);
    on_three(|_| {
        for round in 1..=ROUNDS {
            arrived.fetch_add(1, Ordering::SeqCst);
            barrier.wait();
            let count = arrived.load(Ordering::SeqCst);
            ensure!(count >= 3 * round, "round {round}: {count} arrivals");
            barrier.wait();
        }
        Ok(())
    })
}

/// Compiles and runs modules that differ from those of other threads.
fn compile(engine: &Engine, thread: usize) -> Verdict {
    stop_profiling();
    for at in 0..60 {
        let number = (thread * 1000 + at) as i32;
        let text = format!(
            r#"(module (memory 1) (func $sum (export "sum") (param i32) (result i32)
                (if (result i32) (local.get 0)
                    (then (i32.add (i32.const {number})
                        (call $sum (i32.sub (local.get 0) (i32.const 1)))))
                    (else (i32.const 0)))))"#
        );
        let (mut store, instance) = instance(engine, &text)?;
        let sum = instance.get_typed_func::<i32, i32>(&mut store, "sum").map_err(failure)?;
        let answer = sum.call(&mut store, 100).map_err(failure)?;
        ensure!(answer == 100 * number, "module {number} answers {answer}");
    }
    Ok(())
}

fn three_threads_compile_and_run_at_once() -> Verdict {
    on_three(|thread| compile(&engine_with_stack(STACK)?, thread))
}

fn three_threads_share_one_engine() -> Verdict {
    let engine = engine_with_stack(STACK)?;
    on_three(|thread| compile(&engine, thread))
}

fn another_thread_can_interrupt_a_program_that_never_ends() -> Verdict {
    let mut config = crate::setup::configuration(STACK);
    config.epoch_interruption(true);
    let engine = Engine::new(&config).map_err(failure)?;
    let (mut store, instance) = instance(&engine, r#"(module (func (export "f") (loop (br 0))))"#)?;
    let function = instance.get_typed_func::<(), ()>(&mut store, "f").map_err(failure)?;
    for round in 0..20 {
        store.set_epoch_deadline(1);
        let over = AtomicBool::new(false);
        let result = thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::SeqCst) {
                    let _ = host().poll(&mut [], 5_000_000);
                    engine.increment_epoch();
                }
            });
            let result = function.call(&mut store, ());
            over.store(true, Ordering::SeqCst);
            result
        });
        let trap = result.err().and_then(|error| error.downcast_ref::<Trap>().copied());
        ensure!(trap == Some(Trap::Interrupt), "round {round}: {trap:?}");
    }
    Ok(())
}
