//! The functions that the fuzz targets in `fuzz/` call.
//!
//! Each function takes any bytes. It panics if a decoder does, or if the decoded values break an
//! invariant. Only a fuzzer needs the feature of this module. The feature changes nothing of a
//! volume unless one of these functions runs.

mod volume;

pub use volume::{seeds, volume};

use crate::crypto::SecretKey;
use crate::format::attributes::Attributes;
use crate::format::block::BlockNo;
use crate::format::block::{BLOCK_BYTES, Bytes, MAX_BLOCKS};
use crate::format::identity::VolumeId;
use crate::format::item::{Key, Subject};
use crate::format::node::{HEAD_BYTES, MAX_VALUE_BYTES, Node, SLOT_BYTES};

use crate::format::numbers::InodeNo;
use crate::format::pointer::{POINTER_BYTES, Pointer};
use crate::format::slot_kind::SlotKind;
use crate::format::{dirent, extents};
use crate::header::key_slot::{KEY_SLOT_BYTES, KeyEncryptionKey, KeySlot, Refusal, Unlock};
use crate::header::{self, Header};
use crate::log;
use crate::storage::MemoryStorage;
use twine_fuzz_input::Input;
use zeroize::Zeroizing;

/// Limit on the changes that one input makes to a node.
const MAX_CHANGES: usize = 12;

/// Returns any key of an item.
fn any_key(input: &mut Input<'_>) -> Key {
    let subject = Subject::from_code(1 + input.u8() % 7).unwrap_or(Subject::Entry);
    // Inodes that exist, or any others.
    let inode = match input.u8() {
        255 => input.number::<8>(),
        small => u64::from(small),
    };
    let offset = match input.u8() {
        255 => input.number::<8>(),
        small => u64::from(small),
    };
    Key::new(InodeNo(inode), subject, offset)
}

/// Returns an array that begins with `bytes`, followed by zeros.
fn padded<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    let length = bytes.len().min(N);
    array[..length].copy_from_slice(&bytes[..length]);
    array
}

/// Has keys, but wrong ones.
struct Stranger {
    passphrase: bool,
}

impl Unlock for Stranger {
    fn sealed(&mut self, _parameters: &[u8]) -> Result<KeyEncryptionKey, Refusal> {
        Ok(KeyEncryptionKey::new([9; 32]))
    }

    fn key_file(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        Some(Zeroizing::new(vec![9; 32]))
    }

    fn passphrase(&mut self) -> Option<Zeroizing<Vec<u8>>> {
        self.passphrase.then(|| Zeroizing::new(vec![9; 8]))
    }
}

/// One or two copies of the header.
pub fn header(bytes: &[u8]) {
    let copies = [0, 1].map(|copy| {
        let from = bytes.len().min(copy * BLOCK_BYTES);
        Box::new(padded::<BLOCK_BYTES>(&bytes[from..]))
    });
    for copy in &copies {
        let Ok(header) = Header::decode(copy) else { continue };
        let encoded = header.encode(&SecretKey::new([9; 32]));
        assert_eq!(Header::decode(&encoded).ok(), Some(header));
    }
    // If the whole header is invalid, its copies are still described.
    let described = crate::describe(&mut MemoryStorage::new(bytes.to_vec()));
    assert!(described.is_err() || header::look(&copies).is_ok());
    assert!(header::open(&copies, &mut Stranger { passphrase: false }).is_err());
}

/// A key slot.
pub fn slot(bytes: &[u8]) {
    let Some(slot) = KeySlot::decode(&padded::<KEY_SLOT_BYTES>(bytes)) else { return };
    assert_eq!(KeySlot::decode(&slot.encode()), Some(slot.clone()));
    let mut stranger = Stranger { passphrase: is_quick(&slot) };
    assert!(slot.open(&VolumeId([3; 16]), &mut stranger).is_err());
}

/// Whether trying a passphrase takes only microseconds: the cost is low, or so high that it must be
/// refused.
fn is_quick(slot: &KeySlot) -> bool {
    let mut costs = Input::new(slot.parameters.get(16..).unwrap_or_default());
    let [memory, passes, lanes] = [(); 3].map(|()| costs.number::<4>());
    let little = memory <= 64 && passes <= 2;
    let much = memory > 256 << 10 || passes > 16 || lanes > 8;
    slot.kind == SlotKind::Passphrase && (little || much)
}

/// An entry of the log, decrypted.
pub fn entry(bytes: &[u8]) {
    log::fuzzing::entry(bytes);
}

/// The records of a commit.
pub fn records(bytes: &[u8]) {
    log::fuzzing::records(bytes);
}

/// The state in a commit.
pub fn state(bytes: &[u8]) {
    log::fuzzing::state(bytes);
}

/// An item of extents.
pub fn extents(bytes: &[u8]) {
    let Ok(group) = extents::decode(bytes) else { return };
    let mut item = extents::Item::empty();
    for (place, pointer) in group.into_iter().enumerate() {
        assert_eq!(item.set(place, pointer), None);
        assert_eq!(extents::pick(bytes, place).ok(), Some(pointer));
        let (present, selected) = extents::select(bytes, 1 << place).expect("it was decoded");
        assert_eq!((present != 0, selected.first().copied()), (pointer.is_some(), pointer));
    }
    assert_eq!(item.value(), bytes);
    assert_eq!(extents::Item::new(bytes).expect("it was decoded").value(), bytes);
    for (place, pointer) in group.into_iter().enumerate() {
        assert_eq!(item.set(place, None), pointer);
    }
    assert_eq!(item.value(), extents::Item::empty().value());
}

/// An entry of a directory.
pub fn name(bytes: &[u8]) {
    let Ok((inode, kind, name)) = dirent::parse(bytes) else { return };
    assert_eq!(dirent::value(inode, kind, name), bytes);
}

/// The attributes of an inode.
pub fn attributes(bytes: &[u8]) {
    let Ok(attributes) = Attributes::decode(bytes) else { return };
    assert_eq!(Attributes::decode(&attributes.encode()).ok(), Some(attributes));
}

/// A node and changes of it. The input has: the level; the number of bytes from its start, and
/// these bytes; the number of bytes from its end, and these bytes; whether a slot is changed; and a
/// few bytes for each change.
pub fn node(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let level = input.u8();
    let start = input.below(BLOCK_BYTES + 1);
    let mut page: Box<Bytes> = Box::new(padded(input.bytes(start)));
    let end = input.below(BLOCK_BYTES + 1);
    let end = input.bytes(end);
    page[BLOCK_BYTES - end.len()..].copy_from_slice(end);
    if !input.u8().is_multiple_of(2) {
        move_slot(&mut page, &mut input);
    }
    let Ok(mut node) = Node::validate(page, level) else { return };
    let mut items = items(&node);
    is_made_of(&node, level, &items);
    for _ in 0..MAX_CHANGES {
        if input.is_empty() {
            return;
        }
        change(&mut node, level, &mut items, &mut input);
    }
}

/// Moves an item so that it may share bytes with others, while the sums are still correct.
fn move_slot(page: &mut Bytes, input: &mut Input<'_>) {
    let field = |at: usize| usize::from(u16::from_le_bytes([page[at], page[at + 1]]));
    let (heap, count) = (field(4), field(2));
    let slots = HEAD_BYTES + SLOT_BYTES * count;
    if count == 0 || slots > heap || heap > BLOCK_BYTES {
        return;
    }
    let at = HEAD_BYTES + SLOT_BYTES * input.below(count);
    let place = heap + input.below(BLOCK_BYTES - heap);
    page[at..at + 2].copy_from_slice(&(place as u16).to_le_bytes());
    page[at + 2..at + 4].copy_from_slice(&(input.below(BLOCK_BYTES) as u16).to_le_bytes());
    let lengths = page[HEAD_BYTES..slots].as_chunks::<{ SLOT_BYTES }>().0;
    let total: usize =
        lengths.iter().map(|slot| usize::from(slot[2]) | usize::from(slot[3]) << 8).sum();
    let unused = (BLOCK_BYTES - heap).saturating_sub(total);
    page[6..8].copy_from_slice(&(unused as u16).to_le_bytes());
}

/// Returns the input for [`node`] that gives this node.
fn node_input(node: &Node) -> Vec<u8> {
    let (start, end) = (HEAD_BYTES + SLOT_BYTES * node.count(), node.heap_start());
    let mut input = vec![node.level()];
    input.extend_from_slice(&(start as u16).to_le_bytes());
    input.extend_from_slice(&node.bytes()[..start]);
    input.extend_from_slice(&((BLOCK_BYTES - end) as u16).to_le_bytes());
    input.extend_from_slice(&node.bytes()[end..]);
    // No slot is changed.
    input.push(0);
    input
}

type Items = Vec<(Key, Vec<u8>)>;

fn items(node: &Node) -> Items {
    let item = |index| (node.key(index), node.value(index).to_vec());
    (0..node.count()).map(item).collect()
}

/// Checks that a node is valid and has these items.
fn is_made_of(node: &Node, level: u8, wanted: &Items) {
    assert_eq!(Node::validate(Box::new(*node.bytes()), level).as_ref(), Ok(node));
    assert_eq!(&items(node), wanted);
    for (index, (key, value)) in wanted.iter().enumerate() {
        assert_eq!(node.search(key), Ok(index));
        assert_eq!(node.child_index(key), index);
        if level > 0 {
            assert_eq!(node.child(index).encode(), value[..]);
        }
    }
}

/// Makes one change to a node and to the list of its items.
fn change(node: &mut Node, level: u8, items: &mut Items, input: &mut Input<'_>) {
    let (what, key) = (input.u8(), any_key(input));
    let value = if level == 0 {
        vec![what; input.below(MAX_VALUE_BYTES + 1)]
    } else {
        let block = input.number::<8>() % MAX_BLOCKS;
        let pointer =
            Pointer { block: BlockNo(block), counter: 1, salt: [what; 12], tag: [what; 16] };
        pointer.encode().to_vec()
    };
    match node.search(&key) {
        // A node above the leaves must keep a child.
        Ok(index) if what % 4 == 0 && (level == 0 || items.len() > 1) => {
            node.remove(index);
            items.remove(index);
        }
        Ok(index) if level > 0 => {
            let pointer = padded::<POINTER_BYTES>(&value);
            node.set_child(index, &Pointer::decode(&pointer));
            items[index].1 = value;
        }
        Ok(index) if node.replace(index, &key, &value) => items[index].1 = value,
        Ok(index) => {
            items.remove(index);
        }
        Err(index) if node.insert(index, &key, &value) => {
            items.insert(index, (key, value));
        }
        Err(index) => {
            let mut right = Node::empty(Box::new([0xa5; BLOCK_BYTES]), level);
            node.split(&mut right, index, &key, &value);
            items.insert(index, (key, value));
            let upper = items.split_off(node.count());
            is_made_of(node, level, items);
            is_made_of(&right, level, &upper);
            if let Some((first, _)) = upper.first()
                && node.merge(&right, first)
            {
                items.extend(upper);
            } else if what.is_multiple_of(2) {
                *node = right;
                *items = upper;
            }
        }
    }
    is_made_of(node, level, items);
}
