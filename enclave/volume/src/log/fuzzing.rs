//! The log's part of [`crate::fuzzing`].

use super::sealed_entry;

use crate::crypto::{Sealer, SecretKey};
use crate::format::block::zeroed;
use crate::format::bytes::Reader;
use crate::format::entry::{Entry, PAYLOAD_BYTES, SEALED_BYTES};
use crate::format::identity::VolumeId;
use crate::format::record::{self, STATE_BYTES, State};
use std::collections::BTreeSet;

/// Decodes, seals and opens an entry, and decodes its payload.
pub(crate) fn entry(bytes: &[u8]) {
    let Ok(entry) = Entry::decode(&bytes[..bytes.len().min(SEALED_BYTES)]) else { return };
    let mut sealer = Sealer::new(SecretKey::new([5; 32])).expect("there are random bytes");
    let volume = VolumeId([6; 16]);
    let mut block = zeroed();
    sealed_entry::seal(&entry, &mut sealer, &volume, &mut block)
        .expect("there is room in the entry");
    let opened = sealed_entry::open(&mut sealer, &volume, &block).expect("it is well-formed");
    let opened = opened.expect("it was sealed just now");
    assert_eq!(opened.entry.payload, entry.payload);
    let head = |entry: Entry| format!("{:?}", Entry { payload: Vec::new(), ..entry });
    assert_eq!(head(opened.entry), head(entry.clone()));
    let mut reader = Reader::new(&entry.payload);
    if State::read(&mut reader).is_ok() {
        records(reader.rest());
    }
}

/// Decodes the records of a commit. Encoding them again gives the same bytes.
pub(crate) fn records(bytes: &[u8]) {
    let Ok(records) = record::records(bytes) else { return };
    let mut again = Vec::with_capacity(bytes.len());
    records.iter().for_each(|record| record.encode(&mut again));
    assert_eq!(again, bytes);
}

/// Decodes and encodes a state.
pub(crate) fn state(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    let Ok(state) = State::read(&mut reader) else { return };
    let mut again = Vec::new();
    state.encode(&mut again);
    assert_eq!(again, bytes[..bytes.len() - reader.rest().len()]);
    assert_eq!(State::read(&mut Reader::new(&again)), Ok(state));
}

/// Collects an entry that is about to be sealed, and its parts, as seeds.
pub(crate) fn collect(sealed: &[u8], seeds: &mut BTreeSet<(&'static str, Vec<u8>)>) {
    let Ok(entry) = Entry::decode(sealed) else { return };
    let used = sealed.len() - (PAYLOAD_BYTES - entry.payload.len());
    seeds.insert(("entry", sealed[..used].to_vec()));
    let (state, records) = entry.payload.split_at(STATE_BYTES.min(entry.payload.len()));
    seeds.insert(("state", state.to_vec()));
    if record::records(records).is_ok_and(|records| !records.is_empty()) {
        seeds.insert(("records", records.to_vec()));
    }
}
