//! Changing the key slots of an open volume. Its data stay as they are.

use crate::error::{Error, Result};
use crate::format::block::{HEADER_COPIES, HEADER_START};
use crate::header::key_slot::{NewSlot, Slot, SlotInfo};
use crate::header::{Header, MAX_SLOTS};
use crate::volume::Volume;

impl Volume {
    /// The key slots.
    pub fn slots(&self) -> Vec<SlotInfo> {
        self.header.slots.iter().map(Slot::info).collect()
    }

    /// Adds a key slot; its number.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are 15 already; when the storage fails.
    pub fn add_slot(&mut self, new: &NewSlot) -> Result<u32> {
        self.change_slots(|header, slot| header.slots.push(slot), new)
    }

    /// Replaces a key slot by another one; its number.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such slot; when the storage fails.
    pub fn replace_slot(&mut self, number: u32, new: &NewSlot) -> Result<u32> {
        self.find_slot(number)?;
        let replace = |header: &mut Header, slot| {
            header.slots.retain(|old| old.number != number);
            header.slots.push(slot);
        };
        self.change_slots(replace, new)
    }

    /// Removes a key slot. Whoever had its key may have kept the volume's key: only writing
    /// the data anew under another key shuts them out of what is written from then on.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such slot, or no other; when the storage fails.
    pub fn remove_slot(&mut self, number: u32) -> Result<()> {
        self.check_writable()?;
        self.find_slot(number)?;
        if self.header.slots.len() == 1 {
            return Err(Error::Invalid("the last key slot can't be removed"));
        }
        let mut header = self.header.clone();
        header.slots.retain(|slot| slot.number != number);
        self.store_header(header)
    }

    fn find_slot(&self, number: u32) -> Result<()> {
        let found = self.header.slots.iter().any(|slot| slot.number == number);
        if found { Ok(()) } else { Err(Error::Invalid("there is no such key slot")) }
    }

    fn change_slots(
        &mut self,
        change: impl FnOnce(&mut Header, Slot),
        new: &NewSlot,
    ) -> Result<u32> {
        self.check_writable()?;
        let mut header = self.header.clone();
        let number = header.next_slot;
        header.next_slot = number.checked_add(1).ok_or(Error::Invalid("no slot number is left"))?;
        let slot = Slot::new(new, number, &header.volume, self.store.sealer.volume_key())?;
        change(&mut header, slot);
        if header.slots.len() > MAX_SLOTS {
            return Err(Error::Invalid("a volume has 15 key slots at most"));
        }
        self.store_header(header)?;
        Ok(number)
    }

    /// Changes the header. A commit says which header counts, so that nobody can put back the old one
    /// alone: the first copy is written, then the commit names it, then the second copy is written. So
    /// one copy at least is the one that the newest commit names, wherever a crash comes.
    fn store_header(&mut self, header: Header) -> Result<()> {
        self.begin_changes()?;
        let old = std::mem::replace(&mut self.header, header);
        self.header.generation = old.generation + 1;
        self.header_mac = self.header.mac(self.store.sealer.volume_key());
        self.log.tree_due = true;
        let stored = self
            .write_header(0)
            .and_then(|()| self.commit())
            .and_then(|()| self.write_header(HEADER_COPIES - 1));
        // Which copy is new, and which one counts, the next mount finds out.
        stored.or_else(|error| self.stop(error))
    }

    /// Writes a copy of the header, and waits until it is durable.
    pub(crate) fn write_header(&mut self, copy: u64) -> Result<()> {
        let bytes = self.header.encode(self.store.sealer.volume_key());
        self.store.write(HEADER_START + copy, &bytes[..])?;
        self.store.sync()
    }
}
