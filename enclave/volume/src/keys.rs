//! Changing the key slots of an open volume. Its data stay as they are.

use crate::block::HEADER_START;
use crate::error::{Error, Result};
use crate::header::{Header, MOST_SLOTS};
use crate::slot::{NewSlot, Slot, SlotInfo};
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
        if header.slots.len() > MOST_SLOTS {
            return Err(Error::Invalid("a volume has 15 key slots at most"));
        }
        self.store_header(header)?;
        Ok(number)
    }

    /// Writes a changed header, and commits its generation, so that nobody can put back the
    /// old one alone.
    fn store_header(&mut self, header: Header) -> Result<()> {
        let old = std::mem::replace(&mut self.header, header);
        self.header.generation = old.generation + 1;
        if let Err(error) = self.write_headers() {
            // One copy or the other may be new. Both have keys of this volume.
            return self.stop(error);
        }
        self.log.tree_due = true;
        self.commit()
    }

    /// Writes both copies of the header, one after the other is durable.
    pub(crate) fn write_headers(&mut self) -> Result<()> {
        let bytes = self.header.encode(self.store.sealer.volume_key());
        for copy in 0..2 {
            self.store.write(HEADER_START + copy, &bytes[..])?;
            self.store.sync()?;
        }
        Ok(())
    }
}
