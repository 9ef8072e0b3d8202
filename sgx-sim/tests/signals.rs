//! Signals of the host that arrive while a thread is inside.

mod common;

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

use common::{EEXIT, Enclave, Entry, Spec};

const PATTERN: u64 = 0x0f1e_2d3c_4b5a_6978;

thread_local! {
    static MARK: Cell<u64> = const { Cell::new(0) };
}

static SEEN: AtomicU64 = AtomicU64::new(0);
static OUTSIDE: AtomicU64 = AtomicU64::new(0);
static RANGE: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// Uses thread-local storage, as handlers do, and checks the interrupted context.
extern "C" fn on_signal(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let context = registers(context);
    let rip = context[libc::REG_RIP as usize] as usize;
    let [base, end] = RANGE.each_ref().map(|bound| bound.load(Ordering::Relaxed));
    let r9 = context[libc::REG_R9 as usize] as u64;
    if !(base..end).contains(&rip) && r9 != PATTERN + 1 {
        OUTSIDE.fetch_add(1, Ordering::Relaxed);
    }
    SEEN.fetch_add(MARK.get(), Ordering::Relaxed);
}

type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);

fn registers<'a>(context: *mut libc::c_void) -> &'a mut [i64; 23] {
    // SAFETY: handlers call this with the context that they were given.
    unsafe { &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext.gregs }
}

fn this_thread() -> libc::pthread_t {
    // SAFETY: always succeeds.
    unsafe { libc::pthread_self() }
}

fn signal_thread(thread: libc::pthread_t, signal: i32) {
    // SAFETY: the tests join their threads after the last signal.
    unsafe { libc::pthread_kill(thread, signal) };
}

fn install(signal: i32, handler: Handler) {
    // SAFETY: the action is complete, and the handlers are written as handlers.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        assert_eq!(libc::sigaction(signal, &action, std::ptr::null_mut()), 0);
    }
}

fn wait_inside(enclave: &Enclave) {
    while enclave.peek::<u64>(enclave.data(0) + 16) == 0 {
        std::thread::yield_now();
    }
}

fn progress(enclave: &Enclave) -> u64 {
    enclave.peek(enclave.data(0) + 8)
}

#[test]
fn handlers_see_the_host_and_the_enclave_goes_on() {
    install(libc::SIGUSR1, on_signal);
    let enclave = Spec::new(Entry::Spin).load();
    RANGE[0].store(enclave.base() as usize, Ordering::Relaxed);
    RANGE[1].store((enclave.base() + common::at::SIZE) as usize, Ordering::Relaxed);
    let enclave = &enclave;
    std::thread::scope(|scope| {
        let (send, receive) = std::sync::mpsc::channel();
        let inside = scope.spawn(move || {
            MARK.set(1);
            send.send(this_thread()).unwrap();
            enclave.enter(0, [0, PATTERN, 0, 0, 0])
        });
        let thread = receive.recv().unwrap();
        wait_inside(enclave);
        const SIGNALS: u64 = 20_000;
        for sent in 1..=SIGNALS {
            signal_thread(thread, libc::SIGUSR1);
            while SEEN.load(Ordering::Relaxed) < sent {
                std::hint::spin_loop();
            }
        }
        let before = progress(enclave);
        while progress(enclave) == before {
            std::thread::yield_now();
        }
        enclave.poke(enclave.data(0), 1u64);
        let exit = inside.join().unwrap();
        assert_eq!(OUTSIDE.load(Ordering::Relaxed), SIGNALS);
        assert_eq!((exit.result, exit.function), (0, EEXIT));
        assert_eq!(exit.rdi, 0, "registers survived");
    });
}

static TICKS: AtomicU64 = AtomicU64::new(0);

extern "C" fn on_tick(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    TICKS.fetch_add(MARK.get(), Ordering::Relaxed);
}

/// A timer interrupts every instruction of entry and exit sooner or later.
#[test]
fn signals_may_arrive_anywhere_on_the_way_in_and_out() {
    install(libc::SIGUSR2, on_tick);
    let echo = Spec::new(Entry::Echo).load();
    let trap = Spec::new(Entry::Trap).load();
    std::thread::spawn(move || {
        MARK.set(1);
        let timer = Timer::start(libc::SIGUSR2, 50_000);
        let mut i = 0;
        while TICKS.load(Ordering::Relaxed) < 5_000 {
            i += 1;
            assert_eq!(echo.enter(0, [i, 0, 0, 0, 0]).rdi, i + 1);
            assert_eq!(trap.enter(0, [3, PATTERN, 0, 0, 0]).vector, 14);
            let resumed = trap.skip(0, 3);
            assert_eq!((resumed.function, resumed.rdi), (EEXIT, 0));
        }
        drop(timer);
    })
    .join()
    .unwrap();
}

/// A timer of this thread.
struct Timer(libc::timer_t);

impl Timer {
    fn start(signal: i32, nanoseconds: i64) -> Self {
        // SAFETY: plain structures, filled as timer_create(2) says.
        unsafe {
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = signal;
            event.sigev_notify_thread_id = libc::gettid();
            let mut timer = std::mem::zeroed();
            assert_eq!(libc::timer_create(libc::CLOCK_MONOTONIC, &mut event, &mut timer), 0);
            let every = libc::timespec { tv_sec: 0, tv_nsec: nanoseconds };
            let spec = libc::itimerspec { it_interval: every, it_value: every };
            assert_eq!(libc::timer_settime(timer, 0, &spec, std::ptr::null_mut()), 0);
            Timer(timer)
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: this value owns the timer.
        unsafe { libc::timer_delete(self.0) };
    }
}

static LATE: AtomicU64 = AtomicU64::new(0);

extern "C" fn on_late(_: i32, _: *mut libc::siginfo_t, _: *mut libc::c_void) {
    LATE.fetch_add(MARK.get(), Ordering::Relaxed);
}

#[test]
fn handlers_installed_later_can_be_adopted() {
    let enclave = Spec::new(Entry::Spin).load();
    let enclave = &enclave;
    assert_eq!(Spec::new(Entry::Echo).load().enter(0, [0; 5]).rdi, 1);
    std::thread::scope(|scope| {
        let (send, receive) = std::sync::mpsc::channel();
        let inside = scope.spawn(move || {
            MARK.set(1);
            send.send(this_thread()).unwrap();
            enclave.enter(0, [0, PATTERN, 0, 0, 0])
        });
        let thread = receive.recv().unwrap();
        wait_inside(enclave);
        install(libc::SIGWINCH, on_late);
        sgx_sim::adopt_signal_handlers().unwrap();
        sgx_sim::adopt_signal_handlers().unwrap();
        for sent in 1..=100 {
            signal_thread(thread, libc::SIGWINCH);
            while LATE.load(Ordering::Relaxed) < sent {
                std::hint::spin_loop();
            }
        }
        enclave.poke(enclave.data(0), 1u64);
        assert_eq!(inside.join().unwrap().rdi, 0);
    });
}

/// The host's faults reach the host's handlers, though the simulator's handlers run first.
mod chained {
    use super::*;

    static FAULTS: AtomicU64 = AtomicU64::new(0);
    static LENGTH: AtomicU64 = AtomicU64::new(0);

    extern "C" fn on_fault(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
        FAULTS.fetch_add(MARK.get(), Ordering::Relaxed);
        registers(context)[libc::REG_RIP as usize] += LENGTH.load(Ordering::Relaxed) as i64;
    }

    #[test]
    fn an_invalid_opcode_of_the_hosts_is_the_hosts() {
        install(libc::SIGILL, on_fault);
        // A processor that knows ENCLU raises a general protection fault for it.
        install(libc::SIGSEGV, on_fault);
        let enclave = Spec::new(Entry::Echo).load();
        MARK.set(1);
        LENGTH.store(2, Ordering::Relaxed);
        for i in 0..100 {
            assert_eq!(enclave.enter(0, [i, 0, 0, 0, 0]).rdi, i + 1);
            // SAFETY: the handler skips the instruction.
            unsafe { std::arch::asm!("ud2") };
        }
        assert_eq!(FAULTS.load(Ordering::Relaxed), 100);
        LENGTH.store(3, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { std::arch::asm!("enclu", in("eax") 4) };
        assert_eq!(FAULTS.load(Ordering::Relaxed), 101);
    }
}

static RESULT: AtomicI64 = AtomicI64::new(0);
static TCS: AtomicU64 = AtomicU64::new(0);
static DEPTH: AtomicU64 = AtomicU64::new(0);

extern "C" fn on_enter(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let here = 0u8;
    let interrupted = registers(context)[libc::REG_RSP as usize] as usize;
    let depth = interrupted.wrapping_sub(&raw const here as usize);
    DEPTH.store(depth as u64, Ordering::Relaxed);
    let exit = common::enter(TCS.load(Ordering::Relaxed), common::EENTER, [0; 5]);
    RESULT.store(exit.result.into(), Ordering::Relaxed);
}

fn install_on_alternate_stack(signal: i32, handler: Handler) {
    install(signal, handler);
    // SAFETY: changes the flags of the action just installed.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, std::ptr::null(), &mut action);
        action.sa_flags |= libc::SA_ONSTACK;
        libc::sigaction(signal, &action, std::ptr::null_mut());
    }
}

/// This is one test, since the handlers share what they report.
#[test]
fn handlers_run_on_the_stack_that_they_asked_for() {
    install(libc::SIGURG, on_enter);
    install_on_alternate_stack(libc::SIGIO, on_enter);
    let echo = Spec::new(Entry::Echo).load();
    let spin = &Spec::new(Entry::Spin).load();
    TCS.store(echo.tcs(0), Ordering::Relaxed);
    std::thread::scope(|scope| {
        let (send, receive) = std::sync::mpsc::channel();
        let inside = scope.spawn(move || {
            send.send(this_thread()).unwrap();
            spin.enter(0, [0, PATTERN, 0, 0, 0])
        });
        let thread = receive.recv().unwrap();
        wait_inside(spin);
        const NONE: i64 = 77;
        let send_and_wait = |signal| {
            // A handler that interrupts the way back in cannot enter, whatever stack it runs on.
            let before = progress(spin);
            while progress(spin) == before {
                std::thread::yield_now();
            }
            RESULT.store(NONE, Ordering::Relaxed);
            signal_thread(thread, signal);
            while RESULT.load(Ordering::Relaxed) == NONE {
                std::hint::spin_loop();
            }
        };
        for _ in 0..200 {
            send_and_wait(libc::SIGURG);
            assert_eq!(RESULT.load(Ordering::Relaxed), 0, "it entered another enclave");
            assert!(DEPTH.load(Ordering::Relaxed) < 64 * 1024, "below the interrupted stack");
            send_and_wait(libc::SIGIO);
            assert_eq!(RESULT.load(Ordering::Relaxed), -i64::from(libc::EDEADLK));
            assert!(DEPTH.load(Ordering::Relaxed) > 64 * 1024, "on the alternate stack");
        }
        spin.poke(spin.data(0), 1u64);
        let exit = inside.join().unwrap();
        assert_eq!((exit.function, exit.rdi), (EEXIT, 0), "registers survived");
    });
}
