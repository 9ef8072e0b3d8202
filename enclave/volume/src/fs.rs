//! The volume as a file system: names, files, and removal.

mod directory;
mod file_io;
mod filesystem;
mod names;
mod orphan;
mod rename;

pub(crate) use directory::TARGET_PIECES;
pub(crate) use names::Names;

use crate::alloc::Space;
use crate::commit::Engine;
use crate::crypto::SecretKey;
use crate::data::Data;
use crate::error::Result;
#[cfg(test)]
use crate::format::item::Key;
use crate::format::numbers::InodeNo;
use crate::health::Health;
use crate::inode_table::Inodes;
use std::collections::{BTreeSet, HashMap};

/// A file tree.
pub(crate) struct Files {
    engine: Engine,
    /// The key for the hashes of names.
    names_key: SecretKey,
    /// Files with pointers after their end that were not removed yet, and the first such block.
    pending_truncations: HashMap<InodeNo, u64>,
    /// Directories in which a wrong entry was found, which is withheld from programs.
    damaged: BTreeSet<InodeNo>,
}

impl Files {
    pub(crate) fn new(engine: Engine, names_key: SecretKey) -> Self {
        Files { engine, names_key, pending_truncations: HashMap::new(), damaged: BTreeSet::new() }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn engine_mut(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// A reader for the names of this volume.
    pub(crate) fn names(&self) -> Names {
        Names::new(&self.names_key)
    }

    fn data(&mut self) -> &mut Data {
        self.engine.data_mut()
    }

    fn inodes(&mut self) -> &mut Inodes {
        self.engine.inodes_mut()
    }

    fn space(&mut self) -> &mut Space {
        self.engine.space_mut()
    }

    fn health(&mut self) -> &mut Health {
        self.engine.health_mut()
    }

    fn check_writable(&self) -> Result<()> {
        self.engine.check_writable()
    }
}

#[cfg(test)]
impl Files {
    /// Returns the least key that a name may have.
    pub(crate) fn name_key(&self, directory: InodeNo, name: &str) -> Key {
        names::first_key(&self.names_key, directory, name)
    }
}
