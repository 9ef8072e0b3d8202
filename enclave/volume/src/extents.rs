//! Pointers to the data of files, in groups.

use crate::error::{Error, Result};
use crate::page::{Key, Subject};
use crate::pointer::{POINTER_BYTES, Pointer};
use crate::volume::Volume;

/// Blocks of a group. Three items of full groups fit into a page.
pub(crate) const GROUP: u64 = 32;

/// Most bytes of an item.
const MOST_BYTES: usize = 4 + GROUP as usize * POINTER_BYTES;

/// The pointers of a group; nothing for holes.
pub(crate) type Group = [Option<Pointer>; GROUP as usize];

/// The key of the group that a block of a file belongs to.
pub(crate) fn key(inode: u64, index: u64) -> Key {
    Key::new(inode, Subject::Extents, index / GROUP)
}

/// Where in its group a block of a file is.
pub(crate) fn place(index: u64) -> usize {
    (index % GROUP) as usize
}

/// The parts of an item's value: which pointers there are, and their bytes.
fn parts(value: &[u8]) -> Result<(u32, &[[u8; POINTER_BYTES]])> {
    let damaged = || Error::damaged("an item of extents has the wrong length");
    let (present, rest) = value.split_first_chunk::<4>().ok_or_else(damaged)?;
    let present = u32::from_le_bytes(*present);
    let (pointers, rest) = rest.as_chunks::<POINTER_BYTES>();
    if pointers.len() != present.count_ones() as usize || !rest.is_empty() {
        return Err(damaged());
    }
    Ok((present, pointers))
}

/// One pointer out of an item's value.
fn pick(value: &[u8], place: usize) -> Result<Option<Pointer>> {
    let (present, pointers) = parts(value)?;
    if present >> place & 1 == 0 {
        return Ok(None);
    }
    let before = (present & ((1 << place) - 1)).count_ones() as usize;
    Ok(Some(Pointer::decode(&pointers[before])))
}

/// All pointers of an item's value.
pub(crate) fn decode(value: &[u8]) -> Result<Group> {
    let (present, pointers) = parts(value)?;
    let mut pointers = pointers.iter();
    let mut group = [None; GROUP as usize];
    for (place, pointer) in group.iter_mut().enumerate() {
        if present >> place & 1 != 0 {
            *pointer = pointers.next().map(Pointer::decode);
        }
    }
    Ok(group)
}

fn encode(group: &Group) -> ([u8; MOST_BYTES], usize) {
    let mut bytes = [0; MOST_BYTES];
    let (present, pointers) = select(group, u32::MAX);
    bytes[..4].copy_from_slice(&present.to_le_bytes());
    let mut length = 4;
    for pointer in pointers {
        bytes[length..length + POINTER_BYTES].copy_from_slice(&pointer.encode());
        length += POINTER_BYTES;
    }
    (bytes, length)
}

/// Those pointers of a group that a mask has: which there are, and they.
pub(crate) fn select(group: &Group, mask: u32) -> (u32, Vec<Pointer>) {
    let mut present = 0;
    let mut pointers = Vec::new();
    for (place, pointer) in group.iter().enumerate() {
        if let Some(pointer) = pointer
            && mask >> place & 1 != 0
        {
            present |= 1 << place;
            pointers.push(*pointer);
        }
    }
    (present, pointers)
}

impl Volume {
    /// The pointer of one block of a file.
    pub(crate) fn pointer(&mut self, inode: u64, index: u64) -> Result<Option<Pointer>> {
        let found = self.get(&key(inode, index), |value| pick(value, place(index)))?;
        Ok(found.transpose()?.flatten())
    }

    /// The pointers of blocks of a file, from `first` on.
    pub(crate) fn pointers(
        &mut self,
        inode: u64,
        first: u64,
        count: u64,
    ) -> Result<Vec<Option<Pointer>>> {
        let mut found = Vec::with_capacity(count as usize);
        let end = first + count;
        let mut index = first;
        while index < end {
            let group_end = (index / GROUP + 1) * GROUP;
            let here = place(index)..place(index) + (group_end.min(end) - index) as usize;
            match self.get(&key(inode, index), decode)? {
                Some(group) => found.extend_from_slice(&group?[here]),
                None => found.extend(here.map(|_| None)),
            }
            index = group_end.min(end);
        }
        Ok(found)
    }

    /// The pointers of a whole group.
    pub(crate) fn group(&mut self, key: &Key) -> Result<Option<Group>> {
        self.get(key, decode)?.transpose()
    }

    /// Sets pointers of a group, and frees the blocks of those that were there. What
    /// `changes` gives for a place is its new pointer.
    pub(crate) fn set_pointers(
        &mut self,
        key: &Key,
        changes: &[(usize, Option<Pointer>)],
    ) -> Result<()> {
        let old = self.group(key)?;
        let mut group = old.unwrap_or([None; GROUP as usize]);
        let mut mask = 0;
        let mut replaced = Vec::new();
        for &(place, pointer) in changes {
            if group[place] == pointer {
                continue;
            }
            mask |= 1 << place;
            replaced.extend(std::mem::replace(&mut group[place], pointer));
        }
        if mask == 0 {
            return Ok(());
        }
        if group.iter().all(Option::is_none) {
            self.take(key)?;
        } else {
            let (bytes, length) = encode(&group);
            self.redo.pointers(key, mask);
            self.put(key, &bytes[..length])?;
        }
        replaced.iter().for_each(|pointer| self.free_data(pointer));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_read_as_it_was_written_whatever_its_holes() {
        let pointer = |block| Pointer { block, counter: block + 1, salt: [7; 12], tag: [8; 16] };
        for holes in [0_u32, 1, 0x8000_0000, 0xffff_fffe, 0x5555_5555, u32::MAX] {
            let mut group = [None; 32];
            for (place, slot) in group.iter_mut().enumerate() {
                *slot = (holes >> place & 1 == 0).then(|| pointer(place as u64 + 200));
            }
            let (bytes, length) = encode(&group);
            assert_eq!(decode(&bytes[..length]).unwrap(), group);
            for (place, wanted) in group.iter().enumerate() {
                assert_eq!(pick(&bytes[..length], place).unwrap(), *wanted);
            }
            assert!(decode(&bytes[..length - 1]).is_err());
        }
    }
}
