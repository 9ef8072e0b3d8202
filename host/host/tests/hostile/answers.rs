//! A host that gives arbitrary answers to the calls of a running enclave.

use crate::child::{Ending, Expect, Result};
use crate::program::{self, Variant};
use crate::scan::{Found, Search};
use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use twine_host::{Call, Image, Interposer, Platform, Resources, run_interposed};
use twine_protocol::calls::number;
use twine_protocol::launch::Launch;
use twine_protocol::wire::{MAX_LAUNCH, MAX_PROGRAM, TRANSFER_BUFFER_SIZE};

/// A case: the actions of the host, and the permitted results.
pub struct Case {
    pub name: String,
    pub expect: Expect,
    pub run: Box<dyn FnOnce(&'static Search) -> Result>,
}

/// Returns the image under test: the one that `cargo xtask image` builds, or another.
pub fn image_path() -> PathBuf {
    std::env::var_os("TWINE_IMAGE").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/release/twine.sgxs")),
        PathBuf::from,
    )
}

pub fn image() -> Image {
    Image::open(image_path()).expect("`cargo xtask image` has built the image")
}

/// Returns the offsets of the image's parts.
pub fn inspection() -> &'static twine_image::Inspection {
    static INSPECTION: OnceLock<twine_image::Inspection> = OnceLock::new();
    INSPECTION.get_or_init(|| twine_image::inspect_file(image_path()).expect("the image exists"))
}

static FRAMES: Mutex<Vec<Range<usize>>> = Mutex::new(Vec::new());

/// Returns the places where software SGX has stored enclave registers: the alternate stacks of the
/// threads that were inside, and the memory just after them.
pub fn frames() -> Vec<Range<usize>> {
    FRAMES.lock().map(|frames| frames.clone()).unwrap_or_default()
}

/// Records the alternate stack of this thread.
pub fn note_frames() {
    // SAFETY: all zeros is a valid value, and the call fills it in.
    let stack = unsafe {
        let mut stack: libc::stack_t = std::mem::zeroed();
        libc::sigaltstack(std::ptr::null(), &raw mut stack);
        stack
    };
    let start = stack.ss_sp as usize;
    if start != 0 {
        note_frame(start..start + stack.ss_size);
    }
}

/// Records memory in which software SGX stores what hardware stores in the SSA.
pub fn note_frame(range: Range<usize>) {
    if let Ok(mut frames) = FRAMES.lock()
        && frames.iter().all(|frame| frame.start != range.start)
    {
        frames.push(range);
    }
}

/// Returns the answer to the `n`th call (from 0) of that number; the last argument is the honest
/// one.
type Lie = Box<dyn Fn(&Call, u64, (u64, u64)) -> (u64, u64) + Send + Sync>;

/// An interposer that lies, and searches for the secret.
struct Liar {
    lie: Lie,
    search: &'static Search,
    counts: Mutex<HashMap<u64, u64>>,
    transfer: AtomicU64,
    found: Mutex<Found>,
}

impl Interposer for Liar {
    fn answer(&self, call: &Call, honest: (u64, u64)) -> (u64, u64) {
        note_frames();
        if call.number == number::transfer_buffer {
            self.transfer.store(honest.0, Ordering::Relaxed);
        }
        let transfer = self.transfer.load(Ordering::Relaxed) as usize;
        if transfer != 0 {
            let hits = self.search.range(transfer..transfer + TRANSFER_BUFFER_SIZE as usize);
            if let Some(hit) = hits.first()
                && let Ok(mut found) = self.found.lock()
            {
                found.outside.push(format!("{hit:#x} (the transfer buffer)"));
            }
        }
        if call.number == number::report {
            let inside = call.elrange.clone();
            let now = self.search.process(&[inside], &frames());
            if let Ok(mut found) = self.found.lock() {
                found.outside.extend(now.outside);
                found.frames += now.frames;
                found.searched += now.searched;
            }
        }
        let n = self.counts.lock().map_or(0, |mut counts| {
            let count = counts.entry(call.number).or_default();
            *count += 1;
            *count - 1
        });
        (self.lie)(call, n, honest)
    }
}

/// Returns a case: a run with the lie.
pub fn lying(
    name: impl Into<String>,
    expect: Expect,
    variant: Variant,
    honest_output: bool,
    lie: impl Fn(&Call, u64, (u64, u64)) -> (u64, u64) + Send + Sync + 'static,
) -> Case {
    let program = (program::launch(), program::binary(variant));
    launching(name, expect, program, Resources::default, honest_output, lie)
}

/// Returns a case: a run of a program with its resources, and with the lie.
pub fn launching(
    name: impl Into<String>,
    expect: Expect,
    (launch, program): (Launch, Vec<u8>),
    resources: impl FnOnce() -> Resources + 'static,
    honest_output: bool,
    lie: impl Fn(&Call, u64, (u64, u64)) -> (u64, u64) + Send + Sync + 'static,
) -> Case {
    Case {
        name: name.into(),
        expect,
        run: Box::new(move |search| {
            let liar = Arc::new(Liar {
                lie: Box::new(lie),
                search,
                counts: Mutex::default(),
                transfer: AtomicU64::new(0),
                found: Mutex::default(),
            });
            let report = run_interposed(
                &image(),
                Platform::Simulated,
                &launch,
                program,
                resources(),
                liar.clone(),
            );
            let ending = report.map_or_else(Ending::from, |report| report.outcome.into());
            let found = std::mem::take(&mut *liar.found.lock().expect("no thread panicked"));
            let output = honest_output.then(Vec::new);
            Result { ending, output, found, problem: None }
        }),
    }
}

/// Returns pointers that a host must not give to an enclave at these addresses. The last one is a
/// pointer to unmapped memory.
pub fn bad_pointers(enclave: &Range<usize>, tcs: u64, honest: u64) -> Vec<(&'static str, u64)> {
    let (start, end) = (enclave.start as u64, enclave.end as u64);
    let part = |permissions: &str, largest: bool| {
        let parts = inspection().regions.iter().filter(|region| region.permissions == permissions);
        let part = if largest {
            parts.max_by_key(|region| region.size)
        } else {
            parts.max_by_key(|region| region.offset)
        };
        start + part.map_or(0, |region| region.offset)
    };
    let thread = &inspection().threads[0];
    vec![
        ("null", 0),
        ("one", 1),
        ("unaligned by 1", honest + 1),
        ("unaligned by 4", honest + 4),
        ("the base", start),
        ("the second word", start + 8),
        ("across the lower edge", start.wrapping_sub(8)),
        ("a page across the lower edge", start.wrapping_sub(4096)),
        ("the last word", end - 8),
        ("the last page", end - 4096),
        ("across the upper edge", end - 4),
        ("the heap", part("rw-", true)),
        ("the stack", start + thread.fs_base - 4096),
        ("the thread's local storage", start + thread.fs_base),
        ("the TCS", tcs),
        ("the state save area", start + thread.ssa),
        ("the code arena", part("rwx", false)),
        ("the code", part("r-x", true)),
        ("the last word of user space", (1 << 47) - 8),
        ("not canonical", 1 << 47),
        ("the kernel", 0xffff_8000_0000_0000),
        ("the last word of all", u64::MAX - 7),
        ("the last byte of all", u64::MAX),
        ("not mapped", 4096),
    ]
}

pub const BAD_POINTERS: usize = 24;

/// Returns lengths, of which some are invalid.
pub fn lengths(honest: u64, most: u64) -> [u64; 14] {
    [
        0,
        1,
        7,
        8,
        honest.saturating_sub(1),
        honest + 1,
        most - 1,
        most,
        most + 1,
        1 << 32,
        1 << 63,
        u64::MAX - 7,
        u64::MAX - 1,
        u64::MAX,
    ]
}

pub const LENGTHS: usize = 14;

/// Values that a host may return for a code, a count or a time.
pub const VALUES: [u64; 25] = [
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    12,
    13,
    14,
    15,
    16,
    62,
    0x100,
    1 << 18,
    (1 << 18) + 1,
    1 << 31,
    1 << 32,
    1 << 63,
    u64::MAX,
];

/// Returns runs that show that the harness detects what it should.
pub fn controls() -> Vec<Case> {
    vec![
        lying("an honest host", Expect::Good, Variant::Keeper, true, |_, _, honest| honest),
        // This case is last, because the secret that it reveals may stay in freed memory.
        lying("a program that tells", Expect::Found, Variant::Teller, true, |_, _, honest| honest),
    ]
}

/// Returns cases for the addresses and lengths of data that is copied in once.
pub fn copied_once() -> Vec<Case> {
    let mut cases = Vec::new();
    for (call, what, most) in [
        (number::launch_request, "launch request", MAX_LAUNCH),
        (number::program, "program", MAX_PROGRAM),
    ] {
        for at in 0..BAD_POINTERS {
            // The case only needs a name; the addresses depend on the run.
            let name = bad_pointers(&(0x10_0000..0x20_0000), 0, 0)[at].0;
            let lengths = [(None, "of its own length"), (Some(64), "of 64 bytes")];
            // All requests of 64 bytes are alike; the program's own is longer than a page.
            let lengths = lengths.into_iter().take(if most == MAX_LAUNCH { 2 } else { 1 });
            for (length, of) in lengths {
                cases.push(lying(
                    format!("{what} at {name}, {of}"),
                    Expect::NotGood,
                    Variant::Keeper,
                    true,
                    move |made, _, honest| match made.number == call {
                        true => {
                            let bad = bad_pointers(&made.elrange, made.tcs, honest.0)[at].1;
                            (bad, length.unwrap_or(honest.1))
                        }
                        false => honest,
                    },
                ));
            }
        }
        for at in 0..LENGTHS {
            cases.push(lying(
                format!("{what} of length {at}"),
                Expect::NotGood,
                Variant::Keeper,
                true,
                move |made, _, honest| match made.number == call {
                    true => (honest.0, lengths(honest.1, most)[at]),
                    false => honest,
                },
            ));
        }
        // The range begins well outside of the enclave, and ends well inside.
        cases.push(lying(
            format!("{what} from below the enclave to its end"),
            Expect::NotGood,
            Variant::Keeper,
            true,
            move |made, _, honest| match made.number == call {
                true => (made.elrange.start as u64 - 4096, made.elrange.len() as u64 + 8192),
                false => honest,
            },
        ));
    }
    cases
}

/// Returns cases for the transfer buffer. The enclave asks for one until it gets a good one, and
/// gets a different bad one each time.
pub fn transfer_buffers() -> Vec<Case> {
    let mut cases = Vec::new();
    let bad = |length: u64| {
        move |made: &Call, n: u64, honest: (u64, u64)| {
            if made.number != number::transfer_buffer || n as usize >= BAD_POINTERS - 1 {
                return honest;
            }
            (bad_pointers(&made.elrange, made.tcs, honest.0)[n as usize].1, length)
        }
    };
    // An empty or short buffer is only useless: the enclave keeps it, and every call is short or
    // fails.
    for length in [64, 4096, TRANSFER_BUFFER_SIZE] {
        cases.push(lying(
            format!("transfer buffers of {length} bytes at {} bad addresses", BAD_POINTERS - 1),
            Expect::Clean,
            Variant::Keeper,
            false,
            bad(length),
        ));
    }
    for at in 0..LENGTHS {
        cases.push(lying(
            format!("a transfer buffer of length {at}"),
            Expect::Clean,
            Variant::Keeper,
            false,
            move |made, n, honest| match (made.number, n) {
                (number::transfer_buffer, 0) => {
                    (honest.0, lengths(TRANSFER_BUFFER_SIZE, TRANSFER_BUFFER_SIZE)[at])
                }
                _ => honest,
            },
        ));
    }
    cases.push(lying(
        "a transfer buffer that is not mapped",
        Expect::NotGood,
        Variant::Keeper,
        true,
        |made, _, honest| match made.number {
            number::transfer_buffer => (4096, TRANSFER_BUFFER_SIZE),
            _ => honest,
        },
    ));
    cases.push(lying(
        "a transfer buffer never",
        Expect::NotGood,
        Variant::Keeper,
        true,
        |made, _, honest| match made.number {
            number::transfer_buffer => (made.elrange.start as u64, TRANSFER_BUFFER_SIZE),
            _ => honest,
        },
    ));
    let launch = Arc::new(AtomicU64::new(0));
    cases.push(lying(
        "the launch request's buffer for a transfer buffer",
        Expect::Clean,
        Variant::Keeper,
        false,
        move |made, _, honest| match made.number {
            number::launch_request => {
                launch.store(honest.0, Ordering::Relaxed);
                honest
            }
            number::transfer_buffer => (launch.load(Ordering::Relaxed), 64),
            _ => honest,
        },
    ));
    cases
}

const CODED: [(u64, &str); 8] = [
    (number::stream_read, "stream_read"),
    (number::stream_write, "stream_write"),
    (number::stream_kind, "stream_kind"),
    (number::poll, "poll"),
    (number::clock_time, "clock_time"),
    (number::clock_resolution, "clock_resolution"),
    (number::yield_now, "yield_now"),
    (number::nothing, "nothing"),
];

/// Returns cases for codes, counts, kinds and times.
pub fn codes() -> Vec<Case> {
    let mut cases = Vec::new();
    for (call, name) in CODED {
        // A lie about written bytes changes the output; no other lie does.
        let honest_output = call != number::stream_write;
        cases.push(lying(
            format!("{name}: {} codes, done or not", VALUES.len()),
            Expect::Good,
            Variant::Keeper,
            honest_output,
            move |made, n, honest| match VALUES.get(n as usize) {
                Some(code) if made.number == call => (*code, honest.1),
                _ => honest,
            },
        ));
        for (status, of) in [(0, "success"), (1, "failure")] {
            cases.push(lying(
                format!("{name}: {of} with {} values", VALUES.len()),
                Expect::Good,
                Variant::Keeper,
                honest_output,
                move |made, n, honest| match VALUES.get(n as usize) {
                    Some(value) if made.number == call => (status, *value),
                    _ => honest,
                },
            ));
        }
    }
    for code in [1, 7, 11, 12, 1 << 32, u64::MAX] {
        cases.push(lying(
            format!("report: code {code:#x}"),
            Expect::Clean,
            Variant::Keeper,
            true,
            move |made, _, honest| match made.number {
                number::report => (code, u64::MAX),
                _ => honest,
            },
        ));
    }
    cases
}

/// Returns cases for counts just above the requested ones.
pub fn counts() -> Vec<Case> {
    let mut cases = Vec::new();
    for call in [number::stream_read, number::stream_write] {
        for more in [1, 7, 8, 4096, 1 << 18, 1 << 32, u64::MAX - 62] {
            cases.push(lying(
                format!("call {call:#x}: {more} more than asked for"),
                Expect::Good,
                Variant::Keeper,
                false,
                move |made, _, honest| match made.number == call {
                    true => (0, made.arguments[2].saturating_add(more)),
                    false => honest,
                },
            ));
        }
        cases.push(lying(
            format!("call {call:#x}: as many as asked for, whatever there was"),
            Expect::Good,
            Variant::Keeper,
            false,
            move |made, _, honest| match made.number == call {
                true => (0, made.arguments[2]),
                false => honest,
            },
        ));
    }
    cases
}

/// Returns cases for poll records with arbitrary contents.
pub fn poll_records() -> Vec<Case> {
    let mut cases = Vec::new();
    for fill in [0, 1, 8, 0xff, 1 << 63, u64::MAX] {
        for ready in [0, 1, 3, 4, 1025, u64::MAX] {
            cases.push(lying(
                format!("poll records of {fill:#x}, {ready} of them ready"),
                Expect::Good,
                Variant::Keeper,
                true,
                move |made, n, honest| {
                    if made.number != number::poll || n >= 12 {
                        return honest;
                    }
                    let words = made.arguments[1] as usize * 3;
                    for at in 0..words {
                        // SAFETY: the records are in the transfer buffer, which belongs to the host
                        // during the call.
                        unsafe { (made.arguments[0] as *mut u64).add(at).write_volatile(fill) };
                    }
                    (0, ready)
                },
            ));
        }
    }
    cases
}

/// Returns cases for clocks that jump arbitrarily.
pub fn clocks() -> Vec<Case> {
    let clock = |name: &str, time: fn(u64, u64) -> u64| {
        lying(
            format!("a clock that {name}"),
            Expect::Good,
            Variant::Keeper,
            true,
            move |made, n, honest| match made.number {
                number::clock_time => (0, time(n, honest.1)),
                _ => honest,
            },
        )
    };
    vec![
        clock("goes back", |n, _| (1_u64 << 60).saturating_sub(n * 1_000_000)),
        clock("is at its end", |_, _| u64::MAX),
        clock("jumps between its ends", |n, _| if n.is_multiple_of(2) { u64::MAX } else { 0 }),
        clock("reaches its end and begins again", |n, _| (u64::MAX - 40).wrapping_add(n)),
        clock("goes back every third time", |n, time| if n % 3 == 0 { time / 2 } else { time }),
        clock("goes in steps of years", |n, _| n << 55),
    ]
}

/// Returns cases for results of calls that have none, and for exhausted memory.
pub fn others() -> Vec<Case> {
    let mut cases = vec![lying(
        "answers where there are none, and no memory",
        Expect::Clean,
        Variant::Greedy,
        false,
        |made, _, honest| match made.number {
            number::memory_exhausted | number::panicked | number::nothing => {
                (made.elrange.start as u64, u64::MAX)
            }
            _ => honest,
        },
    )];
    for call in [number::restrict_pages, number::extend_pages] {
        for code in [0, 1, 5, 6, 7, 8, 9, 10, 12, 1 << 32, u64::MAX] {
            cases.push(lying(
                format!("call {call:#x}: code {code:#x} for what was done"),
                Expect::Clean,
                Variant::Keeper,
                true,
                move |made, _, honest| match made.number == call {
                    true => (code, u64::MAX),
                    false => honest,
                },
            ));
        }
    }
    cases
}

/// Returns cases in which a generator chooses every answer.
pub fn noise() -> Vec<Case> {
    (0..40_u64)
        .map(|seed| {
            let state = AtomicU64::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
            let next = move || {
                let mut x = state.load(Ordering::Relaxed);
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
                state.store(x, Ordering::Relaxed);
                x >> 11
            };
            // Some cases spare the calls without which a run can't begin.
            let spares = !seed.is_multiple_of(6);
            lying(
                format!("noise {seed}"),
                Expect::Clean,
                Variant::Keeper,
                false,
                move |made, _, honest| {
                    let begins = matches!(
                        made.number,
                        number::launch_request | number::program | number::transfer_buffer
                    );
                    let places = matches!(
                        made.number,
                        number::restrict_pages | number::extend_pages | number::report
                    );
                    if (begins || places) && spares || next() % 4 == 0 {
                        return honest;
                    }
                    let value = |honest: u64| {
                        let pointers = bad_pointers(&made.elrange, made.tcs, honest);
                        match next() % 6 {
                            0 => honest,
                            1 => honest.wrapping_add(1),
                            2 => VALUES[next() as usize % VALUES.len()],
                            3 => pointers[next() as usize % pointers.len()].1,
                            4 => next(),
                            _ => 0,
                        }
                    };
                    (value(honest.0), value(honest.1))
                },
            )
        })
        .collect()
}
