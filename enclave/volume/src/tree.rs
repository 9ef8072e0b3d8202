//! The B+tree: items in nodes.
//!
//! A node is read and checked when it is needed, changed in the cache, and written together with
//! all other dirty nodes. The tree takes blocks for nodes from its [pool](crate::pool), and leaves
//! the blocks of replaced nodes there. It does not know which blocks of the storage are free.

mod edit;
mod range;
mod read;
mod write;

pub(crate) use range::Range;
pub(crate) use read::Step;

use crate::cache::Cache;
use crate::change_set::ChangeSet;
use crate::error::{Error, Result};
use crate::format::block::{BlockNo, zeroed};
use crate::format::node::Node;
use crate::format::pointer::Pointer;
use crate::format::root::Root;
use crate::health::Health;
use crate::pool::Pool;
use crate::sealed_store::{Access, SealedStore};

/// The tree, with the storage and the cache below it, which also hold blocks of files.
pub(crate) struct Tree {
    store: SealedStore,
    cache: Cache,
    pool: Pool,
    root: Root,
    /// Items that have changed since the last commit.
    changes: ChangeSet,
    health: Health,
    /// Buffer for ciphertext that is about to be written.
    scratch: Vec<u8>,
}

impl Tree {
    /// A tree with the given root.
    pub(crate) fn new(store: SealedStore, cache: Cache, root: Root) -> Self {
        Tree {
            store,
            cache,
            pool: Pool::default(),
            root,
            changes: ChangeSet::default(),
            health: Health::default(),
            scratch: Vec::new(),
        }
    }

    /// Begins an empty tree. Its root will lie in `block`, which is already marked as in use.
    pub(crate) fn init_root(&mut self, block: BlockNo) {
        let frame = self.cache.put_node(block, Node::empty(zeroed(), 0));
        self.cache.mark_node_dirty(frame);
        self.root = Root { pointer: Pointer::unsealed(block), levels: 1 };
    }

    /// Returns the root. Its pointer is unsealed while there are dirty nodes.
    pub(crate) fn root(&self) -> Root {
        self.root
    }

    pub(crate) fn store(&self) -> &SealedStore {
        &self.store
    }

    pub(crate) fn store_mut(&mut self) -> &mut SealedStore {
        &mut self.store
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    pub(crate) fn cache_mut(&mut self) -> &mut Cache {
        &mut self.cache
    }

    /// Returns the storage and the cache together.
    pub(crate) fn store_and_cache(&mut self) -> (&mut SealedStore, &mut Cache) {
        (&mut self.store, &mut self.cache)
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn pool_mut(&mut self) -> &mut Pool {
        &mut self.pool
    }

    /// Returns the items that have changed since the last commit.
    pub(crate) fn changes(&self) -> &ChangeSet {
        &self.changes
    }

    /// Forgets the changed items, because a commit contains them.
    pub(crate) fn clear_changes(&mut self) {
        self.changes.clear();
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    pub(crate) fn health_mut(&mut self) -> &mut Health {
        &mut self.health
    }

    /// Returns an error if the volume cannot be changed.
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.store.access() == Access::ReadOnly {
            return Err(twine_vfs::Error::ReadOnly.into());
        }
        if self.health.is_stopped() { Err(Error::Stopped) } else { Ok(()) }
    }
}

#[cfg(test)]
impl Tree {
    /// Replaces the root.
    pub(crate) fn replace_root(&mut self, root: Root) {
        self.root = root;
    }
}
