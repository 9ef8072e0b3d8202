//! Commits: making all that has changed durable, at once or not at all.
//!
//! What has changed little since the last commit goes into the log, item by item, and the
//! tree stays dirty in memory. When the log or the list is full, the tree is written, and
//! the log begins anew behind an entry that names its root.

use crate::error::{Error, Result};
use crate::extents;
use crate::log::{MOST_GROUP, PAYLOAD_BYTES, Record, STATE_BYTES, State};
use crate::page::Subject;
use crate::volume::Volume;

/// With more dirty nodes than this the tree is written, so that the memory that replaying
/// the log takes is bounded whatever the cache.
const MOST_DIRTY_NODES: usize = 512;

impl Volume {
    /// Makes everything durable. Nothing happens if nothing has changed.
    pub(crate) fn commit(&mut self) -> Result<()> {
        self.check_writable()?;
        self.flush_data()?;
        self.write_inodes()?;
        if self.redo.is_empty() && !self.log.tree_due {
            return self.advance_anchor(false);
        }
        if !self.log.tree_due
            && self.cache.dirty_nodes() <= self.most_dirty_nodes()
            && let Some(bytes) = self.changes()?
            && self.log.has_room(bytes.len())
        {
            return self.write_commit(false, &bytes);
        }
        self.commit_tree()
    }

    /// Dirty nodes that are kept before the tree is written.
    pub(crate) fn most_dirty_nodes(&self) -> usize {
        (self.cache.budget() / 4).min(MOST_DIRTY_NODES)
    }

    fn state(&self) -> State {
        State {
            blocks: self.space.blocks,
            used: self.space.used,
            next_inode: self.inodes.next,
            header_generation: self.header.generation,
            root: self.root,
            levels: self.levels,
        }
    }

    /// All that has changed since the last commit, if it is little enough for the log.
    fn changes(&mut self) -> Result<Option<Vec<u8>>> {
        let most = MOST_GROUP as usize * PAYLOAD_BYTES;
        let Some(items) = self.redo.items() else { return Ok(None) };
        let items: Vec<_> = items.map(|(key, mask)| (*key, mask)).collect();
        let mut bytes = Vec::with_capacity(STATE_BYTES + 128 * items.len());
        // The state names the root that the log's entries build on, not the one in memory.
        State { root: self.log_root, levels: self.log_levels, ..self.state() }.encode(&mut bytes);
        for (key, mask) in items {
            let encoded = key.encode();
            let present = self.get(&key, |value| match key.subject {
                Subject::Extents => {
                    let all = extents::decode(value)?;
                    let (present, pointers) = extents::select(&all, mask);
                    Record::Pointers { key: encoded, changed: mask, present, pointers }
                        .encode(&mut bytes);
                    Ok::<_, Error>(())
                }
                _ => {
                    Record::Put { key: encoded, value }.encode(&mut bytes);
                    Ok(())
                }
            })?;
            match present {
                Some(encoded) => encoded?,
                None => Record::Take { key: encoded }.encode(&mut bytes),
            }
            if bytes.len() > most {
                return Ok(None);
            }
        }
        Ok(Some(bytes))
    }

    /// Writes the tree, and commits it.
    pub(crate) fn commit_tree(&mut self) -> Result<()> {
        self.check_writable()?;
        // From here on blocks are guarded, which only a commit like this one ends.
        self.log.tree_due = true;
        self.drain_ready();
        loop {
            self.enter_freed()?;
            self.enter_waiting()?;
            if !self.put_regions()? {
                break;
            }
        }
        self.flush_nodes()?;
        let mut bytes = Vec::new();
        self.state().encode(&mut bytes);
        match self.log.checks() {
            Some(checks) => checks.iter().for_each(|check| check.encode(&mut bytes)),
            None => self.barrier()?,
        }
        self.write_commit(true, &bytes)
    }

    /// Writes a commit's entries and makes them durable.
    fn write_commit(&mut self, tree: bool, bytes: &[u8]) -> Result<()> {
        let written = self.log.write(&mut self.store, &self.header.volume, tree, bytes)?;
        self.barrier()?;
        self.log.advance(written);
        if tree {
            self.log_root = self.root;
            self.log_levels = self.levels;
            self.log.tree_due = false;
        }
        self.redo.clear();
        self.space.durable(tree);
        self.store.statistics.commits += 1;
        self.store.statistics.tree_commits += u64::from(tree);
        self.advance_anchor(true)
    }

    /// Waits until all that was written is durable.
    ///
    /// If that fails, nobody knows what of it is, and asking again would not tell: systems
    /// drop what they could not write and then report success. So the volume takes no more
    /// changes; the last commit that succeeded is whole.
    fn barrier(&mut self) -> Result<()> {
        match self.store.sync() {
            Ok(()) => {
                self.log.synced();
                Ok(())
            }
            Err(error) => self.stop(error),
        }
    }

    /// Tells the anchor of the newest commit, if it does not know it yet.
    pub(crate) fn advance_anchor(&mut self, newer: bool) -> Result<()> {
        let mark = self.log.mark();
        let volume = self.header.volume;
        if let Some(anchor) = &mut self.anchor
            && (newer || self.anchor_behind)
        {
            self.anchor_behind = true;
            anchor.advance(&volume, mark)?;
            self.anchor_behind = false;
        }
        Ok(())
    }

    /// Gives back the free blocks at the end of the storage.
    pub(crate) fn cut_end(&mut self) -> Result<()> {
        self.enter_freed()?;
        let end = self.used_end()?;
        if end == self.space.blocks {
            return Ok(());
        }
        self.space.blocks = end;
        let mut bytes = Vec::new();
        self.state().encode(&mut bytes);
        // The commit of the tree that `close` made just before has left room.
        self.write_commit(false, &bytes)?;
        self.store.set_blocks(end)
    }
}
