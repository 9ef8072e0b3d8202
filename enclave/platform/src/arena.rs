//! Which pages of the code arena are in use, and with which permissions.

use std::collections::BTreeMap;
use std::ops::Range;
use twine_protocol::wire::permission::{EXECUTE, READ, WRITE};

/// Bytes of a page.
pub(crate) const PAGE: usize = 4096;

/// What pages of the arena are added with: SECINFO has R, W and X.
const INITIAL: u8 = (READ | WRITE | EXECUTE) as u8;

/// The pages of the arena: first fit, neighbours merged when freed.
#[derive(Debug)]
pub(crate) struct Arena {
    pages: Range<usize>,
    /// Free runs: first page to number of pages.
    free: BTreeMap<usize, usize>,
    /// The permissions of each page in the EPCM, as far as this arena changed them.
    permissions: Vec<u8>,
}

/// What has to be done to some pages for them to have other permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// Permissions to come down to first, if some must go.
    pub restrict: Option<u64>,
    /// Permissions to go up to then, if some must come.
    pub extend: Option<u64>,
}

impl Arena {
    /// An arena of the whole pages in these addresses, all free.
    pub(crate) fn new(addresses: Range<usize>) -> Self {
        let pages = addresses.start.div_ceil(PAGE)..addresses.end / PAGE;
        let free = if pages.is_empty() {
            BTreeMap::new()
        } else {
            BTreeMap::from([(pages.start, pages.len())])
        };
        Arena { permissions: vec![INITIAL; pages.len()], pages, free }
    }

    /// Bytes of the arena.
    pub(crate) fn size(&self) -> usize {
        self.pages.len() * PAGE
    }

    /// Bytes that are free, in all runs together.
    pub(crate) fn free_bytes(&self) -> usize {
        self.free.values().sum::<usize>() * PAGE
    }

    /// Whether these addresses lie in the arena.
    pub(crate) fn holds(&self, addresses: &Range<usize>) -> bool {
        addresses.start >= self.pages.start * PAGE && addresses.end <= self.pages.end * PAGE
    }

    /// Takes `size` bytes, rounded up to pages; `None` where no run is long enough.
    pub(crate) fn allocate(&mut self, size: usize) -> Option<Range<usize>> {
        let wanted = size.div_ceil(PAGE).max(1);
        let (&first, &length) = self.free.iter().find(|&(_, &length)| length >= wanted)?;
        self.free.remove(&first);
        if length > wanted {
            self.free.insert(first + wanted, length - wanted);
        }
        Some(first * PAGE..(first + wanted) * PAGE)
    }

    /// Gives pages back.
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

    /// What makes the permissions of these addresses `wanted`, run by run of pages that
    /// have the same ones now.
    pub(crate) fn changes(
        &self,
        addresses: Range<usize>,
        wanted: u64,
    ) -> Vec<(Range<usize>, Change)> {
        let mut changes: Vec<(Range<usize>, Change)> = Vec::new();
        for page in addresses.start / PAGE..addresses.end.div_ceil(PAGE) {
            let now = u64::from(self.permissions[page - self.pages.start]);
            let change = Change {
                restrict: (now & !wanted != 0).then_some(now & wanted),
                extend: (wanted & !now != 0).then_some(wanted),
            };
            let page = page * PAGE..(page + 1) * PAGE;
            match changes.last_mut() {
                Some((run, same)) if *same == change => run.end = page.end,
                _ => changes.push((page, change)),
            }
        }
        changes.retain(|(_, change)| change.restrict.is_some() || change.extend.is_some());
        changes
    }

    /// Notes that these pages now have these permissions.
    pub(crate) fn set(&mut self, addresses: Range<usize>, permissions: u64) {
        let first = addresses.start / PAGE - self.pages.start;
        let last = addresses.end.div_ceil(PAGE) - self.pages.start;
        self.permissions[first..last].fill(permissions as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: usize = 0x40_0000;

    fn arena(pages: usize) -> Arena {
        Arena::new(BASE..BASE + pages * PAGE)
    }

    #[test]
    fn what_is_released_can_be_taken_again_whole() {
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
        let restricted = Change { restrict: Some(READ), extend: None };
        assert_eq!(arena.changes(all.clone(), READ), [(all.clone(), restricted)]);
        arena.set(all.clone(), READ);
        let executable = Change { restrict: None, extend: Some(READ | EXECUTE) };
        assert_eq!(arena.changes(text.clone(), READ | EXECUTE), [(text.clone(), executable)]);
        arena.set(text.clone(), READ | EXECUTE);
        let writable = arena.changes(all, READ | WRITE);
        assert_eq!(writable.len(), 3);
        assert_eq!(
            writable[1],
            (text, Change { restrict: Some(READ), extend: Some(READ | WRITE) })
        );
    }
}
