//! Whether what a commit relies on is in the storage as it was written.
//!
//! A commit may be read back from a storage that lost some of what was written since the
//! last barrier. What was sealed before that is durable, and not looked at.

use crate::block::{BLOCK_BYTES, Kind, zeroed};
use crate::extents;
use crate::log::{Chain, Net};
use crate::page::{self, Key, Subject};
use crate::pointer::{Pointer, Salt};
use crate::store::Store;
use std::collections::HashMap;

/// Drops the last commits of a chain until its state is whole; whether there is one. Gives
/// the blocks that the storage should have had for the states that were dropped.
pub(crate) fn cut_to_whole(store: &mut Store, chain: &mut Chain, size: u64) -> (bool, u64) {
    let blocks = size / BLOCK_BYTES as u64;
    let last = chain.last();
    let mut verifier =
        Verifier { store, salt: last.salt, durable: last.durable, opened: HashMap::new() };
    let mut missing = 0;
    loop {
        let wanted = chain.last().state.blocks;
        if wanted > blocks {
            missing = missing.max(wanted);
        } else if verifier.holds(chain) {
            return (true, missing);
        }
        if chain.changes.pop().is_none() {
            return (false, missing);
        }
    }
}

struct Verifier<'a> {
    store: &'a mut Store,
    /// All that was sealed under another salt is durable, and under this one up to this
    /// counter.
    salt: Salt,
    durable: u64,
    /// Blocks that were looked at, by block and counter: whether they open.
    opened: HashMap<(u64, u64), bool>,
}

impl Verifier<'_> {
    /// Whether all that a state consists of opens.
    fn holds(&mut self, chain: &Chain) -> bool {
        let Ok(net) = Net::of(chain) else { return false };
        let state = &chain.tree.state;
        let (root, levels) = (state.root, state.levels);
        (1..=page::MOST_LEVELS).contains(&levels)
            && net.pointers.values().flatten().all(|pointer| self.data_opens(pointer))
            && self.node_holds(&root, levels - 1, &net)
    }

    fn is_durable(&self, pointer: &Pointer) -> bool {
        pointer.salt != self.salt || pointer.counter <= self.durable
    }

    fn data_opens(&mut self, pointer: &Pointer) -> bool {
        if self.is_durable(pointer) {
            return true;
        }
        let store = &mut self.store;
        *self
            .opened
            .entry((pointer.block, pointer.counter))
            .or_insert_with(|| store.load(Kind::Data, pointer, &mut zeroed()).is_ok())
    }

    /// Whether a node, and all below that later changes leave as it is, opens. Whatever
    /// leads to a block that is not durable is not durable itself.
    fn node_holds(&mut self, pointer: &Pointer, level: u8, net: &Net<'_>) -> bool {
        if self.is_durable(pointer) {
            return true;
        }
        let mut bytes = zeroed();
        let loaded = self.store.load(Kind::Node, pointer, &mut bytes).is_ok()
            && page::validate(&bytes, level).is_ok();
        loaded
            && (0..page::count(&bytes)).all(|index| {
                if level > 0 {
                    return self.node_holds(&page::child(&bytes, index), level - 1, net);
                }
                let key = page::key(&bytes, index);
                key.subject != Subject::Extents
                    || self.extents_hold(&key, page::value(&bytes, index), net)
            })
    }

    fn extents_hold(&mut self, key: &Key, value: &[u8], net: &Net<'_>) -> bool {
        let Ok(group) = extents::decode(value) else { return false };
        let encoded = key.encode();
        group.iter().enumerate().all(|(place, pointer)| match pointer {
            Some(pointer) if !net.pointers.contains_key(&(encoded, place)) => {
                self.data_opens(pointer)
            }
            _ => true,
        })
    }
}
