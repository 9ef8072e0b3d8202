//! Writing dirty nodes, and keeping the cache in its bounds.

use crate::cache::Frame;
use crate::error::Result;
use crate::format::block::{Kind, Run};
use crate::format::node as page;
use crate::format::pointer::Pointer;
use crate::volume::Volume;

/// Blocks of one write to the storage.
pub(crate) const BATCH_BLOCKS: usize = 256;

/// Many blocks wait for a commit if they are more than this, and a sixteenth of all.
const MANY_WAITING: u64 = 4096;

/// A dirty node, and where the pointer to it is; nowhere for the root.
struct Dirty {
    parent: Option<(Frame, usize)>,
    frame: Frame,
    block: u64,
}

impl Volume {
    /// Gets ready for changes: what is over the bounds is written, and blocks are at hand.
    /// To be called between changes only, since no frame is good after it, and a commit may
    /// take place.
    pub(crate) fn make_room(&mut self) -> Result<()> {
        self.keep_bounds()?;
        match self.fill_reserve() {
            Err(error) if error.is_full() => {
                // Nodes that were replaced wait for a commit that writes the tree.
                self.log.tree_due = true;
                self.commit()?;
                self.fill_reserve()
            }
            result => result,
        }
    }

    /// As [`make_room`](Self::make_room), without a supply of blocks for nodes.
    pub(crate) fn keep_bounds(&mut self) -> Result<()> {
        self.check_writable()?;
        self.begin_changes()?;
        if self.cache.dirty_data() > self.most_dirty_data() {
            self.flush_data()?;
        }
        if self.inodes.wants_writing() {
            self.write_inodes()?;
        }
        let waiting = self.space.waiting();
        if self.space.wants_commit() || waiting > MANY_WAITING && waiting > self.space.blocks / 16 {
            self.commit()?;
        }
        if self.cache.dirty_nodes() > self.most_dirty_nodes() {
            self.flush_nodes()?;
        }
        if self.space.wants_entering() {
            self.enter_freed()?;
        }
        self.cache.trim();
        self.has_uncommitted = true;
        Ok(())
    }

    /// As [`make_room`](Self::make_room), for changes that take space in the tree for good: what was
    /// promised to data, and what it takes to remove something, is left alone.
    pub(crate) fn make_room_for_names(&mut self) -> Result<()> {
        self.make_room()?;
        self.reserve_for_dirty(1)
    }

    fn most_dirty_data(&self) -> usize {
        self.cache.budget() / 4
    }

    /// Seals and writes all dirty nodes, children before parents. That is no commit: until
    /// one, nothing durable refers to them.
    pub(crate) fn flush_nodes(&mut self) -> Result<()> {
        for mut nodes in self.dirty_nodes_by_level()? {
            nodes.sort_unstable_by_key(|node| node.block);
            for batch in nodes.chunks(BATCH_BLOCKS) {
                self.write_nodes(batch)?;
            }
        }
        Ok(())
    }

    /// The dirty nodes of each level, from the leaves up.
    fn dirty_nodes_by_level(&mut self) -> Result<Vec<Vec<Dirty>>> {
        let mut levels: Vec<Vec<Dirty>> = Vec::new();
        let root = self.root;
        let mut above = Vec::new();
        if !root.is_sealed() {
            let frame = self.node(&root, self.levels - 1)?;
            above.push(Dirty { parent: None, frame, block: root.block });
        }
        for level in (0..self.levels - 1).rev() {
            let mut nodes = Vec::new();
            for node in &above {
                for index in 0..page::count(self.cache.bytes(node.frame)) {
                    let child = page::child(self.cache.bytes(node.frame), index);
                    if !child.is_sealed() {
                        let frame = self.node(&child, level)?;
                        let parent = Some((node.frame, index));
                        nodes.push(Dirty { parent, frame, block: child.block });
                    }
                }
            }
            levels.push(std::mem::replace(&mut above, nodes));
        }
        levels.push(above);
        levels.reverse();
        Ok(levels)
    }

    /// Writes nodes, which are in the order of their blocks.
    fn write_nodes(&mut self, nodes: &[Dirty]) -> Result<()> {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        let mut pointers: Vec<Pointer> = Vec::with_capacity(nodes.len());
        let sealed = nodes.iter().try_for_each(|node| {
            let start = scratch.len();
            scratch.extend_from_slice(self.cache.bytes(node.frame));
            pointers.push(self.store.seal(Kind::Node, node.block, &mut scratch[start..])?);
            Ok(())
        });
        let result = sealed.and_then(|()| self.store.write_runs(&runs(nodes), &scratch));
        self.scratch = scratch;
        result?;
        for (node, pointer) in nodes.iter().zip(&pointers) {
            match node.parent {
                Some((parent, index)) => {
                    page::set_child(self.cache.bytes_mut(parent), index, pointer);
                }
                None => self.root = *pointer,
            }
            self.cache.clean(node.frame);
        }
        Ok(())
    }
}

/// Where nodes lie that are in the order of their blocks.
fn runs(nodes: &[Dirty]) -> Vec<Run> {
    let in_a_row = |one: &Dirty, next: &Dirty| one.block + 1 == next.block;
    let run = |row: &[Dirty]| Run { start: row[0].block, count: row.len() as u32 };
    nodes.chunk_by(in_a_row).map(run).collect()
}
