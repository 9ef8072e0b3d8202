//! The changes that a hostile holder of the key makes to sealed blocks.

use super::blocks::{Blocks, MAX_STORAGE_BLOCKS};
use crate::format::block::{BLOCK_BYTES, BlockNo, Bytes, Kind, MAX_BLOCKS};
use crate::format::node::Node;
use crate::format::pointer::{POINTER_BYTES, Pointer};
use crate::fuzz_hooks::Sealed;
use crate::fuzzing::{any_key, padded};
use std::collections::BTreeMap;
use twine_fuzz_input::Input;

/// Number of nodes or entries that one edit changes, if it changes many.
const MANY: usize = 24;

/// The nodes and entries in a storage.
pub(super) struct Spots {
    nodes: Vec<Spot>,
    entries: Vec<Spot>,
}

/// A node or entry, and the blocks that hold it.
struct Spot {
    sealed: Sealed,
    blocks: Vec<u64>,
}

impl Spots {
    #[cfg(test)]
    pub(super) fn counts(&self) -> [usize; 2] {
        [&self.nodes, &self.entries].map(|spots| spots.len())
    }

    /// Finds the blocks that hold what was sealed. Leaves out what the storage no longer holds.
    pub(super) fn find(storage: &Blocks, sealed: Vec<Sealed>) -> Self {
        let mut spots = Spots { nodes: Vec::new(), entries: Vec::new() };
        let held: Vec<(u64, Bytes)> =
            storage.used().into_iter().map(|block| (block, storage.block(block))).collect();
        for sealed in sealed {
            let spots = match sealed.kind {
                Kind::Node => &mut spots.nodes,
                Kind::Log => &mut spots.entries,
                Kind::Data => continue,
            };
            let mut concealed = sealed.bytes.clone();
            sealed.conceal(&mut concealed);
            let holds = |(_, held): &&(u64, Bytes)| held.ends_with(&concealed);
            let blocks: Vec<u64> = held.iter().filter(holds).map(|(block, _)| *block).collect();
            if !blocks.is_empty() {
                spots.push(Spot { sealed, blocks });
            }
        }
        spots
    }
}

/// Changed nodes or entries by index, with their new contents.
type Changed<'a> = BTreeMap<usize, (&'a Spot, Vec<u8>)>;

/// Changes the storage according to the input. Returns what was changed, with the new contents.
pub(super) fn make<'a>(
    storage: &Blocks,
    spots: &'a Spots,
    input: &mut Input<'_>,
) -> Vec<(&'a Sealed, Vec<u8>)> {
    let (mut nodes, mut entries) = (Changed::new(), Changed::new());
    while !input.is_empty() {
        let (spots, changed) = match input.u8().is_multiple_of(2) {
            true => (&spots.nodes, &mut nodes),
            false => (&spots.entries, &mut entries),
        };
        let which = usize::from(input.u8());
        let length = usize::from(input.u8() % 64);
        let change = input.bytes(length);
        let which = match which {
            255 => 0..spots.len().min(MANY),
            one => one % spots.len()..one % spots.len() + 1,
        };
        for (number, spot) in which.clone().zip(&spots[which]) {
            let (_, bytes) =
                changed.entry(number).or_insert_with(|| (spot, spot.sealed.bytes.clone()));
            match <&mut Bytes>::try_from(&mut bytes[..]) {
                Ok(page) => change_node(page, &mut Input::new(change)),
                Err(_) => change_bytes(bytes, &mut Input::new(change)),
            }
        }
    }
    let changed = nodes.into_values().chain(entries.into_values());
    let changed = changed.filter(|(spot, bytes)| spot.sealed.bytes != *bytes);
    let put = |(spot, bytes): (&'a Spot, Vec<u8>)| {
        let mut concealed = bytes.clone();
        spot.sealed.conceal(&mut concealed);
        for block in &spot.blocks {
            let mut held = storage.block(*block);
            held[BLOCK_BYTES - concealed.len()..].copy_from_slice(&concealed);
            storage.set_block(*block, &held);
        }
        (&spot.sealed, bytes)
    };
    changed.map(put).collect()
}

/// Overwrites some bytes, or moves the bytes after them.
fn change_bytes(bytes: &mut [u8], input: &mut Input<'_>) {
    let (what, at) = (input.u8(), input.below(bytes.len()));
    let new = input.bytes(63);
    let length = new.len().min(bytes.len() - at);
    match what % 3 {
        1 => bytes[at..].rotate_right(length),
        2 => return bytes[at..].rotate_left(length),
        _ => {}
    }
    bytes[at..at + length].copy_from_slice(&new[..length]);
}

/// Changes the items of a node so that it stays valid, or changes its bytes.
fn change_node(page: &mut Bytes, input: &mut Input<'_>) {
    let (what, level) = (input.u8() % 8, page[0]);
    let node = Node::validate(Box::new(*page), level).ok();
    let node = node.filter(|node| what != 0 && node.count() > 0);
    match node {
        Some(mut node) => {
            change_items(&mut node, what, input);
            *page = *node.into_block();
        }
        None => change_bytes(page, input),
    }
}

fn change_items(node: &mut Node, what: u8, input: &mut Input<'_>) {
    let (level, count) = (node.level(), node.count());
    let index = input.below(count);
    let key = node.key(index);
    let mut value = node.value(index).to_vec();
    match what {
        // Change some bytes of a value.
        1 | 2 if level == 0 => {
            change_bytes(&mut value, input);
            node.replace(index, &key, &value);
        }
        // Replace a value.
        3 if level == 0 => {
            node.replace(index, &key, input.bytes(63));
        }
        4 if level == 0 => node.remove(index),
        // Copy the value of another item.
        5 if level == 0 => {
            let from = node.value(input.below(count)).to_vec();
            node.replace(index, &key, &from);
        }
        // Copy the pointer to another child.
        5 | 6 if level > 0 => {
            let from = node.child(input.below(count));
            node.set_child(index, &from);
        }
        // Insert another item, or a pointer to any block.
        _ => {
            let (key, from) = (any_key(input), input.below(MAX_STORAGE_BLOCKS as usize));
            if level == 0 {
                value = input.bytes(63).to_vec();
            } else if what == 7 {
                let mut pointer = Pointer::decode(&padded::<POINTER_BYTES>(&value));
                pointer.block = BlockNo(from as u64 % MAX_BLOCKS);
                value = pointer.encode().to_vec();
            }
            if let Err(index) = node.search(&key) {
                node.insert(index, &key, &value);
            }
        }
    }
}
