//! Checks whether the storage holds all that a commit relies on, as it was written.
//!
//! The storage may have lost some blocks that were written since the last barrier. All blocks that
//! were sealed before it are durable, so they are not checked.

use crate::error::{Error, Result};
use crate::format::block::{BLOCK_BYTES, Block, BlockNo, Kind, zeroed};
use crate::format::extents;
use crate::format::item::{Key, Subject};
use crate::format::node::Node;
use crate::format::pointer::{Pointer, Salt};
use crate::log::{Chain, Net, Tolerance};
use crate::sealed_store::SealedStore;
use std::collections::{HashMap, HashSet};

/// The result of dropping commits from a chain.
pub(crate) enum Cut {
    /// The chain's state is whole. It consists of these blocks and of others that are known to be
    /// durable.
    Whole(Vec<(Kind, Pointer)>),
    /// No state of the chain is whole. The storage should have this many blocks.
    Nothing { blocks: u64 },
}

/// Drops the last commits of a chain until the chain's state is whole.
///
/// # Errors
/// Fails if the storage fails, or if something authentic is malformed and `tolerance` does not
/// allow it.
pub(crate) fn cut_to_whole(
    store: &mut SealedStore,
    chain: &mut Chain,
    size: u64,
    tolerance: Tolerance,
) -> Result<Cut> {
    let blocks = size / BLOCK_BYTES as u64;
    let last = chain.last();
    let mut verifier = Verifier {
        salt: last.salt,
        durable: last.durable,
        store,
        tolerance,
        opened: HashMap::new(),
        seen: HashSet::new(),
        unsure: Vec::new(),
    };
    let mut missing = 0;
    loop {
        let wanted = chain.last().state.blocks;
        if wanted > blocks {
            missing = missing.max(wanted);
        } else if verifier.holds(chain)? {
            return Ok(Cut::Whole(verifier.unsure));
        }
        if chain.changes.pop().is_none() {
            return Ok(Cut::Nothing { blocks: missing });
        }
    }
}

/// A block, and the counter with which it was sealed.
type Sealed = (BlockNo, u64);

struct Verifier<'a> {
    store: &'a mut SealedStore,
    /// The last commit's salt. Durable blocks are those sealed under any other salt, and those
    /// sealed under this salt with at most the counter `durable`.
    salt: Salt,
    durable: u64,
    tolerance: Tolerance,
    /// For each data block of any state that was checked: whether it opens.
    opened: HashMap<Sealed, bool>,
    /// The blocks of the present state that were checked. Each is checked once, even if several
    /// pointers lead to it.
    seen: HashSet<Sealed>,
    /// Blocks of the present state that open and are not known to be durable.
    unsure: Vec<(Kind, Pointer)>,
}

impl Verifier<'_> {
    /// Whether all blocks of the chain's state open.
    fn holds(&mut self, chain: &Chain) -> Result<bool> {
        self.seen.clear();
        self.unsure.clear();
        let root = chain.tree.state.root;
        if !self.tolerance.or(root.check().map(|()| true), false)? {
            return Ok(false);
        }
        let Some(net) = self.tolerance.or(Net::of(chain).map(Some), None)? else {
            return Ok(false);
        };
        let blocks = chain.last().state.blocks;
        let pointers = net.pointers.values().flatten();
        for pointer in pointers {
            if !self.data_opens(pointer, blocks)? {
                return Ok(false);
            }
        }
        self.node_holds(&root.pointer, root.levels - 1, &net, blocks)
    }

    fn is_durable(&self, pointer: &Pointer) -> bool {
        pointer.salt != self.salt || pointer.counter <= self.durable
    }

    fn data_opens(&mut self, pointer: &Pointer, blocks: u64) -> Result<bool> {
        if self.is_durable(pointer) {
            return Ok(true);
        }
        let name = (pointer.block, pointer.counter);
        let opens = match self.opened.get(&name) {
            Some(opens) => *opens,
            None => {
                let opens = self.loads(Kind::Data, pointer, blocks)?.is_some();
                self.opened.insert(name, opens);
                opens
            }
        };
        if opens && self.seen.insert(name) {
            self.unsure.push((Kind::Data, *pointer));
        }
        Ok(opens)
    }

    /// Returns the contents of a block, or `None` if it does not open: it is damaged or was never
    /// written.
    fn loads(&mut self, kind: Kind, pointer: &Pointer, blocks: u64) -> Result<Option<Block>> {
        let mut bytes = zeroed();
        let loaded = match pointer.block.0 < blocks {
            true => self.store.load(kind, pointer, &mut bytes),
            false => Err(Error::damaged("a pointer leads out of the volume")),
        };
        match loaded {
            Ok(()) => Ok(Some(bytes)),
            Err(Error::NotAuthentic { .. }) => Ok(None),
            Err(error) => self.tolerance.or(Err(error), None),
        }
    }

    /// Whether a node opens, and all blocks below it that later changes leave as they are. The
    /// search stops at durable blocks: only nodes that are not durable point to blocks that are not
    /// durable.
    fn node_holds(
        &mut self,
        pointer: &Pointer,
        level: u8,
        net: &Net<'_>,
        blocks: u64,
    ) -> Result<bool> {
        if self.is_durable(pointer) || !self.seen.insert((pointer.block, pointer.counter)) {
            return Ok(true);
        }
        let Some(bytes) = self.loads(Kind::Node, pointer, blocks)? else { return Ok(false) };
        let node = Node::validate(bytes, level).map_err(|(_, what)| Error::damaged(what));
        let Some(node) = self.tolerance.or(node.map(Some), None)? else { return Ok(false) };
        self.unsure.push((Kind::Node, *pointer));
        for index in 0..node.count() {
            let holds = if level > 0 {
                self.node_holds(&node.child(index), level - 1, net, blocks)?
            } else {
                let key = node.key(index);
                key.subject != Subject::Extents
                    || self.extents_hold(&key, node.value(index), net, blocks)?
            };
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn extents_hold(
        &mut self,
        key: &Key,
        value: &[u8],
        net: &Net<'_>,
        blocks: u64,
    ) -> Result<bool> {
        let Some(group) = self.tolerance.or(extents::decode(value).map(Some), None)? else {
            return Ok(false);
        };
        let encoded = key.encode();
        for (place, pointer) in group.iter().enumerate() {
            if let Some(pointer) = pointer
                && !net.pointers.contains_key(&(encoded, place))
                && !self.data_opens(pointer, blocks)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
