//! Making and opening volumes.

pub(crate) mod recovery;
pub(crate) mod verify;

use crate::alloc::Space;
use crate::cache::Cache;
use crate::change_set::Redo;
use crate::crypto::{Sealer, SecretKey, derive, random, random_key};
use crate::dropped::Dropped;
use crate::error::{Error, Result};
use crate::format::attributes::ROOT;
use crate::format::block::{
    HEADER_COPIES, HEADER_START, Kind, MAX_BLOCKS, RESERVED_BLOCKS, is_in_ring, offset,
};
use crate::format::identity::VolumeId;
use crate::format::item::{Key, Subject};
use crate::format::pointer::Pointer;
use crate::format::record::State;
use crate::format::{extents, node as page};
use crate::header::key_slot::{NewSlot, Slot, Unlock};
use crate::header::{Header, MAX_SLOTS, describe};
use crate::inode_table::Inodes;
use crate::log::{Chain, Entries, Log, Net, Newer, Tolerance};
use crate::mount::recovery::Recovery;
use crate::mount::verify::Cut;
use crate::sealed_store::Store;
use crate::storage::Storage;
use crate::volume::{Options, Volume, cache_blocks};
use crate::{header, sealed_store};
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
        if slots.is_empty() || slots.len() > MAX_SLOTS {
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
        // Whatever was there is no volume any more. What is there if this is cut short, says so.
        store.write(HEADER_START, &header::unfinished()[..])?;
        let empty = vec![0; offset(RESERVED_BLOCKS - 1) as usize];
        store.write(HEADER_START + 1, &empty)?;
        let root = Pointer::unsealed(0);
        let state = State {
            blocks: RESERVED_BLOCKS + 1,
            used: RESERVED_BLOCKS,
            next_inode: ROOT,
            header: header.mac(&key),
            root,
            levels: 1,
            log: 0,
        };
        let log = Log::new(&store.sealer);
        let options = Options { read_only: false, ..options };
        let mut volume = Self::assemble(store, header, &key, &state, log, options);
        volume.init_root(RESERVED_BLOCKS)?;
        volume.fill_reserve()?;
        volume.new_inode(FileKind::Directory, 0, ROOT)?;
        volume.commit_tree(true)?;
        // The header is last, so that a volume is there whole or not at all; and its first copy, which
        // says until then that the volume is unfinished, is the very last.
        for copy in (0..HEADER_COPIES).rev() {
            volume.write_header(copy)?;
        }
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
        let size = sealed_store::size(&mut *storage)?;
        let needed = offset(RESERVED_BLOCKS);
        let copies = describe::headers(&mut *storage, size)?;
        let unlocked = header::open(&copies, unlock).map_err(|error| match error {
            Error::NotAVolume if describe::is_blank(&mut *storage, size) => Error::Unfinished,
            error => error,
        })?;
        if size < needed {
            return Err(Error::Truncated { size, needed });
        }
        let mut store = Store::new(storage, Sealer::new(unlocked.key.clone())?);
        let tolerance = if options.repair { Tolerance::Damage } else { Tolerance::None };
        let volume = unlocked.volume();
        let entries = Entries::read(&mut store, &volume, tolerance)?;
        let found = newest(&mut store, &entries, size, tolerance)?;
        let chain = &found.chain;
        let (tree, last) = (&chain.tree, chain.last());
        let header = unlocked.header(&last.state.header)?;
        let dropped = Dropped::new(last.mark.sequence, &found.newer, found.durable);
        if let Some(dropped) = dropped.filter(Dropped::is_loss)
            && !options.read_only
            && !options.repair
        {
            return Err(Error::Lossy(dropped));
        }
        let state = State {
            used: tree.state.used,
            root: tree.state.root,
            levels: tree.state.levels,
            log: tree.state.log,
            ..last.state
        };
        check_state(&state, size)?;
        check_numbers(&entries)?;
        let log = Log::resume(&store.sealer, chain, &entries);
        let recovery = found.recovery(!unlocked.is_twice(&last.state.header));
        let repaired = options.repair && dropped.is_some();
        let key = unlocked.key.clone();
        let mut volume = Self::assemble(store, header, &key, &state, log, options);
        volume.dropped = dropped;
        volume.recovery = Some(recovery);
        volume.check_anchor(&found.chain)?;
        volume.replay(&found.chain)?;
        if !volume.read_only {
            volume.begin_mount(repaired)?;
        }
        Ok(volume)
    }

    fn assemble(
        store: Store,
        header: Header,
        key: &SecretKey,
        state: &State,
        log: Log,
        options: Options,
    ) -> Self {
        Volume {
            store,
            cache: Cache::new(cache_blocks(options.cache_bytes)),
            header,
            header_mac: state.header,
            names_key: derive(&**key, "twine volume 3: names", &[]),
            root: state.root,
            levels: state.levels,
            log_root: state.root,
            log_levels: state.levels,
            space: Space::new(state.blocks, state.used),
            redo: Redo::default(),
            log,
            inodes: Inodes::new(state.next_inode),
            pending_truncations: HashMap::new(),
            read_only: options.read_only,
            recovery: None,
            dropped: None,
            anchor: options.anchor,
            anchor_behind: false,
            clock: options.clock,
            stopped: false,
            has_uncommitted: false,
            first_error: None,
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
        let malformed = || Error::damaged("a key in the log is malformed");
        let net = Net::of(chain)?;
        self.claim_blocks(&net)?;
        for encoded in &net.keys {
            let key = Key::decode(encoded).ok_or_else(malformed)?;
            if key.subject == Subject::Extents {
                let changes: Vec<(usize, Option<Pointer>)> = (0..extents::GROUP as usize)
                    .filter_map(|place| Some((place, *net.pointers.get(&(*encoded, place))?)))
                    .collect();
                self.set_pointers(&key, &changes)?;
            } else {
                match net.items.get(encoded) {
                    Some(Some(value)) => self.put(&key, value)?,
                    _ => self.remove(&key).map(drop)?,
                }
            }
        }
        self.space.claimed.clear();
        self.redo.clear();
        Ok(())
    }

    /// Marks as in use what the log refers to, but for what is in its own ring.
    fn claim_blocks(&mut self, net: &Net<'_>) -> Result<()> {
        let mut ring_blocks = Vec::new();
        for ((key, place), pointer) in &net.pointers {
            match pointer {
                Some(pointer) if is_in_ring(pointer.block) => {
                    if let Some(key) = Key::decode(key) {
                        ring_blocks.push((key.inode, extents::first_block(&key)? + *place as u64));
                    }
                }
                Some(pointer) => self.claim(pointer.block)?,
                None => {}
            }
        }
        self.log.add_ring_blocks(ring_blocks);
        Ok(())
    }

    /// Does what does not wait for the first change.
    fn begin_mount(&mut self, repaired: bool) -> Result<()> {
        if self.anchor_behind {
            // An anchor is told of a state that is durable.
            self.begin_changes()?;
        }
        if repaired {
            self.commit_tree(true)?;
        }
        if let Err(error) = self.clean_orphans() {
            self.record_error(&error);
        }
        Ok(())
    }
}

/// The newest state that is whole.
struct Found {
    chain: Chain,
    /// Blocks of it that are not known to be durable.
    unsure: Vec<(Kind, Pointer)>,
    /// The largest number of a commit that is known to have been durable.
    durable: u64,
    newer: Newer,
}

impl Found {
    /// What must be done before anything is written. `header`: a copy of it is not the one that counts.
    fn recovery(&self, header: bool) -> Recovery {
        let unsure = self.chain.groups().filter(|group| group.mark.sequence > self.durable);
        Recovery {
            blocks: self.unsure.clone(),
            entries: unsure.flat_map(|group| group.entries.iter().copied()).collect(),
            dropped: self.newer.blocks.clone(),
            header,
        }
    }
}

/// Finds the newest state that is whole.
fn newest(store: &mut Store, entries: &Entries, size: u64, tolerance: Tolerance) -> Result<Found> {
    let mut needed = 0;
    for root in entries.roots(tolerance)? {
        let mut chain = Chain::read(entries, root, tolerance)?;
        match verify::cut_to_whole(store, &mut chain, size, tolerance)? {
            Cut::Whole(unsure) => {
                let (durable, newer) = (entries.durable_commit(), entries.newer_than(&chain));
                return Ok(Found { chain, unsure, durable, newer });
            }
            Cut::Nothing { blocks } => needed = needed.max(blocks),
        }
    }
    match offset(needed.min(MAX_BLOCKS)) {
        needed if needed > size => Err(Error::Truncated { size, needed }),
        _ => Err(Error::NoState),
    }
}

/// Numbers of entries and roots are smaller than this: a mount counts on.
const MAX_NUMBERS: u64 = 1 << 62;

fn check_numbers(entries: &Entries) -> Result<()> {
    let (sequence, tree) = entries.largest();
    let largest = sequence.max(tree).max(entries.durable_commit());
    match largest < MAX_NUMBERS {
        true => Ok(()),
        false => Err(Error::damaged("the numbers of the log are used up")),
    }
}

fn check_state(state: &State, size: u64) -> Result<()> {
    let whole = state.blocks > RESERVED_BLOCKS
        && state.blocks < MAX_BLOCKS
        && (1..=page::MAX_LEVELS).contains(&state.levels)
        && state.next_inode > ROOT
        && state.used <= state.blocks;
    if !whole {
        return Err(Error::damaged("the state in the log is malformed"));
    }
    let needed = offset(state.blocks);
    if size < needed {
        return Err(Error::Truncated { size, needed });
    }
    Ok(())
}
