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
}

#[derive(Debug, Default)]
struct Counter {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

impl Counters {
    pub(crate) fn new() -> Self {
        let calls = DECLARATIONS.iter().map(|_| Counter::default()).collect();
        Counters { exits: AtomicU64::new(0), calls }
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

    pub(crate) fn read(&self) -> Stats {
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
        Stats { exits: self.exits.load(Ordering::Relaxed), calls }
    }
}
