//! Commits: making all that has changed durable, at once or not at all.
//!
//! What has changed little since the last commit goes into the log, item by item, and the
//! tree stays dirty in memory. When the log or the list is full, the tree is written, and
//! the log begins anew behind an entry that names its root.
//!
//! A commit without a barrier is for the end of this process only: what was written is the
//! operating system's then, and nothing but the machine's end can lose it.
//!
//! All commits are made here, and all barriers. What is below does neither: the allocator says
//! when only a commit could give it blocks.

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

/// With more dirty nodes than this the tree is written, so that the memory that replaying
/// the log takes is bounded whatever the cache.
const MAX_DIRTY_NODES: usize = 512;

/// How a commit is written.
enum Plan {
    /// There is nothing to be written.
    Nothing,
    /// Into the log: these changes, encoded.
    Log(Vec<u8>),
    /// With the tree.
    Tree,
}

/// What takes changes and makes them durable.
pub(crate) struct Engine {
    data: Data,
    log: Log,
    header: Header,
    header_mac: HeaderMac,
    /// What must be done before anything is written.
    recovery: Option<Recovery>,
    anchor: Option<Box<dyn Anchor>>,
    /// The anchor has not taken the newest mark.
    anchor_behind: bool,
    /// Something was changed since the last commit was written.
    has_uncommitted: bool,
    commits: u64,
    tree_commits: u64,
}

/// What a mount found.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    /// Nodes and data that are not known to be durable.
    pub(crate) blocks: Vec<(Kind, Pointer)>,
    /// Entries of the log that are not: their blocks, and their tags. Both copies of a root are
    /// among them.
    pub(crate) entries: Vec<(BlockNo, Tag)>,
    /// Blocks with entries of commits that were dropped.
    pub(crate) dropped: Vec<BlockNo>,
    /// A copy of the header is not the one that counts.
    pub(crate) header: bool,
}

/// What an [`Engine`] is made of.
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

    /// The header of the volume.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// The key of the volume, under which all others are made.
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

    /// Refuses changes to a volume that can't be changed.
    pub(crate) fn check_writable(&self) -> Result<()> {
        self.space().tree().check_writable()
    }

    /// The last commit that is known to be durable.
    pub(crate) fn durable(&self) -> Mark {
        self.log.durable()
    }

    /// The copies of the entry that names the newest root: their blocks, and their tags.
    pub(crate) fn root_entry(&self) -> &[(BlockNo, Tag)] {
        self.log.root_entry()
    }

    /// Commits of this mount.
    pub(crate) fn commits(&self) -> u64 {
        self.commits
    }

    /// Whether something was changed since the last commit.
    pub(crate) fn has_uncommitted(&self) -> bool {
        self.has_uncommitted
    }

    /// Something was changed that needs no room.
    pub(crate) fn has_changed(&mut self) {
        self.has_uncommitted = true;
    }

    /// What it has done since it was made.
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

    /// Makes everything durable. Nothing happens if nothing has changed.
    pub(crate) fn commit(&mut self) -> Result<()> {
        self.check_writable()?;
        self.recover()?;
        self.advance_anchor()?;
        self.commit_changes(Durability::Synced)
    }

    /// Hands all changes to the storage, so that they survive the end of this process.
    /// While an anchor is behind there is no commit, so that it is never behind by two.
    pub(crate) fn hand_over(&mut self) -> Result<()> {
        if !self.has_uncommitted || self.check_writable().is_err() || self.anchor_behind {
            return Ok(());
        }
        self.recover()?;
        self.commit_changes(Durability::HandedOver)
    }

    /// Writes the tree with all that has changed, and commits it; with a barrier, if it shall be
    /// durable, which it may have anyway.
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
            // What was staged and not written is still dirty, and will go elsewhere.
            self.log.forget_staged();
            self.has_uncommitted = true;
        }
        result
    }

    /// Commits after all data but what was staged was written.
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
                // What was staged is still dirty, and goes elsewhere.
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

    /// Dirty nodes that are kept before the tree is written.
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

    /// All that has changed since the last commit, if it is little enough for the log.
    fn changes(&mut self) -> Result<Option<Vec<u8>>> {
        let most = to_usize(MAX_GROUP) * PAYLOAD_BYTES;
        let Some(items) = self.space().tree().changes().items() else { return Ok(None) };
        let items: Vec<_> = items.map(|(key, mask)| (*key, mask)).collect();
        let mut bytes = Vec::with_capacity(STATE_BYTES + 128 * items.len());
        // The state names the root that the log's entries build on, not the one in memory.
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

    /// Writes changes, and the blocks that were staged, into the log; how.
    fn write_log(
        &mut self,
        durability: Durability,
        changes: &[u8],
        staged: &[FileBlock],
    ) -> Result<Write> {
        self.prepare_entries()?;
        // Often nothing else waits for the barrier: then it is one step.
        let through = durability == Durability::Synced && !self.store().is_unsynced();
        let write = if through { Write::Through } else { Write::Back };
        self.space_mut().begin_commit(CommitKind::Log);
        let volume = self.header.volume;
        self.log.write_changes(self.data.store_mut(), &volume, changes, write)?;
        self.log.add_ring_blocks(staged.iter().copied());
        self.data.staged_written(staged);
        Ok(write)
    }

    /// Writes the tree, and the entry that names its root. All data were written.
    fn write_tree(&mut self) -> Result<()> {
        // From here on blocks are held back, which only a commit like this one ends.
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

    /// Sees to it that entries of a commit can be written.
    fn prepare_entries(&mut self) -> Result<()> {
        self.store_mut().sealer_mut().reserve_seals(MAX_GROUP)?;
        if self.log.needs_barrier(self.store()) { self.barrier() } else { Ok(()) }
    }

    /// A commit was written; makes it as durable as it shall be.
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

    /// All commits are durable.
    fn now_durable(&mut self) -> Result<()> {
        let what = self.log.now_durable();
        self.space_mut().made_durable(what);
        self.anchor_behind = self.anchor.is_some();
        self.advance_anchor()
    }

    /// Waits until all that was written is durable.
    ///
    /// If that fails, nobody knows what of it is, and asking again would not tell: systems
    /// drop what they could not write and then report success. So the volume takes no more
    /// changes; the last commit that succeeded is whole.
    fn barrier(&mut self) -> Result<()> {
        let result = self.sync();
        match result {
            Ok(()) => Ok(()),
            Err(error) => self.health_mut().stop(error),
        }
    }

    /// Waits until all that was written is durable.
    fn sync(&mut self) -> Result<()> {
        self.store_mut().sync()?;
        self.log.synced(self.data.space().tree().store().sealer());
        Ok(())
    }

    /// Compares the state that a mount has found with what the anchor remembers.
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
        // A crash may have come between a commit and its mark, but not between several: no
        // commit is begun while the anchor does not know of the last durable one.
        if !chain.knows(&mark) {
            return Err(Error::Diverged { found: found.sequence, mark });
        }
        self.anchor_behind = found != mark;
        Ok(())
    }

    /// Whether the anchor does not know the newest durable state.
    pub(crate) fn is_anchor_behind(&self) -> bool {
        self.anchor_behind
    }

    /// Tells the anchor of the last durable commit, if it does not know it yet.
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

    /// Commits the tree, and gives back the free blocks at the end of the storage. Once more
    /// it is committed in any case, since a mount takes a commit that another one follows
    /// for durable, and does not look at all its blocks.
    pub(crate) fn cut_end(&mut self) -> Result<()> {
        self.commit_tree(Durability::Synced)?;
        let end = self.space_mut().used_end()?;
        let shorter = end.0 < self.space().blocks();
        self.space_mut().shrink_to(end)?;
        self.commit_tree(if shorter { Durability::Synced } else { Durability::HandedOver })?;
        // It is longer than the volume, too, where a crash came between the two.
        self.store_mut().cut_to_volume()
    }
}

#[cfg(test)]
impl Engine {
    /// The next commit writes the tree.
    pub(crate) fn need_tree(&mut self) {
        self.log.need_tree();
    }
}
