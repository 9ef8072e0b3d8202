//! What host calls a run made.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use twine_protocol::calls::DECLARATIONS;

/// Counts of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Times that a thread left the enclave on purpose (EEXIT).
    pub exits: u64,
    /// Host calls, those that were made at least once.
    pub calls: Vec<CallStats>,
    /// Pages of mapped files that could not be read when the enclave touched them.
    pub unread: UnreadPages,
}

/// How often pages of mapped files could not be read: a disk had an error, or somebody cut the
/// file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnreadPages {
    /// Of volumes: the enclave was given the error.
    pub volumes: u64,
    /// Of the program: the enclave was given zeros, which make it another program.
    pub program: u64,
    /// Of compiled code that was kept: the enclave was given zeros, and does not take it.
    pub code: u64,
}

/// What host calls of one kind came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallStats {
    /// Its name, as `docs/host-calls.md` has it.
    pub name: &'static str,
    /// How often it was made.
    pub count: u64,
    /// The time that serving it took on the host, without the exit and the entry. What the
    /// host waits for is in it.
    pub time: Duration,
}

/// Counters that threads of the enclave share.
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

    /// A page of the program could not be read.
    pub(crate) fn unread_program(&self) {
        self.unread_program.fetch_add(1, Ordering::Relaxed);
    }

    /// A page of kept code could not be read.
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

    /// The counts, with what the storages have counted.
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
