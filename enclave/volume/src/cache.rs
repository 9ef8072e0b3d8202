//! Decrypted blocks in memory: nodes of the tree and contents of files, clean and dirty, within one
//! budget.

use crate::fast_map::FastMap;
use crate::format::block::{Block, BlockNo, Bytes, zeroed};
use crate::format::node::Node;
use crate::format::numbers::{FileBlock, InodeNo, to_usize};
use std::collections::BTreeSet;
use std::hash::BuildHasher;

/// The identity of a frame's contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Name {
    /// The node in this block, or the node that will be written to it.
    Node(BlockNo),
    Data(FileBlock),
    /// Forgotten contents. No search finds them.
    Nothing,
}

/// The contents of a frame.
enum Contents {
    Node(Node),
    Data(Block),
}

impl Contents {
    fn into_block(self) -> Block {
        match self {
            Contents::Node(node) => node.into_block(),
            Contents::Data(block) => block,
        }
    }
}

/// A frame that holds a node. It is valid until something is put into the cache; a dirty frame is
/// valid until it is cleaned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NodeFrame(usize);

/// A frame that holds a block of a file. It is valid as long as a [`NodeFrame`] would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DataFrame(usize);

/// How long the cache keeps a block of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Retention {
    /// As long as there is room.
    Keep,
    /// Until it is [passed](Cache::pass): it was read ahead for a sequential reader, and is not
    /// needed after that.
    Evict,
}

struct Held {
    name: Name,
    contents: Contents,
    dirty: bool,
    /// Whether it was used since the clock hand passed it.
    used: bool,
    retention: Retention,
}

impl Held {
    fn node(&self) -> &Node {
        match &self.contents {
            Contents::Node(node) => node,
            Contents::Data(_) => unreachable!("a `NodeFrame` holds a node"),
        }
    }

    fn node_mut(&mut self) -> &mut Node {
        match &mut self.contents {
            Contents::Node(node) => node,
            Contents::Data(_) => unreachable!("a `NodeFrame` holds a node"),
        }
    }

    fn data(&self) -> &Bytes {
        match &self.contents {
            Contents::Data(block) => block,
            Contents::Node(_) => unreachable!("a `DataFrame` holds a block of a file"),
        }
    }

    fn data_mut(&mut self) -> &mut Bytes {
        match &mut self.contents {
            Contents::Data(block) => block,
            Contents::Node(_) => unreachable!("a `DataFrame` holds a block of a file"),
        }
    }
}

/// The cache.
pub(crate) struct Cache {
    frames: Vec<Held>,
    places: FastMap<Name, usize>,
    /// Limit on the number of frames. Dirty frames, which must stay, may exceed it for a while.
    budget: usize,
    hand: usize,
    /// Frames to reuse first if they hold nothing. They were used just now, so the CPU has their
    /// memory in its caches.
    passed: Vec<usize>,
    dirty_data: BTreeSet<FileBlock>,
    dirty_nodes: usize,
    spare: Vec<Block>,
    /// Hashes of blocks that were read without caching them, each at an index that its hash
    /// determines.
    seen: Vec<u32>,
    hits: u64,
    misses: u64,
}

/// Limit on the blocks that are kept for reuse instead of given back to the global allocator.
const MAX_SPARE: usize = 64;

#[expect(
    clippy::indexing_slicing,
    reason = "frames exist for all numbers that were given out, until `trim` makes them invalid"
)]
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

    /// Returns the limit on the number of blocks.
    pub(crate) fn budget(&self) -> usize {
        self.budget
    }

    /// Returns the number of dirty blocks of files.
    pub(crate) fn dirty_data(&self) -> usize {
        self.dirty_data.len()
    }

    /// Returns the number of dirty nodes.
    pub(crate) fn dirty_nodes(&self) -> usize {
        self.dirty_nodes
    }

    /// Returns the number of searches that found something, and of those that did not.
    pub(crate) fn hits_and_misses(&self) -> (u64, u64) {
        (self.hits, self.misses)
    }

    /// Counts blocks that are read without looking into the cache.
    pub(crate) fn count_misses(&mut self, blocks: u64) {
        self.misses += blocks;
    }

    fn find(&mut self, name: Name) -> Option<usize> {
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

    /// Finds a node, and marks it as used.
    pub(crate) fn find_node(&mut self, block: BlockNo) -> Option<NodeFrame> {
        self.find(Name::Node(block)).map(NodeFrame)
    }

    /// Finds a block of a file, and marks it as used.
    pub(crate) fn find_data(&mut self, at: FileBlock) -> Option<DataFrame> {
        self.find(Name::Data(at)).map(DataFrame)
    }

    /// Whether the cache holds a block of a file. Counts neither a hit nor a use.
    pub(crate) fn has_data(&self, at: FileBlock) -> bool {
        self.places.contains_key(&Name::Data(at))
    }

    /// Whether a block of a file that is not in the cache was requested before, not too long ago. A
    /// block that is read only once, as in a scan or in random reads of a large file, is not worth
    /// a frame.
    pub(crate) fn was_seen(&mut self, at: FileBlock) -> bool {
        let hash = self.places.hasher().hash_one(Name::Data(at));
        let place = to_usize(hash) & (self.seen.len() - 1);
        let mark = (hash >> 32) as u32 | 1;
        std::mem::replace(&mut self.seen[place], mark) == mark
    }

    pub(crate) fn node(&self, frame: NodeFrame) -> &Node {
        self.frames[frame.0].node()
    }

    /// Gives mutable access to a node. Its frame must be dirty, or become so.
    pub(crate) fn node_mut(&mut self, frame: NodeFrame) -> &mut Node {
        self.frames[frame.0].node_mut()
    }

    pub(crate) fn data(&self, frame: DataFrame) -> &Bytes {
        self.frames[frame.0].data()
    }

    /// Gives mutable access to a block of a file. Its frame must be dirty, or become so.
    pub(crate) fn data_mut(&mut self, frame: DataFrame) -> &mut Bytes {
        self.frames[frame.0].data_mut()
    }

    /// Gives mutable access to two nodes at once.
    ///
    /// # Panics
    /// If both are the same.
    pub(crate) fn two_nodes(
        &mut self,
        first: NodeFrame,
        second: NodeFrame,
    ) -> (&mut Node, &mut Node) {
        let [first, second] = self
            .frames
            .get_disjoint_mut([first.0, second.0])
            .expect("two nodes of a tree lie in two frames");
        (first.node_mut(), second.node_mut())
    }

    /// Returns a block to be filled. It may have any contents.
    pub(crate) fn spare(&mut self) -> Block {
        self.spare.pop().unwrap_or_else(zeroed)
    }

    /// Takes back a block that [`spare`](Self::spare) gave.
    pub(crate) fn give_back(&mut self, block: Block) {
        if self.spare.len() < MAX_SPARE {
            self.spare.push(block);
        }
    }

    /// Adds a node that is not in the cache.
    pub(crate) fn put_node(&mut self, block: BlockNo, node: Node) -> NodeFrame {
        NodeFrame(self.put(Held {
            name: Name::Node(block),
            contents: Contents::Node(node),
            dirty: false,
            used: true,
            retention: Retention::Keep,
        }))
    }

    /// Adds a block of a file that is not in the cache.
    pub(crate) fn put_data(
        &mut self,
        at: FileBlock,
        bytes: Block,
        retention: Retention,
    ) -> DataFrame {
        DataFrame(self.put(Held {
            name: Name::Data(at),
            contents: Contents::Data(bytes),
            dirty: false,
            used: false,
            retention,
        }))
    }

    fn put(&mut self, held: Held) -> usize {
        let name = held.name;
        debug_assert!(!self.places.contains_key(&name));
        let frame = match self.take_passed().or_else(|| self.victim()) {
            Some(frame) => {
                let old = std::mem::replace(&mut self.frames[frame], held);
                self.places.remove(&old.name);
                self.give_back(old.contents.into_block());
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

    /// Notes that a reader has passed a block. Releases it if its retention is
    /// [`Retention::Evict`].
    pub(crate) fn pass(&mut self, frame: DataFrame) {
        let held = &self.frames[frame.0];
        if held.retention == Retention::Evict {
            self.release(held.name);
        }
    }

    /// Forgets a clean block of a file. Its frame is reused first.
    pub(crate) fn release_data(&mut self, at: FileBlock) {
        self.release(Name::Data(at));
    }

    fn release(&mut self, name: Name) {
        if let Some(&frame) = self.places.get(&name)
            && !self.frames[frame].dirty
        {
            self.forget(name);
            self.passed.push(frame);
        }
    }

    fn take_passed(&mut self) -> Option<usize> {
        while let Some(frame) = self.passed.pop() {
            // It may have been reused already, or be another frame after `trim`.
            if self.frames.get(frame).is_some_and(|held| held.name == Name::Nothing) {
                return Some(frame);
            }
        }
        None
    }

    /// Returns a clean frame that was not used recently, if the budget is exhausted.
    fn victim(&mut self) -> Option<usize> {
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

    /// Marks a changed node as dirty. It stays in the cache until it is cleaned or forgotten.
    pub(crate) fn mark_node_dirty(&mut self, frame: NodeFrame) {
        self.mark_dirty(frame.0);
    }

    /// Marks a changed block of a file as dirty. It stays until it is cleaned or forgotten.
    pub(crate) fn mark_data_dirty(&mut self, frame: DataFrame) {
        self.mark_dirty(frame.0);
    }

    fn mark_dirty(&mut self, frame: usize) {
        let held = &mut self.frames[frame];
        if !held.dirty {
            held.dirty = true;
            match held.name {
                Name::Node(_) => self.dirty_nodes += 1,
                Name::Data(at) => {
                    self.dirty_data.insert(at);
                }
                Name::Nothing => {}
            }
        }
    }

    /// Marks a node as clean, because it was written.
    pub(crate) fn mark_node_clean(&mut self, frame: NodeFrame) {
        self.mark_clean(frame.0);
    }

    /// Marks a block of a file as clean, because it was written.
    pub(crate) fn mark_data_clean(&mut self, frame: DataFrame) {
        self.mark_clean(frame.0);
    }

    fn mark_clean(&mut self, frame: usize) {
        let held = &mut self.frames[frame];
        if held.dirty {
            held.dirty = false;
            match held.name {
                Name::Node(_) => self.dirty_nodes -= 1,
                Name::Data(at) => {
                    self.dirty_data.remove(&at);
                }
                Name::Nothing => {}
            }
        }
    }

    /// Renames a node that will lie in another block.
    pub(crate) fn move_node(&mut self, frame: NodeFrame, block: BlockNo) {
        let name = Name::Node(block);
        let old = std::mem::replace(&mut self.frames[frame.0].name, name);
        self.places.remove(&old);
        self.places.insert(name, frame.0);
    }

    /// Forgets a node, dirty or not.
    pub(crate) fn forget_node(&mut self, block: BlockNo) {
        self.forget(Name::Node(block));
    }

    /// Forgets a block of a file, dirty or not.
    pub(crate) fn forget_data(&mut self, at: FileBlock) {
        self.forget(Name::Data(at));
    }

    /// Forgets contents. The frame is reused later, so all other frames keep their numbers.
    fn forget(&mut self, name: Name) {
        if let Some(frame) = self.places.remove(&name) {
            self.mark_clean(frame);
            self.frames[frame].name = Name::Nothing;
            self.frames[frame].used = false;
        }
    }

    /// Forgets the blocks of a file from `first` to before `end`.
    pub(crate) fn forget_range(&mut self, inode: InodeNo, first: u64, end: u64) {
        let blocks = end.saturating_sub(first);
        if blocks <= self.frames.len() as u64 {
            for index in first..end {
                self.forget(Name::Data(FileBlock { inode, index }));
            }
            return;
        }
        for frame in 0..self.frames.len() {
            let name = self.frames[frame].name;
            if let Name::Data(at) = name
                && at.inode == inode
                && (first..end).contains(&at.index)
            {
                self.forget(name);
            }
        }
    }

    /// Removes clean frames above the budget. Makes all frame numbers invalid.
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

    /// Returns a dirty block of a file.
    ///
    /// # Panics
    /// If the block is not in the cache.
    pub(crate) fn dirty_block(&self, at: FileBlock) -> &Bytes {
        let frame = self.places.get(&Name::Data(at));
        let frame = frame.expect("a dirty block stays in the cache until it is written");
        self.frames[*frame].data()
    }

    /// Returns the first dirty blocks of files from `from` on, in order, at most `most`.
    pub(crate) fn dirty_from(&self, from: FileBlock, most: usize) -> Vec<FileBlock> {
        self.dirty_data.range(from..).take(most).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(inode: u64, index: u64) -> FileBlock {
        FileBlock::new(InodeNo(inode), index)
    }

    impl Cache {
        /// Adds a block that counts as used.
        fn put_used(&mut self, at: FileBlock) -> DataFrame {
            let frame = self.put_data(at, zeroed(), Retention::Keep);
            self.frames[frame.0].used = true;
            frame
        }
    }

    fn filled(budget: usize) -> Cache {
        let mut cache = Cache::new(budget);
        for index in 0..budget as u64 {
            cache.put_used(at(1, index));
        }
        cache
    }

    #[test]
    fn blocks_that_are_read_once_use_few_frames_and_leave_the_others() {
        let mut cache = filled(8);
        for index in 0..1000 {
            let name = at(2, index);
            let frame = cache.put_data(name, zeroed(), Retention::Evict);
            cache.find_data(name);
            cache.pass(frame);
            assert!(!cache.has_data(name));
        }
        let kept = (0..8).filter(|index| cache.has_data(at(1, *index))).count();
        assert_eq!((kept, cache.frames.len()), (7, 8));
    }

    #[test]
    fn only_what_is_clean_and_was_put_to_be_read_once_is_passed() {
        let mut cache = filled(4);
        let [kept, dirty] = [at(1, 0), at(2, 0)];
        let frame = cache.find_data(kept).unwrap();
        cache.pass(frame);
        let frame = cache.put_data(dirty, zeroed(), Retention::Evict);
        cache.mark_data_dirty(frame);
        cache.pass(frame);
        cache.release_data(dirty);
        assert!(cache.has_data(dirty) && cache.take_passed().is_none());
        cache.mark_data_clean(frame);
        cache.release_data(dirty);
        assert!(!cache.has_data(dirty));
        // The clock hand took the frame, so it must not be given out a second time.
        let (one, other) = (at(3, 0), at(3, 1));
        let mut frames = vec![cache.put_used(one), cache.put_used(other)];
        frames.dedup();
        assert_eq!(frames.len(), 2);
        assert!(cache.has_data(one) && cache.has_data(other) && cache.take_passed().is_none());
    }

    #[test]
    fn passed_frames_are_not_mistaken_for_others_after_a_trim() {
        let mut cache = filled(4);
        let last = cache.put_data(at(2, 0), zeroed(), Retention::Keep);
        cache.mark_data_dirty(last);
        let name = at(1, 3);
        if cache.has_data(name) {
            cache.release_data(name);
        }
        cache.mark_data_clean(last);
        cache.budget = 2;
        cache.trim();
        assert_eq!(cache.frames.len(), 2);
        for index in 0..20 {
            let name = at(5, index);
            let frame = cache.put_data(name, zeroed(), Retention::Keep);
            cache.frames[frame.0].used = index % 2 == 0;
            cache.data_mut(frame)[0] = index as u8;
            assert_eq!(cache.find_data(name).map(|frame| cache.data(frame)[0]), Some(index as u8));
        }
        assert_eq!(cache.frames.len(), 2);
        for (name, frame) in &cache.places {
            assert_eq!(cache.frames[*frame].name, *name);
        }
    }
}
