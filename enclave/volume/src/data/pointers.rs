//! Pointers to the data of files, in the tree.

use crate::error::Result;
use crate::format::extents;
use crate::format::extents::{GROUP, Item};
use crate::format::item::{Key, Subject};
use crate::format::pointer::Pointer;
use crate::tree::Step;
use crate::volume::Volume;

impl Volume {
    /// The pointer of one block of a file.
    pub(crate) fn pointer(&mut self, inode: u64, index: u64) -> Result<Option<Pointer>> {
        let found = self.get(&extents::key(inode, index), |value| {
            extents::pick(value, extents::place(index))
        })?;
        Ok(found.transpose()?.flatten())
    }

    /// The first block of a file, from `first` on, that has a pointer.
    pub(crate) fn pointer_from(&mut self, inode: u64, first: u64) -> Result<Option<u64>> {
        let mut found = None;
        self.scan(&extents::key(inode, first), |key, value| {
            if key.inode != inode || key.subject != Subject::Extents {
                return Ok(Step::Stop);
            }
            let group = extents::first_block(key)?;
            let (present, _) = extents::parts(value)?;
            let mut blocks =
                extents::places(present).map(|place| group.saturating_add(place as u64));
            found = blocks.find(|&at| at >= first);
            Ok(if found.is_some() { Step::Stop } else { Step::On })
        })?;
        Ok(found)
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
            let here = extents::place(index)
                ..extents::place(index) + (group_end.min(end) - index) as usize;
            match self.get(&extents::key(inode, index), extents::decode)? {
                Some(group) => found.extend_from_slice(&group?[here]),
                None => found.extend(here.map(|_| None)),
            }
            index = group_end.min(end);
        }
        Ok(found)
    }

    /// Sets pointers of a group, and frees the blocks of those that were there. What
    /// `changes` gives for a place is its new pointer.
    pub(crate) fn set_pointers(
        &mut self,
        key: &Key,
        changes: &[(usize, Option<Pointer>)],
    ) -> Result<()> {
        let mut item = self.get(key, Item::new)?.transpose()?.unwrap_or_else(Item::empty);
        let mut mask = 0;
        let mut replaced = Vec::with_capacity(changes.len());
        for &(place, pointer) in changes {
            let old = item.set(place, pointer);
            if old != pointer {
                mask |= 1 << place;
                replaced.extend(old);
            }
        }
        if mask == 0 {
            return Ok(());
        }
        extents::check_places(&replaced, self.space.blocks)?;
        if item.present() == 0 {
            self.remove(key)?;
        } else {
            self.redo.pointers(key, mask);
            self.put(key, item.value())?;
        }
        replaced.iter().for_each(|pointer| self.free_data(pointer));
        Ok(())
    }
}
