//! Making and opening volumes.

use crate::anchor::Mark;
use crate::block::{
    HEADER_START, Kind, LOG_BLOCKS, LOG_START, MOST_BLOCKS, RESERVED_BLOCKS, offset, zeroed,
};
use crate::cache::Cache;
use crate::crypto::{Key, Sealer, derive, random, random_key};
use crate::describe;
use crate::error::{Error, Result};
use crate::extents;
use crate::header::{self, Header, MOST_SLOTS};
use crate::inode::{Inodes, ROOT};
use crate::log::{Chain, Entries, Group, Log, Record, State};
use crate::page::{self, Subject};
use crate::pointer::Pointer;
use crate::redo::Redo;
use crate::slot::{NewSlot, Slot, Unlock};
use crate::space::Space;
use crate::storage::Storage;
use crate::store::{self, Store};
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
        // Whatever was there is no volume any more; and the log's blocks are allocated now
        // rather than one by one at the first syncs.
        let empty = vec![0; offset(LOG_BLOCKS) as usize];
        store.write(HEADER_START, &empty[..offset(LOG_START) as usize])?;
        store.write(LOG_START, &empty)?;
        let root = Pointer::unsealed(0);
        let state = State {
            blocks: RESERVED_BLOCKS + 1,
            used: RESERVED_BLOCKS,
            next_inode: ROOT,
            header_generation: 1,
            root,
            levels: 1,
        };
        let log = Log::new(&store.sealer);
        let options = Options { read_only: false, ..options };
        let mut volume = Self::assemble(store, header, &key, &state, log, options);
        volume.plant(RESERVED_BLOCKS)?;
        volume.fill_ready()?;
        volume.new_inode(FileKind::Directory, 0, ROOT)?;
        volume.write_inodes()?;
        volume.commit_tree()?;
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
        let entries = Entries::read(&mut store, &header.volume)?;
        let mut needed = 0;
        let newest = entries.newest(|group| {
            needed = needed.max(offset(group.state.blocks.min(MOST_BLOCKS)));
            holds(&mut store, group, size)
        });
        let chain = match newest {
            Some(chain) => chain,
            None if needed > size => return Err(Error::Truncated { size, needed }),
            None => return Err(Error::NoState),
        };
        let (Some(tree), Some(last)) = (chain.0.first(), chain.0.last()) else {
            return Err(Error::NoState);
        };
        if header.generation < last.state.header_generation {
            return Err(Error::HeaderOlder);
        }
        let state = State {
            used: tree.state.used,
            root: tree.state.root,
            levels: tree.state.levels,
            ..last.state
        };
        check_state(&state, size)?;
        let log = Log::resume(&store.sealer, &chain).ok_or(Error::NoState)?;
        let mut volume = Self::assemble(store, header, &key, &state, log, options);
        volume.check_anchor(&entries)?;
        volume.replay(&chain)?;
        if !volume.read_only {
            volume.begin_writing()?;
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
            names_key: derive(&**key, "twine volume 1: names", &[]),
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
            trouble: None,
            scratch: Vec::new(),
        }
    }

    /// Compares the state with what the anchor remembers.
    fn check_anchor(&mut self, entries: &Entries) -> Result<()> {
        let found: Mark = self.log.mark();
        let Some(anchor) = &mut self.anchor else { return Ok(()) };
        let Some(mark) = anchor.newest(&self.header.volume)? else {
            self.anchor_behind = true;
            return Ok(());
        };
        if found.sequence < mark.sequence {
            return Err(Error::Older { found: found.sequence, mark });
        }
        // A crash may have come between a commit and its mark, but not between several: the
        // marked entry is still there, and all behind it chain to it.
        if entries.tag(mark.sequence) != Some(mark.tag) {
            return Err(Error::Diverged { found: found.sequence, mark });
        }
        self.anchor_behind = found != mark;
        Ok(())
    }

    /// Makes the changes that the log lists, in memory.
    fn replay(&mut self, chain: &Chain) -> Result<()> {
        let damaged = || Error::damaged("the log makes no sense");
        // Only what is left in the end matters: a block may have been taken, freed and
        // taken again for something else.
        let mut pointers: HashMap<([u8; 17], usize), Option<Pointer>> = HashMap::new();
        let mut items: HashMap<[u8; 17], Option<&[u8]>> = HashMap::new();
        let mut order: Vec<[u8; 17]> = Vec::new();
        let groups: Vec<Vec<Record<'_>>> = chain.0[1..]
            .iter()
            .map(|group| group.records().map_err(|_| damaged()))
            .collect::<Result<_>>()?;
        for record in groups.iter().flatten() {
            match record {
                Record::Put { key, value } => {
                    items.insert(*key, Some(*value));
                    order.push(*key);
                }
                Record::Take { key } => {
                    items.insert(*key, None);
                    order.push(*key);
                    (0..32).for_each(|place| {
                        pointers.insert((*key, place), None);
                    });
                }
                Record::Pointers { key, changed, present, pointers: new } => {
                    let mut new = new.iter();
                    for place in 0..32 {
                        let pointer =
                            if present >> place & 1 != 0 { new.next().copied() } else { None };
                        if changed >> place & 1 != 0 {
                            pointers.insert((*key, place), pointer);
                        }
                    }
                    items.remove(key);
                    order.push(*key);
                }
                Record::Check { .. } => {}
            }
        }
        for pointer in pointers.values().flatten() {
            self.claim(pointer.block)?;
        }
        order.sort_unstable();
        order.dedup();
        for encoded in order {
            let key = page::Key::decode(&encoded).ok_or_else(damaged)?;
            if key.subject == Subject::Extents {
                let changes: Vec<(usize, Option<Pointer>)> = (0..extents::GROUP as usize)
                    .filter_map(|place| Some((place, *pointers.get(&(encoded, place))?)))
                    .collect();
                self.set_pointers(&key, &changes)?;
            } else {
                match items.get(&encoded) {
                    Some(Some(value)) => self.put(&key, value)?,
                    _ => self.take(&key).map(drop)?,
                }
            }
        }
        self.space.claimed.clear();
        self.redo.clear();
        Ok(())
    }

    /// Gets ready to write: what this mount relies on must be durable before anything of it
    /// is overwritten, though it was read from a storage that may not have synced it.
    fn begin_writing(&mut self) -> Result<()> {
        self.store.sync()?;
        self.space.durable(false);
        self.advance_anchor(false)?;
        if let Err(error) = self.clean_orphans() {
            self.note(&error);
        }
        Ok(())
    }
}

/// Whether what a commit relies on is as it left it: the blocks that it wrote, and the
/// storage's length, which may have grown for it.
fn holds(store: &mut Store, group: &Group, size: u64) -> bool {
    if offset(group.state.blocks.min(MOST_BLOCKS)) > size {
        return false;
    }
    let Ok(records) = group.records() else { return false };
    let mut block = zeroed();
    let mut opens = |kind, pointer: &Pointer| store.load(kind, pointer, &mut block).is_ok();
    records.iter().all(|record| match record {
        Record::Pointers { pointers, .. } => {
            pointers.iter().all(|pointer| opens(Kind::Data, pointer))
        }
        Record::Check { kind, pointer } => opens(*kind, pointer),
        Record::Put { .. } | Record::Take { .. } => true,
    })
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
