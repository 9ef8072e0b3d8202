//! Prepares this process for hosting enclaves, and checks that it can get the memory, threads and
//! descriptors that an enclave needs.

use crate::error::Error;
use crate::limits::{Shortage, has_memory, limit};
use std::io;
use std::sync::mpsc;
use std::thread::{self, Builder};

/// Prepares this process for being the host of enclaves: opens as many files as it may, and gets
/// an error, not a signal, for a file that becomes larger than it may (RLIMIT_FSIZE).
///
/// A program calls it once, at its start. What it starts has the same.
pub fn prepare() {
    // SAFETY: no handler is installed: the signal is ignored.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the structure is valid. If the limit can't be raised, it stays as it is.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
        }
    }
}

/// Calls `main` on a stack that is large enough for it, whatever RLIMIT_STACK says.
///
/// # Errors
/// When the first thread's stack is too small, and there can be no other thread.
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

/// Says that a thread could not be started.
pub(crate) fn no_thread(source: io::Error) -> Error {
    Error::NoThread { source, shortage: Shortage::of_threads() }
}

/// Descriptors that `enclave-runner` takes: an epoll instance, an event, and a pair of sockets with
/// two more descriptors for one of them; and two for files that are opened later.
const DESCRIPTORS: usize = 8;

/// Finds out whether `enclave-runner` can have the memory, threads and descriptors that it will take:
/// it panics where it gets none.
pub(crate) fn room(threads: usize) -> Result<(), Error> {
    if !has_memory(0) {
        return Err(Error::NoMemory {
            what: "none is left for this command itself".into(),
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

/// Starts so many threads at once, and waits for them to be gone.
fn try_threads(count: usize) -> io::Result<()> {
    let (tell, told) = mpsc::channel();
    let mut threads = Vec::with_capacity(count);
    let mut failed = Ok(());
    for _ in 0..count {
        let (go, wait) = mpsc::channel::<()>();
        let tell = tell.clone();
        let work = move || {
            // SAFETY: gettid takes nothing and always succeeds.
            let _ = tell.send(unsafe { libc::gettid() });
            // Until the other end is dropped.
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
    drop(tell);
    for (go, thread) in threads {
        drop(go);
        // It can't panic.
        let _ = thread.join();
    }
    // One that was joined may still count for a moment.
    for thread in told {
        // SAFETY: signal 0 is sent to nobody; it says whether there is such a thread.
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
    fn there_is_room_for_a_few_threads() {
        room(8).unwrap();
        try_threads(0).unwrap();
    }

    #[test]
    fn work_that_needs_a_stack_is_done() {
        assert_eq!(on_a_large_stack(|| 7).unwrap(), 7);
    }
}
