//! Entries that no honest host makes, and attacks of a host that serves the enclave itself.

use crate::answers::{Case, bad_pointers, inspection};
use crate::child::{Ending, Expect, Result};
use crate::program::{self, Variant};
use crate::raw::{
    self, BP, EENTER, ERESUME, Enclave, Exit, GP, Host, Lie, PF, UD, enter, honest, leak, plain,
    usercall,
};
use crate::scan::{Found, Search};
use std::arch::global_asm;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};
use twine_protocol::calls::{HostRange, USER_DEFINED, exception, number};
use twine_protocol::launch::{Launch, Limits};
use twine_protocol::wire::{Status, TRANSFER_BUFFER_SIZE};

fn case(
    name: impl Into<String>,
    expect: Expect,
    run: impl FnOnce(&'static Search) -> Result + 'static,
) -> Case {
    Case { name: name.into(), expect, run: Box::new(run) }
}

/// An enclave and its host.
struct Pair {
    enclave: Arc<Enclave>,
    host: Arc<Host>,
}

impl Pair {
    fn new(launch: &Launch, variant: Variant, search: &'static Search) -> Self {
        let host = Host::new(launch, &program::binary(variant), search);
        Pair { enclave: Enclave::load(), host }
    }

    fn keeper(search: &'static Search) -> Self {
        Pair::new(&program::launch(), Variant::Keeper, search)
    }

    fn main(&self) -> u64 {
        self.enclave.tcs[0]
    }

    fn run(&self, lie: &Arc<Lie>) -> Ending {
        self.host.run(&self.enclave, self.main(), [0; 6], lie)
    }

    /// Returns the result of a case. The search runs while the enclave is loaded.
    fn result(&self, ending: Ending, problem: Option<String>) -> Result {
        self.host.search();
        Result { ending, output: Some(self.host.output()), found: self.host.found(), problem }
    }
}

/// Returns a case: a run with a lie.
fn lying(name: impl Into<String>, expect: Expect, honest_output: bool, lie: Arc<Lie>) -> Case {
    case(name, expect, move |search| {
        let pair = Pair::keeper(search);
        let ending = pair.run(&lie);
        let mut result = pair.result(ending, None);
        result.output = result.output.filter(|_| honest_output);
        result
    })
}

/// A function from a word to a word.
type Word = fn(u64) -> u64;

/// Returns cases for pages that MRENCLAVE does not cover, and for lies about pages.
pub fn pages() -> Vec<Case> {
    let fills: [(&str, Word); 4] = [
        ("ones", |_| u64::MAX),
        ("noise", |address| (address ^ 0x5bd1_e995).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        ("their own addresses", |address| address),
        ("what looks like a free piece of heap", |address| (address & 0xfff0) | 3),
    ];
    let mut cases: Vec<Case> = fills
        .into_iter()
        .map(|(name, fill)| {
            case(format!("unmeasured pages full of {name}"), Expect::Good, move |search| {
                let pair = Pair::keeper(search);
                pair.enclave.fill_unmeasured(fill);
                let ending = pair.run(&honest());
                pair.result(ending, None)
            })
        })
        .collect();
    cases.push(lying("a raw host that is honest", Expect::Good, true, honest()));
    let instead = |name: &str, expect, call, answer: fn([u64; 4]) -> (u64, u64)| {
        let lie: Arc<Lie> = Arc::new(move |_, _, _, number, arguments, serve| {
            plain(if number == call { answer(arguments) } else { serve() })
        });
        lying(name, expect, true, lie)
    };
    cases.extend([
        instead(
            "pages not restricted, but said to be",
            Expect::NotGood,
            number::restrict_pages,
            |_| (0, 0),
        ),
        instead("the first page restricted alone", Expect::NotGood, number::restrict_pages, |a| {
            let _ = sgx_sim::restrict_permissions(
                a[0] as usize,
                4096,
                sgx_sim::Permissions::from_bits_truncate(a[2]),
            );
            (0, 0)
        }),
        instead("another page restricted", Expect::NotGood, number::restrict_pages, |a| {
            let _ = sgx_sim::restrict_permissions(
                a[0] as usize + 4096,
                a[1] as usize - 4096,
                sgx_sim::Permissions::from_bits_truncate(a[2]),
            );
            (0, 0)
        }),
        instead(
            "pages restricted to what they have already",
            Expect::NotGood,
            number::restrict_pages,
            |a| {
                let _ = sgx_sim::restrict_permissions(
                    a[0] as usize,
                    a[1] as usize,
                    sgx_sim::Permissions::RW,
                );
                (0, 0)
            },
        ),
        instead(
            "pages removed from the page tables",
            Expect::NotGood,
            number::restrict_pages,
            |a| {
                let _ = sgx_sim::protect(a[0] as usize, a[1] as usize, sgx_sim::Permissions::NONE);
                (0, 0)
            },
        ),
        // The enclave has extended the permissions (EMODPE), but the page tables lack them.
        instead(
            "pages not extended, but said to be",
            Expect::NotGood,
            number::extend_pages,
            |_| (0, 0),
        ),
        instead("pages not added, but said to be", Expect::NotGood, number::add_pages, |_| (0, 0)),
        instead("half of the pages added", Expect::NotGood, number::add_pages, |a| {
            let _ = sgx_sim::augment(a[0] as usize, a[1] as usize / 2);
            (0, 0)
        }),
        instead("other pages added", Expect::NotGood, number::add_pages, |a| {
            let _ = sgx_sim::augment(a[0] as usize + (1 << 20), a[1] as usize);
            (0, 0)
        }),
        instead("pages refused", Expect::NotGood, number::add_pages, |_| {
            (Status::Denied.code(), 0)
        }),
        instead("pages that can't be added", Expect::NotGood, number::add_pages, |_| {
            (Status::NotSupported.code(), 0)
        }),
        instead("all pages added at once", Expect::Good, number::add_pages, |a| {
            let _ = sgx_sim::augment(a[0] as usize, 16 << 20);
            (0, 0)
        }),
        // The host has added pages. If it then can't restrict their permissions, the enclave must
        // not run writable code.
        instead("no SGX2, it says", Expect::NotGood, number::restrict_pages, |_| {
            (Status::NotSupported.code(), 0)
        }),
    ]);
    cases
}

/// Writes to memory until this is dropped.
struct Scribbler(Arc<AtomicBool>, Option<thread::JoinHandle<()>>);

impl Scribbler {
    /// Starts to call `write` with a count. The caller is responsible for the address.
    fn start(mut write: impl FnMut(u64) + Send + 'static) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let thread = thread::spawn(move || {
            let mut n = 0;
            while !seen.load(Ordering::Relaxed) {
                write(n);
                n += 1;
            }
        });
        Scribbler(stop, Some(thread))
    }
}

impl Drop for Scribbler {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
        if let Some(thread) = self.1.take() {
            let _ = thread.join();
        }
    }
}

fn write(address: u64, word: u64) {
    // SAFETY: callers pass addresses of memory that is never freed (`leak`). The test is that other
    // threads read it at the same time.
    unsafe { (address as *mut u64).write_volatile(word) };
}

/// Returns cases for memory that changes while the enclave reads it.
pub fn changing_memory() -> Vec<Case> {
    let mut cases = Vec::new();
    let values: [(&str, Word); 3] = [
        ("zeros and ones", |n| if n.is_multiple_of(2) { 0 } else { u64::MAX }),
        ("counts", |n| n),
        ("small counts", |n| n % 64),
    ];
    for (name, value) in values {
        cases.push(case(
            format!("a transfer buffer rewritten with {name}"),
            Expect::Clean,
            move |search| {
                let pair = Pair::keeper(search);
                let buffer = pair.host.transfer(pair.main());
                let scribbler = Scribbler::start(move |n| write(buffer + n * 8 % 4096, value(n)));
                let ending = pair.run(&honest());
                drop(scribbler);
                let mut result = pair.result(ending, None);
                result.output = None;
                result
            },
        ));
        cases.push(case(
            format!("a launch request rewritten with {name}"),
            Expect::Clean,
            move |search| {
                let pair = Pair::keeper(search);
                let HostRange { pointer: launch, length } = pair.host.launch;
                let scribbler =
                    Scribbler::start(move |n| write(launch + n * 8 % length / 8 * 8, value(n)));
                let ending = pair.run(&honest());
                drop(scribbler);
                let mut result = pair.result(ending, None);
                result.output = None;
                result
            },
        ));
        cases.push(case(
            format!("a program rewritten with {name}"),
            Expect::Clean,
            move |search| {
                let pair = Pair::keeper(search);
                let HostRange { pointer: program, length } = pair.host.program;
                let scribbler =
                    Scribbler::start(move |n| write(program + n * 8 % length / 8 * 8, value(n)));
                let ending = pair.run(&honest());
                drop(scribbler);
                let mut result = pair.result(ending, None);
                result.output = None;
                result
            },
        ));
    }
    // The word alternates between its value and its complement, so that some copies of it are
    // valid.
    cases.push(case("a program that flips in one word", Expect::Clean, |search| {
        let pair = Pair::keeper(search);
        let HostRange { pointer: program, length } = pair.host.program;
        let at = program + length / 2 / 8 * 8;
        // SAFETY: the word is within the program, which is never freed.
        let word = unsafe { (at as *const u64).read_volatile() };
        let scribbler =
            Scribbler::start(move |n| write(at, if n.is_multiple_of(2) { word } else { !word }));
        let ending = pair.run(&honest());
        drop(scribbler);
        let mut result = pair.result(ending, None);
        result.output = None;
        result
    }));
    cases.push(case("a program changed after it was copied", Expect::Good, |search| {
        let pair = Pair::keeper(search);
        let asked = AtomicBool::new(false);
        let lie: Arc<Lie> = Arc::new(move |host, _, _, call, _, serve| {
            // The enclave requests pages for the copy before it requests the program.
            if call == number::program {
                asked.store(true, Ordering::SeqCst);
            } else if call != number::add_pages && asked.load(Ordering::SeqCst) {
                for HostRange { pointer: at, length } in [host.program, host.launch] {
                    (0..length / 8).for_each(|word| write(at + word * 8, u64::MAX));
                }
            }
            plain(serve())
        });
        let ending = pair.run(&lie);
        pair.result(ending, None)
    }));
    cases.push(lying(
        "a transfer buffer that overlaps the program",
        Expect::Clean,
        false,
        Arc::new(|host, _, _, call, _, serve| match call {
            number::transfer_buffer => [0, host.program.pointer, host.program.length, 0, 0, 0],
            _ => plain(serve()),
        }),
    ));
    cases
}

fn timed() -> Launch {
    let limits = Limits { timeout: Some(30_000_000), ..Limits::default() };
    Launch { limits, ..program::launch() }
}

/// Returns cases for EDP's own calls, which start threads and let threads wait for each other.
pub fn usercalls() -> Vec<Case> {
    let mut cases = Vec::new();
    let threaded = |name: String, expect, lie: Arc<Lie>| {
        case(name, expect, move |search| {
            let pair = Pair::new(&timed(), Variant::Busy, search);
            let ending = pair.run(&lie);
            let mut result = pair.result(ending, None);
            result.output = None;
            result
        })
    };
    cases.push(threaded("an honest host and two threads".into(), Expect::NotGood, honest()));
    for answer in [1, 2, 11, 12, 999, i32::MAX as u64, u64::from(u32::MAX), u64::MAX] {
        cases.push(threaded(
            format!("a thread that is answered with {answer:#x}"),
            Expect::Clean,
            Arc::new(move |_, _, _, call, _, serve| match call {
                usercall::LAUNCH_THREAD => [0, answer, 0, 0, 0, 0],
                _ => plain(serve()),
            }),
        ));
    }
    cases.push(threaded(
        "a thread with a second result".into(),
        Expect::Clean,
        Arc::new(|_, _, _, call, _, serve| match call {
            usercall::LAUNCH_THREAD => [0, 0, u64::MAX, 0, 0, 0],
            _ => plain(serve()),
        }),
    ));
    cases.push(threaded(
        "two threads for the one that was asked for".into(),
        Expect::Clean,
        Arc::new(|host, enclave, _, call, _, serve| {
            let answer = plain(serve());
            if call == usercall::LAUNCH_THREAD {
                let (host, enclave) = (host.clone(), enclave.clone());
                thread::spawn(move || host.run(&enclave, enclave.tcs[3], [0; 6], &honest()));
            }
            answer
        }),
    ));
    cases.push(threaded(
        "both threads with one transfer buffer".into(),
        Expect::Clean,
        Arc::new(|host, enclave, _, call, _, serve| match call {
            number::transfer_buffer => {
                [0, host.transfer(enclave.tcs[0]), TRANSFER_BUFFER_SIZE, 0, 0, 0]
            }
            _ => plain(serve()),
        }),
    ));
    for (what, call) in [("wait", usercall::WAIT), ("send", usercall::SEND)] {
        for answer in [0, 1, 12, u64::MAX] {
            cases.push(threaded(
                format!("{what} answered with {answer:#x}"),
                Expect::Clean,
                Arc::new(move |_, _, _, made, _, serve| match made == call {
                    true => [0, answer, answer, 0, 0, 0],
                    false => plain(serve()),
                }),
            ));
        }
    }
    cases
}

/// Returns cases for first entries and returns with registers that no honest host gives.
pub fn registers() -> Vec<Case> {
    let mut cases = Vec::new();
    for at in 0..6 {
        for value in [1, 8, 1 << 47, u64::MAX] {
            cases.push(case(
                format!("a first entry with {value:#x} in register {at}"),
                Expect::Clean,
                move |search| {
                    let pair = Pair::keeper(search);
                    let mut first = [0; 6];
                    first[at] = value;
                    let ending = pair.host.run(&pair.enclave, pair.main(), first, &honest());
                    pair.result(ending, None)
                },
            ));
        }
    }
    // EDP's `main` takes arguments: RDI points to the list of pieces, and RSI is their number.
    for at in 0..bad_pointers(&(0x10_0000..0x20_0000), 0, 0).len() {
        let name = bad_pointers(&(0x10_0000..0x20_0000), 0, 0)[at].0;
        cases.push(case(format!("arguments of EDP's at {name}"), Expect::Clean, move |search| {
            let pair = Pair::keeper(search);
            let list = leak(&[0; 32], 0);
            let pointers = bad_pointers(&pair.enclave.range, pair.main(), list.as_ptr() as u64);
            list.copy_from_slice(&[pointers[at].1, 64, pointers[at].1, u64::MAX]);
            // The first entry has a bad list; the next entry has a list with bad pieces.
            let first = [pointers[at].1, 2, 0, 0, 0, 0];
            let ending = pair.host.run(&pair.enclave, pair.main(), first, &honest());
            let other = Pair::keeper(search);
            let first = [list.as_ptr() as u64, 2, 0, 0, 0, 0];
            let second = other.host.run(&other.enclave, other.main(), first, &honest());
            other.host.search();
            let mut result = pair.result(ending, None);
            result.found.outside.extend(other.host.found().outside);
            if let Ending::Exited(program::BROKEN..) = second {
                result.ending = second;
            }
            result
        }));
    }
    for value in [1, 0x8000_0000, u64::MAX, 1 << 47] {
        cases.push(lying(
            format!("returns with {value:#x} in all other registers"),
            Expect::Good,
            true,
            Arc::new(move |_, _, _, _, _, serve| {
                let (first, second) = serve();
                [value, first, second, value, value, value]
            }),
        ));
    }
    cases
}

// These are the flags and the stack pointer, which EENTER on hardware keeps, and the simulator
// passes on only in part. The first two instructions of EDP's entry, to which the image's own entry
// leads, are replaced by a jump to this code, which executes them with the host's values. It runs
// as if inside.
global_asm!(
    ".pushsection .text.twine_hostile_entry,\"ax\",@progbits",
    ".type twine_hostile_entry,@function",
    "twine_hostile_entry:",
    "fninit",
    "fld1",
    "fld1",
    "fld1",
    "fld1",
    "fld1",
    "fld1",
    "fld1",
    "fld1",
    "pcmpeqd xmm0, xmm0",
    "pcmpeqd xmm7, xmm7",
    "pcmpeqd xmm15, xmm15",
    "fldcw [rip + {control}]",
    "ldmxcsr [rip + {mxcsr}]",
    "pushfq",
    "push rax",
    "mov rax, [rip + {flags}]",
    "or [rsp + 8], rax",
    "pop rax",
    "popfq",
    // mov %rcx,%gs:0x30; mov %rsp,%gs:0x28
    "mov gs:[0x30], rcx",
    "cmp qword ptr [rip + {stack}], 0",
    "je 2f",
    "mov rsp, [rip + {stack}]",
    "2:",
    "mov gs:[0x28], rsp",
    "jmp [rip + {resume}]",
    ".size twine_hostile_entry, . - twine_hostile_entry",
    ".popsection",
    control = sym CONTROL,
    mxcsr = sym MXCSR,
    flags = sym FLAGS,
    stack = sym STACK,
    resume = sym AFTER,
);

unsafe extern "C" {
    fn twine_hostile_entry();
}

static CONTROL: AtomicU64 = AtomicU64::new(0);
static MXCSR: AtomicU64 = AtomicU64::new(0);
static FLAGS: AtomicU64 = AtomicU64::new(0);
static STACK: AtomicU64 = AtomicU64::new(0);
static AFTER: AtomicU64 = AtomicU64::new(0);

/// `mov %rcx,%gs:0x30` and `mov %rsp,%gs:0x28`, the first instructions of `sgx_entry`.
const FIRST_INSTRUCTIONS: [u8; 18] =
    [0x65, 0x48, 0x89, 0x0c, 0x25, 0x30, 0, 0, 0, 0x65, 0x48, 0x89, 0x24, 0x25, 0x28, 0, 0, 0];

/// `test %eax,%eax`, a `jnz` over the next instruction, and `jmp`: the start of the image's own
/// entry.
const OWN_ENTRY: [u8; 5] = [0x85, 0xc0, 0x75, 0x05, 0xe9];

/// Returns the addresses of the image's entry and of EDP's entry, if their code is the known one.
fn entries(enclave: &Enclave) -> Option<(u64, u64)> {
    let own = enclave.range.start as u64 + inspection().threads[0].entry;
    // SAFETY: the image's entry is readable code of the enclave.
    let bytes = unsafe { std::slice::from_raw_parts(own as *const u8, 9) };
    let (&OWN_ENTRY, distance) = bytes.split_first_chunk()? else { return None };
    let distance = i32::from_le_bytes(distance.try_into().ok()?);
    Some((own, own.wrapping_add(9).wrapping_add_signed(distance.into())))
}

/// Replaces the first instructions of EDP's entry by the jump. Returns whether they were the known
/// ones.
fn divert(enclave: &Enclave) -> bool {
    let Some((_, entry)) = entries(enclave) else { return false };
    let page = entry & !4095;
    // SAFETY: the pages belong to the enclave, which no thread has entered. The bytes are code,
    // which this replaces by code.
    unsafe {
        let known = std::slice::from_raw_parts(entry as *const u8, 18) == FIRST_INSTRUCTIONS;
        let all = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        if !known || libc::mprotect(page as *mut _, 8192, all) != 0 {
            return false;
        }
        let mut jump = [0xff, 0x25, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        jump[6..].copy_from_slice(&(twine_hostile_entry as *const () as u64).to_le_bytes());
        (entry as *mut u8).copy_from(jump.as_ptr(), jump.len());
    }
    AFTER.store(entry + 18, Ordering::Relaxed);
    true
}

/// Returns the stack pointer to enter with, or 0 for the present one.
type Stack = Box<dyn Fn(&Enclave) -> u64>;

/// Returns cases for flags, stack pointers and floating-point state on every entry.
pub fn state() -> Vec<Case> {
    const ID: u64 = 1 << 21;
    const ARITHMETIC: u64 = 0x8d5;
    /// All exceptions masked, as the ABI requires.
    const USUAL: (u64, u64) = (0x37f, 0x1f80);
    let kept = |_: &Enclave| 0;
    let table: Vec<(&str, u64, (u64, u64), Stack)> = vec![
        ("nothing unusual", 0, USUAL, Box::new(kept)),
        ("DF", DF, USUAL, Box::new(kept)),
        ("AC", AC, USUAL, Box::new(kept)),
        ("DF, AC, ID and all arithmetic flags", DF | AC | ID | ARITHMETIC, USUAL, Box::new(kept)),
        ("all floating-point exceptions unmasked", 0, (0x340, 0), Box::new(kept)),
        ("rounding down, zero for denormals", 0, (0x77f, 0xbfc0), Box::new(kept)),
        ("rounding to zero, single precision", AC, (0xc7f, 0x7fbf), Box::new(kept)),
        ("a stack pointer of 8", 0, USUAL, Box::new(|_| 8)),
        ("a stack pointer that is not canonical", 0, USUAL, Box::new(|_| 1 << 47)),
        ("a stack pointer in the kernel", 0, USUAL, Box::new(|_| u64::MAX - 7)),
        ("an odd stack pointer", 0, USUAL, Box::new(|_| 4097)),
        (
            "a stack pointer in the enclave's own stack",
            DF,
            USUAL,
            Box::new(|enclave| enclave.range.start as u64 + inspection().threads[0].fs_base - 256),
        ),
        (
            "a stack pointer in the thread's local storage",
            AC,
            USUAL,
            Box::new(|enclave| enclave.range.start as u64 + inspection().threads[0].fs_base + 0x40),
        ),
        (
            "a stack pointer in the state save area",
            0,
            (0x340, 0),
            Box::new(|enclave| enclave.range.start as u64 + inspection().threads[0].ssa + 8192),
        ),
    ];
    table
        .into_iter()
        .map(|(name, flags, (control, mxcsr), stack)| {
            case(format!("entries with {name}"), Expect::Good, move |search| {
                let pair = Pair::keeper(search);
                if !divert(&pair.enclave) {
                    let problem = "the image's entry begins otherwise: see FIRST_INSTRUCTIONS";
                    return pair.result(Ending::Failed("not run".into()), Some(problem.into()));
                }
                CONTROL.store(control, Ordering::Relaxed);
                MXCSR.store(mxcsr, Ordering::Relaxed);
                FLAGS.store(flags, Ordering::Relaxed);
                STACK.store(stack(&pair.enclave), Ordering::Relaxed);
                let ending = pair.run(&honest());
                pair.result(ending, None)
            })
        })
        .collect()
}

/// Whether the enclave refused to continue: by EDP's `exit`, or by an exception.
fn exits(exit: &Exit) -> bool {
    matches!(exit, Exit::Call(usercall::EXIT, _) | Exit::Exception { .. })
}

fn refused(exit: &Exit) -> bool {
    matches!(exit, Exit::Exception { inside: false, .. })
}

/// Returns an exit with only a number.
fn left_with(number: u64) -> Exit {
    Exit::Call(number, [0; 4])
}

/// Returns `problem` unless `holds`.
fn unless(holds: bool, problem: impl FnOnce() -> String) -> Option<String> {
    (!holds).then(problem)
}

const ENTER: [u64; 6] = [0; 6];

/// The result of entering over an interrupted thread: 0 if there was no attempt, 1 if the enclave
/// was left at once each time, else the number with which it was left, plus 2.
static ATTEMPT: AtomicU64 = AtomicU64::new(0);
static VICTIM: AtomicU64 = AtomicU64::new(0);
/// The address at which the interrupted thread continues: the simulator's asynchronous exit
/// pointer.
static AEP: AtomicU64 = AtomicU64::new(0);

// A hostile asynchronous exit: the thread has left the enclave, its state is in the SSA, and EENTER
// follows instead of ERESUME. RBP and RSP are the host's.
global_asm!(
    ".pushsection .text.twine_hostile_aep,\"ax\",@progbits",
    ".type twine_hostile_aep,@function",
    "twine_hostile_aep:",
    "push rbp",
    "mov rbp, rsp",
    "and rsp, -16",
    "call {again}",
    "mov rsp, rbp",
    "pop rbp",
    "mov eax, 3",
    "jmp [rip + {aep}]",
    ".size twine_hostile_aep, . - twine_hostile_aep",
    ".popsection",
    again = sym enter_again,
    aep = sym AEP,
);

unsafe extern "C" {
    fn twine_hostile_aep();
}

/// The search while the thread is interrupted. Its frames are software SGX's own.
static SEARCH: OnceLock<&Search> = OnceLock::new();
static INTERRUPTED: Mutex<Option<Found>> = Mutex::new(None);

extern "C" fn enter_again() {
    crate::answers::note_frames();
    if let (Some(search), Ok(mut found)) = (SEARCH.get(), INTERRUPTED.lock()) {
        *found = Some(search.process(&raw::loaded(), &crate::answers::frames()));
    }
    let tcs = VICTIM.load(Ordering::SeqCst);
    let before = frame(tcs);
    // These registers forge a page fault with an address, in the form of EXITINFO and EXINFO.
    let forged = [0x8000_030e, tcs, u64::MAX, 0x8000_0306, 14, before[17]];
    for registers in [ENTER, [u64::MAX; 6], forged, ENTER] {
        match enter(tcs, EENTER, registers) {
            Exit::Call(exception::UNKNOWN, [0, 0, 0, 0]) => {}
            Exit::Call(number, _) => {
                ATTEMPT.store(number + 2, Ordering::SeqCst);
                // The interrupted code must not continue: its stack now has frames of other code.
                loop {
                    thread::sleep(Duration::from_secs(1));
                }
            }
            _ => return ATTEMPT.store(2, Ordering::SeqCst),
        }
    }
    let same = frame(tcs) == before;
    ATTEMPT.store(if same { 1 } else { 2 }, Ordering::SeqCst);
}

/// Returns GPRSGX of a thread's first frame, which follows its TCS and is the state to resume.
/// Leaves out URSP and URBP, which are the host's.
fn frame(tcs: u64) -> [u64; 18] {
    // SAFETY: this is a page of the enclave, which is readable on software SGX.
    unsafe { ((tcs + 8192 - 184) as *const [u64; 18]).read_volatile() }
}

/// Sends an interrupted enclave thread to [`twine_hostile_aep`].
extern "C" fn divert_aep(_: libc::c_int, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: this is the third argument of such a handler.
    let registers = unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs };
    // The simulator leaves these registers: ERESUME is next, with the TCS in RBX.
    let leaf = registers[libc::REG_RAX as usize] as u64;
    let tcs = registers[libc::REG_RBX as usize] as u64;
    if leaf == ERESUME && tcs == VICTIM.load(Ordering::SeqCst) {
        let rip = &mut registers[libc::REG_RIP as usize];
        AEP.store(*rip as u64, Ordering::SeqCst);
        *rip = twine_hostile_aep as *const () as i64;
    }
}

/// The registers with which a thread left, when an exit handler saw it. The handler's are lost.
static LEFT_WITH: [AtomicU64; 5] = [const { AtomicU64::new(0) }; 5];
static FAULTS: AtomicU64 = AtomicU64::new(0);
static PLACE: AtomicU64 = AtomicU64::new(0);
static REQUEST: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// Resumes after each fault, and maps the missing memory after the third.
extern "C" fn resume(
    rdi: u64,
    rsi: u64,
    rdx: u64,
    _rsp: u64,
    r8: u64,
    r9: u64,
    run: &sgx_sim::EnclaveRun,
) -> libc::c_int {
    if u64::from(run.function) != ERESUME {
        for (left, register) in LEFT_WITH.iter().zip([rdi, rsi, rdx, r8, r9]) {
            left.store(register, Ordering::SeqCst);
        }
        return 0;
    }
    if FAULTS.fetch_add(1, Ordering::SeqCst) == 2 {
        let place = PLACE.load(Ordering::SeqCst);
        let [launch, length] = [0, 1].map(|at| REQUEST[at].load(Ordering::SeqCst));
        // SAFETY: the page was reserved for this, and the bytes belong to the request.
        unsafe {
            libc::mprotect(place as *mut _, 4096, libc::PROT_READ | libc::PROT_WRITE);
            (place as *mut u8).copy_from(launch as *const u8, length as usize);
        }
    }
    ERESUME as libc::c_int
}

/// Returns cases for entries out of order.
pub fn order() -> Vec<Case> {
    vec![
        case("a secondary thread before the main one", Expect::NotGood, |search| {
            let pair = Pair::keeper(search);
            let exit = enter(pair.enclave.tcs[1], EENTER, ENTER);
            let problem = unless(exits(&exit), || format!("it was let in: {exit:?}"));
            let ending = pair.run(&honest());
            pair.result(ending, problem)
        }),
        case("secondary threads that nobody asked for", Expect::NotGood, |search| {
            let pair = Pair::keeper(search);
            let tried = AtomicU64::new(0);
            let lie: Arc<Lie> = Arc::new(move |_, enclave, _, call, _, serve| {
                let turn = tried.fetch_add(1, Ordering::Relaxed) as usize;
                if call == number::stream_write && (20..23).contains(&turn) {
                    let exit = enter(enclave.tcs[turn - 19], EENTER, ENTER);
                    assert!(exits(&exit), "it was let in: {exit:?}");
                }
                if call == number::clock_time {
                    let exit = enter(enclave.tcs[2], EENTER, [u64::MAX; 6]);
                    assert!(exits(&exit), "it was let in: {exit:?}");
                }
                plain(serve())
            });
            let ending = pair.run(&lie);
            pair.result(ending, None)
        }),
        case("all threads again after the end", Expect::Good, |search| {
            let pair = Pair::keeper(search);
            let ending = pair.run(&honest());
            let again: Vec<Exit> = (0..3)
                .flat_map(|_| pair.enclave.tcs.clone())
                .map(|tcs| enter(tcs, EENTER, ENTER))
                .collect();
            let problem = unless(again.iter().all(exits), || format!("let in: {again:?}"));
            pair.result(ending, problem)
        }),
        case("a return from the last call of all", Expect::Good, |search| {
            let pair = Pair::keeper(search);
            let ending = pair.run(&honest());
            let again: Vec<Exit> =
                (0..4).map(|value| enter(pair.main(), EENTER, [value, 0, 0, 0, 0, 0])).collect();
            let problem = unless(again.iter().all(exits), || format!("let in: {again:?}"));
            pair.result(ending, problem)
        }),
        case("all threads after a panic", Expect::NotGood, |search| {
            let pair = Pair::keeper(search);
            // EDP's entry refuses a third argument.
            let first = [0, 0, 1, 0, 0, 0];
            let ending = pair.host.run(&pair.enclave, pair.main(), first, &honest());
            let again: Vec<Exit> = (0..3)
                .flat_map(|_| pair.enclave.tcs.clone())
                .map(|tcs| enter(tcs, EENTER, ENTER))
                .collect();
            let problem = unless(again.iter().all(exits), || format!("let in: {again:?}"));
            pair.result(ending, problem)
        }),
        case("resuming what was not interrupted", Expect::Good, |search| {
            let pair = Pair::keeper(search);
            let at_first = enter(pair.main(), ERESUME, ENTER);
            let lie: Arc<Lie> = Arc::new(|_, enclave, tcs, call, _, serve| {
                if call == number::stream_read {
                    for tcs in [tcs, enclave.tcs[1]] {
                        let exit = enter(tcs, ERESUME, [u64::MAX; 6]);
                        assert!(refused(&exit), "resumed: {exit:?}");
                    }
                }
                plain(serve())
            });
            let ending = pair.run(&lie);
            let at_last = enter(pair.main(), ERESUME, ENTER);
            let problem = unless(refused(&at_first) && refused(&at_last), || {
                format!("resumed: {at_first:?}, {at_last:?}")
            });
            pair.result(ending, problem)
        }),
        case("one thread twice at once", Expect::Good, |search| {
            let pair = Pair::new(&program::launch(), Variant::Busy, search);
            let (host, enclave, tcs) = (pair.host.clone(), pair.enclave.clone(), pair.main());
            let thread = thread::spawn(move || host.run(&enclave, tcs, ENTER, &honest()));
            thread::sleep(Duration::from_millis(200));
            let exits: Vec<Exit> =
                [EENTER, ERESUME].into_iter().map(|leaf| enter(tcs, leaf, ENTER)).collect();
            let problem = unless(exits.iter().all(refused), || format!("let in: {exits:?}"));
            let ending = thread.join().expect("the thread did not panic");
            pair.result(ending, problem)
        }),
        case("what is no TCS", Expect::Good, |search| {
            let pair = Pair::keeper(search);
            let start = pair.enclave.range.start as u64;
            let size = pair.enclave.range.len() as u64;
            let main = pair.main();
            let exits: Vec<Exit> =
                [0, 8, start, start + size - 4096, main + 8, main - 4096, main + 4096]
                    .into_iter()
                    .flat_map(|tcs| [enter(tcs, EENTER, ENTER), enter(tcs, ERESUME, ENTER)])
                    .collect();
            let problem = unless(exits.iter().all(refused), || format!("let in: {exits:?}"));
            let ending = pair.run(&honest());
            pair.result(ending, problem)
        }),
        case("entering after a fault inside", Expect::NotGood, |search| {
            let pair = Pair::keeper(search);
            // The launch request gets an address without memory.
            let lie: Arc<Lie> = Arc::new(|_, _, _, call, _, serve| match call {
                number::launch_request => [0, 4096, 64, 0, 0, 0],
                _ => plain(serve()),
            });
            let ending = pair.run(&lie);
            let problem = pair.left_alone(exception::UNKNOWN);
            pair.result(ending, problem)
        }),
        case("resuming after a fault, and with memory at last", Expect::Good, |search| {
            let pair = Pair::keeper(search);
            // SAFETY: this reserves new addresses.
            let place = unsafe {
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_NONE, flags, -1, 0)
            } as u64;
            PLACE.store(place, Ordering::SeqCst);
            let HostRange { pointer: launch, length } = pair.host.launch;
            REQUEST[0].store(launch, Ordering::SeqCst);
            REQUEST[1].store(length, Ordering::SeqCst);
            let main = pair.main();
            let first = pair.run_until(number::launch_request);
            let asked = matches!(first, Exit::Call(number::launch_request, _));
            let answer = [0, place, length, 0, 0, 0];
            raw::enter_with(main, EENTER, answer, resume as *const () as u64);
            let faults = FAULTS.load(Ordering::SeqCst);
            let [left, arguments @ ..] =
                [0, 1, 2, 3, 4].map(|at: usize| LEFT_WITH[at].load(Ordering::SeqCst));
            let went_on = left > USER_DEFINED && left != number::launch_request;
            let problem = unless(asked && went_on && faults == 3, || {
                format!("{first:x?}, {faults} faults, left with {left:#x}")
            });
            // From here on, the host is honest.
            let served = pair.host.serve(&pair.enclave, main, left, arguments, &honest());
            let registers = plain(served);
            let ending = pair.host.run(&pair.enclave, main, registers, &honest());
            pair.result(ending, problem)
        }),
        // This case is last: if the entry succeeds, its thread never returns.
        case("entering after an interrupt inside", Expect::Good, |search| {
            let pair = Pair::new(&program::launch(), Variant::Busy, search);
            let _ = SEARCH.set(search);
            // SAFETY: the handler only changes where the thread continues.
            unsafe {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = divert_aep as *const () as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                libc::sigaction(libc::SIGUSR1, &raw const action, std::ptr::null_mut());
            }
            sgx_sim::adopt_signal_handlers().expect("wrapping the handler succeeds");
            let id = Arc::new(AtomicU64::new(0));
            let (host, enclave, tcs) = (pair.host.clone(), pair.enclave.clone(), pair.main());
            let told = id.clone();
            let thread = thread::spawn(move || {
                // SAFETY: reads this thread's own handle.
                told.store(unsafe { libc::pthread_self() } as u64, Ordering::SeqCst);
                host.run(&enclave, tcs, ENTER, &honest())
            });
            // By then, the program computes without a call for a second.
            thread::sleep(Duration::from_millis(300));
            VICTIM.store(tcs, Ordering::SeqCst);
            // SAFETY: the thread was not joined yet.
            unsafe {
                libc::pthread_kill(id.load(Ordering::SeqCst) as libc::pthread_t, libc::SIGUSR1)
            };
            let begin = Instant::now();
            while ATTEMPT.load(Ordering::SeqCst) == 0 && begin.elapsed() < Duration::from_secs(10) {
                thread::sleep(Duration::from_millis(1));
            }
            match ATTEMPT.load(Ordering::SeqCst) {
                1 => {
                    let ending = thread.join().expect("the thread did not panic");
                    let mut result = pair.result(ending, None);
                    let interrupted = INTERRUPTED.lock().expect("no thread panicked").take();
                    let interrupted = interrupted.expect("the thread was interrupted");
                    result.found.outside.extend(interrupted.outside);
                    result.found.frames += interrupted.frames;
                    result
                }
                attempt => {
                    let problem = format!(
                        "let in over the interrupted thread: left with {:#x}",
                        attempt.wrapping_sub(2)
                    );
                    pair.result(Ending::Failed("entered".into()), Some(problem))
                }
            }
        }),
    ]
}

const FAULT: Exit = Exit::Exception { inside: true, vector: PF };

/// RFLAGS.DF and RFLAGS.AC.
const DF: u64 = 1 << 10;
const AC: u64 = 1 << 18;

impl Pair {
    /// Serves the main thread until it leaves with `last`, or in another way than by a call.
    fn run_until(&self, last: u64) -> Exit {
        let mut exit = enter(self.main(), EENTER, ENTER);
        loop {
            match exit {
                Exit::Call(number, arguments) if number != last => {
                    let (host, enclave) = (&self.host, &self.enclave);
                    let answer = host.serve(enclave, self.main(), number, arguments, &honest());
                    exit = enter(self.main(), EENTER, plain(answer));
                }
                _ => return exit,
            }
        }
    }

    /// Sets the page tables' permissions for pages of the enclave.
    fn protect(&self, start: u64, size: u64, permissions: sgx_sim::Permissions) {
        let start = self.enclave.range.start + start as usize;
        sgx_sim::protect(start, size as usize, permissions).expect("they are the enclave's pages");
    }

    /// Enters the stopped thread a few times. Returns a problem unless it leaves with `number` and
    /// nothing has changed.
    fn left_alone(&self, number: u64) -> Option<String> {
        let before = frame(self.main());
        let exits: Vec<Exit> =
            [0, u64::MAX, 14].map(|word| enter(self.main(), EENTER, [word; 6])).into();
        let left = exits.iter().all(|exit| *exit == left_with(number));
        unless(left && frame(self.main()) == before, || format!("it left with {exits:x?}"))
    }

    /// Resumes the thread and runs it to its end.
    fn resume(&self) -> Ending {
        self.host.resume(&self.enclave, self.main(), &honest())
    }
}

/// Returns a case with a thread that has stopped at a fault of its program. The thread must trap,
/// whatever the host does to it.
fn trap(name: &str, run: fn(&Pair) -> Option<String>) -> Case {
    case(name, Expect::NotGood, move |search| {
        let pair = Pair::new(&program::launch(), Variant::Trapper, search);
        let exit = pair.run_until(usercall::EXIT);
        if exit != FAULT {
            return pair.result(Ending::Failed("no fault".into()), Some(format!("{exit:x?}")));
        }
        let problem = run(&pair);
        let ending = pair.resume();
        let trap = Ending::Trapped("wasm trap: out of bounds memory access".into());
        let problem = problem.or(unless(ending == trap, || "it did not trap".into()));
        pair.result(ending, problem)
    })
}

/// A byte of the image's code that is INT3 as long as this lives. A thread stops there.
struct Breakpoint(u64, u8);

impl Breakpoint {
    fn new(address: u64) -> Self {
        Breakpoint(address, change_code(address, 0xcc))
    }
}

impl Drop for Breakpoint {
    fn drop(&mut self) {
        change_code(self.0, self.1);
    }
}

/// Changes a byte of code, and returns the byte before.
fn change_code(address: u64, byte: u8) -> u8 {
    let (page, code) = (address & !4095, libc::PROT_READ | libc::PROT_EXEC);
    // SAFETY: the page is the enclave's code, which no thread runs at the moment.
    unsafe {
        assert_eq!(libc::mprotect(page as *mut _, 4096, code | libc::PROT_WRITE), 0);
        let was = (address as *mut u8).replace(byte);
        assert_eq!(libc::mprotect(page as *mut _, 4096, code), 0);
        was
    }
}

/// Returns a case in which the host removes pages below the end of a program's memory.
fn taken_away() -> Case {
    case("memory of a program's that is taken away", Expect::Good, move |search| {
        let pair = Pair::new(&program::launch(), Variant::Yielder, search);
        pair.run_until(number::yield_now);
        // The guard range is the last part of the image, and the program's memory is the first in
        // it.
        let memory = pair.host.last_added().expect("the program has memory");
        let offset = (memory.start - pair.enclave.range.start) as u64;
        let size = memory.len() as u64;
        pair.protect(offset, size, sgx_sim::Permissions::NONE);
        let fault = enter(pair.main(), EENTER, plain((Status::Ok.code(), 0)));
        let wrong = unless(fault == FAULT, || format!("it can be read: {fault:x?}"));
        let problem = wrong.or(pair.left_alone(exception::GONE));
        pair.protect(offset, size, sgx_sim::Permissions::RW);
        pair.result(pair.resume(), problem)
    })
}

/// Returns a case in which the host enters with its own flags, and the stub handles a UD2 at any
/// address.
fn flags_at_a_trap() -> Case {
    case("UD2 at an odd address, entered with AC and DF", Expect::NotGood, |search| {
        let odd = (0..16).find_map(|at| {
            let pair = Pair::new(&program::launch(), Variant::Unreachable(at), search);
            let exit = pair.run_until(usercall::EXIT);
            (exit == Exit::Exception { inside: true, vector: UD } && rip(pair.main()) % 2 == 1)
                .then_some(pair)
        });
        let pair = odd.expect("one of them has an odd address");
        sgx_sim::set_entry_flags(Some(AC | DF));
        let exit = enter(pair.main(), EENTER, ENTER);
        sgx_sim::set_entry_flags(None);
        let problem = unless(exit == left_with(exception::DEALT_WITH), || format!("{exit:x?}"));
        pair.result(pair.resume(), problem)
    })
}

/// Returns RIP of the first SSA frame.
fn rip(tcs: u64) -> u64 {
    frame(tcs)[17]
}

/// Returns cases for entries of a thread that an exception has stopped.
pub fn exceptions() -> Vec<Case> {
    raw::ONE_PLACE.store(true, Ordering::Relaxed);
    vec![
        trap("a trap that is dealt with", |pair| {
            let exit = enter(pair.main(), EENTER, ENTER);
            unless(exit == left_with(exception::DEALT_WITH), || format!("{exit:x?}"))
        }),
        trap("a trap that is dealt with, and entered again", |pair| {
            let exit = enter(pair.main(), EENTER, [u64::MAX; 6]);
            let again = pair.left_alone(exception::UNKNOWN);
            again.or(unless(exit == left_with(exception::DEALT_WITH), || format!("{exit:x?}")))
        }),
        trap("a trap that is resumed before it is dealt with", |pair| {
            let faults: Vec<Exit> = (0..3).map(|_| enter(pair.main(), ERESUME, ENTER)).collect();
            let exit = enter(pair.main(), EENTER, ENTER);
            let again =
                faults.iter().all(|exit| matches!(exit, Exit::Exception { vector: PF, .. }));
            unless(again && exit == left_with(exception::DEALT_WITH), || {
                format!("{faults:x?}, then {exit:x?}")
            })
        }),
        trap("entries while a trap is dealt with", |pair| {
            let Some((own, _)) = entries(&pair.enclave) else {
                return Some("the image's entry begins otherwise: see OWN_ENTRY".into());
            };
            // These are the first instructions after the jump to EDP's entry.
            let steps =
                [(9, exception::DEALT_WITH), (12, exception::UNKNOWN), (17, exception::UNKNOWN)];
            steps.into_iter().find_map(|(at, number)| {
                let stop = Breakpoint::new(own + at);
                let stopped = enter(pair.main(), EENTER, ENTER);
                let again: Vec<Exit> = (0..2).map(|_| enter(pair.main(), EENTER, ENTER)).collect();
                drop(stop);
                let exit = enter(pair.main(), ERESUME, ENTER);
                let right = stopped == Exit::Exception { inside: true, vector: BP }
                    && again
                        .iter()
                        .all(|exit| *exit == Exit::Exception { inside: false, vector: GP })
                    && exit == left_with(number);
                unless(right, || format!("at {at}: {stopped:x?}, {again:x?}, {exit:x?}"))
            })
        }),
        taken_away(),
        flags_at_a_trap(),
        case("the thread's own page taken away when it is entered", Expect::Good, |search| {
            let pair = Pair::keeper(search);
            let page = inspection().threads[0].fs_base;
            pair.protect(page, 4096, sgx_sim::Permissions::NONE);
            // The fault is in the first instruction of EDP's entry, with the host's stack pointer.
            let fault = enter(pair.main(), EENTER, ENTER);
            let wrong = unless(fault == FAULT, || format!("it can be used: {fault:x?}"));
            let problem = wrong.or(pair.left_alone(exception::UNKNOWN));
            pair.protect(page, 4096, sgx_sim::Permissions::RW);
            pair.result(pair.resume(), problem)
        }),
    ]
}
