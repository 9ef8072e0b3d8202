//! Nodes of the tree: items in order, in a page of 4 KiB that is searched as it is.
//!
//! A page begins with its level, the number of items, where the items' bytes begin and how
//! many bytes among them are unused; then comes one slot for each item, in the order of the
//! keys, with the place and length of its bytes, which are stacked from the page's end.

use crate::error::Result;
use crate::format::block::{BLOCK_BYTES, Bytes, MAX_BLOCKS};
use crate::format::item::{KEY_BYTES, Key, parts};
use crate::format::pointer::{POINTER_BYTES, Pointer};
use std::cmp::Ordering;

/// Bytes of the page's own fields.
pub(crate) const HEAD_BYTES: usize = 8;

/// Bytes of a slot.
pub(crate) const SLOT_BYTES: usize = 4;

/// Bytes for slots and items.
const ROOM: usize = BLOCK_BYTES - HEAD_BYTES;

/// Most bytes of an item's value. Three of the largest items fit into a page, so a page
/// can always be split around a new item.
pub(crate) const MAX_VALUE_BYTES: usize = ROOM / 3 - SLOT_BYTES - KEY_BYTES;

/// More levels than a tree can have in as many blocks as there are numbers for.
pub(crate) const MAX_LEVELS: u8 = 16;

fn field(page: &Bytes, at: usize) -> usize {
    usize::from(u16::from_le_bytes([page[at], page[at + 1]]))
}

fn set_field(page: &mut Bytes, at: usize, value: usize) {
    // Offsets and lengths within a page fit.
    page[at..at + 2].copy_from_slice(&(value as u16).to_le_bytes());
}

/// Makes a page empty.
pub(crate) fn clear(page: &mut Bytes, level: u8) {
    page[..HEAD_BYTES].fill(0);
    page[0] = level;
    set_field(page, 4, BLOCK_BYTES);
}

/// 0 for a leaf; the children of a page are one level below it.
pub(crate) fn level(page: &Bytes) -> u8 {
    page[0]
}

/// How many items it has.
pub(crate) fn count(page: &Bytes) -> usize {
    field(page, 2)
}

/// Where the items' bytes begin.
pub(crate) fn heap_start(page: &Bytes) -> usize {
    field(page, 4)
}

fn unused(page: &Bytes) -> usize {
    field(page, 6)
}

fn slot(page: &Bytes, index: usize) -> (usize, usize) {
    let at = HEAD_BYTES + index * SLOT_BYTES;
    (field(page, at), field(page, at + 2))
}

fn key_bytes(page: &Bytes, index: usize) -> &[u8; KEY_BYTES] {
    let (start, _) = slot(page, index);
    page[start..].first_chunk().expect("`validate` saw that items lie in the page")
}

/// The key of an item.
///
/// # Panics
/// When the page has fewer items, or was never validated.
pub(crate) fn key(page: &Bytes, index: usize) -> Key {
    Key::decode(key_bytes(page, index)).expect("`validate` saw that keys make sense")
}

/// The value of an item.
pub(crate) fn value(page: &Bytes, index: usize) -> &[u8] {
    let (start, length) = slot(page, index);
    &page[start + KEY_BYTES..start + length]
}

/// The child at an index of a page that is no leaf.
pub(crate) fn child(page: &Bytes, index: usize) -> Pointer {
    let bytes = value(page, index).first_chunk().expect("`validate` saw the pointers' length");
    Pointer::decode(bytes)
}

/// Changes the child at an index.
pub(crate) fn set_child(page: &mut Bytes, index: usize, pointer: &Pointer) {
    let (start, _) = slot(page, index);
    page[start + KEY_BYTES..start + KEY_BYTES + POINTER_BYTES].copy_from_slice(&pointer.encode());
}

/// Where a key is, or where it would be.
pub(crate) fn search(page: &Bytes, key: &Key) -> Result<usize, usize> {
    let wanted = key.parts();
    let (mut low, mut high) = (0, count(page));
    while low < high {
        let middle = (low + high) / 2;
        match parts(key_bytes(page, middle)).cmp(&wanted) {
            Ordering::Less => low = middle + 1,
            Ordering::Greater => high = middle,
            Ordering::Equal => return Ok(middle),
        }
    }
    Err(low)
}

/// The child whose subtree has the key, if any has it. The first child also has all that
/// is before its own key.
pub(crate) fn child_index(page: &Bytes, key: &Key) -> usize {
    match search(page, key) {
        Ok(index) => index,
        Err(index) => index.saturating_sub(1),
    }
}

/// Bytes that are free, in whatever places.
pub(crate) fn free(page: &Bytes) -> usize {
    heap_start(page) - HEAD_BYTES - count(page) * SLOT_BYTES + unused(page)
}

/// Bytes that are taken by slots and items.
pub(crate) fn used(page: &Bytes) -> usize {
    ROOM - free(page)
}

/// Puts an item at an index, where its key belongs. `false` when there is no room.
pub(crate) fn insert(page: &mut Bytes, index: usize, key: &Key, value: &[u8]) -> bool {
    let length = KEY_BYTES + value.len();
    if free(page) < SLOT_BYTES + length {
        return false;
    }
    let items = count(page);
    let slots_end = HEAD_BYTES + items * SLOT_BYTES;
    if heap_start(page) - slots_end < SLOT_BYTES + length {
        compact(page);
    }
    let start = heap_start(page) - length;
    let at = HEAD_BYTES + index * SLOT_BYTES;
    page.copy_within(at..slots_end, at + SLOT_BYTES);
    set_field(page, at, start);
    set_field(page, at + 2, length);
    page[start..start + KEY_BYTES].copy_from_slice(&key.encode());
    page[start + KEY_BYTES..start + length].copy_from_slice(value);
    set_field(page, 2, items + 1);
    set_field(page, 4, start);
    true
}

/// Takes an item away.
pub(crate) fn remove(page: &mut Bytes, index: usize) {
    let (start, length) = slot(page, index);
    let items = count(page);
    let at = HEAD_BYTES + index * SLOT_BYTES;
    page.copy_within(at + SLOT_BYTES..HEAD_BYTES + items * SLOT_BYTES, at);
    set_field(page, 2, items - 1);
    if start == heap_start(page) {
        set_field(page, 4, start + length);
    } else {
        set_field(page, 6, unused(page) + length);
    }
    if items == 1 {
        clear(page, level(page));
    }
}

/// Gives an item another value. `false` when there is no room; the item is then gone.
pub(crate) fn replace(page: &mut Bytes, index: usize, key: &Key, value: &[u8]) -> bool {
    let (start, length) = slot(page, index);
    if length == KEY_BYTES + value.len() {
        page[start + KEY_BYTES..start + length].copy_from_slice(value);
        return true;
    }
    remove(page, index);
    insert(page, index, key, value)
}

/// Moves the items together, so that all that is free is in one place.
fn compact(page: &mut Bytes) {
    let old = *page;
    clear(page, level(&old));
    for index in 0..count(&old) {
        append_item(page, &old, index);
    }
}

/// Puts an item of another page at the end; there is room.
fn append_item(page: &mut Bytes, from: &Bytes, index: usize) {
    let (start, length) = slot(from, index);
    let items = count(page);
    let to = heap_start(page) - length;
    page[to..to + length].copy_from_slice(&from[start..start + length]);
    let at = HEAD_BYTES + items * SLOT_BYTES;
    set_field(page, at, to);
    set_field(page, at + 2, length);
    set_field(page, 2, items + 1);
    set_field(page, 4, to);
}

/// Splits a page around a new item that has no room in it: `right`, which is empty, takes
/// the upper part. Where items come in order, as a file's do that is written from start to
/// end, the left page stays full.
pub(crate) fn split(page: &mut Bytes, right: &mut Bytes, index: usize, key: &Key, value: &[u8]) {
    let old = *page;
    let at = split_point(&old, index, key, KEY_BYTES + value.len());
    clear(page, level(&old));
    clear(right, level(&old));
    let place = |page: &mut Bytes, from: usize, to: usize| {
        for position in from..to {
            match position.cmp(&index) {
                Ordering::Less => append_item(page, &old, position),
                Ordering::Equal => {
                    let end = count(page);
                    let placed = insert(page, end, key, value);
                    debug_assert!(placed);
                }
                Ordering::Greater => append_item(page, &old, position - 1),
            }
        }
    };
    place(page, 0, at);
    place(right, at, count(&old) + 1);
}

/// How many of the items, with the new one among them, stay in the left page.
fn split_point(page: &Bytes, index: usize, new: &Key, length: usize) -> usize {
    let items = count(page) + 1;
    let size = |position: usize| {
        SLOT_BYTES
            + match position.cmp(&index) {
                Ordering::Less => slot(page, position).1,
                Ordering::Equal => length,
                Ordering::Greater => slot(page, position - 1).1,
            }
    };
    let total: usize = (0..items).map(size).sum();
    let same = |other: usize| {
        let other = self::key(page, other);
        other.inode == new.inode && other.subject == new.subject
    };
    // The new item continues what is before it, and nothing of that follows.
    let appends = index > 0 && same(index - 1) && (index == items - 1 || !same(index));
    let mut left = 0;
    let mut best = (usize::MAX, 1);
    for position in 0..items - 1 {
        left += size(position);
        let right = total - left;
        if left > ROOM || right > ROOM {
            continue;
        }
        let at = position + 1;
        if appends && at == index {
            return at;
        }
        let uneven = left.abs_diff(right);
        if uneven < best.0 {
            best = (uneven, at);
        }
    }
    best.1
}

/// Moves all items of `right` behind those of `page`, if they fit. `first` becomes the key
/// of the first of them: in a page that is no leaf it is what the parent calls `right`,
/// which may be less than the key that `right` has for its first child.
pub(crate) fn merge(page: &mut Bytes, right: &Bytes, first: &Key) -> bool {
    if free(page) < used(right) {
        return false;
    }
    compact(page);
    let start = count(page);
    for index in 0..count(right) {
        append_item(page, right, index);
    }
    if level(page) > 0 {
        let (at, _) = slot(page, start);
        page[at..at + KEY_BYTES].copy_from_slice(&first.encode());
    }
    true
}

/// Which bytes of a page are an item's, a bit for each.
struct Taken([u64; BLOCK_BYTES / 64]);

impl Taken {
    /// Takes bytes of the page; whether all of them were free.
    fn take(&mut self, start: usize, end: usize) -> bool {
        let mut free = true;
        let mut at = start;
        while at < end {
            let (word, first) = (at / 64, at % 64);
            let count = (64 - first).min(end - at);
            let bits = u64::MAX >> (64 - count) << first;
            free &= self.0[word] & bits == 0;
            self.0[word] |= bits;
            at += count;
        }
        free
    }
}

/// Checks that a page makes sense, so that everything else here may rely on it.
pub(crate) fn validate(page: &Bytes, wanted_level: u8) -> Result<(), &'static str> {
    if level(page) != wanted_level || page[1] != 0 {
        return Err("a tree node has the wrong level");
    }
    let items = count(page);
    let heap = heap_start(page);
    if heap > BLOCK_BYTES || HEAD_BYTES + items * SLOT_BYTES > heap {
        return Err("a tree node has more items than room");
    }
    if wanted_level > 0 && items == 0 {
        return Err("a tree node has no children");
    }
    let mut total = 0;
    let mut taken = Taken([0; BLOCK_BYTES / 64]);
    let mut before = None;
    for index in 0..items {
        let (start, length) = slot(page, index);
        if start < heap || start + length > BLOCK_BYTES || length < KEY_BYTES {
            return Err("an item of a tree node lies outside of it");
        }
        // A change of one would change the other.
        if !taken.take(start, start + length) {
            return Err("items of a tree node share bytes");
        }
        total += length;
        let key = Key::decode(key_bytes(page, index)).ok_or("a key makes no sense")?;
        if before.is_some_and(|before| key <= before) {
            return Err("the keys of a tree node are not in order");
        }
        before = Some(key);
        if wanted_level == 0 {
            if length > KEY_BYTES + MAX_VALUE_BYTES {
                return Err("an item of a tree node is too large");
            }
        } else {
            if length != KEY_BYTES + POINTER_BYTES {
                return Err("a child of a tree node is no pointer");
            }
            let child = child(page, index);
            if !child.is_sealed() || child.block >= MAX_BLOCKS {
                return Err("a child of a tree node was never written");
            }
        }
    }
    if total + unused(page) != BLOCK_BYTES - heap {
        return Err("the items of a tree node don't fill their room");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::item::Subject;
    use crate::pseudorandom;

    fn numbered(offset: u64) -> Key {
        Key::new(5, Subject::Extents, offset)
    }

    fn keys(page: &Bytes) -> Vec<Key> {
        (0..count(page)).map(|index| key(page, index)).collect()
    }

    #[test]
    fn a_page_gives_back_what_was_put_in_through_removals_and_growth() {
        let mut page = [0xa5; BLOCK_BYTES];
        clear(&mut page, 0);
        for offset in 0..40 {
            let at = search(&page, &numbered(offset * 7 % 40)).unwrap_err();
            assert!(insert(&mut page, at, &numbered(offset * 7 % 40), &[offset as u8; 30]));
        }
        for offset in (0..40).step_by(2) {
            let at = search(&page, &numbered(offset)).unwrap();
            remove(&mut page, at);
        }
        for offset in (1..40).step_by(2) {
            let at = search(&page, &numbered(offset)).unwrap();
            assert!(replace(&mut page, at, &numbered(offset), &[offset as u8; 150]));
            validate(&page, 0).unwrap();
        }
        for offset in 0..40 {
            match search(&page, &numbered(offset)) {
                Ok(at) => assert_eq!(value(&page, at), [offset as u8; 150]),
                Err(_) => assert_eq!(offset % 2, 0),
            }
        }
    }

    #[test]
    fn a_split_keeps_every_item_and_leaves_full_pages_behind_appends() {
        for items in 3..130_u64 {
            let size = (ROOM / items as usize).min(MAX_VALUE_BYTES + 21).saturating_sub(21);
            for new in 0..=items {
                let mut page = [0; BLOCK_BYTES];
                clear(&mut page, 0);
                for offset in 0..items {
                    let end = count(&page);
                    assert!(insert(&mut page, end, &numbered(offset * 2 + 1), &vec![1; size]));
                }
                let key = numbered(new * 2);
                let index = search(&page, &key).unwrap_err();
                let large = vec![2; MAX_VALUE_BYTES];
                if insert(&mut page, index, &key, &large) {
                    continue;
                }
                let mut right = [0; BLOCK_BYTES];
                let before = count(&page);
                split(&mut page, &mut right, index, &key, &large);
                validate(&page, 0).unwrap();
                validate(&right, 0).unwrap();
                let mut all = keys(&page);
                all.extend(keys(&right));
                assert_eq!(all.len(), before + 1);
                assert!(all.windows(2).all(|pair| pair[0] < pair[1]));
                if new == items {
                    assert_eq!(count(&page), before);
                }
            }
        }
    }

    #[test]
    fn a_page_whose_items_share_bytes_is_refused_though_its_sums_fit() {
        // The value of the first item holds what would be the second one.
        let mut value = vec![0xff; 100];
        value[40..40 + KEY_BYTES].copy_from_slice(&numbered(2).encode());
        let mut page = [0; BLOCK_BYTES];
        clear(&mut page, 0);
        assert!(insert(&mut page, 0, &numbered(1), &value));
        assert!(insert(&mut page, 1, &numbered(2), &[3; 10]));
        validate(&page, 0).unwrap();
        let (start, _) = slot(&page, 0);
        let (second, length) = slot(&page, 1);
        set_field(&mut page, HEAD_BYTES + SLOT_BYTES, start + KEY_BYTES + 40);
        assert_eq!(key(&page, 1), numbered(2));
        assert_eq!(validate(&page, 0), Err("items of a tree node share bytes"));
        set_field(&mut page, HEAD_BYTES + SLOT_BYTES, second);
        validate(&page, 0).unwrap();
        // They touch each other, at places that fill words and that do not.
        for (start, end) in [(0, 64), (64, 65), (65, 129), (191, 193), (193, 320), (4095, 4096)] {
            let mut taken = Taken([0; BLOCK_BYTES / 64]);
            assert!(taken.take(start, end));
            assert!(start == 0 || taken.take(start - 1, start));
            assert!(end == BLOCK_BYTES || taken.take(end, end + 1));
            assert!(!taken.take(start, start + 1) && !taken.take(end - 1, end));
        }
        assert_eq!(length, KEY_BYTES + 10);
    }

    #[test]
    fn no_mutation_of_a_page_makes_it_panic() {
        let mut page = [0; BLOCK_BYTES];
        clear(&mut page, 0);
        for offset in 0..20 {
            assert!(insert(&mut page, offset as usize, &numbered(offset), &[7; 100]));
        }
        let mut random = pseudorandom::numbers();
        let mut valid = 0;
        for _ in 0..100_000 {
            let mut mutant = page;
            for _ in 0..1 + random() % 4 {
                let start = random().is_multiple_of(2);
                let at = random() % if start { 96 } else { BLOCK_BYTES };
                mutant[at] = random() as u8;
            }
            if validate(&mutant, 0).is_ok() {
                valid += 1;
                for index in 0..count(&mutant) {
                    key(&mutant, index);
                    value(&mutant, index);
                }
                let _ = search(&mutant, &numbered(3));
                if count(&mutant) > 0 {
                    remove(&mut mutant, 0);
                }
                insert(&mut mutant, 0, &Key::MIN, &[1; 40]);
                let _ = validate(&mutant, 0);
            }
        }
        println!("100000 mutated pages, {valid} of them valid");
        assert!(valid > 0 && valid < 100_000);
    }
}
