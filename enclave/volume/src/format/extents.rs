//! Encodes and decodes pointers to the data of files, in groups.

use crate::error::{Error, Result};
use crate::format::block::{BLOCK_BYTES, may_hold_data};
use crate::format::item::{GROUP, Key};
use crate::format::limits::MAX_FILE_BYTES;
use crate::format::numbers::to_usize;
use crate::format::pointer::{POINTER_BYTES, Pointer};

/// Limit on the blocks of a file.
const MAX_FILE_BLOCKS: u64 = MAX_FILE_BYTES / BLOCK_BYTES as u64;

/// Limit on the bytes of an item of extents.
const MAX_BYTES: usize = 4 + to_usize(GROUP) * POINTER_BYTES;

/// The pointers of a group; `None` for holes.
pub(crate) type Group = [Option<Pointer>; to_usize(GROUP)];

/// Returns the position of a file's block in its group.
pub(crate) fn place(index: u64) -> usize {
    (index % GROUP) as usize
}

/// Returns the index of the first block of an item's group.
pub(crate) fn first_block(key: &Key) -> Result<u64> {
    let block = key.offset.checked_mul(GROUP).filter(|&block| block < MAX_FILE_BLOCKS);
    block
        .ok_or_else(|| Error::damaged("an item of extents lies beyond the end of the largest file"))
}

/// Splits an item's value into the mask of present pointers and their bytes. There must be at least
/// one pointer: nothing would ever remove an item without pointers.
pub(crate) fn parts(value: &[u8]) -> Result<(u32, &[[u8; POINTER_BYTES]])> {
    let damaged = || Error::damaged("an item of extents has the wrong length");
    let (present, rest) = value.split_first_chunk::<4>().ok_or_else(damaged)?;
    let present = u32::from_le_bytes(*present);
    let (pointers, rest) = rest.as_chunks::<POINTER_BYTES>();
    if pointers.len() != present.count_ones() as usize || !rest.is_empty() || present == 0 {
        return Err(damaged());
    }
    Ok((present, pointers))
}

/// Decodes one pointer of an item's value.
#[expect(clippy::indexing_slicing, reason = "`parts` checked that there is a pointer for each bit")]
pub(crate) fn pick(value: &[u8], place: usize) -> Result<Option<Pointer>> {
    let (present, pointers) = parts(value)?;
    if present >> place & 1 == 0 {
        return Ok(None);
    }
    let before = (present & ((1 << place) - 1)).count_ones() as usize;
    Ok(Some(Pointer::decode(&pointers[before])))
}

/// Decodes all pointers of an item's value.
#[expect(clippy::indexing_slicing, reason = "a group has a position for each bit")]
pub(crate) fn decode(value: &[u8]) -> Result<Group> {
    let (present, pointers) = parts(value)?;
    let mut group = [None; to_usize(GROUP)];
    for (place, pointer) in places(present).zip(pointers) {
        group[place] = Some(Pointer::decode(pointer));
    }
    Ok(group)
}

/// Returns an error if a pointer leads to the header, to the roots in the log, or out of the
/// volume. Blocks that are freed are given out again, so they must not be there.
pub(crate) fn check_places<'p>(
    pointers: impl IntoIterator<Item = &'p Pointer>,
    blocks: u64,
) -> Result<()> {
    match pointers.into_iter().find(|pointer| !may_hold_data(pointer.block, blocks)) {
        Some(Pointer { block, .. }) => {
            Err(Error::damaged(format!("a pointer leads to block {block}, out of the volume")))
        }
        None => Ok(()),
    }
}

/// Returns an error if the pointers of an item cannot be removed.
pub(crate) fn check(value: &[u8], blocks: u64) -> Result<()> {
    check_places(decode(value)?.iter().flatten(), blocks)
}

/// Returns the pointers of an item's value at the positions in `mask`, and which of them are
/// present.
pub(crate) fn select(value: &[u8], mask: u32) -> Result<(u32, Vec<Pointer>)> {
    let (present, pointers) = parts(value)?;
    let selected = places(present)
        .zip(pointers)
        .filter(|(place, _)| mask >> place & 1 != 0)
        .map(|(_, pointer)| Pointer::decode(pointer))
        .collect();
    Ok((present & mask, selected))
}

/// Returns the positions of the bits that are set, lowest first.
pub(crate) fn places(mut bits: u32) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = bits.trailing_zeros() as usize;
        bits &= bits.checked_sub(1)?;
        Some(place)
    })
}

/// An item's value that can be changed.
pub(crate) struct Item {
    bytes: [u8; MAX_BYTES],
    length: usize,
}

#[expect(
    clippy::indexing_slicing,
    reason = "`parts` checked that there is a pointer for each bit, and all 32 have room"
)]
impl Item {
    /// An item without pointers.
    pub(crate) fn empty() -> Self {
        Item { bytes: [0; MAX_BYTES], length: 4 }
    }

    pub(crate) fn new(value: &[u8]) -> Result<Self> {
        parts(value)?;
        let mut item = Item { length: value.len(), ..Item::empty() };
        item.bytes[..value.len()].copy_from_slice(value);
        Ok(item)
    }

    pub(crate) fn value(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    pub(crate) fn present(&self) -> u32 {
        u32::from_le_bytes([self.bytes[0], self.bytes[1], self.bytes[2], self.bytes[3]])
    }

    /// Sets or removes a pointer, and returns the old one.
    pub(crate) fn set(&mut self, place: usize, pointer: Option<Pointer>) -> Option<Pointer> {
        let bit = 1 << place;
        let present = self.present();
        let before = (present & (bit - 1)).count_ones() as usize;
        let start = 4 + before * POINTER_BYTES;
        let end = start + POINTER_BYTES;
        let had = present & bit != 0;
        let old = self.bytes[start..].first_chunk().filter(|_| had).map(Pointer::decode);
        match (had, pointer.is_some()) {
            (false, true) => {
                self.bytes.copy_within(start..self.length, end);
                self.length += POINTER_BYTES;
            }
            (true, false) => {
                self.bytes.copy_within(end..self.length, start);
                self.length -= POINTER_BYTES;
            }
            _ => {}
        }
        let present = if pointer.is_some() { present | bit } else { present & !bit };
        self.bytes[..4].copy_from_slice(&present.to_le_bytes());
        if let Some(pointer) = pointer {
            self.bytes[start..end].copy_from_slice(&pointer.encode());
        }
        old
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::block::BlockNo;
    use crate::pseudorandom;

    #[test]
    fn an_item_is_read_as_its_pointers_were_set_whatever_its_holes() {
        let pointer = |block| Pointer {
            block: BlockNo(block),
            counter: block + 1,
            salt: [7; 12],
            tag: [8; 16],
        };
        let mut random = pseudorandom::numbers();
        let mut group: Group = [None; GROUP as usize];
        let mut item = Item::empty();
        for step in 0..20_000 {
            let place = random() % group.len();
            // The item alternates between nearly full and nearly empty.
            let there = !random().is_multiple_of(8);
            let new = (there == (step / 200 % 2 == 0)).then(|| pointer(step));
            assert_eq!(item.set(place, new), std::mem::replace(&mut group[place], new));
            let value = item.value();
            if item.present() == 0 {
                assert!(decode(value).is_err() && pick(value, place).is_err());
                continue;
            }
            assert_eq!(decode(value).unwrap(), group);
            assert_eq!(Item::new(value).unwrap().value(), value);
            assert_eq!(pick(value, place).unwrap(), new);
            let mask = random() as u32;
            let (present, selected) = select(value, mask).unwrap();
            let wanted = (0..32).filter(|place| mask >> place & 1 != 0 && group[*place].is_some());
            assert_eq!(present, wanted.clone().fold(0, |bits, place| bits | 1 << place));
            assert_eq!(selected, wanted.filter_map(|place| group[place]).collect::<Vec<_>>());
            assert!(decode(&value[..value.len() - 1]).is_err());
        }
        let all = group.map(|slot| Some(slot.unwrap_or(pointer(1))));
        for (place, pointer) in all.into_iter().enumerate() {
            item.set(place, pointer);
        }
        assert_eq!(item.value().len(), MAX_BYTES);
        (0..all.len()).for_each(|place| assert_eq!(item.set(place, None), all[place]));
        assert_eq!(item.value(), [0; 4]);
    }
}
