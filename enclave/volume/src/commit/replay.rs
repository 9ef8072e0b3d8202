//! Applies the changes in the log in memory.

use super::Engine;
use crate::error::{Error, Result};
use crate::format::block::is_in_ring;
use crate::format::extents;
use crate::format::item::{GROUP, Key, Subject};
use crate::format::numbers::{FileBlock, to_usize};
use crate::format::pointer::Pointer;
use crate::log::{Chain, Net};

impl Engine {
    /// Applies the changes of the chain that a mount found.
    pub(crate) fn replay(&mut self, chain: &Chain) -> Result<()> {
        let malformed = || Error::damaged("a key in the log is malformed");
        let net = Net::of(chain)?;
        self.claim_blocks(&net)?;
        for encoded in &net.keys {
            let key = Key::decode(encoded).ok_or_else(malformed)?;
            if key.subject == Subject::Extents {
                let changes: Vec<(usize, Option<Pointer>)> = (0..to_usize(GROUP))
                    .filter_map(|place| Some((place, *net.pointers.get(&(*encoded, place))?)))
                    .collect();
                self.data.set_pointers(&key, &changes)?;
            } else {
                match net.items.get(encoded) {
                    Some(Some(value)) => self.space_mut().put(&key, value)?,
                    _ => self.space_mut().remove(&key).map(drop)?,
                }
            }
        }
        self.space_mut().end_claims();
        self.space_mut().tree_mut().clear_changes();
        Ok(())
    }

    /// Marks all blocks to which the log refers as in use, except those in its ring.
    fn claim_blocks(&mut self, net: &Net<'_>) -> Result<()> {
        let mut ring_blocks = Vec::new();
        for ((key, place), pointer) in &net.pointers {
            match pointer {
                Some(pointer) if is_in_ring(pointer.block) => {
                    if let Some(key) = Key::decode(key) {
                        let index = extents::first_block(&key)? + *place as u64;
                        ring_blocks.push(FileBlock { inode: key.inode, index });
                    }
                }
                Some(pointer) => self.space_mut().claim(pointer.block)?,
                None => {}
            }
        }
        self.log.add_ring_blocks(ring_blocks);
        Ok(())
    }
}
