//! Opened blocks in memory: nodes of the tree and contents of files, clean and dirty, with
//! one budget for all.

use crate::fast_map::FastMap;
use crate::format::block::{Block, Bytes, zeroed};
use std::collections::BTreeSet;
use std::hash::BuildHasher;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    /// The node that lies, or will lie, in a block.
    Node(u64),
    /// Block `.1` of file `.0`.
    Data(u64, u64),
    /// Something forgotten. It is not found by this name.
    Nothing,
}

/// The place of a frame. It is good until something is put into the cache, and for a dirty
/// frame until it is cleaned.
pub(crate) type Frame = usize;

struct Held {
    name: Name,
    bytes: Block,
    dirty: bool,
    /// Used since the hand passed.
    used: bool,
    /// Brought ahead of a reader that reads on, and not wanted behind it.
    once: bool,
}

/// The cache.
pub(crate) struct Cache {
    frames: Vec<Held>,
    places: FastMap<Name, Frame>,
    /// Frames that it may have; dirty ones that can't be dropped may exceed it for a while.
    budget: usize,
    hand: usize,
    /// Frames to be taken first, where they hold nothing: they were in use just now, so that the
    /// CPU has them at hand.
    passed: Vec<Frame>,
    dirty_data: BTreeSet<(u64, u64)>,
    dirty_nodes: usize,
    spare: Vec<Block>,
    /// Hashes of blocks that were read past the cache, each in the place that its hash has.
    seen: Vec<u32>,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

/// Blocks that are kept for reuse rather than given back to the allocator.
const MAX_SPARE: usize = 64;

impl Cache {
    pub(crate) fn new(budget: usize) -> Self {
        Cache {
            frames: Vec::new(),
            places: FastMap::default(),
            budget,
            hand: 0,
            passed: Vec::new(),
            dirty_data: BTreeSet::new(),
            dirty_nodes: 0,
            spare: Vec::new(),
            seen: vec![0; (2 * budget).next_power_of_two()],
            hits: 0,
            misses: 0,
        }
    }

    /// Blocks it may hold.
    pub(crate) fn budget(&self) -> usize {
        self.budget
    }

    /// How many blocks of files are dirty.
    pub(crate) fn dirty_data(&self) -> usize {
        self.dirty_data.len()
    }

    /// How many nodes are dirty.
    pub(crate) fn dirty_nodes(&self) -> usize {
        self.dirty_nodes
    }

    /// Finds what is held, and counts it as used.
    pub(crate) fn find(&mut self, name: Name) -> Option<Frame> {
        let place = self.places.get(&name).copied();
        match place {
            Some(frame) => {
                self.frames[frame].used = true;
                self.hits += 1;
            }
            None => self.misses += 1,
        }
        place
    }

    /// Whether something is held; counts nothing.
    pub(crate) fn has(&self, name: Name) -> bool {
        self.places.contains_key(&name)
    }

    /// Whether a block that is not held was asked for before, not too long ago. What is read
    /// once only, as by a scan or at random over much, is not worth a place.
    pub(crate) fn seen(&mut self, name: Name) -> bool {
        let hash = self.places.hasher().hash_one(name);
        let place = hash as usize & (self.seen.len() - 1);
        let mark = (hash >> 32) as u32 | 1;
        std::mem::replace(&mut self.seen[place], mark) == mark
    }

    pub(crate) fn bytes(&self, frame: Frame) -> &Bytes {
        &self.frames[frame].bytes
    }

    /// The bytes of a frame, to be changed: it must be dirty, or become so.
    pub(crate) fn bytes_mut(&mut self, frame: Frame) -> &mut Bytes {
        &mut self.frames[frame].bytes
    }

    /// Two frames at once, the first to be changed.
    ///
    /// # Panics
    /// When they are the same.
    pub(crate) fn pair(&mut self, first: Frame, second: Frame) -> (&mut Bytes, &mut Bytes) {
        let [first, second] = self
            .frames
            .get_disjoint_mut([first, second])
            .expect("two nodes of a tree lie in two frames");
        (&mut first.bytes, &mut second.bytes)
    }

    /// A block to be filled; it may hold anything.
    pub(crate) fn spare(&mut self) -> Block {
        self.spare.pop().unwrap_or_else(zeroed)
    }

    /// Takes back a block that [`spare`](Self::spare) gave.
    pub(crate) fn give_back(&mut self, block: Block) {
        if self.spare.len() < MAX_SPARE {
            self.spare.push(block);
        }
    }

    /// Holds something that is not held yet. `used`: it will be wanted again.
    pub(crate) fn put(&mut self, name: Name, bytes: Block, used: bool) -> Frame {
        self.put_held(Held { name, bytes, dirty: false, used, once: false })
    }

    /// As [`put`](Self::put), for what is read once, until [`pass`](Self::pass).
    pub(crate) fn put_once(&mut self, name: Name, bytes: Block) -> Frame {
        self.put_held(Held { name, bytes, dirty: false, used: false, once: true })
    }

    fn put_held(&mut self, held: Held) -> Frame {
        let name = held.name;
        debug_assert!(!self.has(name));
        let frame = match self.take_passed().or_else(|| self.victim()) {
            Some(frame) => {
                let old = std::mem::replace(&mut self.frames[frame], held);
                self.places.remove(&old.name);
                self.give_back(old.bytes);
                frame
            }
            None => {
                self.frames.push(held);
                self.frames.len() - 1
            }
        };
        self.places.insert(name, frame);
        frame
    }

    /// What a frame holds was read: if it was put to be read once, it is released.
    pub(crate) fn pass(&mut self, frame: Frame) {
        let held = &self.frames[frame];
        if held.once {
            self.release(held.name);
        }
    }

    /// Forgets something that is clean, and has its frame taken first.
    pub(crate) fn release(&mut self, name: Name) {
        if let Some(&frame) = self.places.get(&name)
            && !self.frames[frame].dirty
        {
            self.forget(name);
            self.passed.push(frame);
        }
    }

    fn take_passed(&mut self) -> Option<Frame> {
        while let Some(frame) = self.passed.pop() {
            // It may have been taken already, or be another one after a trim.
            if self.frames.get(frame).is_some_and(|held| held.name == Name::Nothing) {
                return Some(frame);
            }
        }
        None
    }

    /// A clean frame that was not used for long, if the budget is used up.
    fn victim(&mut self) -> Option<Frame> {
        if self.frames.len() < self.budget {
            return None;
        }
        for _ in 0..2 * self.frames.len() {
            let at = self.hand;
            self.hand = (self.hand + 1) % self.frames.len();
            let held = &mut self.frames[at];
            if held.dirty {
                continue;
            }
            if !std::mem::take(&mut held.used) {
                return Some(at);
            }
        }
        None
    }

    /// Marks a frame as changed: it stays until it is cleaned or dropped.
    pub(crate) fn dirty(&mut self, frame: Frame) {
        let held = &mut self.frames[frame];
        if !held.dirty {
            held.dirty = true;
            match held.name {
                Name::Node(_) => self.dirty_nodes += 1,
                Name::Data(inode, index) => {
                    self.dirty_data.insert((inode, index));
                }
                Name::Nothing => {}
            }
        }
    }

    /// Marks a frame as written.
    pub(crate) fn clean(&mut self, frame: Frame) {
        let held = &mut self.frames[frame];
        if held.dirty {
            held.dirty = false;
            match held.name {
                Name::Node(_) => self.dirty_nodes -= 1,
                Name::Data(inode, index) => {
                    self.dirty_data.remove(&(inode, index));
                }
                Name::Nothing => {}
            }
        }
    }

    /// Gives a frame another name.
    pub(crate) fn rename(&mut self, frame: Frame, name: Name) {
        let old = std::mem::replace(&mut self.frames[frame].name, name);
        self.places.remove(&old);
        self.places.insert(name, frame);
    }

    /// Forgets something, dirty or not. Its frame is taken for something else in time, so
    /// that all other frames stay where they are.
    pub(crate) fn forget(&mut self, name: Name) {
        if let Some(frame) = self.places.remove(&name) {
            self.clean(frame);
            self.frames[frame].name = Name::Nothing;
            self.frames[frame].used = false;
        }
    }

    /// Forgets the blocks of a file from `first` to before `end`.
    pub(crate) fn forget_data(&mut self, inode: u64, first: u64, end: u64) {
        let blocks = end.saturating_sub(first);
        if blocks <= self.frames.len() as u64 {
            for index in first..end {
                self.forget(Name::Data(inode, index));
            }
            return;
        }
        for frame in 0..self.frames.len() {
            let name = self.frames[frame].name;
            if let Name::Data(of, index) = name
                && of == inode
                && (first..end).contains(&index)
            {
                self.forget(name);
            }
        }
    }

    /// Goes back to the budget, as far as clean frames allow. No frame is good after it.
    pub(crate) fn trim(&mut self) {
        while self.frames.len() > self.budget {
            let Some(frame) = self.victim() else { break };
            let held = self.frames.swap_remove(frame);
            self.places.remove(&held.name);
            if let Some(moved) = self.frames.get(frame)
                && moved.name != Name::Nothing
            {
                self.places.insert(moved.name, frame);
            }
            self.hand = 0;
        }
    }

    /// A dirty block of a file.
    ///
    /// # Panics
    /// When there is no such.
    pub(crate) fn dirty_block(&self, inode: u64, index: u64) -> &Bytes {
        let frame = self.places.get(&Name::Data(inode, index));
        let frame = frame.expect("a dirty block stays in the cache until it is written");
        self.bytes(*frame)
    }

    /// The first dirty blocks of files from a name on, in order.
    pub(crate) fn dirty_from(&self, from: (u64, u64), most: usize) -> Vec<(u64, u64)> {
        self.dirty_data.range(from..).take(most).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(budget: usize) -> Cache {
        let mut cache = Cache::new(budget);
        for index in 0..budget as u64 {
            cache.put(Name::Data(1, index), zeroed(), true);
        }
        cache
    }

    #[test]
    fn what_is_read_once_goes_through_few_frames_and_leaves_all_others() {
        let mut cache = filled(8);
        for index in 0..1000 {
            let name = Name::Data(2, index);
            let frame = cache.put_once(name, zeroed());
            cache.find(name);
            cache.pass(frame);
            assert!(!cache.has(name));
        }
        let kept = (0..8).filter(|index| cache.has(Name::Data(1, *index))).count();
        assert_eq!((kept, cache.frames.len()), (7, 8));
    }

    #[test]
    fn only_what_is_clean_and_was_put_to_be_read_once_is_passed() {
        let mut cache = filled(4);
        let [kept, dirty] = [Name::Data(1, 0), Name::Data(2, 0)];
        let frame = cache.find(kept).unwrap();
        cache.pass(frame);
        let frame = cache.put_once(dirty, zeroed());
        cache.dirty(frame);
        cache.pass(frame);
        cache.release(dirty);
        assert!(cache.has(dirty) && cache.take_passed().is_none());
        cache.clean(frame);
        cache.release(dirty);
        assert!(!cache.has(dirty));
        // Taken by the hand, it is not given a second time.
        let (one, other) = (Name::Data(3, 0), Name::Data(3, 1));
        let mut frames = vec![cache.put(one, zeroed(), true), cache.put(other, zeroed(), true)];
        frames.dedup();
        assert_eq!(frames.len(), 2);
        assert!(cache.has(one) && cache.has(other) && cache.take_passed().is_none());
    }

    #[test]
    fn passed_frames_are_not_mistaken_for_others_after_a_trim() {
        let mut cache = filled(4);
        let last = cache.put(Name::Data(2, 0), zeroed(), false);
        cache.dirty(last);
        let name = Name::Data(1, 3);
        if cache.has(name) {
            cache.release(name);
        }
        cache.clean(last);
        cache.budget = 2;
        cache.trim();
        assert_eq!(cache.frames.len(), 2);
        for index in 0..20 {
            let name = Name::Data(5, index);
            let frame = cache.put(name, zeroed(), index % 2 == 0);
            cache.bytes_mut(frame)[0] = index as u8;
            assert_eq!(cache.find(name).map(|frame| cache.bytes(frame)[0]), Some(index as u8));
        }
        assert_eq!(cache.frames.len(), 2);
        for (name, frame) in &cache.places {
            assert_eq!(cache.frames[*frame].name, *name);
        }
    }
}
