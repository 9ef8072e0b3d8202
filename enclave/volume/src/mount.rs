//! Creates and opens volumes.

mod find;
mod verify;

use crate::alloc::Space;
use crate::cache::Cache;
use crate::commit::{Engine, Parts, Recovery};
use crate::crypto::{Sealer, derive, random, random_key};
use crate::data::Data;
use crate::dropped::Dropped;
use crate::durability::Durability;
use crate::error::{Error, Result};
use crate::format::block::{FIRST_FREE, HEADER_START, RESERVED_BLOCKS, bytes_of};
use crate::format::identity::VolumeId;
use crate::format::numbers::{InodeNo, to_usize};
use crate::format::pointer::Pointer;
use crate::format::record::State;
use crate::format::ring::RingPlace;
use crate::format::root::Root;
use crate::fs::Files;
use crate::header::key_slot::{KeySlot, NewSlot, Unlock};
use crate::header::{Header, MAX_SLOTS, describe};
use crate::inode_table::Inodes;
use crate::log::{Entries, Log, Tolerance};
use crate::sealed_store::{Access, SealedStore};
use crate::storage::Storage;
use crate::tree::Tree;
use crate::volume::{Options, Volume, cache_blocks};
use crate::{header, sealed_store};
use twine_vfs::FileKind;

impl Volume {
    /// Creates an empty volume in a storage, and overwrites what the storage holds. Each of `slots`
    /// opens the volume.
    ///
    /// # Errors
    /// [`Error::Invalid`] without slots or with more than 15. Also fails if the storage fails or
    /// the system gives no random bytes. After an error the storage holds no volume.
    pub fn create(storage: Box<dyn Storage>, slots: &[NewSlot], options: Options) -> Result<Self> {
        if slots.is_empty() || slots.len() > MAX_SLOTS {
            return Err(Error::Invalid("a volume has 1 to 15 key slots"));
        }
        let key = random_key()?;
        let mut volume = VolumeId([0; 16]);
        random(&mut volume.0)?;
        let slots = (0..)
            .zip(slots)
            .map(|(number, slot)| KeySlot::new(slot, number, &volume, &key))
            .collect::<Result<Vec<KeySlot>>>()?;
        #[expect(clippy::cast_possible_truncation, reason = "checked above: at most `MAX_SLOTS`")]
        let next_slot = slots.len() as u32;
        let header = Header { volume, generation: 1, next_slot, slots };
        let mut store = SealedStore::new(storage, Sealer::new(key.clone())?, Access::Write);
        store.grow(RESERVED_BLOCKS + 1)?;
        // An earlier volume ends here. If a crash interrupts the creation, this block says so.
        store.write(HEADER_START, &header::unfinished()[..])?;
        let empty = vec![0; to_usize(bytes_of(RESERVED_BLOCKS - 1))];
        store.write(HEADER_START + 1, &empty)?;
        let root = Root { pointer: Pointer::unsealed(FIRST_FREE), levels: 1 };
        let state = State {
            blocks: RESERVED_BLOCKS + 1,
            used: RESERVED_BLOCKS,
            next_inode: InodeNo::ROOT,
            header: header.mac(&key),
            root,
            log: RingPlace::default(),
        };
        let log = Log::new(store.sealer(), root);
        let mut engine = assemble(store, header, &state, log, None, options);
        let space = engine.space_mut();
        space.tree_mut().init_root(FIRST_FREE);
        space.claim(FIRST_FREE)?;
        space.end_claims();
        space.fill_pool()?;
        engine.inodes_mut().create(FileKind::Directory, 0, InodeNo::ROOT)?;
        engine.commit_tree(Durability::Synced)?;
        // The header is written last, so that the volume is there whole or not at all. Its first
        // copy is the very last block, because until then it says that the volume is unfinished.
        engine.store_new_header()?;
        Ok(Volume::new(files(engine), None))
    }

    /// Opens the volume in a storage.
    ///
    /// # Errors
    /// The [`Error`] says whether the storage, the keys or the volume are at fault.
    pub fn open(
        mut storage: Box<dyn Storage>,
        unlock: &mut dyn Unlock,
        options: Options,
    ) -> Result<Self> {
        let size = sealed_store::size(&mut *storage)?;
        let needed = bytes_of(RESERVED_BLOCKS);
        let copies = describe::headers(&mut *storage, size)?;
        let unlocked = header::open(&copies, unlock).map_err(|error| match error {
            Error::NotAVolume if describe::is_blank(&mut *storage, size) => Error::Unfinished,
            error => error,
        })?;
        if size < needed {
            return Err(Error::Truncated { size, needed });
        }
        let access = if options.read_only { Access::ReadOnly } else { Access::Write };
        let repair = options.repair;
        let mut store = SealedStore::new(storage, Sealer::new(unlocked.key.clone())?, access);
        let tolerance = if repair { Tolerance::Damage } else { Tolerance::None };
        let entries = Entries::read(&mut store, &unlocked.volume(), tolerance)?;
        let found = find::newest(&mut store, &entries, size, tolerance)?;
        let chain = &found.chain;
        let (tree, last) = (&chain.tree, chain.last());
        let header = unlocked.header(&last.state.header, unlock)?;
        let dropped = found.dropped();
        if let Some(dropped) = dropped.filter(Dropped::is_loss)
            && access == Access::Write
            && !repair
        {
            return Err(Error::Lossy(dropped));
        }
        let state = State {
            used: tree.state.used,
            root: tree.state.root,
            log: tree.state.log,
            ..last.state
        };
        find::check_state(&state, size)?;
        find::check_numbers(&entries)?;
        let log = Log::resume(store.sealer(), chain, &entries);
        let recovery = found.recovery(!unlocked.is_twice(&last.state.header));
        let mut engine = assemble(store, header, &state, log, Some(recovery), options);
        engine.check_anchor(chain)?;
        engine.replay(chain)?;
        let mut files = files(engine);
        if access == Access::Write {
            begin_mount(&mut files, repair && dropped.is_some())?;
        }
        Ok(Volume::new(files, dropped))
    }
}

/// Assembles the layers.
fn assemble(
    mut store: SealedStore,
    header: Header,
    state: &State,
    log: Log,
    recovery: Option<Recovery>,
    options: Options,
) -> Engine {
    store.assume_blocks(state.blocks);
    let tree = Tree::new(store, Cache::new(cache_blocks(options.cache_bytes)), state.root);
    let inodes = Inodes::new(Space::new(tree, state.used), state.next_inode, options.clock);
    Engine::new(Parts {
        data: Data::new(inodes),
        log,
        header,
        header_mac: state.header,
        recovery,
        anchor: options.anchor,
    })
}

/// Adds the file system to an engine.
fn files(engine: Engine) -> Files {
    let names_key = derive(&**engine.volume_key(), "twine volume 3: names", &[]);
    Files::new(engine, names_key)
}

/// Makes the changes that do not wait for the first change by the user. `repaired`: the mount
/// dropped commits for good.
fn begin_mount(files: &mut Files, repaired: bool) -> Result<()> {
    let engine = files.engine_mut();
    if engine.is_anchor_behind() {
        // An anchor learns only of durable states.
        engine.recover()?;
    }
    if repaired {
        engine.commit_tree(Durability::Synced)?;
    }
    if let Err(error) = files.clean_orphans() {
        files.engine_mut().health_mut().record_error(&error);
    }
    Ok(())
}
