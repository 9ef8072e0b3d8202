//! The descriptor table of a program.

use super::descriptor::Descriptor;
use crate::types::{Errno, Fd, Rights};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Limit on the number of open descriptors.
const MAX_DESCRIPTORS: usize = 4096;

/// Maps numbers to descriptors.
#[derive(Debug)]
pub(crate) struct Descriptors {
    slots: Vec<Option<Descriptor>>,
    /// The free numbers below the length of `slots`, each once.
    free: BinaryHeap<Reverse<u32>>,
}

impl Descriptors {
    /// Makes the three standard streams, with the numbers 0, 1 and 2. A device gets a position,
    /// which has no effect: C libraries take a character device without one for a terminal.
    pub(crate) fn standard(mut is_device: impl FnMut(u64) -> bool) -> Self {
        let mut stream = |number, direction| {
            let position = match is_device(number) {
                true => Rights::FD_SEEK | Rights::FD_TELL,
                false => Rights::empty(),
            };
            Some(Descriptor::stream(number, direction | position))
        };
        let slots = vec![
            stream(0, Rights::FD_READ),
            stream(1, Rights::FD_WRITE),
            stream(2, Rights::FD_WRITE),
        ];
        Descriptors { slots, free: BinaryHeap::new() }
    }

    /// Returns the descriptor with this number.
    pub(crate) fn get(&self, fd: Fd) -> Result<&Descriptor, Errno> {
        let slot = self.slots.get(u32::from(fd) as usize);
        slot.and_then(Option::as_ref).ok_or(Errno::Badf)
    }

    /// Returns the descriptor with this number, to change it.
    pub(crate) fn get_mut(&mut self, fd: Fd) -> Result<&mut Descriptor, Errno> {
        let slot = self.slots.get_mut(u32::from(fd) as usize);
        slot.and_then(Option::as_mut).ok_or(Errno::Badf)
    }

    /// Checks that a number is left for one more descriptor.
    pub(crate) fn check_room(&self) -> Result<(), Errno> {
        if self.free.is_empty() && self.slots.len() == MAX_DESCRIPTORS {
            return Err(Errno::Mfile);
        }
        Ok(())
    }

    /// Gives a descriptor the lowest free number.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::indexing_slicing,
        reason = "a free number has a slot, and at most `MAX_DESCRIPTORS` slots exist"
    )]
    pub(crate) fn insert(&mut self, descriptor: Descriptor) -> Result<Fd, Errno> {
        self.check_room()?;
        let number = match self.free.pop() {
            Some(Reverse(number)) => {
                self.slots[number as usize] = Some(descriptor);
                number
            }
            None => {
                self.slots.push(Some(descriptor));
                self.slots.len() as u32 - 1
            }
        };
        Ok(number.into())
    }

    /// Frees a number, and returns its descriptor.
    pub(crate) fn remove(&mut self, fd: Fd) -> Result<Descriptor, Errno> {
        let number = u32::from(fd);
        let slot = self.slots.get_mut(number as usize).ok_or(Errno::Badf)?;
        let descriptor = slot.take().ok_or(Errno::Badf)?;
        self.free.push(Reverse(number));
        Ok(descriptor)
    }

    /// Moves `from` to `to`; both must be open. Returns the descriptor that `to` had, if it was
    /// another one (`fd_renumber`).
    pub(crate) fn renumber(&mut self, from: Fd, to: Fd) -> Result<Option<Descriptor>, Errno> {
        self.get(to)?;
        self.get(from)?;
        if u32::from(from) == u32::from(to) {
            return Ok(None);
        }
        let moved = self.remove(from)?;
        Ok(Some(std::mem::replace(self.get_mut(to)?, moved)))
    }

    /// Removes all descriptors.
    pub(crate) fn take(&mut self) -> Vec<Descriptor> {
        self.free.clear();
        std::mem::take(&mut self.slots).into_iter().flatten().collect()
    }
}
