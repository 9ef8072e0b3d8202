//! Tests with a hostile host that keeps files for the enclave: volumes' files, folders, sockets.

mod common;

use common::{Enclave, SECRET, Shared, boundary};
use std::cell::{Cell, RefCell};
use twine_boundary::{FolderError, MappedFile, SocketError};
use twine_protocol::calls::number;
use twine_protocol::folder::{Answer, Entry, Failure, Kind, Request};
use twine_protocol::network::{Connect, Listen, MAX_REQUEST};
use twine_protocol::wire::{AHEAD, Piece, SocketStatus, Status, TRANSFER_BUFFER_SIZE};

#[test]
fn no_bad_pointer_is_taken_for_a_mapping() {
    let enclave = Enclave::new();
    for length in [0, 8, 4096, 1 << 20, 1 << 46] {
        for pointer in enclave.bad_pointers(length) {
            let host = boundary(&enclave.range(), |_, _| (pointer, length));
            let mut bytes = [7; 64];
            let read = MappedFile::new(&host, 0).read(0, &mut bytes);
            assert_eq!(read, Err(Status::Io), "{length} bytes at {pointer:#x}");
            assert_eq!(bytes, [7; 64]);
        }
    }
    let host = boundary(&enclave.range(), |_, _| (8, (1 << 46) + 1));
    assert_eq!(MappedFile::new(&host, 0).read(0, &mut [0; 8]), Err(Status::Io));
}

#[test]
fn nothing_beyond_a_mapping_is_read() {
    let enclave = Enclave::new();
    let memory = [0x1111_1111_1111_1111_u64; 16];
    let nothing = [0_u64; 2];
    let host = boundary(&enclave.range(), |call, _| match call {
        number::storage_map => (memory.as_ptr() as u64, 128),
        number::storage_unread => (nothing.as_ptr() as u64, 16),
        _ => (Status::Short.code(), 0),
    });
    let mut file = MappedFile::new(&host, 0);
    let mut bytes = [0; 64];
    assert_eq!(file.read(64, &mut bytes), Ok(()));
    assert_eq!(bytes, [0x11; 64]);
    for offset in [72, 128, 4096, 1 << 46, u64::MAX - 63, u64::MAX - 7, 1, 4] {
        // Only the host knows the end of the file, and without a buffer it cannot report it.
        assert_eq!(file.read(offset, &mut bytes), Err(Status::Io), "{offset}");
    }
    let shared = Shared::new();
    let host = boundary(&enclave.range(), |call, _| match call {
        number::storage_map => (memory.as_ptr() as u64, 128),
        number::storage_unread => (nothing.as_ptr() as u64, 16),
        number::transfer_buffer => shared.answer(),
        _ => (Status::Short.code(), 0),
    });
    assert_eq!(MappedFile::new(&host, 0).read(72, &mut bytes), Err(Status::Short));
}

/// Reads through a mapping of 64 KiB of zeros. The host reports that the part `told` could not be
/// read. It answers a read by call with `read`, after filling each word of the buffer with the
/// number of the first page, counted from 1. Also returns the numbers of the calls.
fn with_unread<T>(
    told: [u64; 2],
    read: (u64, u64),
    test: impl FnOnce(&mut dyn FnMut(u64, &mut [u8]) -> Result<(), Status>) -> T,
) -> (T, Vec<u64>) {
    let enclave = Enclave::new();
    let shared = Shared::new();
    let mapped = vec![0_u64; 8192];
    let calls = RefCell::new(Vec::new());
    let host = boundary(&enclave.range(), |call, [_, offset, pointer, length]| {
        calls.borrow_mut().push(call);
        match call {
            number::transfer_buffer => shared.answer(),
            number::storage_map => (mapped.as_ptr() as u64, 65_536),
            number::storage_unread => (told.as_ptr() as u64, 16),
            number::storage_read => {
                let (start, _) = shared.answer();
                assert!(pointer == start && length <= TRANSFER_BUFFER_SIZE);
                let words = length as usize / 8;
                shared.0.borrow_mut()[..words].fill(offset / 4096 + 1);
                read
            }
            _ => (u64::MAX, 0),
        }
    });
    let mut file = MappedFile::new(&host, 0);
    let result = test(&mut |offset, bytes| file.read(offset, bytes));
    enclave.assert_untouched();
    (result, calls.take())
}

#[test]
fn the_host_is_asked_for_pages_of_a_mapping_that_could_not_be_read() {
    let (_, calls) = with_unread([8192, 12_288], (0, 0), |read| {
        let mut bytes = [9; 4096];
        // The mapping is used outside of that part.
        for offset in [0, 4096, 12_288, 61_440] {
            assert_eq!(read(offset, &mut bytes), Ok(()));
            assert_eq!(bytes, [0; 4096]);
        }
        assert_eq!(read(8192, &mut bytes), Ok(()));
        assert_eq!(bytes, *3_u64.to_le_bytes().repeat(512));
        let mut both = [9; 8192];
        assert_eq!(read(4096, &mut both), Ok(()));
        assert_eq!(both, *2_u64.to_le_bytes().repeat(1024));
    });
    let reads = calls.iter().filter(|&&call| call == number::storage_read).count();
    let maps = calls.iter().filter(|&&call| call == number::storage_map).count();
    assert_eq!((reads, maps), (2, 1));
}

#[test]
fn an_error_of_the_host_is_the_error_of_the_read() {
    for status in [Status::Io, Status::Short, Status::NoMemory] {
        with_unread([0, u64::MAX], (status.code(), 0), |read| {
            assert_eq!(read(4096, &mut [0; 4096]), Err(status));
        });
    }
}

#[test]
fn no_words_about_unread_pages_do_more_than_cost_a_call() {
    let numbers = [0, 1, 4096, 8191, 1 << 47, 1 << 63, u64::MAX - 1, u64::MAX];
    for from in numbers {
        for to in numbers {
            let (_, calls) = with_unread([from, to], (0, 0), |read| {
                let mut bytes = [9; 4096];
                assert_eq!(read(4096, &mut bytes), Ok(()));
                assert!(bytes == [0; 4096] || bytes == *2_u64.to_le_bytes().repeat(512));
            });
            assert!(calls.len() <= 4, "{calls:?}");
        }
    }
}

#[test]
fn no_bad_pointer_is_taken_for_the_words_about_unread_pages() {
    let enclave = Enclave::new();
    let memory = [5_u64; 64];
    let read = |pointer, length| {
        let host = boundary(&enclave.range(), |call, _| match call {
            number::storage_map => (memory.as_ptr() as u64, 512),
            _ => (pointer, length),
        });
        MappedFile::new(&host, 0).read(0, &mut [0; 64])
    };
    for pointer in enclave.bad_pointers(16) {
        assert_eq!(read(pointer, 16), Err(Status::Io), "{pointer:#x}");
    }
    for length in [0, 8, 15, 17, 24, u64::MAX] {
        assert_eq!(read(memory.as_ptr() as u64, length), Err(Status::Io), "{length}");
    }
}

#[test]
fn the_host_is_asked_to_enter_64_times_what_was_read_each_time_that_has_doubled() {
    let enclave = Enclave::new();
    let mapped = vec![0_u64; 1 << 17];
    let nothing = [0_u64; 2];
    let asked = RefCell::new(Vec::new());
    let host = boundary(&enclave.range(), |call, [_, length, ..]| match call {
        number::storage_map => (mapped.as_ptr() as u64, 1 << 20),
        number::storage_unread => (nothing.as_ptr() as u64, 16),
        number::storage_ahead => {
            asked.borrow_mut().push(length);
            (u64::MAX, u64::MAX)
        }
        _ => panic!("{call:#x}"),
    });
    let mut file = MappedFile::new(&host, 0);
    let mut bytes = vec![0; 1 << 20];
    for read in 1..=100 {
        assert_eq!(file.read(0, &mut bytes), Ok(()));
        let worth = (read << 20) * 64;
        assert!(asked.borrow().iter().all(|&length| length <= worth));
    }
    assert_eq!(asked.take(), [2, 4, 8, 16].map(|times| AHEAD * times));
}

#[test]
fn a_mapping_that_moves_is_asked_for_once_more_and_checked_again() {
    let enclave = Enclave::new();
    let memory = [5_u64; 64];
    let nothing = [0_u64; 2];
    let asked = Cell::new(0);
    let host = boundary(&enclave.range(), |call, _| {
        if call == number::storage_unread {
            return (nothing.as_ptr() as u64, 16);
        }
        asked.set(asked.get() + 1);
        match asked.get() {
            1 => (memory.as_ptr() as u64, 64),
            2 => (memory.as_ptr() as u64, 512),
            _ => (enclave.range().start as u64, 1 << 20),
        }
    });
    let mut file = MappedFile::new(&host, 0);
    let mut bytes = [0; 64];
    assert_eq!(file.read(0, &mut bytes), Ok(()));
    assert_eq!(file.read(0, &mut bytes), Ok(()));
    assert_eq!(asked.get(), 1, "no host call where the mapping has it");
    assert_eq!(file.read(128, &mut bytes), Ok(()));
    assert_eq!(file.read(4096, &mut bytes), Err(Status::Io));
    assert_eq!(asked.get(), 3);
}

#[test]
fn a_write_is_whole_or_an_error_and_only_what_is_written_leaves() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    let calls = Cell::new(0);
    let synced = RefCell::new(Vec::new());
    let host = boundary(&enclave.range(), |call, [_, _, pointer, length]| match call {
        number::transfer_buffer => shared.answer(),
        number::storage_write => {
            let (start, size) = shared.answer();
            assert!(pointer >= start && pointer + length <= start + size);
            calls.set(calls.get() + 1);
            (if calls.get() == 3 { Status::NoSpace.code() } else { 0 }, 0)
        }
        number::storage_write_through => {
            let (start, size) = shared.answer();
            assert!(pointer >= start && pointer + length <= start + size);
            synced.borrow_mut().push(call);
            (0, 0)
        }
        number::storage_sync => {
            synced.borrow_mut().push(call);
            (0, 0)
        }
        _ => (0, 0),
    });
    let mut file = MappedFile::new(&host, 0);
    let piece = vec![3; TRANSFER_BUFFER_SIZE as usize];
    assert_eq!(file.write(0, &piece), Ok(()));
    assert_eq!(file.write(0, &[&piece[..], &piece[..]].concat()), Err(Status::NoSpace));
    assert_eq!(file.write(u64::MAX - 4, &piece), Err(Status::Invalid));
    // In one call, or in several writes and a sync.
    assert_eq!(file.write_through(0, &piece), Ok(()));
    assert_eq!(synced.take(), [number::storage_write_through]);
    assert_eq!(file.write_through(0, &[&piece[..], &piece[..]].concat()), Ok(()));
    assert_eq!(synced.take(), [number::storage_sync]);
    assert!(!shared.holds_secret());
    let short = boundary(&enclave.range(), |call, _| match call {
        number::transfer_buffer => (shared.answer().0, 64),
        _ => (0, 0),
    });
    assert_eq!(MappedFile::new(&short, 0).write(0, &piece), Err(Status::Io));
    assert_eq!(MappedFile::new(&short, 0).write_through(0, &piece), Err(Status::Io));
    assert!(enclave.words.iter().all(|&word| word == SECRET));
}

#[test]
fn pieces_are_written_together_as_far_as_the_transfer_buffer_goes() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    // What the host sees: the calls, and the bytes that go to each offset.
    let calls = RefCell::new(Vec::new());
    let written = RefCell::new(Vec::new());
    let bytes = |pointer: u64, length: u64| {
        let all: Vec<u8> = shared.0.borrow().iter().flat_map(|word| word.to_le_bytes()).collect();
        let start = (pointer - shared.answer().0) as usize;
        all[start..start + length as usize].to_vec()
    };
    let host = boundary(&enclave.range(), |call, [file, a, b, c]| match call {
        number::transfer_buffer => shared.answer(),
        _ if file != 5 => panic!("file {file}"),
        number::storage_write => {
            calls.borrow_mut().push((call, 1));
            written.borrow_mut().push((a, bytes(b, c)));
            (0, 0)
        }
        number::storage_write_pieces => {
            calls.borrow_mut().push((call, c));
            let all = bytes(a, b);
            let (mut rest, places) = all.split_at(all.len() - c as usize * Piece::SIZE);
            for place in places.as_chunks().0.iter().map(Piece::from_bytes) {
                let (now, after) = rest.split_at(place.length as usize);
                written.borrow_mut().push((place.offset, now.to_vec()));
                rest = after;
            }
            assert!(rest.is_empty());
            (0, 0)
        }
        _ => panic!("{call:#x}"),
    });
    let data: Vec<u8> = (0..TRANSFER_BUFFER_SIZE * 2).map(|at| (at / 4096) as u8).collect();
    let whole = TRANSFER_BUFFER_SIZE as usize;
    // Two that just fit with their places, two that do not, one alone, and a last one.
    let lengths = [4096, whole - 4096 - 32, 4096, whole - 4096 - 24, whole, 8];
    let pieces: Vec<(u64, &[u8])> = (7_u64..).zip(lengths.map(|length| &data[..length])).collect();
    assert_eq!(MappedFile::new(&host, 5).write_pieces(&pieces), Ok(()));
    let (one, many) = (number::storage_write, number::storage_write_pieces);
    assert_eq!(calls.take(), [(many, 2), (one, 1), (one, 1), (one, 1), (one, 1)]);
    let wanted: Vec<(u64, Vec<u8>)> =
        pieces.iter().map(|(at, bytes)| (*at, bytes.to_vec())).collect();
    assert_eq!(written.take(), wanted);
    let many = vec![(0, &data[..4096]); 100];
    assert_eq!(MappedFile::new(&host, 5).write_pieces(&many), Ok(()));
    let counts: Vec<u64> = calls.take().into_iter().map(|(_, count)| count).collect();
    assert_eq!(counts, [63, 37]);
    assert!(!shared.holds_secret());
    assert!(enclave.words.iter().all(|&word| word == SECRET));
    let full = boundary(&enclave.range(), |call, _| match call {
        number::transfer_buffer => shared.answer(),
        _ => (Status::NoSpace.code(), 0),
    });
    assert_eq!(MappedFile::new(&full, 0).write_pieces(&many), Err(Status::NoSpace));
    let short = boundary(&enclave.range(), |call, _| match call {
        number::transfer_buffer => (shared.answer().0, 64),
        _ => (0, 0),
    });
    assert_eq!(MappedFile::new(&short, 0).write_pieces(&many), Err(Status::Io));
}

#[test]
fn codes_of_storages_that_do_not_exist_are_errors() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    for code in [15, 32, 99, 1 << 32, u64::MAX] {
        let host = boundary(&enclave.range(), |call, _| match call {
            number::transfer_buffer => shared.answer(),
            _ => (code, 0),
        });
        let mut file = MappedFile::new(&host, 0);
        assert_eq!(file.read(0, &mut [0; 8]), Err(Status::Io));
        assert_eq!(file.size(), Err(Status::Io));
        assert_eq!(file.resize(1), Err(Status::Io));
        assert_eq!(file.write(0, &[1]), Err(Status::Io));
        assert_eq!(file.sync(), Err(Status::Io));
        assert_eq!(file.write_through(0, &[1]), Err(Status::Io));
        assert_eq!(file.write_pieces(&[(0, &[1; 8]), (8, &[2; 8])]), Err(Status::Io));
    }
}

/// Returns the result of a folder operation with this answer and room for 8 bytes of data.
fn folder(answer: &[u8], count: u64) -> (Result<(Answer, usize), FolderError>, [u8; 8]) {
    let enclave = Enclave::new();
    let shared = Shared::new();
    let host = boundary(&enclave.range(), |call, _| match call {
        number::transfer_buffer => shared.answer(),
        _ => {
            let mut words = answer.to_vec();
            words.resize(answer.len().next_multiple_of(8), 0);
            let words = words.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap()));
            shared.0.borrow_mut().iter_mut().zip(words).for_each(|(to, word)| *to = word);
            (0, count)
        }
    });
    let mut bytes = [9; 8];
    let result = host.folder(0, &Request::Read(1, 0, 8), &[], &mut bytes);
    enclave.assert_untouched();
    (result, bytes)
}

#[test]
fn answers_of_folders_are_taken_whole_or_not_at_all() {
    let answers = [
        Answer::Done,
        Answer::Failed(Failure::NotFound),
        Answer::Inode(u64::MAX),
        Answer::Target("x".repeat(300)),
        Answer::Count(8),
        Answer::Usage(1, u64::MAX),
        Answer::Entries(vec![Entry { name: "name".into(), inode: 7, kind: Kind::File, cookie: 9 }]),
    ];
    for answer in &answers {
        let bytes = answer.encode();
        let (taken, _) = folder(&bytes, bytes.len() as u64);
        match answer {
            Answer::Failed(failure) => assert_eq!(taken, Err(FolderError::Failed(*failure))),
            answer => assert_eq!(taken.map(|(answer, _)| answer).as_ref(), Ok(answer)),
        }
        for length in 0..bytes.len() {
            let (taken, _) = folder(&bytes, length as u64);
            assert_eq!(taken, Err(FolderError::Invalid), "{length} bytes of {answer:?}");
        }
        for length in [bytes.len() as u64 + 1, 1 << 17, 1 << 32, u64::MAX] {
            let (taken, _) = folder(&bytes, length);
            assert_eq!(taken, Err(FolderError::Invalid), "{length} bytes for {answer:?}");
        }
    }
}

#[test]
fn counts_of_folders_above_what_was_asked_for_are_refused() {
    for count in [9, 64, 1 << 18, 1 << 32, u64::MAX] {
        let bytes = Answer::Count(count).encode();
        let (taken, into) = folder(&bytes, bytes.len() as u64);
        assert_eq!(taken, Err(FolderError::Invalid), "{count}");
        assert_eq!(into, [9; 8]);
    }
}

#[test]
fn no_mutation_of_an_answer_panics() {
    let whole = Answer::Entries(
        (0..20)
            .map(|at| Entry {
                name: "n".repeat(at),
                inode: 1 << at,
                kind: Kind::Directory,
                cookie: u64::MAX >> at,
            })
            .collect(),
    )
    .encode();
    let mut state = 1_u64;
    let mut random = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize
    };
    let mut taken = 0;
    for _ in 0..20_000 {
        let mut bytes = whole.clone();
        for _ in 0..1 + random() % 4 {
            let at = random() % bytes.len();
            bytes[at] = random() as u8;
        }
        taken += usize::from(Answer::decode(&bytes).is_some());
    }
    println!("20000 mutated answers, {taken} of them taken");
}

#[test]
fn sockets_give_no_more_than_was_asked_for_and_no_code_that_does_not_exist() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    let answer = Cell::new((0, 0));
    let host = boundary(&enclave.range(), |call, _| match call {
        number::transfer_buffer => shared.answer(),
        _ => answer.get(),
    });
    for count in [101, 1 << 32, u64::MAX] {
        answer.set((0, count));
        let refused = Err(SocketError::Status(Status::Io));
        assert_eq!(host.receive(3, &mut [0; 100], false, true), refused);
        assert_eq!(host.send(3, &[0; 100], true), refused);
    }
    let listen = Listen { deployment: "d".into(), socket: "s".into(), port: Some(1) };
    let connect = Connect {
        deployment: "d".into(),
        socket: "s".into(),
        host: "h".into(),
        port: 1,
        check: false,
    };
    for code in [15, 31, 39, 1 << 32, u64::MAX] {
        answer.set((code, 0));
        let refused = Err(SocketError::Status(Status::Io));
        assert_eq!(host.listen(&listen), refused);
        assert_eq!(host.connect(&connect), refused);
        assert_eq!(host.waker(), refused);
        assert_eq!(host.accept(3, true), Err(SocketError::Status(Status::Io)));
        assert_eq!(host.shut_down(3, true, true), Err(SocketError::Status(Status::Io)));
    }
    answer.set((SocketStatus::Refused.code(), 7));
    assert_eq!(host.connect(&connect), Err(SocketError::Socket(SocketStatus::Refused)));
    // The longest request that a manifest allows fits.
    answer.set((Status::Ok.code(), 7));
    let longest = Connect { host: "h".repeat(253), socket: "s".repeat(128), ..connect };
    assert_eq!(host.connect(&longest), Ok(7));
    assert!(longest.encode().len() <= MAX_REQUEST);
    answer.set((SocketStatus::Reset.code(), 0));
    assert_eq!(host.accept(3, true), Err(SocketError::Socket(SocketStatus::Reset)));
}
