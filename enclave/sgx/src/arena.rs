//! Records which pages of the code arena are in use, and with which permissions.

use std::collections::BTreeMap;
use std::ops::Range;
use twine_protocol::wire::permission::{EXECUTE, READ, WRITE};

/// Size of a page in bytes.
pub(crate) const PAGE: usize = 4096;

/// Permissions of pages that were in the image when it was loaded: SECINFO has R, W and X.
const INITIAL: u8 = stored(READ | WRITE | EXECUTE);

/// Permissions of added pages when the enclave accepts them.
const ADDED: u64 = READ | WRITE;

/// Stands for the permissions of a page that does not exist.
const NONE: u8 = 0;

/// The enclave asks the host for this many bytes of pages at a time. A page is inaccessible until
/// the enclave accepts it, as if it did not exist.
const STEP: usize = 1 << 20;

/// Converts permissions to their form in the arena's table.
const fn stored(permissions: u64) -> u8 {
    (permissions & (READ | WRITE | EXECUTE)) as u8
}

/// The pages of the arena, allocated by first fit. Adjacent free runs are merged.
#[derive(Debug)]
pub(crate) struct Arena {
    pages: Range<usize>,
    /// Free runs: from the first page to the number of pages.
    free: BTreeMap<usize, usize>,
    /// The permissions of each page in the EPCM, as this arena has set them.
    permissions: Vec<u8>,
    /// The page up to which the host was asked for pages.
    asked: usize,
}

/// The steps that give pages other permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// Whether the pages must be added first.
    pub add: bool,
    /// The permissions to restrict the pages to, if they must lose some.
    pub restrict: Option<u64>,
    /// The permissions to extend the pages to afterwards, if they must gain some.
    pub extend: Option<u64>,
}

impl Arena {
    /// Makes an arena of the whole pages in these addresses, all free. The first `at_start` bytes
    /// already have pages.
    pub(crate) fn new(addresses: Range<usize>, at_start: usize) -> Self {
        let pages = addresses.start.div_ceil(PAGE)..addresses.end / PAGE;
        let free = if pages.is_empty() {
            BTreeMap::new()
        } else {
            BTreeMap::from([(pages.start, pages.len())])
        };
        let there = (at_start / PAGE).min(pages.len());
        let mut permissions = vec![INITIAL; there];
        permissions.resize(pages.len(), NONE);
        Arena { permissions, asked: pages.start + there, pages, free }
    }

    /// The addresses for which to ask the host for pages before those of `addresses` can be
    /// accepted. Empty if the host was asked already.
    pub(crate) fn to_ask(&self, addresses: &Range<usize>) -> Range<usize> {
        let asked = self.asked * PAGE;
        let end = (addresses.end.max(asked)).next_multiple_of(STEP).min(self.pages.end * PAGE);
        if addresses.end <= asked { asked..asked } else { asked..end }
    }

    /// Records that the host was asked for the pages of these addresses, which came from
    /// [`Self::to_ask`].
    pub(crate) fn asked(&mut self, addresses: &Range<usize>) {
        self.asked = addresses.end / PAGE;
    }

    /// The next page to add, if the arena has addresses without pages at the start.
    pub(crate) fn first_to_add(&self) -> Option<Range<usize>> {
        (self.permissions.last() == Some(&NONE)).then(|| {
            let first = self.asked.min(self.pages.end - 1) * PAGE;
            first..first + PAGE
        })
    }

    /// The size of the arena in bytes.
    pub(crate) fn size(&self) -> usize {
        self.pages.len() * PAGE
    }

    /// The size of all free runs together, in bytes.
    pub(crate) fn free_bytes(&self) -> usize {
        self.free.values().sum::<usize>() * PAGE
    }

    /// Whether these addresses are in the arena.
    pub(crate) fn holds(&self, addresses: &Range<usize>) -> bool {
        addresses.start >= self.pages.start * PAGE && addresses.end <= self.pages.end * PAGE
    }

    /// Allocates `size` bytes, rounded up to pages. `None` if no free run is long enough.
    pub(crate) fn allocate(&mut self, size: usize) -> Option<Range<usize>> {
        let wanted = size.div_ceil(PAGE).max(1);
        let (&first, &length) = self.free.iter().find(|&(_, &length)| length >= wanted)?;
        self.free.remove(&first);
        if length > wanted {
            self.free.insert(first + wanted, length - wanted);
        }
        Some(first * PAGE..(first + wanted) * PAGE)
    }

    /// Frees pages.
    pub(crate) fn release(&mut self, addresses: Range<usize>) {
        let mut run = addresses.start / PAGE..addresses.end.div_ceil(PAGE);
        if let Some((&first, &length)) = self.free.range(..run.start).next_back()
            && first + length == run.start
        {
            self.free.remove(&first);
            run.start = first;
        }
        if let Some(length) = self.free.remove(&run.end) {
            run.end += length;
        }
        self.free.insert(run.start, run.len());
    }

    /// Returns the changes that give these addresses the permissions `wanted`, one for each run of
    /// pages with equal permissions now. The arena [holds](Self::holds) the addresses.
    #[expect(clippy::indexing_slicing, reason = "the arena holds the addresses")]
    pub(crate) fn changes(
        &self,
        addresses: Range<usize>,
        wanted: u64,
    ) -> Vec<(Range<usize>, Change)> {
        let mut changes: Vec<(Range<usize>, Change)> = Vec::new();
        for page in addresses.start / PAGE..addresses.end.div_ceil(PAGE) {
            let now = self.permissions[page - self.pages.start];
            let add = now == NONE;
            let now = if add { ADDED } else { u64::from(now) };
            let change = Change {
                add,
                restrict: (now & !wanted != 0).then_some(now & wanted),
                extend: (wanted & !now != 0).then_some(wanted),
            };
            let page = page * PAGE..(page + 1) * PAGE;
            match changes.last_mut() {
                Some((run, same)) if *same == change => run.end = page.end,
                _ => changes.push((page, change)),
            }
        }
        let nothing = Change { add: false, restrict: None, extend: None };
        changes.retain(|(_, change)| *change != nothing);
        changes
    }

    /// Records that these pages, which the arena [holds](Self::holds), now have these permissions.
    #[expect(clippy::indexing_slicing, reason = "the arena holds the addresses")]
    pub(crate) fn set(&mut self, addresses: Range<usize>, permissions: u64) {
        let first = addresses.start / PAGE - self.pages.start;
        let last = addresses.end.div_ceil(PAGE) - self.pages.start;
        self.permissions[first..last].fill(stored(permissions));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: usize = 0x40_0000;

    fn arena(pages: usize) -> Arena {
        Arena::new(BASE..BASE + pages * PAGE, pages * PAGE)
    }

    #[test]
    fn pages_that_are_not_there_are_asked_for_and_added_once() {
        let mut arena = Arena::new(BASE..BASE + 1024 * PAGE, 2 * PAGE);
        assert_eq!(arena.first_to_add(), Some(BASE + 2 * PAGE..BASE + 3 * PAGE));
        let range = arena.allocate(4 * PAGE).unwrap();
        let ask = arena.to_ask(&range);
        assert_eq!(ask, BASE + 2 * PAGE..BASE + STEP);
        arena.asked(&ask);
        assert!(arena.to_ask(&range).is_empty());
        let writable = Change { add: false, restrict: Some(READ | WRITE), extend: None };
        let added = Change { add: true, restrict: None, extend: None };
        let (old, new) = (BASE..BASE + 2 * PAGE, BASE + 2 * PAGE..BASE + 4 * PAGE);
        assert_eq!(arena.changes(range.clone(), READ | WRITE), [(old, writable), (new, added)]);
        arena.set(range.clone(), READ | WRITE);
        assert!(arena.changes(range.clone(), READ | WRITE).is_empty());
        let code = Change { add: true, restrict: Some(READ), extend: Some(READ | EXECUTE) };
        let next = arena.allocate(PAGE).unwrap();
        assert_eq!(arena.changes(next.clone(), READ | EXECUTE), [(next, code)]);
        let last = arena.allocate(1019 * PAGE).unwrap();
        assert_eq!(arena.to_ask(&last), BASE + STEP..BASE + 1024 * PAGE);
    }

    #[test]
    fn a_released_part_can_be_taken_again_whole() {
        let mut arena = arena(16);
        let parts: Vec<_> = (0..4).map(|_| arena.allocate(4 * PAGE).unwrap()).collect();
        assert_eq!(arena.allocate(1), None);
        for at in [2, 0, 3, 1] {
            arena.release(parts[at].clone());
        }
        assert_eq!(arena.free_bytes(), 16 * PAGE);
        assert_eq!(arena.allocate(16 * PAGE), Some(BASE..BASE + 16 * PAGE));
    }

    #[test]
    fn allocations_never_overlap() {
        let mut arena = arena(64);
        let mut taken: Vec<Range<usize>> = Vec::new();
        for step in 0..1000usize {
            if step % 3 == 2 && !taken.is_empty() {
                arena.release(taken.swap_remove(step % taken.len()));
            } else if let Some(range) = arena.allocate((step * 7919 % 9 + 1) * PAGE - step % PAGE) {
                assert!(arena.holds(&range));
                assert!(taken.iter().all(|t| t.end <= range.start || range.end <= t.start));
                taken.push(range);
            }
        }
        let used: usize = taken.iter().map(Range::len).sum();
        assert_eq!(arena.free_bytes() + used, arena.size());
    }

    #[test]
    fn permissions_come_down_before_they_go_up() {
        let mut arena = arena(4);
        let all = BASE..BASE + 4 * PAGE;
        let text = BASE + PAGE..BASE + 3 * PAGE;
        let restricted = Change { add: false, restrict: Some(READ), extend: None };
        assert_eq!(arena.changes(all.clone(), READ), [(all.clone(), restricted)]);
        arena.set(all.clone(), READ);
        let executable = Change { add: false, restrict: None, extend: Some(READ | EXECUTE) };
        assert_eq!(arena.changes(text.clone(), READ | EXECUTE), [(text.clone(), executable)]);
        arena.set(text.clone(), READ | EXECUTE);
        let writable = arena.changes(all, READ | WRITE);
        assert_eq!(writable.len(), 3);
        assert_eq!(
            writable[1],
            (text, Change { add: false, restrict: Some(READ), extend: Some(READ | WRITE) })
        );
    }
}
