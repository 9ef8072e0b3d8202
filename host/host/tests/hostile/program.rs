//! The program that keeps a secret, and what it prints.

use twine_protocol::launch::Launch;

/// Rounds of WASI calls that the program makes.
pub const ROUNDS: usize = 24;

/// What it exits with when nothing was wrong.
pub const GOOD: u32 = 7;

/// Codes of its own checks begin here: it exits with one when its memory or a result is not
/// what it must be, whatever the host does.
pub const BROKEN: u32 = 90;

/// Words of the secret.
pub const WORDS: usize = 512;

/// What standard input holds.
pub fn input() -> Vec<u8> {
    b"what the host lets the program read ".repeat(512)
}

/// What an honest host sees on standard output.
pub fn output() -> Vec<u8> {
    (0..ROUNDS).flat_map(|round| format!("public {round:02}\n").into_bytes()).collect()
}

/// A launch request for it.
pub fn launch() -> Launch {
    Launch {
        arguments: vec!["keeper".into(), "one argument".into()],
        environment: vec![("NAME".into(), "value".into())],
        ..Launch::default()
    }
}

/// The secret, each word complemented: whoever looks for it must not hold it. The program
/// computes it at run time, from a state that is in no file.
pub fn complemented_secret() -> Vec<u64> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut step = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for _ in 0..100_000 {
        step();
    }
    (0..WORDS).map(|_| !step().wrapping_mul(0x2545_f491_4f6c_dd1d)).collect()
}

/// What it does besides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Nothing.
    Keeper,
    /// It writes the secret to standard error: the control of the search.
    Teller,
    /// It computes for a second or so before its rounds.
    Busy,
    /// It takes memory until there is none.
    Greedy,
    /// It keeps the secret in a file of its first mount.
    Filer,
    /// It loads from behind its memory, with the secret in its memory.
    Trapper,
    /// It runs into `unreachable`, in a place that depends on the number.
    Unreachable(u8),
    /// It lets its memory grow and yields, then loads from what was there and what is new.
    Yielder,
}

/// The program in binary form.
pub fn binary(variant: Variant) -> Vec<u8> {
    let text;
    let extra = match variant {
        Variant::Keeper => "",
        Variant::Teller => {
            "(i32.store (i32.const 0) (i32.const 0x1000))
             (i32.store (i32.const 4) (i32.const 4096))
             (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))"
        }
        Variant::Busy => {
            // With a word of the secret in a register.
            "(local.set $word (i64.load (i32.const 0x1000)))
             (local.set $i (i32.const 1000000000))
             (loop $spin
               (local.set $sum (i64.mul (i64.xor (local.get $sum) (local.get $word)) (i64.const 3)))
               (local.set $i (i32.sub (local.get $i) (i32.const 1)))
               (br_if $spin (local.get $i)))
             (i64.store (i32.const 0x48) (local.get $sum))"
        }
        Variant::Filer => "(call $files)",
        Variant::Trapper => "(drop (i64.load (i32.add (memory.size) (i32.const 0x7000_0000))))",
        Variant::Unreachable(at) => {
            let more = "(global.set $last (i64.mul (global.get $last) (i64.const 0x1234567)))";
            text = format!(
                "{}(if (i64.ne (global.get $last) (i64.const 1)) (then (unreachable)))",
                more.repeat(at.into())
            );
            &text
        }
        Variant::Yielder => {
            "(drop (memory.grow (i32.const 1)))
             (drop (call $sched_yield))
             (i64.store (i32.const 0x48) (i64.load (i32.const 0x1000)))
             (i64.store (i32.const 0x48) (i64.load (i32.const 0x80000)))"
        }
        Variant::Greedy => {
            "(loop $more (br_if $more (i32.ne (memory.grow (i32.const 512)) (i32.const -1))))"
        }
    };
    wat::parse_str(TEXT.replace(";; EXTRA", extra)).expect("the text is valid")
}

const TEXT: &str = include_str!("keeper.wat");
