//! Writes dirty nodes.

use super::Tree;
use crate::cache::NodeFrame;
use crate::error::Result;
use crate::format::block::{BlockNo, Kind, Run};
use crate::format::pointer::Pointer;
use crate::sealed_store::BATCH_BLOCKS;

/// A dirty node, and the place of the pointer to it. The root has no parent.
struct Dirty {
    parent: Option<(NodeFrame, usize)>,
    frame: NodeFrame,
    block: BlockNo,
}

impl Tree {
    /// Seals and writes all dirty nodes, children before parents. This is not a commit: nothing
    /// durable refers to them before one.
    pub(crate) fn write_nodes(&mut self) -> Result<()> {
        for mut nodes in self.dirty_nodes_by_level()? {
            nodes.sort_unstable_by_key(|node| node.block);
            for batch in nodes.chunks(BATCH_BLOCKS) {
                self.write_batch(batch)?;
            }
        }
        Ok(())
    }

    /// Returns the dirty nodes of each level, leaves first.
    fn dirty_nodes_by_level(&mut self) -> Result<Vec<Vec<Dirty>>> {
        let mut levels: Vec<Vec<Dirty>> = Vec::new();
        let root = self.root;
        let mut above = Vec::new();
        if !root.pointer.is_sealed() {
            let frame = self.node(&root.pointer, root.levels - 1)?;
            above.push(Dirty { parent: None, frame, block: root.pointer.block });
        }
        for level in (0..root.levels - 1).rev() {
            let mut nodes = Vec::new();
            for node in &above {
                for index in 0..self.cache.node(node.frame).count() {
                    let child = self.cache.node(node.frame).child(index);
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

    /// Writes nodes, which are sorted by block.
    #[expect(clippy::indexing_slicing, reason = "`start` is the earlier end of `scratch`")]
    fn write_batch(&mut self, nodes: &[Dirty]) -> Result<()> {
        self.scratch.clear();
        let mut pointers: Vec<Pointer> = Vec::with_capacity(nodes.len());
        for node in nodes {
            let start = self.scratch.len();
            self.scratch.extend_from_slice(self.cache.node(node.frame).bytes());
            let sealed = &mut self.scratch[start..];
            pointers.push(self.store.seal(Kind::Node, node.block, sealed)?);
        }
        self.store.write_runs(&runs(nodes), &self.scratch)?;
        for (node, pointer) in nodes.iter().zip(&pointers) {
            match node.parent {
                Some((parent, index)) => self.cache.node_mut(parent).set_child(index, pointer),
                None => self.root.pointer = *pointer,
            }
            self.cache.mark_node_clean(node.frame);
        }
        Ok(())
    }
}

/// Returns the runs of blocks of nodes that are sorted by block.
fn runs(nodes: &[Dirty]) -> Vec<Run> {
    let in_a_row = |one: &Dirty, next: &Dirty| one.block + 1 == next.block;
    #[expect(clippy::cast_possible_truncation, reason = "a batch has at most `BATCH_BLOCKS`")]
    let run = |row: &[Dirty]| Some(Run { start: row.first()?.block, count: row.len() as u32 });
    nodes.chunk_by(in_a_row).filter_map(run).collect()
}
