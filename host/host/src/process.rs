//! Prepares this process for hosting enclaves, and checks that it can get the memory, threads and
//! descriptors that an enclave needs.

use crate::error::Error;
use crate::limits::{Shortage, has_memory, limit};
use std::io;
use std::sync::mpsc;
use std::thread::{self, Builder};

/// Prepares this process for hosting enclaves. Raises the limit on open files to the hard limit, and
/// ignores SIGXFSZ, so that a write beyond RLIMIT_FSIZE is an error and not a signal.
///
/// A program calls this once, at its start. Its child processes inherit both settings.
pub fn prepare() {
    // SAFETY: this installs no handler; the signal is ignored.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is valid. If the limit can't be raised, it is unchanged.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// Calls `main` on a stack of at least 4 MiB, also if RLIMIT_STACK is lower.
///
/// # Errors
/// If the main thread's stack is too small, and no other thread can be started.
pub fn on_a_large_stack<T: Send + 'static>(
    main: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    const ENOUGH: usize = 4 << 20;
    if limit(libc::RLIMIT_STACK).is_none_or(|bytes| bytes >= ENOUGH as u64) {
        return Ok(main());
    }
    let thread = Builder::new().stack_size(ENOUGH).spawn(main).map_err(no_thread)?;
    thread.join().or_else(|panic| std::panic::resume_unwind(panic))
}

/// Returns the error for a thread that could not be started.
pub(crate) fn no_thread(source: io::Error) -> Error {
    Error::NoThread { source, shortage: Shortage::of_threads() }
}

/// The number of descriptors that must be free: `enclave-runner` needs six (an epoll instance, an
/// event, a pair of sockets, and two duplicates of one of them), and files that are opened later
/// need two.
const DESCRIPTORS: usize = 8;

/// Checks that `enclave-runner` can get the memory, threads and descriptors that it needs. It would
/// panic without them.
pub(crate) fn check_resources(threads: usize) -> Result<(), Error> {
    if !has_memory(0) {
        return Err(Error::NoMemory {
            what: "none is left for the command itself".into(),
            shortage: Shortage::of_memory(),
        });
    }
    let mut held = Vec::new();
    for _ in 0..DESCRIPTORS {
        held.push(
            descriptor()
                .map_err(|source| Error::NoFile { source, shortage: Shortage::of_files() })?,
        );
    }
    drop(held);
    try_threads(threads).map_err(no_thread)
}

fn descriptor() -> io::Result<std::os::fd::OwnedFd> {
    Ok(rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC)?)
}

/// Starts `count` threads that run at the same time, and waits until they have ended.
fn try_threads(count: usize) -> io::Result<()> {
    let (send_id, ids) = mpsc::channel();
    let mut threads = Vec::with_capacity(count);
    let mut failed = Ok(());
    for _ in 0..count {
        let (go, wait) = mpsc::channel::<()>();
        let send_id = send_id.clone();
        let work = move || {
            // SAFETY: gettid takes no arguments and always succeeds.
            let _ = send_id.send(unsafe { libc::gettid() });
            // Returns when the other end is dropped.
            let _ = wait.recv();
        };
        match Builder::new().spawn(work) {
            Ok(thread) => threads.push((go, thread)),
            Err(error) => {
                failed = Err(error);
                break;
            }
        }
    }
    drop(send_id);
    for (go, thread) in threads {
        drop(go);
        // The thread can't panic.
        let _ = thread.join();
    }
    // A thread still counts for the limit for a moment after it was joined.
    for thread in ids {
        // SAFETY: signal 0 is not delivered. The call only checks whether the thread exists.
        while unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, 0) } == 0 {
            thread::yield_now();
        }
    }
    failed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_threads_can_be_started() {
        check_resources(8).unwrap();
        try_threads(0).unwrap();
    }

    #[test]
    fn a_function_on_a_large_stack_returns_its_result() {
        assert_eq!(on_a_large_stack(|| 7).unwrap(), 7);
    }
}
