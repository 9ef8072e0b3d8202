//! The tree: items in nodes, from the root down.
//!
//! A node is read and checked when it is needed, changed in the cache, and written with all other
//! dirty nodes. The tree takes blocks for nodes from its [pool](crate::pool), and leaves blocks there;
//! it does not know which blocks of the storage are free.

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

/// The tree, and what is below it: the storage and the cache, which also hold blocks of files.
pub(crate) struct Tree {
    store: SealedStore,
    cache: Cache,
    pool: Pool,
    root: Root,
    /// Items that differ from the last commit's.
    changes: ChangeSet,
    health: Health,
    /// Ciphertext on its way to the storage.
    scratch: Vec<u8>,
}

impl Tree {
    /// The tree below a root.
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

    /// Begins an empty tree, whose root will lie in a block that is in use already.
    pub(crate) fn init_root(&mut self, block: BlockNo) {
        let frame = self.cache.put_node(block, Node::empty(zeroed(), 0));
        self.cache.mark_node_dirty(frame);
        self.root = Root { pointer: Pointer::unsealed(block), levels: 1 };
    }

    /// The root as it is now. It has no seal while there are dirty nodes.
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

    /// Both at once.
    pub(crate) fn store_and_cache(&mut self) -> (&mut SealedStore, &mut Cache) {
        (&mut self.store, &mut self.cache)
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    pub(crate) fn pool_mut(&mut self) -> &mut Pool {
        &mut self.pool
    }

    /// What differs from the last commit.
    pub(crate) fn changes(&self) -> &ChangeSet {
        &self.changes
    }

    /// What differs from the last commit was committed, or is what the log lists.
    pub(crate) fn clear_changes(&mut self) {
        self.changes.clear();
    }

    pub(crate) fn health(&self) -> &Health {
        &self.health
    }

    pub(crate) fn health_mut(&mut self) -> &mut Health {
        &mut self.health
    }

    /// Refuses changes to a volume that can't be changed.
    pub(crate) fn check_writable(&self) -> Result<()> {
        if self.store.access() == Access::ReadOnly {
            return Err(twine_vfs::Error::ReadOnly.into());
        }
        if self.health.is_stopped() { Err(Error::Stopped) } else { Ok(()) }
    }
}

#[cfg(test)]
impl Tree {
    /// Puts another root in place of the tree's.
    pub(crate) fn replace_root(&mut self, root: Root) {
        self.root = root;
    }
}
