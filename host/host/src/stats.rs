//! Counts the host calls of a run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use twine_protocol::calls::DECLARATIONS;

/// Counts of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// The number of exits with EEXIT.
    pub exits: u64,
    /// The host calls that were made at least once.
    pub calls: Vec<CallStats>,
    /// Pages of mapped files that could not be read when the enclave touched them.
    pub unread: UnreadPages,
}

/// The numbers of pages of mapped files that could not be read, because of a disk error or because
/// the file was truncated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnreadPages {
    /// Pages of volumes: the enclave got an error.
    pub volumes: u64,
    /// Pages of the program: the enclave got zeros, and so another program.
    pub program: u64,
    /// Pages of cached code: the enclave got zeros, and did not use the code.
    pub code: u64,
}

/// The count and duration of one kind of host call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallStats {
    /// The name, as in `docs/host-calls.md`.
    pub name: &'static str,
    /// The number of calls.
    pub count: u64,
    /// The time that the host took to serve the calls, including waits, without exits and entries.
    pub time: Duration,
}

/// Counters, shared by the threads of the enclave.
#[derive(Debug)]
pub(crate) struct Counters {
    exits: AtomicU64,
    calls: Vec<Counter>,
    unread_program: AtomicU64,
    unread_code: AtomicU64,
}

#[derive(Debug, Default)]
struct Counter {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Counters {
    pub(crate) fn new() -> Self {
        let calls = DECLARATIONS.iter().map(|_| Counter::default()).collect();
        let zero = || AtomicU64::new(0);
        Counters { exits: zero(), calls, unread_program: zero(), unread_code: zero() }
    }

    /// Counts a page of the program that could not be read.
    pub(crate) fn unread_program(&self) {
        self.unread_program.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a page of cached code that could not be read.
    pub(crate) fn unread_code(&self) {
        self.unread_code.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn exit(&self) {
        self.exits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn call(&self, number: u64, time: Duration) {
        if let Ok(at) = DECLARATIONS.binary_search_by_key(&number, |call| call.number) {
            let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            self.calls[at].count.fetch_add(1, Ordering::Relaxed);
            self.calls[at].nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
        }
    }

    /// Returns the counts, with the count of unread pages of all volumes.
    pub(crate) fn read(&self, unread_of_volumes: u64) -> Stats {
        let calls = DECLARATIONS
            .iter()
            .zip(&self.calls)
            .map(|(call, counter)| CallStats {
                name: call.name,
                count: counter.count.load(Ordering::Relaxed),
                time: Duration::from_nanos(counter.nanoseconds.load(Ordering::Relaxed)),
            })
            .filter(|call| call.count > 0)
            .collect();
        let unread = UnreadPages {
            volumes: unread_of_volumes,
            program: self.unread_program.load(Ordering::Relaxed),
            code: self.unread_code.load(Ordering::Relaxed),
        };
        Stats { exits: self.exits.load(Ordering::Relaxed), calls, unread }
    }
}
