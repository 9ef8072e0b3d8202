//! Processors differ in the exception that ENCLU raises outside of hardware enclaves. This one
//! raises one of them; the tests substitute the others between the kernel and the simulator.

mod common;

use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::{EEXIT, ERESUME, Enclave, Entry, PAGE, Spec, at};
use sgx_isa::{PageType, Report, SecinfoFlags, Targetinfo};
use sgx_sim::{EncluException, Permissions};

const ENCLU: [u8; 3] = [0x0f, 0x01, 0xd7];
const EREPORT: u32 = 0;
const EACCEPT: u64 = 5;
const UD: i64 = 6;
const GP: i64 = 13;
const PF: i64 = 14;

/// The vector that ENCLU shall raise.
static VECTOR: AtomicI64 = AtomicI64::new(0);
/// The number of exceptions that replaced this processor's own.
static REPLACED: AtomicUsize = AtomicUsize::new(0);
/// The simulator's handlers of SIGILL and SIGSEGV.
static HANDLERS: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// Runs before the simulator's handlers. It may run on an enclave's segment bases, so it uses no
/// thread-local storage.
unsafe extern "C" fn pretend(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: these are the arguments of a handler with SA_SIGINFO. RIP is readable: tests that
    // change exceptions execute nothing in unreadable pages.
    unsafe {
        let registers = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs;
        let code = (registers[libc::REG_RIP as usize] as *const [u8; 3]).read_volatile();
        let mut handler = &HANDLERS[usize::from(signal == libc::SIGSEGV)];
        if code == ENCLU {
            let vector = VECTOR.load(Ordering::Relaxed);
            registers[libc::REG_TRAPNO as usize] = vector;
            // This is a page fault of the first operand: a write by user mode to an absent page.
            registers[libc::REG_ERR as usize] = if vector == PF { 6 } else { 0 };
            registers[libc::REG_CR2 as usize] = registers[libc::REG_RBX as usize];
            REPLACED.fetch_add(1, Ordering::Relaxed);
            handler = &HANDLERS[usize::from(vector != UD)];
        }
        type Handler = unsafe extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);
        let handler: Handler = std::mem::transmute(handler.load(Ordering::Relaxed));
        handler(signal, info, context);
    }
}

/// Takes turns with the other tests here: loading an enclave, or a thread's first entry, would put
/// the simulator's handlers before [`pretend`].
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs `work` as on processors whose ENCLU raises each of the exceptions. The caller has loaded
/// the enclaves, and this thread has entered one.
fn on_every_processor(work: impl Fn()) {
    sgx_sim::adopt_signal_handlers().unwrap();
    let signals = [libc::SIGILL, libc::SIGSEGV];
    // SAFETY: these are actions of this process, which are restored below.
    unsafe {
        let old = signals.map(|signal| {
            let mut old: libc::sigaction = std::mem::zeroed();
            assert_eq!(libc::sigaction(signal, std::ptr::null(), &mut old), 0);
            old
        });
        for (at, handler) in HANDLERS.iter().enumerate() {
            handler.store(old[at].sa_sigaction, Ordering::Relaxed);
            let mut new = old[at];
            new.sa_sigaction = pretend as *const () as usize;
            assert_eq!(libc::sigaction(signals[at], &new, std::ptr::null_mut()), 0);
        }
        for vector in [UD, GP, PF] {
            VECTOR.store(vector, Ordering::Relaxed);
            let before = REPLACED.load(Ordering::Relaxed);
            work();
            assert!(REPLACED.load(Ordering::Relaxed) > before, "vector {vector}");
        }
        for (signal, old) in signals.iter().zip(&old) {
            assert_eq!(libc::sigaction(*signal, old, std::ptr::null_mut()), 0);
        }
    }
}

/// Enters an enclave in this thread.
fn enter_one() {
    assert_eq!(Spec::new(Entry::Echo).load().enter(0, [1, 0, 0, 0, 0]).rdi, 2);
}

#[test]
fn exits_are_the_same_on_every_processor() {
    let _turn = turn();
    let plain = Spec::new(Entry::Echo).load();
    let trap = Spec::new(Entry::Trap).load();
    enter_one();
    on_every_processor(|| {
        for i in 0..100 {
            let exit = plain.enter(0, [i, 0, 0, 0, 0]);
            assert_eq!((exit.result, exit.function, exit.rdi), (0, EEXIT, i + 1));
        }
        // The enclave's own exceptions stay exceptions, and its handler's exit and ERESUME work.
        for (kind, vector, length) in [(1, 6, 2), (5, 13, 1)] {
            let exit = trap.enter(0, [kind, 7, 0, 0, 0]);
            assert_eq!((exit.function, exit.vector), (ERESUME, vector));
            assert_eq!(trap.skip(0, length).rdi, 0);
        }
        let exit = trap.enter(0, [3, 7, 0x18, 0, 0]);
        assert_eq!((exit.function, exit.vector), (ERESUME, 14));
        assert_eq!(trap.skip(0, 3).rdi, 0);
    });
}

/// The first execution of an exit replaces its ENCLU, so each round takes a new enclave. The
/// enclave has two exits: its handler's, and that of the code that was interrupted.
#[test]
fn quick_exits_are_the_same_on_every_processor() {
    let _turn = turn();
    let enclaves: Vec<Enclave> = (0..3)
        .map(|_| Spec::new(Entry::Trap).load_on(common::device().quick_exits(true)))
        .collect();
    enter_one();
    let next = AtomicUsize::new(0);
    on_every_processor(|| {
        let enclave = &enclaves[next.fetch_add(1, Ordering::Relaxed)];
        for _ in 0..3 {
            assert_eq!(enclave.enter(0, [1, 7, 0, 0, 0]).vector, 6);
            let exit = enclave.skip(0, 2);
            assert_eq!((exit.result, exit.function, exit.rdi), (0, EEXIT, 0));
        }
    });
}

#[test]
fn leaves_are_the_same_on_every_processor() {
    let _turn = turn();
    let enclave = Spec::new(Entry::Leaf).load();
    let mut spec = Spec::new(Entry::Leaves);
    spec.spare = SecinfoFlags::R | SecinfoFlags::W | SecinfoFlags::X;
    let pages = spec.load();
    enter_one();
    on_every_processor(|| {
        let data = enclave.data(0);
        let mut target = [0u8; 512];
        target.copy_from_slice(Targetinfo::default().as_ref());
        enclave.poke(data, target);
        enclave.poke(data + 512, [7u8; 64]);
        enclave.leaf(EREPORT, data, data + 512, data + 1024).unwrap();
        let bytes = enclave.peek::<[u8; Report::UNPADDED_SIZE]>(data + 1024);
        let report = Report::try_copy_from(&bytes).unwrap();
        assert_eq!((report.reportdata, report.mrenclave), ([7; 64], enclave.info.mrenclave()));

        // Every processor refuses the same requests: no such leaf, one that only the host has,
        // operands at address 0, out of ELRANGE and in a page without access.
        for (leaf, rbx, vector) in [
            (7, data, 13),
            (u32::MAX, data, 13),
            (2, 0, 13),
            (3, 0, 13),
            (2, enclave.tcs(0), 13),
            (EREPORT, 0, 13),
            (EREPORT, enclave.base() + at::SIZE, 13),
            (EREPORT, enclave.base() + at::SIZE - PAGE, 14),
        ] {
            let exit = enclave.leaf(leaf, rbx, data + 512, data + 1024).unwrap_err();
            assert_eq!((exit.function, exit.vector), (ERESUME, vector), "leaf {leaf} {rbx:#x}");
        }

        // This loop over pages takes one trap.
        let secinfo = pages.data(0);
        let flags = SecinfoFlags::R | SecinfoFlags::PR | PageType::Reg.into();
        pages.poke(secinfo, [flags.bits(), 0, 0, 0, 0, 0, 0, 0]);
        let begin = pages.base() + at::SPARE;
        let size = 4 * PAGE as usize;
        sgx_sim::restrict_permissions(begin as usize, size, Permissions::R).unwrap();
        let exit = pages.enter(0, [EACCEPT, secinfo, begin, begin + 4 * PAGE, 0]);
        assert_eq!((exit.function, exit.rdx, exit.rsi), (EEXIT, 0, 4), "{exit:?}");
    });
}

/// Executes ENCLU in a page that is not executable: the fetch faults before the instruction exists.
#[test]
fn an_enclu_that_cannot_be_fetched_is_a_page_fault() {
    let _turn = turn();
    let enclave = Spec::new(Entry::Touch).load();
    let target = enclave.base() + at::SPARE;
    enclave.poke(target, ENCLU);
    let exit = enclave.enter(0, [2, target, 0, 0, 0]);
    assert_eq!((exit.function, exit.vector), (ERESUME, 14), "{exit:?}");
    assert_eq!((exit.address, exit.error_code & 0x10), (target, 0x10));
}

#[test]
fn this_processor_raises_a_known_exception_for_enclu() {
    let raised = sgx_sim::enclu_exception().unwrap();
    let known = [EncluException::InvalidOpcode, EncluException::GeneralProtection];
    assert!(known.contains(&raised), "{raised:?}");
}
