//! The header: which volume this is, and its key slots.

use crate::block::{BLOCK_BYTES, Bytes};
use crate::bytes::Reader;
use crate::crypto::{Key, derive, mac, mac_is};
use crate::error::{Error, Result, SlotFailure};
use crate::slot::{SLOT_BYTES, Slot, SlotKind, Unlock};
use crate::volume::VolumeId;

/// The version of the format that this crate reads and writes.
pub const VERSION: u32 = 2;

const MAGIC: &[u8; 8] = b"TWINEVOL";
const SLOTS_START: usize = 64;
const MAC_START: usize = BLOCK_BYTES - 32;

/// As many slots as have room before the MAC.
pub(crate) const MOST_SLOTS: usize = (MAC_START - SLOTS_START) / SLOT_BYTES;

/// One copy of the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) volume: VolumeId,
    /// Grows with each change of the slots.
    pub(crate) generation: u64,
    /// The number of the next slot.
    pub(crate) next_slot: u32,
    pub(crate) slots: Vec<Slot>,
}

impl Header {
    /// The header as a block, with its MAC.
    pub(crate) fn encode(&self, volume_key: &Key) -> Box<Bytes> {
        let mut bytes = crate::block::zeroed();
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        // At most MOST_SLOTS, which `add` sees to.
        bytes[12..16].copy_from_slice(&(self.slots.len() as u32).to_le_bytes());
        bytes[16..32].copy_from_slice(&self.volume.0);
        bytes[32..40].copy_from_slice(&self.generation.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.next_slot.to_le_bytes());
        let room = bytes[SLOTS_START..MAC_START].chunks_exact_mut(SLOT_BYTES);
        for (slot, place) in self.slots.iter().zip(room) {
            place.copy_from_slice(&slot.encode());
        }
        let tag = mac(&mac_key(volume_key), &bytes[..MAC_START]);
        bytes[MAC_START..].copy_from_slice(&tag);
        bytes
    }

    /// Reads what a copy says, which nobody vouches for yet.
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self> {
        if &bytes[..8] != MAGIC {
            return Err(Error::NotAVolume);
        }
        let short = |_| Error::HeaderDamaged("it is too short");
        let mut reader = Reader::new(&bytes[8..MAC_START]);
        let version = reader.u32().map_err(short)?;
        if version != VERSION {
            return Err(Error::UnknownVersion(version));
        }
        let count = reader.u32().map_err(short)? as usize;
        if count > MOST_SLOTS {
            return Err(Error::HeaderDamaged("it has more key slots than there is room for"));
        }
        let volume = VolumeId(reader.array().map_err(short)?);
        let generation = reader.u64().map_err(short)?;
        let next_slot = reader.u32().map_err(short)?;
        let slots = bytes[SLOTS_START..MAC_START]
            .as_chunks::<SLOT_BYTES>()
            .0
            .iter()
            .take(count)
            .map(Slot::decode)
            .collect::<Option<Vec<Slot>>>()
            .ok_or(Error::HeaderDamaged("a key slot makes no sense"))?;
        Ok(Header { volume, generation, next_slot, slots })
    }

    fn unlock(&self, from: &mut dyn Unlock, failures: &mut Vec<SlotFailure>) -> Option<Key> {
        let mut slots: Vec<&Slot> = self.slots.iter().collect();
        slots.sort_by_key(|slot| slot.kind == SlotKind::Passphrase);
        for slot in slots {
            match slot.open(&self.volume, from) {
                Ok(key) => return Some(key),
                Err(reason) => {
                    let failure = SlotFailure { kind: slot.kind, reason };
                    if !failures.contains(&failure) {
                        failures.push(failure);
                    }
                }
            }
        }
        None
    }
}

fn mac_key(volume_key: &Key) -> Key {
    derive(&**volume_key, "twine volume 2: header", &[])
}

/// Whether a copy is authentic.
fn vouched(bytes: &Bytes, volume_key: &Key) -> bool {
    let (head, tag) = bytes.split_at(MAC_START);
    tag.first_chunk::<32>().is_some_and(|tag| mac_is(&mac_key(volume_key), head, tag))
}

/// The copies that can be read, the newer one first. Nobody vouches for them yet.
fn readable(copies: &[Box<Bytes>; 2]) -> Result<Vec<(&Bytes, Header)>> {
    let mut readable: Vec<(&Bytes, Header)> = Vec::new();
    let mut problem = Error::NotAVolume;
    for bytes in copies {
        match Header::decode(bytes) {
            Ok(header) => readable.push((bytes, header)),
            // What is most telling: a version, then damage, then that it is no volume.
            Err(error @ Error::UnknownVersion(_)) => problem = error,
            Err(error) if matches!(problem, Error::NotAVolume) => problem = error,
            Err(_) => {}
        }
    }
    if readable.is_empty() {
        return Err(problem);
    }
    readable.sort_by_key(|(_, header)| std::cmp::Reverse(header.generation));
    Ok(readable)
}

/// What the newer copy says. Nobody vouches for it.
pub(crate) fn look(copies: &[Box<Bytes>; 2]) -> Result<Header> {
    let newest = readable(copies)?.into_iter().next();
    newest.map(|(_, header)| header).ok_or(Error::NotAVolume)
}

/// The newer of the two copies that are whole, and the volume's key.
pub(crate) fn open(copies: &[Box<Bytes>; 2], from: &mut dyn Unlock) -> Result<(Header, Key)> {
    let readable = readable(copies)?;
    let mut failures = Vec::new();
    let mut forged = false;
    for (_, header) in &readable {
        let Some(key) = header.unlock(from, &mut failures) else { continue };
        // The slot may be in a torn copy; the key then vouches for the other, older one.
        let best = readable.iter().find(|(bytes, _)| vouched(bytes, &key));
        match best {
            Some((_, newer)) if newer.generation > header.generation => {}
            Some((_, best)) => return Ok((best.clone(), key)),
            None => forged = true,
        }
    }
    Err(if forged { Error::HeaderForged } else { Error::NoSlotOpens(failures) })
}
