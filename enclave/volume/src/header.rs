//! The header: the volume's id and its key slots.

pub(crate) mod describe;
pub(crate) mod key_slot;

use crate::crypto::{SecretKey, derive, mac, mac_is};
use crate::error::{Error, Result, SlotFailure};
use crate::format::block::{BLOCK_BYTES, Bytes};
use crate::format::bytes::Reader;
use crate::format::identity::VolumeId;
use crate::format::slot_kind::SlotKind;
use crate::header::key_slot::{KEY_SLOT_BYTES, KeySlot, Unlock};

/// The version of the format that this crate reads and writes.
pub const VERSION: u32 = 3;

const MAGIC: &[u8; 8] = b"TWINEVOL";

/// The magic bytes while a volume is being created.
const UNFINISHED: &[u8; 8] = b"TWINENEW";
const SLOTS_START: usize = 64;
const MAC_START: usize = BLOCK_BYTES - 32;

/// The number of slots that fit before the MAC.
pub(crate) const MAX_SLOTS: usize = (MAC_START - SLOTS_START) / KEY_SLOT_BYTES;

/// A header's MAC, which identifies the header.
pub(crate) type HeaderMac = [u8; 32];

/// One copy of the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) volume: VolumeId,
    /// Grows with each change of the slots. It does not decide which copy counts: the log does.
    pub(crate) generation: u64,
    /// The number of the next slot.
    pub(crate) next_slot: u32,
    pub(crate) slots: Vec<KeySlot>,
}

impl Header {
    /// Encodes the header as a block, with its MAC.
    pub(crate) fn encode(&self, volume_key: &SecretKey) -> Box<Bytes> {
        let mut block = crate::format::block::zeroed();
        let bytes: &mut Bytes = &mut block;
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        #[expect(
            clippy::cast_possible_truncation,
            reason = "at most `MAX_SLOTS`: `create`, `decode` and `add` check that"
        )]
        let count = self.slots.len() as u32;
        bytes[12..16].copy_from_slice(&count.to_le_bytes());
        bytes[16..32].copy_from_slice(&self.volume.0);
        bytes[32..40].copy_from_slice(&self.generation.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.next_slot.to_le_bytes());
        let room = bytes[SLOTS_START..MAC_START].chunks_exact_mut(KEY_SLOT_BYTES);
        for (slot, place) in self.slots.iter().zip(room) {
            place.copy_from_slice(&slot.encode());
        }
        let tag = mac(&mac_key(volume_key), &bytes[..MAC_START]);
        bytes[MAC_START..].copy_from_slice(&tag);
        block
    }

    /// Returns the MAC of the header.
    pub(crate) fn mac(&self, volume_key: &SecretKey) -> HeaderMac {
        mac_of(&self.encode(volume_key))
    }

    /// Decodes a copy, without checking whether it is authentic.
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self> {
        if &bytes[..8] == UNFINISHED {
            return Err(Error::Unfinished);
        }
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
        if count > MAX_SLOTS {
            return Err(Error::HeaderDamaged("it has more key slots than there is room for"));
        }
        let volume = VolumeId(reader.array().map_err(short)?);
        let generation = reader.u64().map_err(short)?;
        let next_slot = reader.u32().map_err(short)?;
        let slots = bytes[SLOTS_START..MAC_START]
            .as_chunks::<KEY_SLOT_BYTES>()
            .0
            .iter()
            .take(count)
            .map(KeySlot::decode)
            .collect::<Option<Vec<KeySlot>>>()
            .ok_or(Error::HeaderDamaged("a key slot is not valid"))?;
        Ok(Header { volume, generation, next_slot, slots })
    }

    /// Returns the slots in the order to try them: passphrases last, because they are slow.
    fn slots_to_try(&self) -> Vec<&KeySlot> {
        let mut slots: Vec<&KeySlot> = self.slots.iter().collect();
        slots.sort_by_key(|slot| slot.kind == SlotKind::Passphrase);
        slots
    }
}

/// Returns the first block of a storage in which a volume is being created.
pub(crate) fn unfinished() -> Box<Bytes> {
    let mut block = crate::format::block::zeroed();
    let bytes: &mut Bytes = &mut block;
    bytes[..8].copy_from_slice(UNFINISHED);
    block
}

fn mac_of(bytes: &Bytes) -> HeaderMac {
    let mut tag = HeaderMac::default();
    tag.copy_from_slice(&bytes[MAC_START..]);
    tag
}

fn mac_key(volume_key: &SecretKey) -> SecretKey {
    derive(&**volume_key, "twine volume 3: header", &[])
}

/// Whether a copy is authentic.
fn vouched(bytes: &Bytes, volume_key: &SecretKey) -> bool {
    let (head, tag) = bytes.split_at(MAC_START);
    tag.first_chunk::<32>().is_some_and(|tag| mac_is(&mac_key(volume_key), head, tag))
}

/// Returns the copies that can be decoded, newer first. They are not authenticated yet.
fn readable(copies: &[Box<Bytes>; 2]) -> Result<Vec<(&Bytes, Header)>> {
    let mut readable: Vec<(&Bytes, Header)> = Vec::new();
    let mut problem = Error::NotAVolume;
    for bytes in copies {
        match Header::decode(bytes) {
            Ok(header) => readable.push((bytes, header)),
            // The most specific error wins: an unknown version or an unfinished volume, then
            // damage, then `NotAVolume`.
            Err(error @ (Error::UnknownVersion(_) | Error::Unfinished)) => problem = error,
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

/// Returns the newer copy, without checking whether it is authentic.
pub(crate) fn look(copies: &[Box<Bytes>; 2]) -> Result<Header> {
    let newest = readable(copies)?.into_iter().next();
    newest.map(|(_, header)| header).ok_or(Error::NotAVolume)
}

/// The result of opening a slot.
#[derive(Debug)]
pub(crate) struct Unlocked {
    /// The volume key.
    pub(crate) key: SecretKey,
    /// The slot that held the key.
    slot: KeySlot,
    volume: VolumeId,
    /// The authentic copies.
    headers: Vec<(HeaderMac, Header)>,
}

/// Opens a slot of one of the copies.
///
/// # Errors
/// Fails if no copy can be decoded, no slot opens, or the key does not authenticate any copy.
pub(crate) fn open(copies: &[Box<Bytes>; 2], from: &mut dyn Unlock) -> Result<Unlocked> {
    let readable = readable(copies)?;
    let mut failures: Vec<SlotFailure> = Vec::new();
    let mut forged = false;
    let mut tried: Vec<(VolumeId, &KeySlot)> = Vec::new();
    for (_, header) in &readable {
        for slot in header.slots_to_try() {
            // The two copies are usually equal, and trying a passphrase takes a second.
            if tried.contains(&(header.volume, slot)) {
                continue;
            }
            tried.push((header.volume, slot));
            let key = match slot.open(&header.volume, from) {
                Ok(key) => key,
                Err(reason) => {
                    let failure = SlotFailure { kind: slot.kind, reason };
                    if !failures.contains(&failure) {
                        failures.push(failure);
                    }
                    continue;
                }
            };
            let vouched = readable.iter().filter(|(bytes, _)| vouched(bytes, &key));
            let headers: Vec<_> =
                vouched.map(|(bytes, header)| (mac_of(bytes), header.clone())).collect();
            if !headers.is_empty() {
                return Ok(Unlocked { key, slot: slot.clone(), volume: header.volume, headers });
            }
            forged = true;
        }
    }
    Err(if forged { Error::HeaderForged } else { Error::NoSlotOpens(failures) })
}

impl Unlocked {
    /// Returns the volume's id.
    pub(crate) fn volume(&self) -> VolumeId {
        self.volume
    }

    /// Returns the header that a state names by its MAC. It must have a slot that opens: after a
    /// change of the slots that a crash cut short, the slot that was opened first may be one of the
    /// other copy.
    ///
    /// # Errors
    /// [`Error::HeaderForeign`] if no copy is that header, or if no slot of that header opens.
    pub(crate) fn header(&self, mac: &HeaderMac, from: &mut dyn Unlock) -> Result<Header> {
        let found = self.headers.iter().find(|(of, _)| of == mac);
        let header = found.map(|(_, header)| header).ok_or(Error::HeaderForeign)?;
        let opens =
            |slot: &KeySlot| slot.open(&self.volume, from).is_ok_and(|key| *key == *self.key);
        if header.slots.contains(&self.slot) || header.slots_to_try().into_iter().any(opens) {
            return Ok(header.clone());
        }
        Err(Error::HeaderForeign)
    }

    /// Whether both copies are the header with this MAC.
    pub(crate) fn is_twice(&self, mac: &HeaderMac) -> bool {
        self.headers.iter().filter(|(of, _)| of == mac).count() == 2
    }
}
