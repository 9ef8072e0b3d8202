//! Changes the key slots of an open volume. The data stay as they are.

use crate::error::{Error, Result};
use crate::header::key_slot::{KeySlot, NewSlot, SlotInfo};
use crate::header::{Header, MAX_SLOTS};
use crate::volume::Volume;

impl Volume {
    /// Returns the key slots.
    pub fn slots(&self) -> Vec<SlotInfo> {
        self.engine().header().slots.iter().map(KeySlot::info).collect()
    }

    /// Adds a key slot, and returns its number.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are 15 already. Also fails if the storage fails.
    pub fn add_slot(&mut self, new: &NewSlot) -> Result<u32> {
        self.change_slots(|header, slot| header.slots.push(slot), new)
    }

    /// Replaces a key slot by a new one, and returns the number of the new one.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such slot. Also fails if the storage fails.
    pub fn replace_slot(&mut self, number: u32, new: &NewSlot) -> Result<u32> {
        self.find_slot(number)?;
        let replace = |header: &mut Header, slot| {
            header.slots.retain(|old| old.number != number);
            header.slots.push(slot);
        };
        self.change_slots(replace, new)
    }

    /// Removes a key slot. Whoever had its key may have kept the volume key. Only a new volume,
    /// with the data encrypted under another key, protects from them what is written later.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no such slot, or no other one. Also fails if the storage
    /// fails.
    pub fn remove_slot(&mut self, number: u32) -> Result<()> {
        self.engine().check_writable()?;
        self.find_slot(number)?;
        if self.engine().header().slots.len() == 1 {
            return Err(Error::Invalid("the last key slot can't be removed"));
        }
        let mut header = self.engine().header().clone();
        header.slots.retain(|slot| slot.number != number);
        self.engine_mut().replace_header(header)
    }

    fn find_slot(&self, number: u32) -> Result<()> {
        let found = self.engine().header().slots.iter().any(|slot| slot.number == number);
        if found { Ok(()) } else { Err(Error::Invalid("there is no such key slot")) }
    }

    fn change_slots(
        &mut self,
        change: impl FnOnce(&mut Header, KeySlot),
        new: &NewSlot,
    ) -> Result<u32> {
        self.engine().check_writable()?;
        let mut header = self.engine().header().clone();
        let number = header.next_slot;
        header.next_slot = number.checked_add(1).ok_or(Error::Invalid("no slot number is left"))?;
        let slot = KeySlot::new(new, number, &header.volume, self.engine().volume_key())?;
        change(&mut header, slot);
        if header.slots.len() > MAX_SLOTS {
            return Err(Error::Invalid("a volume has 15 key slots at most"));
        }
        self.engine_mut().replace_header(header)?;
        Ok(number)
    }
}
