//! The functions that the fuzz targets in `fuzz/` call.
//!
//! Each function takes any bytes. It panics if a decoder panics, or if a decoded value is wrong: it
//! must encode to bytes that decode to the same value and are not much longer than the input. Only
//! the fuzz targets need the feature of this module.

mod examples;

use crate::VERSION;
use crate::folder::{Answer, Request};
use crate::launch::{DecodeError, Launch, Outcome};
use crate::state;
use crate::text::visible;
use crate::wire::{
    Clock, Piece, PollRecord, SocketStatus, Status, StreamKind, Unit, Unread, poll, socket,
};
use alloc::string::String;
use alloc::vec::Vec;
pub use examples::{answers, launches, outcomes, requests};

/// Decodes a launch request, as the enclave does. The version need not be the present one.
pub fn launch(bytes: &[u8]) {
    message(bytes, Launch::decode, Launch::encode);
}

/// Decodes an outcome, as the host does.
pub fn outcome(bytes: &[u8]) {
    message(bytes, Outcome::decode, Outcome::encode);
}

fn message<T: PartialEq + core::fmt::Debug>(
    bytes: &[u8],
    decode: impl Fn(&[u8]) -> Result<T, DecodeError>,
    encode: impl Fn(&T) -> Vec<u8>,
) {
    let of_version = |version: u32| [&version.to_le_bytes(), bytes].concat();
    let old = decode(&of_version(VERSION - 1));
    assert_eq!(old, Err(DecodeError::Version(VERSION - 1)));
    let Ok(value) = decode(&of_version(VERSION)) else { return };
    let again = encode(&value);
    assert!(again.len() <= bytes.len() + 4, "numbers are written as short as can be");
    assert_eq!(decode(&again), Ok(value));
    let mut longer = again;
    longer.push(0);
    assert_eq!(decode(&longer), Err(DecodeError::Malformed));
}

/// Decodes a request to a folder, as the host does.
pub fn request(bytes: &[u8]) {
    let Some((request, rest)) = Request::decode(bytes) else { return };
    let mut again = request.encode();
    assert!(again.len() + rest.len() <= bytes.len());
    again.resize(again.len().next_multiple_of(8), 0);
    again.extend_from_slice(rest);
    assert_eq!(Request::decode(&again), Some((request, rest)));
}

/// Decodes an answer about a folder, as the enclave does.
pub fn answer(bytes: &[u8]) {
    let Some(answer) = Answer::decode(bytes) else { return };
    let again = answer.encode();
    assert!(again.len() <= bytes.len());
    assert_eq!(Answer::decode(&again), Some(answer));
}

/// Decodes records of fixed size, codes, and names of the state folder.
pub fn wire(bytes: &[u8]) {
    let name = state::name(bytes);
    assert!(name.is_none_or(|name| name.as_bytes() == bytes && !name.contains(['/', '.', '\0'])));
    for bytes in bytes.as_chunks().0 {
        let record = PollRecord::from_bytes(bytes);
        assert_eq!(record.to_bytes(), *bytes);
        codes(record.events);
    }
    for bytes in bytes.as_chunks().0 {
        let piece = Piece::from_bytes(bytes);
        assert_eq!(piece.to_bytes(), *bytes);
    }
    for bytes in bytes.as_chunks::<32>().0 {
        let [from, to, offset, length] =
            core::array::from_fn(|at| u64::from_le_bytes(bytes.as_chunks().0[at]));
        let unread = Unread::from_words([from, to]);
        assert_eq!(unread.to_words(), [from, to]);
        let last = u128::from(offset) + u128::from(length);
        let common = u128::from(offset.max(from))..last.min(u128::from(u64::MAX)).min(to.into());
        assert_eq!(unread.overlaps(offset, length), !common.is_empty());
    }
}

/// Checks that a code is either the code of a decoded value, or of no value.
fn codes(code: u64) {
    assert!(Status::from_code(code).is_none_or(|value| value.code() == code));
    assert!(SocketStatus::from_code(code).is_none_or(|value| value.code() == code));
    assert!(Status::from_code(code).is_none() || SocketStatus::from_code(code).is_none());
    assert!(StreamKind::from_code(code).is_none_or(|value| value.code() == code));
    assert!(Clock::from_code(code).is_none_or(|value| value.code() == code));
    assert!(Unit::from_code(code).is_none_or(|value| value.code() == code));
}

/// Makes text that a program has chosen visible on a terminal.
pub fn text(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let shown = visible(&text);
    assert!(!shown.contains(char::is_control));
    assert!(
        !shown
            .contains(|letter| matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
    );
    assert_eq!(visible(&shown), shown);
    assert!(shown.len() <= 8 * text.len());
}

/// Inputs for the targets, by the target's name: messages in their encoding.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds = Vec::new();
    seeds.extend(launches().iter().map(|launch| ("launch", launch.encode()[4..].to_vec())));
    seeds.extend(outcomes().iter().map(|outcome| ("outcome", outcome.encode()[4..].to_vec())));
    seeds.extend(requests().iter().map(|request| {
        let mut bytes = request.encode();
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        ("request", bytes)
    }));
    seeds.extend(answers().iter().map(|answer| ("answer", answer.encode())));
    let record = PollRecord { stream: 3, events: poll::READ | poll::HANGUP, bytes: 9 };
    seeds.push(("wire", record.to_bytes().to_vec()));
    let piece = Piece { offset: 4096, length: 12288 };
    let unread = Unread { from: 8192, to: 12288 }.to_words().map(u64::to_le_bytes);
    seeds.push(("wire", [unread.as_flattened(), &piece.to_bytes()].concat()));
    seeds.push(("wire", [socket::WAIT; 3].map(u64::to_le_bytes).concat()));
    seeds.push(("wire", b"a-name-0".to_vec()));
    seeds.push(("text", "app.wasm\u{1b}[2J \u{202e}abc".into()));
    seeds
}
