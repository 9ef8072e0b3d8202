//! What host calls a run made.

use std::sync::atomic::{AtomicU64, Ordering};
use twine_protocol::calls::DECLARATIONS;

/// Counts of one run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Times that a thread left the enclave on purpose (EEXIT).
    pub exits: u64,
    /// Host calls by name, those that were made at least once.
    pub calls: Vec<(&'static str, u64)>,
}

/// Counters that threads of the enclave share.
#[derive(Debug)]
pub(crate) struct Counters {
    exits: AtomicU64,
    calls: Vec<AtomicU64>,
}

impl Counters {
    pub(crate) fn new() -> Self {
        let calls = DECLARATIONS.iter().map(|_| AtomicU64::new(0)).collect();
        Counters { exits: AtomicU64::new(0), calls }
    }

    pub(crate) fn exit(&self) {
        self.exits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn call(&self, number: u64) {
        if let Ok(at) = DECLARATIONS.binary_search_by_key(&number, |call| call.number) {
            self.calls[at].fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> Stats {
        let calls = DECLARATIONS
            .iter()
            .zip(&self.calls)
            .map(|(call, count)| (call.name, count.load(Ordering::Relaxed)))
            .filter(|&(_, count)| count > 0)
            .collect();
        Stats { exits: self.exits.load(Ordering::Relaxed), calls }
    }
}
