//! Memory for programs that clients send, which together may take so much and no more.

use std::sync::{Arc, Mutex, PoisonError};

/// What is left, in bytes.
#[derive(Debug, Clone)]
pub(crate) struct Budget(Arc<Mutex<u64>>);

/// A part of a budget, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    budget: Budget,
    bytes: u64,
}

impl Budget {
    /// Makes a budget of `bytes` bytes.
    pub(crate) fn new(bytes: u64) -> Self {
        Budget(Arc::new(Mutex::new(bytes)))
    }

    /// Takes `bytes` bytes of it. `None` if so much is not left.
    pub(crate) fn take(&self, bytes: u64) -> Option<Share> {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.checked_sub(bytes)?;
        Some(Share { budget: self.clone(), bytes })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        *self.budget.0.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_comes_back_when_it_is_dropped() {
        let budget = Budget::new(10);
        let first = budget.take(6).unwrap();
        assert!(budget.take(5).is_none());
        let second = budget.take(4).unwrap();
        assert!(budget.take(1).is_none());
        drop(first);
        assert!(budget.take(7).is_none());
        drop((second, budget.take(6).unwrap()));
        assert!(budget.take(10).is_some());
    }
}
