//! The program that keeps a secret, and its output.

use twine_protocol::launch::Launch;

/// The number of rounds of WASI calls.
pub const ROUNDS: usize = 24;

/// The exit code if nothing was wrong.
pub const GOOD: u32 = 7;

/// The first exit code of the program's own checks. Whatever the host does, the program exits with
/// such a code only when its memory or a result is wrong.
pub const BROKEN: u32 = 90;

/// The number of words of the secret.
pub const WORDS: usize = 512;

/// Returns the contents of standard input.
pub fn input() -> Vec<u8> {
    b"what the host lets the program read ".repeat(512)
}

/// Returns the standard output that an honest host sees.
pub fn output() -> Vec<u8> {
    (0..ROUNDS).flat_map(|round| format!("public {round:02}\n").into_bytes()).collect()
}

/// Returns a launch request for the program.
pub fn launch() -> Launch {
    Launch {
        arguments: vec!["keeper".into(), "one argument".into()],
        environment: vec![("NAME".into(), "value".into())],
        ..Launch::default()
    }
}

/// Returns the secret with each word complemented, because the searching process must not contain
/// it. The program computes it at run time, from a state that is in no file.
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

/// The program's additional work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// No additional work.
    Keeper,
    /// It writes the secret to standard error, as the control of the search.
    Teller,
    /// It computes for about a second before its rounds.
    Busy,
    /// It allocates memory until none is left.
    Greedy,
    /// It stores the secret in a file of its first mount.
    Filer,
    /// It loads from beyond its memory, with the secret in its memory.
    Trapper,
    /// It executes `unreachable`, at a place that depends on the number.
    Unreachable(u8),
    /// It grows its memory and yields, then loads from the old and the new part.
    Yielder,
}

/// Returns the program in binary form.
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
            // A register holds a word of the secret.
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
