//! Giving free blocks back to the host: what is at the storage's end can be cut off.

use crate::error::Result;
use crate::page::Key;
use crate::volume::Volume;

/// Rounds of moving nodes: what is above those that move, moves too, and its old blocks are free in
/// the next one.
const MOST_ROUNDS: usize = 3;

impl Volume {
    /// Moves the nodes of the tree that lie behind as many blocks as are in use to the first
    /// free ones, so that closing can cut the storage there, as far as no file has blocks behind
    /// it. It reads all nodes.
    ///
    /// # Errors
    /// When nodes can't be read or written. What was moved until then is all right.
    pub fn pack_nodes(&mut self) -> Result<()> {
        for _ in 0..MOST_ROUNDS {
            if !self.pack_round()? {
                break;
            }
        }
        Ok(())
    }

    /// Moves nodes as far as there are free blocks; whether there was one to be moved.
    fn pack_round(&mut self) -> Result<bool> {
        self.commit_tree(true)?;
        self.drop_areas()?;
        let end = self.space.in_use();
        let mut moved = false;
        let mut from = Key::LEAST;
        loop {
            // First, so that there is a supply already when balancing looks for good areas.
            self.fill_lowest()?;
            self.balance()?;
            let mut reaches = false;
            let (_, behind) = self.way(&from, |node| reaches |= node.block >= end)?;
            if reaches {
                self.prepare(&from)?;
                moved = true;
            }
            match behind {
                Some(next) => from = next,
                None => break,
            }
        }
        self.commit_tree(true)?;
        Ok(moved)
    }

    /// Commits the tree, and gives back the free blocks at the end of the storage. Once more
    /// it is committed in any case, since a mount takes a commit that another one follows
    /// for durable, and does not look at all its blocks.
    pub(crate) fn cut_end(&mut self) -> Result<()> {
        self.commit_tree(true)?;
        let end = self.used_end()?;
        let shorter = end < self.space.blocks;
        self.space.blocks = end;
        self.commit_tree(shorter)?;
        if shorter { self.store.set_blocks(end) } else { Ok(()) }
    }
}
