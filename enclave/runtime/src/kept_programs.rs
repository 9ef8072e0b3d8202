//! Bounds what is kept of programs for one owner: those that were used last stay.
//!
//! The host can put an older list back. Then more is kept than should be, or less: a program that is
//! gone is sent again.

use crate::record::{self, Record};
use crate::state::{State, name};
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use twine_evidence::bytes::Digest;
use twine_evidence::signed::Signed;
use twine_hosting::Kept;
use twine_sgx::host;

/// Limit on the programs of one owner.
const MAX_PROGRAMS: usize = 32;

/// Limit on the size of the programs of one owner, in bytes. Their code comes on top.
const MAX_BYTES: u64 = 256 << 20;

/// Size of an item of the list, in bytes: the program's SHA-256 and its size.
const ITEM: usize = 32 + 8;

/// Limit on the size of the list with its seal, in bytes.
const MAX_LIST: usize = 64 << 10;

/// One list is changed after the other.
static CHANGES: Mutex<()> = Mutex::new(());

/// The programs of an owner with their sizes in bytes, the one that was used last at the end.
type List = Vec<(Digest, u64)>;

fn list_name(owner: Digest) -> String {
    name("programs", owner, Digest([0; 32]))
}

fn read(owner: Digest) -> List {
    // A list that is of another image or damaged is as good as none.
    let Record::Own(bytes) = record::read_within(&list_name(owner), MAX_LIST) else {
        return List::new();
    };
    let (items, _) = bytes.as_chunks::<ITEM>();
    items
        .iter()
        .filter_map(|item| {
            let (digest, size) = item.split_first_chunk::<32>()?;
            Some((Digest(*digest), u64::from_le_bytes(size.try_into().ok()?)))
        })
        .collect()
}

fn write(owner: Digest, list: &List) {
    let item = |(digest, size): &(Digest, u64)| [&digest.0[..], &size.to_le_bytes()].concat();
    let bytes: Vec<u8> = list.iter().flat_map(item).collect();
    let name = list_name(owner);
    // Without the list, the next one begins anew, and what was in it stays until it is used.
    let _ = match list.is_empty() {
        true => host().remove_record(&name).is_ok(),
        false => record::write(&name, &bytes),
    };
}

/// Takes items from the start of a list until it is within the limits, but none of `needed`.
fn surplus(list: &mut List, needed: &HashSet<Digest>) -> Vec<Digest> {
    let mut removed = Vec::new();
    let mut at = 0;
    while list.len() > MAX_PROGRAMS || sum(list) > MAX_BYTES {
        match list.get(at) {
            None => break,
            Some((digest, _)) if needed.contains(digest) => at += 1,
            Some(_) => removed.push(list.remove(at).0),
        }
    }
    removed
}

fn sum(list: &List) -> u64 {
    list.iter().map(|(_, size)| size).fold(0, |sum, size| sum.saturating_add(*size))
}

impl State {
    /// Records that an owner's program is used, of which these bytes came if it was sent. Removes what
    /// was not used for the longest time, if that is too much.
    pub(crate) fn used_program(&self, owner: Digest, program: Digest, sent: Option<&[u8]>) {
        let _one = CHANGES.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list = read(owner);
        let known = list.iter().position(|(other, _)| *other == program);
        let size = match (sent, known.and_then(|at| list.get(at))) {
            (Some(bytes), _) => bytes.len() as u64,
            (None, Some((_, size))) => *size,
            (None, None) => return,
        };
        if list.last() == Some(&(program, size)) {
            return;
        }
        list.retain(|(other, _)| *other != program);
        list.push((program, size));
        if list.len() > MAX_PROGRAMS || sum(&list) > MAX_BYTES {
            let mut needed = self.needed_programs(owner);
            needed.insert(program);
            for digest in surplus(&mut list, &needed) {
                self.remove_program(owner, digest);
            }
        }
        write(owner, &list);
    }

    /// Removes a program of an owner, which no deployment names any more.
    pub(crate) fn forget_program(&self, owner: Digest, program: Digest) {
        let _one = CHANGES.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list = read(owner);
        list.retain(|(other, _)| *other != program);
        self.remove_program(owner, program);
        write(owner, &list);
    }

    /// The programs of deployments that a host may start again without their owner.
    fn needed_programs(&self, owner: Digest) -> HashSet<Digest> {
        let manifests = self.kept_deployments().into_iter().flatten();
        let manifests = manifests.filter_map(|Kept { signed, .. }| Signed::open(&signed).ok());
        let own = manifests.filter(|manifest| manifest.owner().id() == owner);
        own.map(|manifest| manifest.manifest().terms.program).collect()
    }
}
