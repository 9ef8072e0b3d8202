//! Making and opening volumes.

use crate::anchor::Mark;
use crate::block::{HEADER_START, MOST_BLOCKS, RESERVED_BLOCKS, offset};
use crate::cache::Cache;
use crate::crypto::{Key, Sealer, derive, random, random_key};
use crate::describe;
use crate::error::{Error, Result};
use crate::extents;
use crate::header::{self, Header, MOST_SLOTS};
use crate::inode::{Inodes, ROOT};
use crate::log::{self, Chain, Log, Net, State};
use crate::page::{self, Subject};
use crate::pointer::Pointer;
use crate::redo::Redo;
use crate::slot::{NewSlot, Slot, Unlock};
use crate::space::Space;
use crate::storage::Storage;
use crate::store::{self, Store};
use crate::verify;
use crate::volume::{Options, Volume, VolumeId, cache_blocks};
use std::collections::HashMap;
use twine_files::FileKind;

impl Volume {
    /// Makes a new, empty volume in a storage, whatever that holds, with slots for the keys
    /// that shall open it.
    ///
    /// # Errors
    /// [`Error::Invalid`] without slots or with more than 15; when the storage fails, or
    /// there are no random bytes. The storage then holds no volume.
    pub fn create(storage: Box<dyn Storage>, slots: &[NewSlot], options: Options) -> Result<Self> {
        if slots.is_empty() || slots.len() > MOST_SLOTS {
            return Err(Error::Invalid("a volume has 1 to 15 key slots"));
        }
        let key = random_key()?;
        let mut volume = VolumeId([0; 16]);
        random(&mut volume.0)?;
        let slots = (0..)
            .zip(slots)
            .map(|(number, slot)| Slot::new(slot, number, &volume, &key))
            .collect::<Result<Vec<Slot>>>()?;
        let next_slot = slots.len() as u32;
        let header = Header { volume, generation: 1, next_slot, slots };
        let mut store = Store::new(storage, Sealer::new(key.clone())?);
        store.set_blocks(RESERVED_BLOCKS + 1)?;
        // Whatever was there is no volume any more.
        let empty = vec![0; offset(RESERVED_BLOCKS) as usize];
        store.write(HEADER_START, &empty)?;
        let root = Pointer::unsealed(0);
        let state = State {
            blocks: RESERVED_BLOCKS + 1,
            used: RESERVED_BLOCKS,
            next_inode: ROOT,
            header_generation: 1,
            root,
            levels: 1,
            log: 0,
            durable: Mark { sequence: 0, tag: [0; 16] },
        };
        let log = Log::new(&store.sealer);
        let options = Options { read_only: false, ..options };
        let mut volume = Self::assemble(store, header, &key, &state, log, options);
        volume.plant(RESERVED_BLOCKS)?;
        volume.fill_ready()?;
        volume.new_inode(FileKind::Directory, 0, ROOT)?;
        volume.write_inodes()?;
        volume.commit_tree(true)?;
        // The header is last, so that a volume is there whole or not at all.
        volume.write_headers()?;
        Ok(volume)
    }

    /// Opens the volume that a storage holds.
    ///
    /// # Errors
    /// [`Error`] says what is wrong: with the storage, the keys, or the volume.
    pub fn open(
        mut storage: Box<dyn Storage>,
        unlock: &mut dyn Unlock,
        options: Options,
    ) -> Result<Self> {
        let size = store::size(&mut *storage)?;
        let needed = offset(RESERVED_BLOCKS);
        let copies = describe::headers(&mut *storage, size)?;
        let (header, key) = header::open(&copies, unlock)?;
        if size < needed {
            return Err(Error::Truncated { size, needed });
        }
        let mut store = Store::new(storage, Sealer::new(key.clone())?);
        let (chain, dropped) = newest(&mut store, &header.volume, size)?;
        let (tree, last) = (&chain.tree, chain.last());
        if header.generation < last.state.header_generation {
            return Err(Error::HeaderOlder);
        }
        let state = State {
            used: tree.state.used,
            root: tree.state.root,
            levels: tree.state.levels,
            log: tree.state.log,
            ..last.state
        };
        check_state(&state, size)?;
        let log = Log::resume(&store.sealer, &chain);
        let mut volume = Self::assemble(store, header, &key, &state, log, options);
        volume.check_anchor(&chain)?;
        volume.replay(&chain)?;
        if !volume.read_only {
            volume.begin_writing(dropped)?;
        }
        Ok(volume)
    }

    fn assemble(
        store: Store,
        header: Header,
        key: &Key,
        state: &State,
        log: Log,
        options: Options,
    ) -> Self {
        Volume {
            store,
            cache: Cache::new(cache_blocks(options.cache_bytes)),
            header,
            names_key: derive(&**key, "twine volume 2: names", &[]),
            root: state.root,
            levels: state.levels,
            log_root: state.root,
            log_levels: state.levels,
            space: Space::new(state.blocks, state.used),
            redo: Redo::default(),
            log,
            inodes: Inodes::new(state.next_inode),
            uncut: HashMap::new(),
            read_only: options.read_only,
            anchor: options.anchor,
            anchor_behind: false,
            clock: options.clock,
            stopped: false,
            unsettled: false,
            trouble: None,
            scratch: Vec::new(),
        }
    }

    /// Compares the state with what the anchor remembers.
    fn check_anchor(&mut self, chain: &Chain) -> Result<()> {
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

    /// Makes the changes that the log lists, in memory.
    fn replay(&mut self, chain: &Chain) -> Result<()> {
        let damaged = || Error::damaged("the log makes no sense");
        let net = Net::of(chain).map_err(|_| damaged())?;
        self.claim_blocks(&net)?;
        for encoded in &net.keys {
            let key = page::Key::decode(encoded).ok_or_else(damaged)?;
            if key.subject == Subject::Extents {
                let changes: Vec<(usize, Option<Pointer>)> = (0..extents::GROUP as usize)
                    .filter_map(|place| Some((place, *net.pointers.get(&(*encoded, place))?)))
                    .collect();
                self.set_pointers(&key, &changes)?;
            } else {
                match net.items.get(encoded) {
                    Some(Some(value)) => self.put(&key, value)?,
                    _ => self.take(&key).map(drop)?,
                }
            }
        }
        self.space.claimed.clear();
        self.redo.clear();
        Ok(())
    }

    /// Marks as in use what the log refers to, but for what is in its own ring.
    fn claim_blocks(&mut self, net: &Net<'_>) -> Result<()> {
        let mut residents = Vec::new();
        for ((key, place), pointer) in &net.pointers {
            match pointer {
                Some(pointer) if log::is_in_ring(pointer.block) => {
                    residents.extend(page::Key::decode(key).map(|key| {
                        (key.inode, key.offset.saturating_mul(extents::GROUP) + *place as u64)
                    }));
                }
                Some(pointer) => self.claim(pointer.block)?,
                None => {}
            }
        }
        self.log.resides(residents);
        Ok(())
    }

    /// Gets ready to write: what this mount relies on must be durable before anything of it
    /// is overwritten, though it was read from a storage that may not have synced it.
    /// If later commits were `dropped`, another one takes their place: they could be whole again,
    /// and come back, once the storage is longer.
    fn begin_writing(&mut self, dropped: bool) -> Result<()> {
        self.store.sync()?;
        self.log.synced(&self.store.sealer);
        self.space.durable(false);
        self.advance_anchor()?;
        if dropped {
            self.replace_dropped()?;
        }
        if let Err(error) = self.clean_orphans() {
            self.note(&error);
        }
        Ok(())
    }

    /// Commits the state as it is; on a full storage with the next commit.
    fn replace_dropped(&mut self) -> Result<()> {
        match self.commit_tree(true) {
            Err(error) if error.is_full() => {
                self.unsettled = true;
                self.note(&error);
                Ok(())
            }
            result => result,
        }
    }
}

/// The newest state that is whole, and whether there were newer ones.
fn newest(store: &mut Store, volume: &VolumeId, size: u64) -> Result<(Chain, bool)> {
    let mut needed = 0;
    for (at, root) in log::roots(store, volume)?.into_iter().enumerate() {
        let mut chain = Chain::read(store, volume, root)?;
        let commits = chain.changes.len();
        let (whole, missing) = verify::cut_to_whole(store, &mut chain, size);
        if whole {
            let dropped = at > 0 || chain.changes.len() < commits;
            return Ok((chain, dropped));
        }
        needed = needed.max(missing);
    }
    match offset(needed.min(MOST_BLOCKS)) {
        needed if needed > size => Err(Error::Truncated { size, needed }),
        _ => Err(Error::NoState),
    }
}

fn check_state(state: &State, size: u64) -> Result<()> {
    let whole = state.blocks >= RESERVED_BLOCKS
        && state.blocks < MOST_BLOCKS
        && (1..=page::MOST_LEVELS).contains(&state.levels)
        && state.next_inode > ROOT
        && state.used <= state.blocks;
    if !whole {
        return Err(Error::damaged("the state in the log makes no sense"));
    }
    let needed = offset(state.blocks);
    if size < needed {
        return Err(Error::Truncated { size, needed });
    }
    Ok(())
}
