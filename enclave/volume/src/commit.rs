//! Commits: making all that has changed durable, at once or not at all.
//!
//! What has changed little since the last commit goes into the log, item by item, and the
//! tree stays dirty in memory. When the log or the list is full, the tree is written, and
//! the log begins anew behind an entry that names its root.
//!
//! A commit without a barrier is for the end of this process only: what was written is the
//! operating system's then, and nothing but the machine's end can lose it.

use crate::error::{Error, Result};
use crate::format::extents;
use crate::format::item::Subject;
use crate::format::record::{Record, STATE_BYTES, State};
use crate::log::{MAX_GROUP, PAYLOAD_BYTES};
use crate::volume::Volume;

/// With more dirty nodes than this the tree is written, so that the memory that replaying
/// the log takes is bounded whatever the cache.
const MAX_DIRTY_NODES: usize = 512;

impl Volume {
    /// Makes everything durable. Nothing happens if nothing has changed.
    pub(crate) fn commit(&mut self) -> Result<()> {
        self.check_writable()?;
        self.begin_changes()?;
        self.advance_anchor()?;
        self.commit_changes(true)
    }

    /// Hands all changes to the storage, so that they survive the end of this process.
    /// While an anchor is behind there is no commit, so that it is never behind by two.
    pub(crate) fn settle_changes(&mut self) -> Result<()> {
        if !self.has_uncommitted || self.read_only || self.stopped || self.anchor_behind {
            return Ok(());
        }
        self.begin_changes()?;
        self.commit_changes(false)
    }

    fn commit_changes(&mut self, durable: bool) -> Result<()> {
        let staged = self.flush_for_commit()?;
        let result = self.commit_flushed(durable, &staged);
        if result.is_err() {
            // What was staged and not written is still dirty, and will go elsewhere.
            self.log.forget_staged();
            self.has_uncommitted = true;
        }
        result
    }

    /// Commits after all data but what was staged was written.
    fn commit_flushed(&mut self, durable: bool, staged: &[(u64, u64)]) -> Result<()> {
        self.write_inodes()?;
        self.has_uncommitted = false;
        if self.redo.is_empty() && !self.log.tree_due {
            return if durable && self.log.is_behind() { self.make_durable() } else { Ok(()) };
        }
        if !self.log.wants_tree()
            && self.cache.dirty_nodes() <= self.most_dirty_nodes()
            && let Some(bytes) = self.changes()?
            && self.log.has_room(bytes.len())
        {
            self.prepare_entries()?;
            // Often nothing else waits for the barrier: then it is one step.
            let through = durable && !self.store.is_unsynced();
            self.log.write_changes(&mut self.store, &self.header.volume, &bytes, through)?;
            self.log.add_ring_blocks(staged.iter().copied());
            self.clean_blocks(staged);
            return self.committed(durable, through);
        }
        // What was staged is still dirty, and goes elsewhere.
        self.log.forget_staged();
        self.commit_tree(durable)
    }

    /// Dirty nodes that are kept before the tree is written.
    pub(crate) fn most_dirty_nodes(&self) -> usize {
        (self.cache.budget() / 4).min(MAX_DIRTY_NODES)
    }

    fn state(&self) -> State {
        State {
            blocks: self.space.blocks,
            used: self.space.used,
            next_inode: self.inodes.next,
            header: self.header_mac,
            root: self.root,
            levels: self.levels,
            log: self.log.end(),
        }
    }

    /// All that has changed since the last commit, if it is little enough for the log.
    fn changes(&mut self) -> Result<Option<Vec<u8>>> {
        let most = MAX_GROUP as usize * PAYLOAD_BYTES;
        let Some(items) = self.redo.items() else { return Ok(None) };
        let items: Vec<_> = items.map(|(key, mask)| (*key, mask)).collect();
        let mut bytes = Vec::with_capacity(STATE_BYTES + 128 * items.len());
        // The state names the root that the log's entries build on, not the one in memory.
        State { root: self.log_root, levels: self.log_levels, ..self.state() }.encode(&mut bytes);
        for (key, mask) in items {
            let encoded = key.encode();
            let present = self.get(&key, |value| match key.subject {
                Subject::Extents => {
                    let (present, pointers) = extents::select(value, mask)?;
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

    /// Writes the tree with all that has changed, and commits it. `durable`: with a barrier, which
    /// it may have anyway.
    pub(crate) fn commit_tree(&mut self, durable: bool) -> Result<()> {
        self.check_writable()?;
        self.begin_changes()?;
        self.flush_data()?;
        self.write_inodes()?;
        // From here on blocks are pending_free, which only a commit like this one ends.
        self.log.tree_due = true;
        self.move_ring_blocks()?;
        self.drain_reserve();
        loop {
            self.enter_freed()?;
            self.enter_waiting()?;
            if !self.put_regions()? {
                break;
            }
        }
        self.flush_nodes()?;
        self.prepare_entries()?;
        let state = self.state();
        self.log.write_tree(&mut self.store, &self.header.volume, &state)?;
        self.log_root = self.root;
        self.log_levels = self.levels;
        self.store.statistics.tree_commits += 1;
        let durable = durable || self.log.needs_durable_tree();
        self.committed(durable, false)
    }

    fn prepare_entries(&mut self) -> Result<()> {
        self.store.sealer.reserve_seals(MAX_GROUP)?;
        if self.log.needs_barrier(&self.store) { self.barrier() } else { Ok(()) }
    }

    /// A commit was written. `durable`: it shall be; `through`: it is.
    fn committed(&mut self, durable: bool, through: bool) -> Result<()> {
        self.redo.clear();
        self.store.statistics.commits += 1;
        match (through, durable) {
            (true, _) => {
                self.log.synced(&self.store.sealer);
                self.now_durable()
            }
            (false, true) => self.make_durable(),
            (false, false) => Ok(()),
        }
    }

    /// Waits until all commits are durable.
    fn make_durable(&mut self) -> Result<()> {
        self.barrier()?;
        self.now_durable()
    }

    /// All commits are durable.
    fn now_durable(&mut self) -> Result<()> {
        let tree = self.log.now_durable();
        self.space.durable(tree);
        self.anchor_behind = self.anchor.is_some();
        self.advance_anchor()
    }

    /// Waits until all that was written is durable.
    ///
    /// If that fails, nobody knows what of it is, and asking again would not tell: systems
    /// drop what they could not write and then report success. So the volume takes no more
    /// changes; the last commit that succeeded is whole.
    fn barrier(&mut self) -> Result<()> {
        match self.store.sync() {
            Ok(()) => {
                self.log.synced(&self.store.sealer);
                Ok(())
            }
            Err(error) => self.stop(error),
        }
    }

    /// Tells the anchor of the last durable commit, if it does not know it yet.
    pub(crate) fn advance_anchor(&mut self) -> Result<()> {
        let mark = self.log.durable();
        let volume = self.header.volume;
        if let Some(anchor) = &mut self.anchor
            && self.anchor_behind
        {
            anchor.advance(&volume, mark)?;
            self.anchor_behind = false;
        }
        Ok(())
    }
}
