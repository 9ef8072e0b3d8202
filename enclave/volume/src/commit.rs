//! Commits: they make all changes durable together or not at all.
//!
//! Small changes since the last commit go into the log, item by item, and the tree stays dirty in
//! memory. When the log or the change set is full, a tree commit writes the tree, and the log
//! begins anew after the entry that names its root.
//!
//! A commit without a barrier survives only the end of this process: the operating system has what
//! was written, and only the end of the machine can lose it.
//!
//! All commits and all barriers are made here. The layers below make neither: the allocator reports
//! it if only a commit could give it blocks.

mod header;
mod recovery;
mod replay;
mod room;

use crate::alloc::Space;
use crate::anchor::Anchor;
use crate::crypto::SecretKey;
use crate::data::Data;
use crate::durability::{CommitKind, Durability, Write};
use crate::error::{Error, Result};
use crate::format::block::{BlockNo, Kind};
use crate::format::entry::PAYLOAD_BYTES;
use crate::format::extents;
use crate::format::item::Subject;
use crate::format::mark::Mark;
use crate::format::numbers::{FileBlock, to_usize};
use crate::format::pointer::{Pointer, Tag};
use crate::format::record::{Record, STATE_BYTES, State};
use crate::format::root::Root;
use crate::header::{Header, HeaderMac};
use crate::health::Health;
use crate::inode_table::Inodes;
use crate::log::{Chain, Log, MAX_GROUP};
use crate::sealed_store::SealedStore;
use crate::statistics::Statistics;

/// Limit on dirty nodes. With more, the tree is written, which bounds the memory that replaying the
/// log takes, whatever the size of the cache.
const MAX_DIRTY_NODES: usize = 512;

/// What a commit writes.
enum Plan {
    /// Nothing.
    Nothing,
    /// A change commit with these encoded changes.
    Log(Vec<u8>),
    /// The tree.
    Tree,
}

/// Makes changes durable.
pub(crate) struct Engine {
    data: Data,
    log: Log,
    header: Header,
    header_mac: HeaderMac,
    /// What must be done before the first write.
    recovery: Option<Recovery>,
    anchor: Option<Box<dyn Anchor>>,
    /// Whether the anchor does not have the newest mark yet.
    anchor_behind: bool,
    /// Whether something has changed since the last commit was written.
    has_uncommitted: bool,
    commits: u64,
    tree_commits: u64,
}

/// What a mount found and cannot know to be durable.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    /// Nodes and data that are not known to be durable.
    pub(crate) blocks: Vec<(Kind, Pointer)>,
    /// Entries of the log that are not known to be durable: their blocks and tags. They include
    /// both copies of a root.
    pub(crate) entries: Vec<(BlockNo, Tag)>,
    /// Blocks with entries of commits that were dropped.
    pub(crate) dropped: Vec<BlockNo>,
    /// Whether a copy of the header differs from the one that the state names.
    pub(crate) header: bool,
}

/// The parts of an [`Engine`].
pub(crate) struct Parts {
    pub(crate) data: Data,
    pub(crate) log: Log,
    pub(crate) header: Header,
    pub(crate) header_mac: HeaderMac,
    pub(crate) recovery: Option<Recovery>,
    pub(crate) anchor: Option<Box<dyn Anchor>>,
}

impl Engine {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { data, log, header, header_mac, recovery, anchor } = parts;
        Engine {
            data,
            log,
            header,
            header_mac,
            recovery,
            anchor,
            anchor_behind: false,
            has_uncommitted: false,
            commits: 0,
            tree_commits: 0,
        }
    }

    /// Returns the header of the volume.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The volume key, from which all other keys are derived.
    pub(crate) fn volume_key(&self) -> &SecretKey {
        self.store().sealer().volume_key()
    }

    pub(crate) fn data(&self) -> &Data {
        &self.data
    }

    pub(crate) fn data_mut(&mut self) -> &mut Data {
        &mut self.data
    }

    pub(crate) fn inodes(&self) -> &Inodes {
        self.data.inodes()
    }

    pub(crate) fn inodes_mut(&mut self) -> &mut Inodes {
        self.data.inodes_mut()
    }

    pub(crate) fn space(&self) -> &Space {
        self.data.space()
    }

    pub(crate) fn space_mut(&mut self) -> &mut Space {
        self.data.space_mut()
    }

    pub(crate) fn store_mut(&mut self) -> &mut SealedStore {
        self.data.store_mut()
    }

    fn store(&self) -> &SealedStore {
        self.space().tree().store()
    }

    pub(crate) fn health(&self) -> &Health {
        self.space().tree().health()
    }

    pub(crate) fn health_mut(&mut self) -> &mut Health {
        self.data.health_mut()
    }

    /// Returns an error if the volume cannot be changed.
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.space().tree().check_writable()
    }

    /// Returns the last commit that is known to be durable.
    pub(crate) fn durable(&self) -> Mark {
        self.log.durable()
    }

    /// Returns the blocks and tags of the copies of the entry that names the newest root.
    pub(crate) fn root_entry(&self) -> &[(BlockNo, Tag)] {
        self.log.root_entry()
    }

    /// Returns the number of commits of this mount.
    pub(crate) fn commits(&self) -> u64 {
        self.commits
    }

    /// Whether something has changed since the last commit.
    pub(crate) fn has_uncommitted(&self) -> bool {
        self.has_uncommitted
    }

    /// Notes a change for which no room was made.
    pub(crate) fn has_changed(&mut self) {
        self.has_uncommitted = true;
    }

    /// Returns counts of the work since the mount.
    pub(crate) fn statistics(&self) -> Statistics {
        let (cache_hits, cache_misses) = self.data.cache().hits_and_misses();
        Statistics {
            cache_hits,
            cache_misses,
            commits: self.commits,
            tree_commits: self.tree_commits,
            ..self.store().statistics()
        }
    }

    /// Makes all changes durable. Does nothing if nothing has changed.
    pub(crate) fn commit(&mut self) -> Result<()> {
        self.check_writable()?;
        self.recover()?;
        self.advance_anchor()?;
        self.commit_changes(Durability::Synced)
    }

    /// Hands all changes over to the storage, so that they survive the end of this process. Does
    /// not commit while the anchor is behind, so that it is never two commits behind.
    pub(crate) fn hand_over(&mut self) -> Result<()> {
        if !self.has_uncommitted || self.check_writable().is_err() || self.anchor_behind {
            return Ok(());
        }
        self.recover()?;
        self.commit_changes(Durability::HandedOver)
    }

    /// Writes the tree with all changes, and commits it. Waits for a barrier if `durability` is
    /// [`Durability::Synced`], and may do so in any case.
    pub(crate) fn commit_tree(&mut self, durability: Durability) -> Result<()> {
        self.check_writable()?;
        self.recover()?;
        self.data.flush()?;
        self.inodes_mut().write()?;
        self.write_tree()?;
        self.complete(durability, Write::Back)
    }

    fn commit_changes(&mut self, durability: Durability) -> Result<()> {
        let staged = self.data.flush_for_commit(&mut self.log)?;
        let result = self.commit_flushed(durability, &staged);
        if result.is_err() {
            // Staged blocks that were not written are still dirty, and will go elsewhere.
            self.log.forget_staged();
            self.has_uncommitted = true;
        }
        result
    }

    /// Commits after all data except the staged blocks were written.
    fn commit_flushed(&mut self, durability: Durability, staged: &[FileBlock]) -> Result<()> {
        self.inodes_mut().write()?;
        self.has_uncommitted = false;
        match self.plan()? {
            Plan::Nothing if durability == Durability::Synced && self.log.is_behind() => {
                self.make_durable()
            }
            Plan::Nothing => Ok(()),
            Plan::Log(changes) => {
                let write = self.write_log(durability, &changes, staged)?;
                self.complete(durability, write)
            }
            Plan::Tree => {
                // The staged blocks are still dirty, and go elsewhere.
                self.log.forget_staged();
                self.commit_tree(durability)
            }
        }
    }

    fn plan(&mut self) -> Result<Plan> {
        let tree = self.space().tree();
        if tree.changes().is_empty() && !self.log.is_tree_due() {
            return Ok(Plan::Nothing);
        }
        let too_many = tree.cache().dirty_nodes() > self.most_dirty_nodes();
        if self.log.wants_tree() || too_many {
            return Ok(Plan::Tree);
        }
        Ok(match self.changes()? {
            Some(bytes) if self.log.has_room(bytes.len()) => Plan::Log(bytes),
            _ => Plan::Tree,
        })
    }

    /// Returns the number of dirty nodes above which the tree is written.
    fn most_dirty_nodes(&self) -> usize {
        (self.data.cache().budget() / 4).min(MAX_DIRTY_NODES)
    }

    fn state(&self, root: Root) -> State {
        State {
            blocks: self.space().blocks(),
            used: self.space().used(),
            next_inode: self.inodes().next(),
            header: self.header_mac,
            root,
            log: self.log.end(),
        }
    }

    /// Returns all changes since the last commit, encoded, or `None` if they are too many for the
    /// log.
    fn changes(&mut self) -> Result<Option<Vec<u8>>> {
        let most = to_usize(MAX_GROUP) * PAYLOAD_BYTES;
        let Some(items) = self.space().tree().changes().items() else { return Ok(None) };
        let items: Vec<_> = items.map(|(key, mask)| (*key, mask)).collect();
        let mut bytes = Vec::with_capacity(STATE_BYTES + 128 * items.len());
        // The state names the root on which the log builds, not the one in memory.
        self.state(self.log.base()).encode(&mut bytes);
        for (key, mask) in items {
            let encoded = key.encode();
            let present = self.space_mut().get(&key, |value| match key.subject {
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

    /// Writes changes and staged blocks into the log, and returns how it wrote them.
    fn write_log(
        &mut self,
        durability: Durability,
        changes: &[u8],
        staged: &[FileBlock],
    ) -> Result<Write> {
        self.prepare_entries()?;
        // Often nothing else waits for the barrier. Then write and barrier are one step.
        let through = durability == Durability::Synced && !self.store().is_unsynced();
        let write = if through { Write::Through } else { Write::Back };
        self.space_mut().begin_commit(CommitKind::Log);
        let volume = self.header.volume;
        self.log.write_changes(self.data.store_mut(), &volume, changes, write)?;
        self.log.add_ring_blocks(staged.iter().copied());
        self.data.staged_written(staged);
        Ok(write)
    }

    /// Writes the tree and the entry that names its root. All data were written before.
    fn write_tree(&mut self) -> Result<()> {
        // From here on blocks are held back, and only a tree commit releases them.
        self.log.need_tree();
        self.data.move_ring_blocks(&mut self.log)?;
        self.space_mut().put_bitmaps()?;
        self.space_mut().tree_mut().write_nodes()?;
        self.prepare_entries()?;
        let state = self.state(self.space().tree().root());
        self.space_mut().begin_commit(CommitKind::Tree);
        self.log.write_tree(self.data.store_mut(), &self.header.volume, &state)?;
        self.tree_commits += 1;
        Ok(())
    }

    /// Ensures that the entries of a commit can be written.
    fn prepare_entries(&mut self) -> Result<()> {
        self.store_mut().sealer_mut().reserve_seals(MAX_GROUP)?;
        if self.log.needs_barrier(self.store()) { self.barrier() } else { Ok(()) }
    }

    /// Completes a commit that was written, and makes it durable if `durability` says so.
    fn complete(&mut self, durability: Durability, write: Write) -> Result<()> {
        self.space_mut().tree_mut().clear_changes();
        self.commits += 1;
        match write {
            Write::Through => {
                self.log.synced(self.data.space().tree().store().sealer());
                self.now_durable()
            }
            Write::Back if durability == Durability::Synced || self.log.needs_durable_tree() => {
                self.make_durable()
            }
            Write::Back => Ok(()),
        }
    }

    /// Waits until all commits are durable.
    fn make_durable(&mut self) -> Result<()> {
        self.barrier()?;
        self.now_durable()
    }

    /// Notes that all commits are durable.
    fn now_durable(&mut self) -> Result<()> {
        let what = self.log.now_durable();
        self.space_mut().made_durable(what);
        self.anchor_behind = self.anchor.is_some();
        self.advance_anchor()
    }

    /// Waits until all writes are durable.
    ///
    /// If that fails, nobody knows which writes are durable, and a second attempt would not tell:
    /// systems drop data that they could not write, and then report success. So the volume takes no
    /// more changes. The last commit that succeeded is whole.
    fn barrier(&mut self) -> Result<()> {
        let result = self.sync();
        match result {
            Ok(()) => Ok(()),
            Err(error) => self.health_mut().stop(error),
        }
    }

    /// Waits until all writes are durable.
    fn sync(&mut self) -> Result<()> {
        self.store_mut().sync()?;
        self.log.synced(self.data.space().tree().store().sealer());
        Ok(())
    }

    /// Compares the state that a mount found with the anchor's mark.
    pub(crate) fn check_anchor(&mut self, chain: &Chain) -> Result<()> {
        let found = chain.last().mark;
        let Some(anchor) = &mut self.anchor else { return Ok(()) };
        let Some(mark) = anchor.newest(&self.header.volume)? else {
            self.anchor_behind = true;
            return Ok(());
        };
        if found.sequence < mark.sequence {
            return Err(Error::Older { found: found.sequence, mark });
        }
        // A crash may have come between one commit and its mark, but not between several: no commit
        // begins before the anchor has the mark of the last durable one.
        if !chain.knows(&mark) {
            return Err(Error::Diverged { found: found.sequence, mark });
        }
        self.anchor_behind = found != mark;
        Ok(())
    }

    /// Whether the anchor does not have the mark of the newest durable commit.
    pub(crate) fn is_anchor_behind(&self) -> bool {
        self.anchor_behind
    }

    /// Gives the mark of the last durable commit to the anchor, unless the anchor has it.
    fn advance_anchor(&mut self) -> Result<()> {
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

    /// Commits the tree, and cuts the free blocks at the end off the storage. It always commits the
    /// tree twice: the second commit says that the first one is durable, so the next mount need not
    /// check all blocks of the first one.
    pub(crate) fn cut_end(&mut self) -> Result<()> {
        self.commit_tree(Durability::Synced)?;
        let end = self.space_mut().used_end()?;
        let shorter = end.0 < self.space().blocks();
        self.space_mut().shrink_to(end)?;
        self.commit_tree(if shorter { Durability::Synced } else { Durability::HandedOver })?;
        // The storage may also be too long because of a crash between an earlier commit and its
        // cut.
        self.store_mut().cut_to_volume()
    }
}

#[cfg(test)]
impl Engine {
    /// Makes the next commit a tree commit.
    pub(crate) fn need_tree(&mut self) {
        self.log.need_tree();
    }
}
