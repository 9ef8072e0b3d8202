//! Compacts a volume: moves blocks from the end into free blocks, so that the end of the storage
//! can be cut off. The end is what lies after the first N blocks, if N blocks are in use.
//!
//! A move is a change like any other: a block is written to a free block, the pointer to it is
//! changed by copy-on-write, and a commit makes it effective. So a crash leaves the volume as it
//! was or partly compacted. Blocks that are not authentic are never moved.

use crate::admin::check::Progress;
use crate::alloc::REGION_BLOCKS;
use crate::alloc::Supply;
use crate::commit::Engine;
use crate::durability::Durability;
use crate::error::{Error, Operation, Result};
use crate::format::block::{BLOCK_BYTES, BlockNo, Kind};
use crate::format::extents;
use crate::format::item::{Key, Subject};
use crate::format::node::Node;
use crate::format::numbers::FileBlock;
use crate::format::pointer::Pointer;
use crate::volume::Volume;

/// Limit on passes over the whole tree. The first pass moves nearly all blocks. Each further pass
/// moves blocks that the pass before put at the end because no others were free yet.
const MAX_ROUNDS: u32 = 8;

/// Number of free blocks that may remain before the end. They are at least `MIN_SPARE`, and at
/// least this fraction of the blocks in use. A commit needs some to change nodes. The first pass
/// leaves up to `MAX_SPARE`, and each further pass half as many.
const SPARE_SHARE: u64 = 256;
const MAX_SPARE: u64 = 32;
const MIN_SPARE: u64 = 4;

/// Limit on the blocks moved between two commits (256 MiB). A crash undoes at most these moves.
const MAX_UNCOMMITTED: u64 = (256 << 20) / BLOCK_BYTES as u64;

/// The result of compacting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Packing {
    /// Number of file blocks that were moved.
    pub moved: u64,
    /// Number of blocks that could not be read. They stay, with everything that only they refer to.
    pub damaged: u64,
}

/// A block of a file, with its pointer.
#[derive(Debug, Clone, Copy)]
struct Lying {
    at: FileBlock,
    pointer: Pointer,
}

/// The blocks to be moved, of a leaf and the nodes on the path to it.
#[derive(Default)]
struct Look {
    /// The least key of the next leaf.
    next: Option<Key>,
    /// Whether one of these nodes lies after the end.
    reaches: bool,
    /// The blocks of files after the end.
    data: Vec<Lying>,
    /// The reason why the leaf, or a node on the path, cannot be read.
    damage: Option<Error>,
}

/// The kinds of blocks to be moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    All,
    /// Only nodes of the tree.
    Nodes,
}

/// The state of a pass over the tree.
struct Round {
    /// Blocks from this one on are to be moved.
    end: BlockNo,
    scope: Scope,
    /// Numbers of file blocks that were moved: in this pass, and since the last commit.
    moved: u64,
    uncommitted: u64,
    damaged: u64,
    /// Whether anything was moved.
    changed: bool,
}

impl Volume {
    /// Moves blocks from the end of the storage into the first free blocks, so that
    /// [`close`](Self::close) can cut the storage. Reads all nodes, and those blocks of files that
    /// it moves. Blocks that cannot be read stay in place; the others are moved. Earlier changes
    /// are durable afterwards.
    ///
    /// # Errors
    /// Fails if something cannot be written. The moves before that are valid.
    pub fn compact(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<Packing> {
        pack_exactly(self.engine_mut(), Scope::All, progress)
    }

    /// Compacts like [`compact`](Self::compact), but moves no blocks of files.
    ///
    /// # Errors
    /// The errors of `compact`.
    pub fn pack_nodes(&mut self) -> Result<()> {
        pack_exactly(self.engine_mut(), Scope::Nodes, &mut |_| {}).map(drop)
    }
}

/// Compacts while the pool takes only the blocks that nodes need, because others would lie at the
/// end.
fn pack_exactly(
    engine: &mut Engine,
    scope: Scope,
    progress: &mut dyn FnMut(Progress),
) -> Result<Packing> {
    let before = engine.space_mut().set_supply(Supply::Exact);
    let packing = pack(engine, scope, progress);
    engine.space_mut().set_supply(before);
    packing
}

fn pack(engine: &mut Engine, scope: Scope, progress: &mut dyn FnMut(Progress)) -> Result<Packing> {
    let mut packing = Packing::default();
    for number in 0..MAX_ROUNDS {
        engine.commit_tree(Durability::Synced)?;
        engine.space_mut().drop_areas()?;
        let used = engine.space().in_use();
        let free = engine.space_mut().used_end()?.0.saturating_sub(used);
        let least = MIN_SPARE.max(used / SPARE_SHARE);
        if free <= least {
            break;
        }
        let spare = (MAX_SPARE >> number).min(free / 2).max(least);
        let end = BlockNo(used + spare);
        let mut round = Round { end, scope, moved: 0, uncommitted: 0, damaged: 0, changed: false };
        match number {
            0 => pack_round(engine, &mut round, progress)?,
            // Few blocks are left to move.
            _ => pack_round(engine, &mut round, &mut |_| {})?,
        }
        packing.moved += round.moved;
        packing.damaged = round.damaged;
        if !round.changed {
            break;
        }
    }
    engine.commit_tree(Durability::Synced)?;
    Ok(packing)
}

/// Visits the whole tree once, and moves blocks after the end into free blocks before it, as far as
/// there are any.
fn pack_round(
    engine: &mut Engine,
    round: &mut Round,
    progress: &mut dyn FnMut(Progress),
) -> Result<()> {
    let total = engine.space_mut().used_from(round.end)?;
    let mut from = Key::MIN;
    loop {
        engine.keep_bounds()?;
        let look = look(engine, &from, round)?;
        if let Some(error) = &look.damage {
            engine.health_mut().record_error(error);
            round.damaged += 1;
        }
        if look.reaches || !look.data.is_empty() {
            if !has_room_before(engine, round)? {
                return Ok(());
            }
            if look.reaches && look.damage.is_none() {
                engine.space_mut().prepare(&from)?;
                round.changed = true;
            }
            if !move_data(engine, &look.data, round)? {
                return Ok(());
            }
            progress(Progress { done: round.moved.min(total), total });
        }
        match look.next {
            Some(next) => from = next,
            None => return Ok(()),
        }
    }
}

/// Visits the leaf of a key, and finds the blocks after the end, of the leaf and of the path to it.
fn look(engine: &mut Engine, key: &Key, round: &Round) -> Result<Look> {
    let mut look = Look::default();
    let (end, scope) = (round.end, round.scope);
    let mut reaches = false;
    let (found, next) = engine.space_mut().visit_leaf(
        key,
        |node| reaches |= node.block >= end,
        |leaf| lying_in(leaf, end, scope),
    );
    look.reaches = reaches;
    look.next = next;
    match found {
        Ok((data, None)) => look.data = data,
        Ok((data, Some(error))) => {
            look.data = data;
            look.damage = Some(damage(error)?);
        }
        Err(error) => look.damage = Some(damage(error)?),
    }
    Ok(look)
}

/// Whether blocks before the end are free, and enough blocks for the nodes that a commit changes.
/// Commits first if that may help.
fn has_room_before(engine: &mut Engine, round: &mut Round) -> Result<bool> {
    if round.uncommitted < MAX_UNCOMMITTED && room_before(engine, round.end)? {
        return Ok(true);
    }
    round.uncommitted = 0;
    engine.commit_tree(Durability::Synced)?;
    room_before(engine, round.end)
}

fn room_before(engine: &mut Engine, end: BlockNo) -> Result<bool> {
    engine.space_mut().enter_freed()?;
    // The nodes on the path to a leaf, and to the bitmaps.
    let nodes = 2 * u64::from(engine.space().tree().root().levels)
        + engine.space().blocks() / REGION_BLOCKS
        + 1;
    let usable = engine.space().usable() >= nodes;
    Ok(usable && engine.space_mut().first_free()?.is_some_and(|block| block < end))
}

/// Moves blocks of files to free blocks before the end. Returns whether all had room there.
#[expect(clippy::indexing_slicing, reason = "never takes more blocks than remain to be moved")]
fn move_data(engine: &mut Engine, data: &[Lying], round: &mut Round) -> Result<bool> {
    let mut bytes = Vec::with_capacity(data.len() * BLOCK_BYTES);
    let mut moving = Vec::with_capacity(data.len());
    let in_a_row = |one: &Lying, next: &Lying| one.pointer.block + 1 == next.pointer.block;
    for row in data.chunk_by(in_a_row) {
        read_row(engine, row, &mut bytes, &mut moving, round)?;
    }
    let mut done = 0;
    while done < moving.len() {
        let want = u32::try_from(moving.len() - done).unwrap_or(u32::MAX);
        let runs = engine.space_mut().take_first(want, round.end)?;
        if runs.is_empty() {
            // A commit may free blocks before the end.
            round.uncommitted = MAX_UNCOMMITTED;
            if !has_room_before(engine, round)? {
                return Ok(false);
            }
            continue;
        }
        let count = runs.iter().map(|run| run.count as usize).sum::<usize>();
        let bytes = &mut bytes[done * BLOCK_BYTES..][..count * BLOCK_BYTES];
        engine.data_mut().move_to(&runs, &moving[done..done + count], bytes)?;
        done += count;
        round.moved += count as u64;
        round.uncommitted += count as u64;
        round.changed = true;
    }
    Ok(true)
}

/// Reads adjacent blocks, and appends those that open.
fn read_row(
    engine: &mut Engine,
    row: &[Lying],
    bytes: &mut Vec<u8>,
    moving: &mut Vec<FileBlock>,
    round: &mut Round,
) -> Result<()> {
    let Some(first) = row.first() else { return Ok(()) };
    let mut sealed = vec![0; row.len() * BLOCK_BYTES];
    // If this fails, each block is read alone.
    let together = engine.store_mut().read(first.pointer.block, &mut sealed).is_ok();
    for (lying, block) in row.iter().zip(sealed.as_chunks_mut::<BLOCK_BYTES>().0) {
        let read =
            if together { Ok(()) } else { engine.store_mut().read(lying.pointer.block, block) };
        match read.and_then(|()| engine.store_mut().open(Kind::Data, &lying.pointer, block)) {
            Ok(()) => {
                bytes.extend_from_slice(block);
                moving.push(lying.at);
            }
            Err(error) => {
                let error = damage(error)?;
                engine.health_mut().record_error(&error);
                round.damaged += 1;
            }
        }
    }
    Ok(())
}

/// Returns the blocks of a leaf's files from `end` on, and an error if some items cannot be
/// decoded.
fn lying_in(leaf: &Node, end: BlockNo, scope: Scope) -> (Vec<Lying>, Option<Error>) {
    let (mut found, mut damage) = (Vec::new(), None);
    for item in 0..leaf.count() {
        let key = leaf.key(item);
        if scope == Scope::Nodes || key.subject != Subject::Extents {
            continue;
        }
        match lying(&key, leaf.value(item), end) {
            Ok(data) => found.extend(data),
            Err(error) => damage = Some(error),
        }
    }
    (found, damage)
}

/// Returns the blocks of a group that lie at `end` or after it.
fn lying(key: &Key, value: &[u8], end: BlockNo) -> Result<Vec<Lying>> {
    let first = extents::first_block(key)?;
    let group = extents::decode(value)?;
    Ok((first..)
        .zip(group)
        .filter_map(|(index, pointer)| {
            let pointer = pointer.filter(|pointer| pointer.block >= end)?;
            Some(Lying { at: FileBlock::new(key.inode, index), pointer })
        })
        .collect())
}

/// Returns an error that concerns only one block as `Ok`: other blocks can still be moved.
fn damage(error: Error) -> Result<Error> {
    match error {
        Error::NotAuthentic { .. }
        | Error::Damaged { .. }
        | Error::Storage { operation: Operation::Read, .. } => Ok(error),
        error => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::item::GROUP;
    use crate::format::numbers::InodeNo;
    use crate::{MemoryStorage, NewSlot, Options};
    use twine_vfs::FileSystem;

    #[test]
    fn pointers_that_belong_to_no_file_are_damage_and_all_else_is_moved() {
        let slots = [NewSlot::key_file(&[1; 32]).unwrap()];
        let storage = MemoryStorage::default();
        let mut volume =
            Volume::create(Box::new(storage.clone()), &slots, Options::default()).unwrap();
        let root = volume.root();
        let [first, second] = ["first", "second"].map(|name| {
            let inode = volume.create_file(root, name).unwrap();
            volume.write(inode, 0, &[7; 1 << 20]).unwrap();
            volume.sync_all().unwrap();
            inode
        });
        volume.release(first);
        volume.unlink(root, "first").unwrap();
        for (offset, block) in [(u64::MAX, 1 << 47), (u64::MAX / GROUP, 400), (1 << 45, 400)] {
            let pointer =
                Pointer { block: BlockNo(block), counter: 1, salt: [3; 12], tag: [4; 16] };
            let mut value = (1_u32 << 31).to_le_bytes().to_vec();
            value.extend_from_slice(&pointer.encode());
            let key = Key::new(InodeNo(second.0), Subject::Extents, offset);
            volume.engine_mut().space_mut().put_extents(&key, &value, u32::MAX).unwrap();
        }
        let packing = volume.compact(&mut |_| {}).unwrap();
        assert!(packing.moved > 0 && packing.damaged > 0, "{packing:?}");
        let mut bytes = vec![0; 1 << 20];
        assert_eq!(volume.read(second, 0, &mut bytes), Ok(1 << 20));
        assert!(bytes == [7; 1 << 20]);
    }
}
