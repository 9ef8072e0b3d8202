//! Tests with a hostile host that keeps records and storages for the enclave, by their names.

mod common;

use common::{Enclave, Shared, boundary};
use std::cell::{Cell, RefCell};
use twine_boundary::Access;
use twine_protocol::calls::number;
use twine_protocol::state::{MAX_NAME, MAX_RECORDS, open, write};
use twine_protocol::wire::{Status, TRANSFER_BUFFER_LENGTH, TRANSFER_BUFFER_SIZE};

const IMPOSSIBLE: [&str; 8] = ["", "..", "a/b", "/", "A", "a.twine", "a\0", "ä"];

impl Shared {
    /// Returns the `length` bytes at `pointer`, which must be in the buffer.
    fn bytes(&self, pointer: u64, length: u64) -> Vec<u8> {
        let all: Vec<u8> = self.0.borrow().iter().flat_map(|word| word.to_le_bytes()).collect();
        let start = (pointer - self.answer().0) as usize;
        all[start..start + length as usize].to_vec()
    }

    /// Puts bytes at the start of the buffer.
    fn put(&self, bytes: &[u8]) {
        for (word, bytes) in self.0.borrow_mut().iter_mut().zip(bytes.chunks(8)) {
            let mut whole = [0; 8];
            whole[..bytes.len()].copy_from_slice(bytes);
            *word = u64::from_le_bytes(whole);
        }
    }
}

#[test]
fn impossible_names_never_leave_the_enclave() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    let host = boundary(&enclave.range(), |call, _| match call {
        number::transfer_buffer => shared.answer(),
        _ => panic!("{call:#x}"),
    });
    let long = "x".repeat(MAX_NAME + 1);
    for name in IMPOSSIBLE.into_iter().chain([&*long]) {
        assert_eq!(host.open_storage(name, Access::Create).map(drop), Err(Status::Invalid));
        assert_eq!(host.remove_storage(name), Err(Status::Invalid));
        assert_eq!(host.record(name, 9), Err(Status::Invalid));
        assert_eq!(host.write_record(name, b"data"), Err(Status::Invalid));
        assert_eq!(host.remove_record(name), Err(Status::Invalid));
    }
    assert!(shared.0.borrow().iter().all(|&word| word == 0));
}

#[test]
fn no_bad_transfer_buffer_takes_a_name_or_a_record() {
    let enclave = Enclave::new();
    for length in [0, 8, 64, TRANSFER_BUFFER_SIZE] {
        for pointer in enclave.bad_pointers(length) {
            let host = boundary(&enclave.range(), |call, _| match call {
                number::transfer_buffer => (pointer, length),
                _ => (0, 1),
            });
            assert_eq!(host.open_storage("name", Access::Write).map(drop), Err(Status::Io));
            assert_eq!(host.remove_storage("name"), Err(Status::Io));
            assert_eq!(host.record("name", 9), Err(Status::Io));
            assert_eq!(host.write_record("name", b"data"), Err(Status::Io));
            assert_eq!(host.remove_record("name"), Err(Status::Io));
            assert_eq!(host.records(), Err(Status::Io));
        }
    }
    enclave.assert_untouched();
    // Buffers that are too short for a name, and for a name with data.
    let shared = Shared::new();
    let short = boundary(&enclave.range(), |call, _| match call {
        number::transfer_buffer => (shared.answer().0, 8),
        _ => panic!("{call:#x}"),
    });
    assert_eq!(short.record("a-long-name", 9), Err(Status::Invalid));
    assert_eq!(short.write_record("name", b"data"), Err(Status::Io));
}

#[test]
fn a_storage_is_opened_by_name_and_closed_once_under_the_number_that_the_host_chose() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    for given in [0, 7, 1 << 40, u64::MAX] {
        let closed = Cell::new(0);
        let host = boundary(&enclave.range(), |call, [first, second, third, _]| match call {
            number::transfer_buffer => shared.answer(),
            number::storage_open => {
                assert_eq!(shared.bytes(first, second), b"data-0");
                assert_eq!(third, open::CREATE);
                (0, given)
            }
            number::storage_size => {
                assert_eq!(first, given);
                (0, 4096)
            }
            number::storage_close => {
                assert_eq!(first, given);
                closed.set(closed.get() + 1);
                (u64::MAX, u64::MAX)
            }
            _ => (0, 0),
        });
        let mut file = host.open_storage("data-0", Access::Create).unwrap();
        assert_eq!(file.size(), Ok(4096));
        // The host gives no acceptable mapping.
        assert_eq!(file.read(0, &mut [0; 8]), Err(Status::Io));
        assert_eq!(closed.get(), 0);
        drop(file);
        assert_eq!(closed.get(), 1);
    }
}

#[test]
fn a_storage_that_was_not_opened_is_not_closed() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    let code = Cell::new(0);
    let host = boundary(&enclave.range(), |call, [.., flags, _]| match call {
        number::transfer_buffer => shared.answer(),
        number::storage_open => {
            assert_eq!(flags, open::READ_ONLY);
            (code.get(), 3)
        }
        _ => panic!("{call:#x}"),
    });
    for status in [Status::Missing, Status::InUse, Status::NotSupported, Status::NoSpace] {
        code.set(status.code());
        assert_eq!(host.open_storage("name", Access::Read).map(drop), Err(status));
    }
    for unknown in [15, 32, u64::MAX] {
        code.set(unknown);
        assert_eq!(host.open_storage("name", Access::Read).map(drop), Err(Status::Io));
    }
}

#[test]
fn a_record_is_read_in_pieces_up_to_the_limit() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    let content: Vec<u8> = (0..TRANSFER_BUFFER_LENGTH + 1000).map(|at| (at / 7) as u8).collect();
    let most_at_once = Cell::new(TRANSFER_BUFFER_LENGTH);
    let host = boundary(&enclave.range(), |call, [pointer, length, offset, _]| match call {
        number::transfer_buffer => shared.answer(),
        number::record_read => {
            assert_eq!(shared.bytes(pointer, length), b"owner");
            let rest = &content[offset as usize..];
            let piece = &rest[..rest.len().min(most_at_once.get())];
            shared.put(piece);
            (0, piece.len() as u64)
        }
        _ => panic!("{call:#x}"),
    });
    for at_once in [TRANSFER_BUFFER_LENGTH, 100_000, 4099] {
        most_at_once.set(at_once);
        assert_eq!(host.record("owner", content.len()).as_ref(), Ok(&Some(content.clone())));
        assert_eq!(host.record("owner", content.len() - 1), Err(Status::FileTooBig));
        assert_eq!(host.record("owner", 0), Err(Status::FileTooBig));
    }
}

#[test]
fn an_endless_record_ends() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    for (counted, most) in [(1, 1000_u64), (TRANSFER_BUFFER_SIZE, 1 << 20), (4096, 8192)] {
        let calls = Cell::new(0);
        let host = boundary(&enclave.range(), |call, _| match call {
            number::transfer_buffer => shared.answer(),
            _ => {
                calls.set(calls.get() + 1);
                (0, counted)
            }
        });
        assert_eq!(host.record("name", most as usize), Err(Status::FileTooBig));
        assert_eq!(calls.get(), most / counted + 1);
    }
}

#[test]
fn counts_beyond_the_buffer_are_refused_and_an_absent_record_is_none() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    let answer = Cell::new((0, 0));
    let host = boundary(&enclave.range(), |call, _| match call {
        number::transfer_buffer => shared.answer(),
        _ => answer.get(),
    });
    for count in [TRANSFER_BUFFER_SIZE + 1, 1 << 32, u64::MAX - 7, u64::MAX] {
        answer.set((0, count));
        assert_eq!(host.record("name", usize::MAX), Err(Status::Io));
        assert_eq!(host.records(), Err(Status::Io));
    }
    answer.set((0, MAX_NAME as u64 + 1));
    assert_eq!(host.records(), Err(Status::Io));
    answer.set((0, 0));
    assert_eq!(host.record("name", 0), Ok(Some(Vec::new())));
    assert_eq!(host.records(), Ok(Vec::new()));
    answer.set((Status::Missing.code(), 5));
    assert_eq!(host.record("name", 9), Ok(None));
    assert_eq!(host.remove_record("name"), Err(Status::Missing));
    for unknown in [15, 32, 1 << 32, u64::MAX] {
        answer.set((unknown, 0));
        assert_eq!(host.record("name", 9), Err(Status::Io));
        assert_eq!(host.write_record("name", b"data"), Err(Status::Io));
        assert_eq!(host.remove_record("name"), Err(Status::Io));
        assert_eq!(host.remove_storage("name"), Err(Status::Io));
        assert_eq!(host.records(), Err(Status::Io));
    }
    // A buffer that is shorter than the count.
    let short = boundary(&enclave.range(), |call, _| match call {
        number::transfer_buffer => (shared.answer().0, 64),
        _ => (0, 65),
    });
    assert_eq!(short.record("name", 1000), Err(Status::Io));
    enclave.assert_untouched();
}

#[test]
fn a_record_is_written_whole_from_the_first_piece_to_the_last() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    let calls = RefCell::new(Vec::new());
    let host = boundary(&enclave.range(), |call, [pointer, named, length, flags]| match call {
        number::transfer_buffer => shared.answer(),
        number::record_write => {
            assert_eq!(shared.bytes(pointer, named), b"owner");
            let data = shared.bytes(pointer + named.next_multiple_of(8), length);
            calls.borrow_mut().push((flags, data));
            (0, 0)
        }
        _ => panic!("{call:#x}"),
    });
    let room = TRANSFER_BUFFER_LENGTH - 8;
    let content: Vec<u8> = (0..2 * room + 5).map(|at| (at / 11) as u8).collect();
    for length in [0, 1, 8, room - 1, room, room + 1, 2 * room, 2 * room + 5] {
        host.write_record("owner", &content[..length]).unwrap();
        let calls = calls.take();
        let all = calls.len();
        assert_eq!(all, length.div_ceil(room).max(1));
        for (at, (flags, _)) in calls.iter().enumerate() {
            let first = if at == 0 { write::FIRST } else { 0 };
            let last = if at == all - 1 { write::LAST } else { 0 };
            assert_eq!(*flags, first | last);
        }
        let written: Vec<u8> = calls.into_iter().flat_map(|(_, data)| data).collect();
        assert_eq!(written, content[..length]);
    }
    assert!(!shared.holds_secret());
}

#[test]
fn a_write_ends_at_the_first_error() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    let calls = Cell::new(0);
    let host = boundary(&enclave.range(), |call, _| match call {
        number::transfer_buffer => shared.answer(),
        _ => {
            calls.set(calls.get() + 1);
            (if calls.get() == 2 { Status::NoSpace.code() } else { 0 }, 0)
        }
    });
    let content = vec![1; 3 * TRANSFER_BUFFER_LENGTH];
    assert_eq!(host.write_record("name", &content), Err(Status::NoSpace));
    assert_eq!(calls.get(), 2);
}

/// Returns what the enclave lists when the host answers with these names, one after the other, and
/// then with none.
fn listed(names: &[&[u8]]) -> Result<Vec<String>, Status> {
    let enclave = Enclave::new();
    let shared = Shared::new();
    let asked = Cell::new(0);
    let host = boundary(&enclave.range(), |call, [pointer, length, ..]| match call {
        number::transfer_buffer => shared.answer(),
        number::record_next => {
            let at = asked.get();
            asked.set(at + 1);
            let last: &[u8] = if at == 0 { b"" } else { names[at - 1] };
            assert_eq!(shared.bytes(pointer, length), last);
            let next: &[u8] = names.get(at).copied().unwrap_or_default();
            shared.put(next);
            (0, next.len() as u64)
        }
        _ => panic!("{call:#x}"),
    });
    let result = host.records();
    enclave.assert_untouched();
    result
}

#[test]
fn names_are_listed_in_strict_order_or_not_at_all() {
    let long = "z".repeat(MAX_NAME);
    let good: [&[u8]; 5] = [b"-", b"0", b"a", b"a-", long.as_bytes()];
    let names = good.map(|name| String::from_utf8_lossy(name).into_owned());
    assert_eq!(listed(&good), Ok(names.to_vec()));
    assert_eq!(listed(&[]), Ok(Vec::new()));
    let orders: [&[&[u8]]; 4] =
        [&[b"a", b"a"], &[b"b", b"a"], &[b"a", b"b", b"a"], &[b"ab", b"a-"]];
    for order in orders {
        assert_eq!(listed(order), Err(Status::Io), "{order:?}");
    }
    let impossible: [&[u8]; 6] = [b"A", b"a/b", b"..", b"a\0", b"\xff", "ä".as_bytes()];
    for name in impossible {
        assert_eq!(listed(&[name]), Err(Status::Io), "{name:?}");
        assert_eq!(listed(&[b"-", name]), Err(Status::Io), "{name:?}");
    }
}

#[test]
fn a_list_without_end_ends() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    let calls = Cell::new(0_usize);
    let host = boundary(&enclave.range(), |call, _| match call {
        number::transfer_buffer => shared.answer(),
        _ => {
            calls.set(calls.get() + 1);
            shared.put(format!("{:08}", calls.get()).as_bytes());
            (0, 8)
        }
    });
    assert_eq!(host.records(), Err(Status::Io));
    assert_eq!(calls.get(), MAX_RECORDS + 1);
}
