//! The simulator does not change how the host's faults end the process. Each test runs this
//! program again, and checks how it ends.

mod common;

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use common::{Entry, Spec};

const ROLE: &str = "SGX_SIM_TEST_ROLE";

/// Runs the test `name` of this program as a child process.
fn child(name: &str) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads", "1"])
        .env(ROLE, "child")
        .output()
        .unwrap()
}

/// Loads an enclave and enters it in this thread, if this process is the child.
fn with_enclave() -> Option<common::Enclave> {
    std::env::var_os(ROLE)?;
    let enclave = Spec::new(Entry::Echo).load();
    assert_eq!(enclave.enter(0, [1, 0, 0, 0, 0]).rdi, 2);
    Some(enclave)
}

#[test]
fn an_invalid_opcode_of_the_hosts_ends_the_process() {
    if let Some(_enclave) = with_enclave() {
        // SAFETY: ends the process.
        unsafe { std::arch::asm!("ud2") };
        return;
    }
    let output = child("an_invalid_opcode_of_the_hosts_ends_the_process");
    assert_eq!(output.status.signal(), Some(libc::SIGILL), "{output:?}");
}

/// The exception depends on the processor.
#[test]
fn an_enclu_of_the_hosts_ends_the_process() {
    if let Some(_enclave) = with_enclave() {
        // SAFETY: ends the process.
        unsafe { std::arch::asm!("enclu", in("eax") 4) };
        return;
    }
    let output = child("an_enclu_of_the_hosts_ends_the_process");
    let expected = match sgx_sim::enclu_exception().unwrap() {
        sgx_sim::EncluException::InvalidOpcode => libc::SIGILL,
        _ => libc::SIGSEGV,
    };
    assert_eq!(output.status.signal(), Some(expected), "{output:?}");
}

#[test]
fn a_stray_access_of_the_hosts_ends_the_process() {
    if let Some(_enclave) = with_enclave() {
        // SAFETY: ends the process.
        unsafe { std::arch::asm!("mov {0}, [{0}]", inout(reg) 8u64 => _) };
        return;
    }
    let output = child("a_stray_access_of_the_hosts_ends_the_process");
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{output:?}");
}

#[test]
fn a_fault_signal_that_is_sent_ends_the_process() {
    if let Some(_enclave) = with_enclave() {
        // SAFETY: ends the process.
        unsafe { libc::raise(libc::SIGFPE) };
        return;
    }
    let output = child("a_fault_signal_that_is_sent_ends_the_process");
    assert_eq!(output.status.signal(), Some(libc::SIGFPE), "{output:?}");
}

#[expect(unconditional_recursion, reason = "the test overflows the stack")]
fn exhaust(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    exhaust(depth + 1) + frame[depth as usize % 64]
}

#[test]
fn stack_overflows_of_the_hosts_are_still_reported_by_std() {
    if let Some(_enclave) = with_enclave() {
        std::hint::black_box(exhaust(0));
        return;
    }
    let output = child("stack_overflows_of_the_hosts_are_still_reported_by_std");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("has overflowed its stack"), "{output:?}");
    assert_eq!(output.status.signal(), Some(libc::SIGABRT));
}

/// Starts more threads than there are slots for threads that exist at the same time.
#[test]
fn threads_that_ended_leave_nothing_behind() {
    let enclave = &Spec::new(Entry::Echo).load();
    for i in 0..10_000 {
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(enclave.enter(0, [i, 0, 0, 0, 0]).rdi, i + 1));
        });
    }
}

#[test]
fn another_alternate_stack_than_ours_will_do() {
    let echo = Spec::new(Entry::Echo).load();
    let trap = Spec::new(Entry::Trap).load();
    std::thread::spawn(move || {
        assert_eq!(echo.enter(0, [1, 0, 0, 0, 0]).rdi, 2);
        let mut memory = vec![0u8; 64 * 1024];
        let stack =
            libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: memory.len() };
        let disabled = libc::stack_t { ss_flags: libc::SS_DISABLE, ..stack };
        // SAFETY: the memory outlives its use as alternate stack.
        assert_eq!(unsafe { libc::sigaltstack(&stack, std::ptr::null_mut()) }, 0);
        for i in 0..100 {
            assert_eq!(echo.enter(0, [i, 0, 0, 0, 0]).rdi, i + 1);
            assert_eq!(trap.enter(0, [1, i, 0, 0, 0]).vector, 6);
            assert_eq!(trap.skip(0, 2).rdi, 0);
        }
        // SAFETY: as above.
        assert_eq!(unsafe { libc::sigaltstack(&disabled, std::ptr::null_mut()) }, 0);
    })
    .join()
    .unwrap();
}
