//! Ends in the way that its argument names.

#![allow(unconditional_recursion, reason = "one of the ways to end")]

use std::arch::asm;
use std::hint::black_box;

fn main() {
    let way = std::env::args().nth(1).unwrap_or_default();
    println!("ending by {way}");
    match way.as_str() {
        "panic" => panic!("as asked"),
        "exit" => std::process::exit(3),
        // SAFETY: undefined on purpose: each block is one faulting instruction, and no code runs
        // after it.
        "ud2" => unsafe { asm!("ud2") },
        // SAFETY: as above.
        "divide" => unsafe { asm!("div {0:e}", in(reg) 0, out("eax") _, out("edx") _) },
        // SAFETY: as above.
        "null" => unsafe { asm!("mov {0}, [{0}]", inout(reg) 0u64 => _) },
        // SAFETY: as above.
        "breakpoint" => unsafe { asm!("int3") },
        // SAFETY: as above.
        "privileged" => unsafe { asm!("hlt") },
        "stack" => {
            black_box(exhaust(0));
        }
        other => println!("unknown way: {other}"),
    }
}

fn exhaust(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    exhaust(depth + 1) + frame[depth as usize % 64]
}
