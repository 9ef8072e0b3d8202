//! Tests of the heap: exhausting it is an error, and freed memory is used again.

use super::{Verdict, engine, ensure, failure, instance, tests};
use std::hint::black_box;

tests!(
    an_allocation_that_is_larger_than_the_heap_is_an_error,
    a_heap_that_was_used_up_is_whole_once_all_is_freed,
    a_heap_grows_and_all_of_it_holds_what_is_written,
    allocations_that_outgrow_the_first_heap_keep_their_contents,
    memory_that_the_heap_grew_by_is_zero_where_zeros_are_asked_for,
    new_memories_are_zero_whatever_the_heap_held_before,
    a_memory_grows_until_there_is_no_more_and_keeps_what_it_holds,
    a_memory_that_does_not_fit_is_an_error,
);

const MIB: usize = 1 << 20;

/// Size of the heap when the image is loaded, in bytes.
const START: usize = 768 * MIB;

/// Allocates chunks of this size until that fails.
pub(super) fn take_all(chunk: usize) -> Vec<Vec<u8>> {
    let mut taken = Vec::with_capacity(1 << 16);
    loop {
        let mut bytes = Vec::new();
        if taken.len() == taken.capacity() || bytes.try_reserve_exact(chunk).is_err() {
            return taken;
        }
        taken.push(black_box(bytes));
    }
}

/// Size of the free part of the heap in bytes, in chunks of 64 KiB.
pub(super) fn free() -> usize {
    const CHUNK: usize = 64 << 10;
    take_all(CHUNK).len() * CHUNK
}

fn an_allocation_that_is_larger_than_the_heap_is_an_error() -> Verdict {
    for size in [2 << 30, 1 << 46, isize::MAX as usize] {
        let mut bytes: Vec<u8> = Vec::new();
        ensure!(bytes.try_reserve_exact(size).is_err(), "{size} bytes were to be had");
    }
    Ok(())
}

fn a_heap_that_was_used_up_is_whole_once_all_is_freed() -> Verdict {
    let first = take_all(MIB).len();
    ensure!(first > 256, "only {first} MiB were free");
    for round in 0..10 {
        let chunks = take_all(MIB).len();
        ensure!(chunks == first, "{first} MiB were free at first, {chunks} after {round} rounds");
    }
    Ok(())
}

fn a_heap_grows_and_all_of_it_holds_what_is_written() -> Verdict {
    for chunk in [MIB, 40_000, 5 * MIB + 24] {
        let mut taken = take_all(chunk);
        let bytes = taken.len() * chunk;
        ensure!(bytes > START + 256 * MIB || taken.len() == 1 << 16, "{bytes} bytes were free");
        for (at, chunk) in taken.iter_mut().enumerate() {
            chunk.resize(chunk.capacity(), at as u8);
        }
        let holds = |(at, chunk): (usize, &Vec<u8>)| chunk.iter().all(|&byte| byte == at as u8);
        ensure!(taken.iter().enumerate().all(holds), "chunks of {chunk} bytes overlap");
    }
    Ok(())
}

fn allocations_that_outgrow_the_first_heap_keep_their_contents() -> Verdict {
    let mut growing: Vec<u64> = Vec::with_capacity(MIB / 8);
    let mut small: Vec<Vec<u64>> = Vec::new();
    let mut taken: Vec<Vec<u8>> = Vec::with_capacity(START / MIB);
    while taken.len() < START / MIB {
        taken.push(black_box(Vec::with_capacity(MIB)));
    }
    for number in 0..(64 * MIB as u64 / 8) {
        growing.push(number);
        if number.is_multiple_of(4096) {
            small.push(black_box(vec![number; number as usize % 977 + 1]));
        }
    }
    growing.shrink_to_fit();
    ensure!(growing.iter().zip(0..).all(|(&word, number)| word == number), "a word is lost");
    let holds = |(number, small): (u64, &Vec<u64>)| small.iter().all(|&word| word == number);
    ensure!((0..).step_by(4096).zip(&small).all(holds), "a small allocation is lost");
    Ok(())
}

fn memory_that_the_heap_grew_by_is_zero_where_zeros_are_asked_for() -> Verdict {
    for mut dirty in take_all(MIB) {
        dirty.resize(MIB, 0xaa);
        black_box(&dirty);
    }
    let mut zeros: Vec<Vec<u8>> = Vec::with_capacity(2 * START / MIB);
    while zeros.len() < (START + 256 * MIB) / MIB {
        zeros.push(black_box(vec![0; MIB]));
    }
    ensure!(zeros.iter().flatten().all(|&byte| byte == 0), "not all is zero");
    Ok(())
}

fn new_memories_are_zero_whatever_the_heap_held_before() -> Verdict {
    let dirt: Vec<Vec<u8>> = (0..256).map(|_| black_box(vec![0xaa; MIB])).collect();
    drop(black_box(dirt));
    let (mut store, instance) = instance(&engine()?, r#"(module (memory (export "m") 100))"#)?;
    let memory = instance.get_memory(&mut store, "m").ok_or("no memory")?;
    for _ in 0..10 {
        let zero = memory.data(&store).iter().all(|&byte| byte == 0);
        ensure!(zero, "{} bytes are not all zero", memory.data_size(&store));
        memory.grow(&mut store, 100).map_err(failure)?;
    }
    Ok(())
}

fn a_memory_grows_until_there_is_no_more_and_keeps_what_it_holds() -> Verdict {
    let free = free();
    let (mut store, instance) = instance(
        &engine()?,
        r#"(module (memory (export "m") 1)
            (func (export "fill") (result i32)
                (i32.store (i32.const 65532) (i32.const -1))
                (loop $again
                    (if (i32.ne (memory.grow (i32.const 1)) (i32.const -1))
                        (then
                            ;; The number of each page is at its end.
                            (i32.store
                                (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4))
                                (memory.size))
                            (br $again))))
                (memory.size)))"#,
    )?;
    let fill = instance.get_typed_func::<(), i32>(&mut store, "fill").map_err(failure)?;
    let pages = fill.call(&mut store, ()).map_err(failure)? as usize;
    // A memory moves when it grows, so it cannot always get half of the free bytes.
    ensure!(pages << 16 > free / 4, "it ended at {pages} pages of {free} free bytes");
    let memory = instance.get_memory(&mut store, "m").ok_or("no memory")?;
    for (page, bytes) in (1..).zip(memory.data(&store).chunks_exact(65536)) {
        let (start, end) = bytes.split_at(65532);
        let expected = if page == 1 { -1 } else { page };
        ensure!(end == i32::to_le_bytes(expected), "page {page} ends with {end:?}");
        ensure!(start.iter().all(|&byte| byte == 0), "page {page} is not zero");
    }
    // After the store is dropped, nothing may keep its memory.
    drop(store);
    let left = self::free();
    ensure!(left + MIB > free, "{free} bytes were free before and {left} after");
    Ok(())
}

fn a_memory_that_does_not_fit_is_an_error() -> Verdict {
    let engine = engine()?;
    for text in ["(module (memory 65536))", "(module (table 4000000000 funcref))"] {
        match instance(&engine, text) {
            Ok(_) => return Err(format!("{text} fits")),
            Err(why) => ensure!(!why.is_empty(), "no reason is given"),
        }
    }
    Ok(())
}
