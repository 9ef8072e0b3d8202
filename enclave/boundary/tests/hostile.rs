//! Tests with a hostile host: it gives any answer to any call, and changes shared memory at will.
//! Each call must fail cleanly, and no enclave memory may be read or written.

mod common;

use common::{Enclave, SECRET, Shared, boundary};
use std::cell::RefCell;
use twine_boundary::{Error, PointerError};
use twine_protocol::calls::number;
use twine_protocol::launch::{DecodeError, End, Launch, Outcome};
use twine_protocol::wire::{
    Clock, Issuer, MAX_COLLATERAL, MAX_LAUNCH, MAX_OUTCOME, MAX_POLL_RECORDS, MAX_PROGRAM,
    MAX_QUOTE, PollRecord, Status, StreamKind, TARGETINFO_SIZE, TRANSFER_BUFFER_SIZE,
};

#[test]
fn no_bad_pointer_is_taken_for_the_launch_request_or_the_program() {
    let enclave = Enclave::new();
    for length in [0, 1, 8, 9, 4096, MAX_LAUNCH] {
        for pointer in enclave.bad_pointers(length) {
            let host = boundary(&enclave.range(), |_, _| (pointer, length));
            assert!(
                matches!(host.launch(), Err(Error::Pointer { .. })),
                "launch at {pointer:#x}, {length} bytes"
            );
            assert!(
                matches!(host.program(), Err(Error::Pointer { .. })),
                "program at {pointer:#x}, {length} bytes"
            );
            let pieces = host.program_in_pieces(|_| panic!("a piece of what was refused"));
            assert!(
                matches!(pieces, Err(Error::Pointer { .. })),
                "program in pieces at {pointer:#x}, {length} bytes"
            );
            if length != 0 {
                assert!(
                    matches!(host.cached_code(), Err(Error::Pointer { .. })),
                    "code at {pointer:#x}, {length} bytes"
                );
                assert!(
                    matches!(host.collateral([7; 6], Issuer::Platform), Err(Error::Pointer { .. })),
                    "collateral at {pointer:#x}, {length} bytes"
                );
            }
        }
    }
    enclave.assert_untouched();
}

#[test]
fn pieces_of_a_program_are_all_of_it_in_order() {
    let enclave = Enclave::new();
    for length in [0, 1, 7, 8, 65_535, 65_536, 65_537, 200_001] {
        let program: Vec<u64> = (0..length as u64 / 8 + 1).map(|word| word * 0x0101_0203).collect();
        let host = boundary(&enclave.range(), |_, _| (program.as_ptr() as u64, length as u64));
        let mut pieces = Vec::new();
        host.program_in_pieces(|piece| pieces.extend_from_slice(piece)).unwrap();
        assert_eq!(pieces, host.program().unwrap());
        assert_eq!(pieces.len(), length);
    }
}

#[test]
fn lengths_beyond_the_bounds_are_refused_before_anything_is_read() {
    let enclave = Enclave::new();
    for length in [MAX_PROGRAM + 1, 1 << 40, u64::MAX / 2, u64::MAX - 8, u64::MAX] {
        let host = boundary(&enclave.range(), |_, _| (8, length));
        let pieces = host.program_in_pieces(|_| panic!("a piece of what was refused"));
        let code = host.cached_code().map(drop);
        let collateral = host.collateral([7; 6], Issuer::Platform).map(drop);
        for error in [host.launch().map(drop), host.program().map(drop), pieces, code, collateral] {
            assert!(
                matches!(error, Err(Error::Pointer { source: PointerError::TooLong { .. }, .. })),
                "{length}: {error:?}"
            );
        }
    }
}

#[test]
fn no_bad_transfer_buffer_is_written_to() {
    let enclave = Enclave::new();
    for length in [0, 8, 64, 4096, TRANSFER_BUFFER_SIZE] {
        for pointer in enclave.bad_pointers(length) {
            let host = boundary(&enclave.range(), |call, _| match call {
                number::transfer_buffer => (pointer, length),
                _ => (0, 1),
            });
            assert_eq!(host.write(1, b"text that must not go there"), Err(Status::Io));
            assert_eq!(host.read(0, &mut [0; 64]), Err(Status::Io));
            let outcome = Outcome::new(End::Exited { code: 0, results: vec![] });
            assert!(host.report(&outcome).is_err());
            let mut records = [PollRecord { stream: 0, events: 1, bytes: 0 }];
            assert_eq!(host.poll(&mut records, 0), Err(Status::Io));
            host.panicked("somewhere");
            assert!(host.quote(&[0; 432]).is_err());
            assert!(host.evidence(b"evidence that must not go there").is_err());
        }
    }
    enclave.assert_untouched();
}

#[test]
fn a_quote_has_the_length_that_the_host_counts_within_the_bounds() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    let quoted = |length: u64, code: u64| {
        let host = boundary(&enclave.range(), |call, _| match call {
            number::transfer_buffer => shared.answer(),
            number::quote => {
                shared.0.borrow_mut()[..4].fill(0x0707_0707_0707_0707);
                (code, length)
            }
            _ => (0, 0),
        });
        host.quote(&[0; 432])
    };
    assert_eq!(quoted(30, 0).unwrap(), [7; 30]);
    assert_eq!(quoted(0, 0).unwrap(), []);
    assert_eq!(quoted(MAX_QUOTE, 0).unwrap().len() as u64, MAX_QUOTE);
    for length in [MAX_QUOTE + 1, TRANSFER_BUFFER_SIZE, 1 << 40, u64::MAX] {
        assert!(matches!(quoted(length, 0), Err(Error::Refused { status: Status::Io, .. })));
    }
    for code in [Status::Io.code(), Status::NotSupported.code(), 99, u64::MAX] {
        assert!(matches!(quoted(30, code), Err(Error::Refused { .. })), "{code}");
    }
}

#[test]
fn collateral_is_copied_whole_within_the_bounds_and_may_be_missing() {
    let enclave = Enclave::new();
    let memory = [0x0909_0909_0909_0909u64; 8];
    let got = |length: u64| {
        let host = boundary(&enclave.range(), |call, arguments| {
            assert_eq!(call, number::collateral);
            assert_eq!(arguments[..2], [0x0000_5457_5349_4d00, Issuer::Simulation.code()]);
            (memory.as_ptr() as u64, length)
        });
        host.collateral(*b"TWSIM\0", Issuer::Simulation)
    };
    assert_eq!(got(0).unwrap(), None);
    assert_eq!(got(61).unwrap().unwrap(), [9; 61]);
    assert!(got(MAX_COLLATERAL + 1).is_err());
}

#[test]
fn a_target_for_reports_has_its_size_or_is_none() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    let target = |length: u64, code: u64| {
        let host = boundary(&enclave.range(), |call, _| match call {
            number::transfer_buffer => shared.answer(),
            _ => {
                shared.0.borrow_mut()[..64].fill(0x0707_0707_0707_0707);
                (code, length)
            }
        });
        host.quoting_target()
    };
    assert_eq!(target(TARGETINFO_SIZE as u64, 0).unwrap(), [7; TARGETINFO_SIZE]);
    for length in [0, 1, 511, 513, MAX_QUOTE, u64::MAX] {
        assert!(matches!(target(length, 0), Err(Error::Refused { status: Status::Io, .. })));
    }
    for code in [Status::Io.code(), Status::NotSupported.code(), 99, u64::MAX] {
        assert!(matches!(target(512, code), Err(Error::Refused { .. })), "{code}");
    }
}

#[test]
fn reports_and_evidence_leave_whole_or_not_at_all() {
    let enclave = Enclave::new();
    let buffer = [0u64; 2];
    let host = boundary(&enclave.range(), |call, _| match call {
        number::transfer_buffer => (buffer.as_ptr() as u64, 16),
        number::quote | number::evidence => panic!("a part of it was handed over"),
        _ => (0, 0),
    });
    assert!(host.quote(&[0; 432]).is_err());
    assert!(host.evidence(&[0; 17]).is_err());
}

#[test]
fn a_short_transfer_buffer_makes_calls_short_and_nothing_else() {
    let enclave = Enclave::new();
    let buffer = [0u64; 2];
    let host = boundary(&enclave.range(), |call, arguments| match call {
        number::transfer_buffer => (buffer.as_ptr() as u64, 10),
        number::stream_write | number::stream_read => (0, arguments[2]),
        _ => (0, 0),
    });
    assert_eq!(host.write(1, &[7; 100]), Ok(10));
    let mut bytes = [9; 100];
    assert_eq!(host.read(0, &mut bytes), Ok(10));
    assert_eq!(bytes[10..], [9; 90]);
    let outcome =
        Outcome::new(End::Refused { cause: "a long cause".into(), remedy: "a remedy".into() });
    assert!(host.report(&outcome).is_err());
    assert_eq!(host.poll(&mut [PollRecord { stream: 0, events: 1, bytes: 0 }], 0), Err(Status::Io));
}

#[test]
fn counts_above_what_was_asked_for_are_refused() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    for count in [101, TRANSFER_BUFFER_SIZE, 1 << 32, u64::MAX / 2, u64::MAX] {
        let host = boundary(&enclave.range(), |call, _| match call {
            number::transfer_buffer => shared.answer(),
            _ => (0, count),
        });
        assert_eq!(host.read(0, &mut [0; 100]), Err(Status::Io));
        assert_eq!(host.write(1, &[0; 100]), Err(Status::Io));
    }
}

#[test]
fn codes_that_do_not_exist_are_errors() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    for code in [15, 99, 1 << 31, 1 << 32, u64::MAX, u64::MAX - 11] {
        let host = boundary(&enclave.range(), |call, _| match call {
            number::transfer_buffer => shared.answer(),
            _ => (code, 0),
        });
        assert_eq!(host.read(0, &mut [0; 8]), Err(Status::Io));
        assert_eq!(host.write(1, &[0; 8]), Err(Status::Io));
        assert_eq!(host.stream_kind(0), Err(Status::Io));
        assert_eq!(host.time(Clock::Realtime), Err(Status::Io));
        assert_eq!(host.resolution(Clock::Realtime), Err(Status::Io));
        assert_eq!(host.poll(&mut [], 0), Err(Status::Io));
        assert_eq!(host.restrict_pages(0..4096, 1), Err(Status::Io));
        assert_eq!(host.add_pages(0..4096), Err(Status::Io));
        assert_eq!(host.extend_pages(0..4096, 1), Err(Status::Io));
    }
    let host = boundary(&enclave.range(), |_, _| (0, 77));
    assert_eq!(host.stream_kind(0), Err(Status::Io));
    let host = boundary(&enclave.range(), |_, _| (0, 0));
    assert_eq!(host.stream_kind(0), Ok(StreamKind::Terminal));
    assert_eq!(host.resolution(Clock::Monotonic), Ok(1), "a resolution of 0 does not exist");
}

#[test]
fn poll_takes_results_only_and_never_more_records_than_it_gave() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    let host = boundary(&enclave.range(), |call, _| match call {
        number::transfer_buffer => shared.answer(),
        _ => {
            shared.0.borrow_mut().fill(u64::MAX);
            (0, u64::MAX)
        }
    });
    let mut records = [PollRecord { stream: 1, events: 2, bytes: 0 }; 3];
    assert_eq!(host.poll(&mut records, 0), Ok(()));
    for record in records {
        assert_eq!(record.stream, 1, "the stream is the caller's, not the host's");
        assert_eq!((record.events, record.bytes), (u64::MAX, u64::MAX));
    }
    let too_many = usize::try_from(MAX_POLL_RECORDS).unwrap() + 1;
    let mut many = vec![PollRecord { stream: 0, events: 1, bytes: 0 }; too_many];
    assert_eq!(host.poll(&mut many, 0), Err(Status::Invalid));
}

#[test]
fn the_monotonic_clock_never_goes_back() {
    let enclave = Enclave::new();
    let times = RefCell::new(vec![u64::MAX - 1, 3, 0, u64::MAX, 5, 100, 7, 10]);
    let host = boundary(&enclave.range(), |_, _| (0, times.borrow_mut().pop().unwrap_or(0)));
    let mut last = 0;
    for _ in 0..20 {
        let time = host.time(Clock::Monotonic).unwrap();
        assert!(time >= last, "{time} after {last}");
        last = time;
    }
}

#[test]
fn changes_by_the_host_after_the_copy_have_no_effect() {
    let enclave = Enclave::new();
    let launch = Launch { arguments: vec!["app".into()], ..Launch::default() };
    let mut bytes = launch.encode();
    let length = bytes.len() as u64;
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    let memory: RefCell<Vec<u64>> = RefCell::new(
        bytes.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect(),
    );
    let host = boundary(&enclave.range(), |_, _| (memory.borrow().as_ptr() as u64, length));
    let taken = host.launch().unwrap();
    memory.borrow_mut().fill(u64::MAX);
    assert_eq!(taken, launch);
    assert!(matches!(host.launch(), Err(Error::Launch(DecodeError::Version(u32::MAX)))));
}

#[test]
fn no_flipped_bit_and_no_truncation_of_a_launch_request_panics() {
    let enclave = Enclave::new();
    let launch = Launch {
        arguments: vec!["app".into(), "x".repeat(300).into_bytes()],
        environment: vec![("HOME".into(), "/".into())],
        ..Launch::default()
    };
    let bytes = launch.encode();
    let check = |bytes: &[u8]| {
        let mut padded = bytes.to_vec();
        padded.resize(bytes.len().next_multiple_of(8) + 8, 0);
        let memory: Vec<u64> =
            padded.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
        let answer = (memory.as_ptr() as u64, bytes.len() as u64);
        // The result is an error or another request. The host may choose either.
        let _ = boundary(&enclave.range(), |_, _| answer).launch();
    };
    for at in 0..bytes.len() {
        check(&bytes[..at]);
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            check(&changed);
        }
    }
}

#[test]
fn only_what_is_written_leaves_the_enclave() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    let host = boundary(&enclave.range(), |call, arguments| match call {
        number::transfer_buffer => shared.answer(),
        number::stream_write => (0, arguments[2]),
        _ => (0, 0),
    });
    for length in 0..64 {
        // In the enclave's memory, secret words follow the bytes.
        let mut bytes = SECRET.to_le_bytes().repeat(16);
        bytes[..length].fill(0);
        assert_eq!(host.write(1, &bytes[..length]), Ok(length));
        assert!(!shared.holds_secret(), "{length} bytes");
    }
    let outcome = Outcome::new(End::Exited { code: 0, results: vec![] });
    assert!(host.report(&outcome).is_ok());
    assert!(!shared.holds_secret());
    assert!(outcome.encode().len() as u64 <= MAX_OUTCOME);
    enclave.assert_untouched();
}

#[test]
fn an_outcome_that_is_too_long_for_the_buffer_is_refused_whole() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    let host = boundary(&enclave.range(), |call, _| match call {
        number::transfer_buffer => shared.answer(),
        _ => (0, 0),
    });
    let cause = "x".repeat(MAX_OUTCOME as usize);
    let outcome = Outcome::new(End::Trapped { cause, backtrace: vec![] });
    assert!(matches!(host.report(&outcome), Err(Error::Refused { .. })));
}
