//! Assigns addresses of the guard range to linear memories, and records where pages are.
//!
//! The range is divided into slots of equal size, one for each memory. A slot has pages from its
//! start to its end of pages, and none after that: an access there faults. A memory does not begin
//! at the start of its slot; it is placed so that it ends at the end of pages. So a new memory of
//! any size uses the pages that its slot already has. Pages must be added only when a memory grows,
//! or when a new memory is larger than the pages of its slot.

use crate::arena::PAGE;
use std::ops::Range;

/// Size, in bytes, of the addresses that every memory has: as many as 32-bit indices reach.
pub(crate) const RESERVATION: usize = 4 << 30;

/// Size, in bytes, of the guard after them, for the constant offsets of accesses: wasmtime's
/// default on operating systems that it knows.
pub(crate) const GUARD: usize = 32 << 20;

/// Size of a slot in bytes. The extra space holds pages left below a memory by a larger, earlier
/// one.
pub(crate) const SLOT: usize = 6 << 30;

/// Limit on the distance from the start of a slot to the start of its memory.
const SLACK: usize = SLOT - RESERVATION - GUARD;

/// Limit on the number of slots.
pub(crate) const MAX_SLOTS: usize = 1024;

/// The enclave asks the host for this many bytes of pages at a time. A page is inaccessible until
/// the enclave accepts it, as if it did not exist.
const STEP: usize = 1 << 20;

#[derive(Debug)]
struct GuardSlot {
    /// The first address that may have pages: the slot's start, or an address before it.
    first: usize,
    /// The slot's start.
    start: usize,
    /// The end of its pages.
    end: usize,
    /// The end of the pages that the host was asked for.
    asked: usize,
    used: bool,
}

/// All slots.
#[derive(Debug)]
pub(crate) struct GuardSlots {
    slots: Vec<GuardSlot>,
    /// The size of all memories together, and its limit.
    bytes: usize,
    most: usize,
}

/// The addresses of a memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SlotAddress {
    /// The number of its slot.
    pub slot: usize,
    /// The start of the memory.
    pub base: usize,
}

/// The steps that give a memory its size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pages {
    /// The addresses for which to ask the host first; may be empty.
    pub ask: Range<usize>,
    /// The addresses to accept.
    pub accept: Range<usize>,
}

impl GuardSlots {
    /// Makes slots in these addresses. `memory` already has pages, and ends at the first address.
    /// All memories together take at most `most` bytes, and each at most [`RESERVATION`].
    pub(crate) fn new(memory: Range<usize>, addresses: Range<usize>, most: usize) -> Self {
        let count = (addresses.len() / SLOT).min(MAX_SLOTS);
        let slots = (0..count).map(|at| {
            let start = addresses.start + at * SLOT;
            let first = if at == 0 && memory.end == start { memory.start } else { start };
            GuardSlot { first, start, end: start, asked: start, used: false }
        });
        GuardSlots { slots: slots.collect(), bytes: 0, most }
    }

    /// Limit on the number of memories at one time.
    pub(crate) fn count(&self) -> usize {
        self.slots.len()
    }

    /// Takes a slot for a memory of `size` bytes. The memory has this size only after its
    /// [`Self::pages`] are accepted and [`Self::set`] was called. Returns `None` if no slot or not
    /// enough bytes are left. A slot keeps its pages, so after a memory of gigabytes it only fits
    /// such memories.
    pub(crate) fn take(&mut self, size: usize) -> Option<SlotAddress> {
        let size = size.checked_next_multiple_of(PAGE)?;
        if size > self.most - self.bytes {
            return None;
        }
        // Adding pages is slow: take the slot with the fewest pages that suffice, else the most
        // pages.
        let free = self.slots.iter_mut().enumerate().filter(|(_, slot)| !slot.used);
        let (at, slot) = free.min_by_key(|(_, slot)| {
            let pages = slot.end - slot.first;
            let base = slot.end - size.min(pages);
            let usable = base <= slot.start + SLACK;
            (!usable, pages < size, if pages < size { usize::MAX - pages } else { pages })
        })?;
        let base = slot.end - size.min(slot.end - slot.first);
        if base > slot.start + SLACK {
            return None;
        }
        slot.used = true;
        Some(SlotAddress { slot: at, base })
    }

    /// Returns the pages that a memory of `now` bytes needs to have `size`. `None` if that is too
    /// much.
    pub(crate) fn pages(&self, address: SlotAddress, now: usize, size: usize) -> Option<Pages> {
        let slot = self.slots.get(address.slot)?;
        let more = rounded(size)?.checked_sub(rounded(now)?)?;
        if size > RESERVATION || more > self.most - self.bytes {
            return None;
        }
        let end = address.base + rounded(size)?;
        let asked = match end > slot.asked {
            true => end.next_multiple_of(STEP).min(slot.start + SLOT),
            false => slot.asked,
        };
        Some(Pages { ask: slot.asked..asked, accept: slot.end..end.max(slot.end) })
    }

    /// Records that the host was asked for the pages up to `end`.
    #[expect(clippy::indexing_slicing, reason = "`take` returns only numbers of existing slots")]
    pub(crate) fn asked(&mut self, address: SlotAddress, end: usize) {
        self.slots[address.slot].asked = end;
    }

    /// Records that a memory grew from `now` to `size` bytes, and returns the end of its slot's
    /// pages.
    #[expect(clippy::indexing_slicing, reason = "`take` returns only numbers of existing slots")]
    pub(crate) fn set(&mut self, address: SlotAddress, now: usize, size: usize) -> usize {
        let rounded = |size: usize| size.next_multiple_of(PAGE);
        let slot = &mut self.slots[address.slot];
        slot.end = slot.end.max(address.base + rounded(size));
        self.bytes = self.bytes - rounded(now) + rounded(size);
        slot.end
    }

    /// Releases the slot of a memory that has `size` bytes.
    #[expect(clippy::indexing_slicing, reason = "`take` returns only numbers of existing slots")]
    pub(crate) fn release(&mut self, address: SlotAddress, size: usize) {
        self.bytes -= size.next_multiple_of(PAGE);
        self.slots[address.slot].used = false;
    }
}

fn rounded(size: usize) -> Option<usize> {
    size.checked_next_multiple_of(PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: usize = 1 << 40;
    const WASM: usize = 64 << 10;

    fn slots(count: usize, memory: usize) -> GuardSlots {
        GuardSlots::new(START - memory..START, START..START + count * SLOT, 1 << 30)
    }

    /// Makes a memory of this size. Also returns how many bytes of pages were added for it.
    fn make(slots: &mut GuardSlots, size: usize) -> Option<(SlotAddress, usize)> {
        let address = slots.take(size)?;
        let pages = slots.pages(address, 0, size).unwrap();
        slots.asked(address, pages.ask.end);
        let end = slots.set(address, 0, size);
        // The guard begins with the first byte after the memory.
        assert_eq!(end, address.base + size.next_multiple_of(PAGE));
        assert!(pages.ask.end >= end);
        Some((address, pages.accept.len()))
    }

    #[test]
    fn the_first_memory_uses_the_pages_that_are_there() {
        let mut slots = slots(2, 16 * WASM);
        let (address, added) = make(&mut slots, 5 * WASM).unwrap();
        assert_eq!((address, added), (SlotAddress { slot: 0, base: START - 5 * WASM }, 0));
        let (address, added) = make(&mut slots, 5 * WASM).unwrap();
        assert_eq!((address, added), (SlotAddress { slot: 1, base: START + SLOT }, 5 * WASM));
        assert_eq!(make(&mut slots, WASM), None, "there are two slots");
    }

    #[test]
    fn every_memory_ends_where_the_pages_end_however_often_slots_are_used() {
        let mut slots = slots(3, 4 * WASM);
        let mut live: Vec<(SlotAddress, usize)> = Vec::new();
        for step in 0..2000_usize {
            let size = step * 7919 % 23 * WASM + step % 3 * 5;
            if live.len() == 3 || step % 5 == 0 && !live.is_empty() {
                let (address, size) = live.swap_remove(step % live.len());
                slots.release(address, size);
            }
            let (address, _) = make(&mut slots, size).unwrap();
            let slot = START + address.slot * SLOT;
            assert!(address.base + RESERVATION + GUARD <= slot + SLOT);
            assert!(live.iter().all(|(other, _)| other.slot != address.slot));
            live.push((address, size));
        }
        let pages: usize = slots.slots.iter().map(|slot| slot.end - slot.first).sum();
        assert!(pages <= 3 * 23 * WASM, "{pages} bytes of pages");
    }

    #[test]
    fn growing_adds_pages_behind_and_leaves_the_base() {
        let mut slots = slots(1, 2 * WASM);
        let (address, _) = make(&mut slots, WASM).unwrap();
        let pages = slots.pages(address, WASM, 4 * WASM).unwrap();
        assert_eq!(pages.accept, START..START + 3 * WASM);
        assert_eq!(pages.ask, START..START + STEP);
        slots.asked(address, pages.ask.end);
        assert_eq!(slots.set(address, WASM, 4 * WASM), START + 3 * WASM);
        let pages = slots.pages(address, 4 * WASM, 5 * WASM).unwrap();
        assert!(pages.ask.is_empty(), "they were asked for");
    }

    #[test]
    fn no_more_bytes_are_given_than_there_may_be() {
        let mut slots = slots(2, WASM);
        assert_eq!(slots.take((1 << 30) + 1), None);
        assert_eq!(slots.take(usize::MAX), None);
        let (address, _) = make(&mut slots, 1 << 29).unwrap();
        assert_eq!(slots.pages(address, 1 << 29, (1 << 30) + 1), None);
        assert!(slots.pages(address, 1 << 29, 1 << 30).is_some());
        assert_eq!(slots.take((1 << 29) + 1), None);
        slots.release(address, 1 << 29);
        assert!(make(&mut slots, 1 << 30).is_some());
    }

    #[test]
    fn each_memory_can_have_4_gib_and_all_together_what_there_is() {
        let mut slots = GuardSlots::new(START..START, START..START + 3 * SLOT, 9 << 30);
        let (first, _) = make(&mut slots, RESERVATION).unwrap();
        assert_eq!(slots.pages(first, RESERVATION, RESERVATION + 1), None);
        let (second, _) = make(&mut slots, WASM).unwrap();
        assert!(slots.pages(second, WASM, RESERVATION).is_some());
        slots.set(second, WASM, RESERVATION);
        assert_eq!(slots.take((1 << 30) + 1), None, "that is more than 9 GiB");
        assert!(make(&mut slots, 1 << 30).is_some());
    }

    #[test]
    fn no_guard_reaches_the_next_slot_after_a_large_memory() {
        let mut slots = GuardSlots::new(START..START, START..START + 2 * SLOT, 9 << 30);
        let (large, _) = make(&mut slots, RESERVATION).unwrap();
        slots.release(large, RESERVATION);
        let (small, _) = make(&mut slots, WASM).unwrap();
        assert_ne!(small.slot, large.slot);
        assert_eq!(slots.take(WASM), None, "it would end where the large one did");
        let (again, added) = make(&mut slots, 3 << 30).unwrap();
        assert_eq!((again.slot, added), (large.slot, 0));
        assert!(again.base + RESERVATION + GUARD <= START + (large.slot + 1) * SLOT);
    }

    #[test]
    fn an_empty_range_has_no_slots() {
        assert_eq!(GuardSlots::new(0..0, 0..0, 1 << 30).count(), 0);
    }
}
