//! Pages of a volume's file that could not be read when the enclave touched them in the mapping.

use crate::mapping::PAGE;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use twine_protocol::wire;

/// The pages for which the mapping has zeros, by their offsets in the file.
#[derive(Debug, Default)]
pub(crate) struct Unread {
    pages: Mutex<BTreeSet<u64>>,
    /// The words that the enclave reads: [`wire::Unread`] of all of them. They stay where they are.
    told: Box<[AtomicU64; 2]>,
    /// How often a page could not be read.
    count: AtomicU64,
}

impl Unread {
    /// Where the enclave reads of them: address and length.
    pub(crate) fn give(&self) -> (u64, u64) {
        (self.told.as_ptr() as u64, wire::Unread::SIZE)
    }

    /// How often a page could not be read.
    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    /// Notes the page at `offset`, for which the mapping has zeros now.
    pub(crate) fn add(&self, offset: u64) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut pages = self.pages();
        pages.insert(offset);
        self.tell(&pages);
    }

    /// Tries `mend` on each noted page that has one of these bytes; those for which it holds are
    /// noted no more.
    pub(crate) fn mend(&self, bytes: Range<u64>, mut mend: impl FnMut(u64) -> bool) {
        // Most often there is none, and no lock is taken.
        let [from, to] = [0, 1].map(|word| self.told[word].load(Ordering::Relaxed));
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
        self.tell(&pages);
    }

    fn pages(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, pages: &BTreeSet<u64>) {
        let to = pages.last().map_or(0, |last| last.saturating_add(PAGE));
        let told = wire::Unread { from: pages.first().copied().unwrap_or(0), to };
        for (word, value) in self.told.iter().zip(told.to_words()) {
            word.store(value, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(unread: &Unread) -> wire::Unread {
        wire::Unread::from_words([0, 1].map(|word| unread.told[word].load(Ordering::Relaxed)))
    }

    #[test]
    fn the_words_span_the_noted_pages_and_no_others() {
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
