//! Records the pages of a volume's file that could not be read when the enclave touched them in the
//! mapping.

use crate::mapping::PAGE;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use twine_protocol::calls::HostRange;
use twine_protocol::wire;

/// The pages that are zeros in the mapping, by their offsets in the file.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    pages: Mutex<BTreeSet<u64>>,
    /// The [`wire::Unread`] of all pages, which the enclave reads. It never moves.
    published: Box<[AtomicU64; 2]>,
    /// The number of times that a page could not be read.
    count: AtomicU64,
}

impl Unread {
    /// Returns the words that the enclave reads.
    pub(crate) fn location(&self) -> HostRange {
        HostRange { pointer: self.published.as_ptr() as u64, length: wire::Unread::SIZE }
    }

    /// Returns the number of times that a page could not be read.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Records the page at `offset`, which is zeros in the mapping now.
    pub(crate) fn add(&self, offset: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut pages = self.pages();
        pages.insert(offset);
        self.publish(&pages);
    }

    /// Calls `mend` for each recorded page that overlaps `bytes`, and removes the page from the record
    /// if it returns true.
    pub(crate) fn mend(&self, bytes: Range<u64>, mut mend: impl FnMut(u64) -> bool) {
        // Usually no page is recorded, and no lock is needed.
        let [from, to] = [0, 1].map(|word| self.published[word].load(Ordering::Relaxed));
        let length = bytes.end.saturating_sub(bytes.start);
        if !(wire::Unread { from, to }).overlaps(bytes.start, length) {
            return;
        }
        let mut pages = self.pages();
        let first = bytes.start / PAGE * PAGE;
        let touched: Vec<u64> = pages.range(first..bytes.end).copied().collect();
        for page in touched {
            if mend(page) {
                pages.remove(&page);
            }
        }
        self.publish(&pages);
    }

    fn pages(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, pages: &BTreeSet<u64>) {
        let to = pages.last().map_or(0, |last| last.saturating_add(PAGE));
        let unread = wire::Unread { from: pages.first().copied().unwrap_or(0), to };
        for (word, value) in self.published.iter().zip(unread.to_words()) {
            word.store(value, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(unread: &Unread) -> wire::Unread {
        wire::Unread::from_words([0, 1].map(|word| unread.published[word].load(Ordering::Relaxed)))
    }

    #[test]
    fn the_published_range_spans_exactly_the_recorded_pages() {
        let unread = Unread::default();
        assert!(!told(&unread).overlaps(0, u64::MAX));
        for page in [5, 3, 9, 3] {
            unread.add(page * PAGE);
        }
        assert_eq!(told(&unread), wire::Unread { from: 3 * PAGE, to: 10 * PAGE });
        assert_eq!(unread.count(), 4);
        let mut tried = Vec::new();
        unread.mend(3 * PAGE + 7..5 * PAGE + 1, |page| {
            tried.push(page / PAGE);
            page == 3 * PAGE
        });
        assert_eq!(tried, [3, 5]);
        assert_eq!(told(&unread), wire::Unread { from: 5 * PAGE, to: 10 * PAGE });
        unread.mend(10 * PAGE..u64::MAX, |_| panic!("no page of these is noted"));
        unread.mend(0..u64::MAX, |_| true);
        assert!(!told(&unread).overlaps(0, u64::MAX));
    }
}
