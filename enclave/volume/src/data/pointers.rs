//! The pointers to the data of files, which are items of the tree.

use super::Data;
use crate::error::Result;
use crate::format::extents;
use crate::format::extents::Item;
use crate::format::item::{GROUP, Key, Subject};
use crate::format::numbers::{FileBlock, InodeNo, to_usize};
use crate::format::pointer::Pointer;
use crate::tree::Step;

impl Data {
    /// Returns the pointer of one block of a file.
    pub(crate) fn pointer(&mut self, at: FileBlock) -> Result<Option<Pointer>> {
        let place = extents::place(at.index);
        let found = self.space_mut().get(&Key::extents(at), |value| extents::pick(value, place))?;
        Ok(found.transpose()?.flatten())
    }

    /// Returns the index of the first block with a pointer in a file, from `from` on.
    pub(crate) fn pointer_from(&mut self, from: FileBlock) -> Result<Option<u64>> {
        let mut found = None;
        self.space_mut().scan(&Key::extents(from), |key, value| {
            if key.inode != from.inode || key.subject != Subject::Extents {
                return Ok(Step::Stop);
            }
            let group = extents::first_block(key)?;
            let (present, _) = extents::parts(value)?;
            let mut blocks =
                extents::places(present).map(|place| group.saturating_add(place as u64));
            found = blocks.find(|&at| at >= from.index);
            Ok(if found.is_some() { Step::Stop } else { Step::On })
        })?;
        Ok(found)
    }

    /// Returns the pointers of `count` blocks of a file, from `from` on.
    #[expect(clippy::indexing_slicing, reason = "`here` ends at the end of the group or before")]
    pub(super) fn pointers(&mut self, from: FileBlock, count: u64) -> Result<Vec<Option<Pointer>>> {
        let mut found = Vec::with_capacity(to_usize(count));
        let end = from.index + count;
        let mut at = from;
        while at.index < end {
            let group_end = (at.index / GROUP + 1) * GROUP;
            let first = extents::place(at.index);
            let here = first..first + to_usize(group_end.min(end) - at.index);
            match self.space_mut().get(&Key::extents(at), extents::decode)? {
                Some(group) => found.extend_from_slice(&group?[here]),
                None => found.extend(here.map(|_| None)),
            }
            at.index = group_end.min(end);
        }
        Ok(found)
    }

    /// Returns the keys of the first groups with pointers in a file, from `from` on, at most
    /// `most`.
    ///
    /// # Errors
    /// Also fails for pointers that could not be removed. An error in the middle of a change would
    /// stop the volume.
    pub(crate) fn groups_from(&mut self, from: FileBlock, most: usize) -> Result<Vec<Key>> {
        let mut keys = Vec::new();
        let blocks = self.space().blocks();
        self.space_mut().scan(&Key::extents(from), |key, value| {
            if key.inode != from.inode || key.subject != Subject::Extents {
                return Ok(Step::Stop);
            }
            extents::check(value, blocks)?;
            keys.push(*key);
            Ok(if keys.len() < most { Step::On } else { Step::Stop })
        })?;
        Ok(keys)
    }

    /// Removes the pointers of a group, from position `first` on.
    pub(crate) fn clear_pointers(&mut self, key: &Key, first: usize) -> Result<()> {
        let none: Vec<_> = (first..to_usize(GROUP)).map(|place| (place, None)).collect();
        self.set_pointers(key, &none)
    }

    /// Sets pointers of a group, and frees the blocks of the pointers that they replace. `changes`
    /// gives positions and their new pointers.
    pub(crate) fn set_pointers(
        &mut self,
        key: &Key,
        changes: &[(usize, Option<Pointer>)],
    ) -> Result<()> {
        let space = self.space_mut();
        let mut item = space.get(key, Item::new)?.transpose()?.unwrap_or_else(Item::empty);
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
        extents::check_places(&replaced, space.blocks())?;
        if item.present() == 0 {
            space.remove(key)?;
        } else {
            space.put_extents(key, item.value(), mask)?;
        }
        replaced.iter().for_each(|pointer| space.free_data(pointer));
        Ok(())
    }

    /// Prepares the items for setting the pointers of these blocks, which are in order.
    pub(super) fn prepare_pointers(&mut self, blocks: &[FileBlock]) -> Result<()> {
        for group in blocks.chunk_by(super::same_group) {
            let Some(&at) = group.first() else { continue };
            self.space_mut().prepare(&Key::extents(at))?;
            if at.index == 0 && self.is_inline(at.inode)? {
                self.space_mut().prepare(&Key::inline(at.inode))?;
            }
        }
        Ok(())
    }

    /// Sets the pointers of blocks that were written, which are in order.
    pub(super) fn point_to(&mut self, blocks: &[FileBlock], pointers: &[Pointer]) -> Result<()> {
        let mut rest = pointers;
        for group in blocks.chunk_by(super::same_group) {
            let Some(&at) = group.first() else { continue };
            let (own, others) = rest.split_at(group.len().min(rest.len()));
            rest = others;
            let changes: Vec<(usize, Option<Pointer>)> = group
                .iter()
                .zip(own)
                .map(|(at, pointer)| (extents::place(at.index), Some(*pointer)))
                .collect();
            self.set_pointers(&Key::extents(at), &changes)?;
            if at.index == 0 {
                self.remove_inline(at.inode)?;
            }
        }
        Ok(())
    }

    /// Removes the inline item of a file, if it exists.
    pub(crate) fn remove_inline(&mut self, inode: InodeNo) -> Result<()> {
        if self.is_inline(inode)? {
            self.space_mut().remove(&Key::inline(inode))?;
        }
        Ok(())
    }
}
