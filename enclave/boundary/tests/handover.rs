//! Tests with a hostile host that has older images, or says so.

mod common;

use common::{Enclave, Shared, boundary};
use std::cell::RefCell;
use twine_protocol::calls::number;
use twine_protocol::state::write::{FIRST, LAST};
use twine_protocol::wire::{MAX_HANDOVER_ANSWER, Status, TRANSFER_BUFFER_SIZE};

#[test]
fn a_target_has_its_size_or_is_none() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    let answers = |code: Status, count: u64| {
        let host = boundary(&enclave.range(), |call, _| match call {
            number::transfer_buffer => shared.answer(),
            number::handover_target => (code.code(), count),
            _ => panic!("{call:#x}"),
        });
        host.handover_target(0)
    };
    shared.0.borrow_mut()[0] = u64::MAX;
    let target = answers(Status::Ok, 512).unwrap().unwrap();
    assert_eq!((target[..8].to_vec(), target[8]), (vec![0xff; 8], 0));
    assert_eq!(answers(Status::Missing, 512), Ok(None));
    assert_eq!(answers(Status::Io, 512), Err(Status::Io));
    for count in [0, 511, 513, TRANSFER_BUFFER_SIZE + 1, u64::MAX] {
        assert_eq!(answers(Status::Ok, count), Err(Status::Io), "{count}");
    }
}

#[test]
fn a_long_request_goes_in_pieces_and_an_answer_is_as_long_as_the_host_says_within_bounds() {
    let enclave = Enclave::new();
    let shared = Shared::new();
    let pieces = RefCell::new(Vec::new());
    let answers = |code: Status, count: u64| {
        pieces.borrow_mut().clear();
        let host = boundary(&enclave.range(), |call, arguments| match call {
            number::transfer_buffer => shared.answer(),
            number::handover => {
                assert_eq!((arguments[0], arguments[1]), (7, shared.answer().0));
                pieces.borrow_mut().push((arguments[2], arguments[3]));
                let last = arguments[3] & LAST != 0;
                if last { (code.code(), count) } else { (Status::Ok.code(), u64::MAX) }
            }
            _ => panic!("{call:#x}"),
        });
        host.handover(7, &vec![1; TRANSFER_BUFFER_SIZE as usize + 9])
    };
    assert_eq!(answers(Status::Ok, 3), Ok(vec![1, 1, 1]));
    assert_eq!(*pieces.borrow(), [(TRANSFER_BUFFER_SIZE, FIRST), (9, LAST)]);
    assert_eq!(answers(Status::Denied, 3), Err(Status::Denied));
    for count in [MAX_HANDOVER_ANSWER + 1, TRANSFER_BUFFER_SIZE + 1, u64::MAX] {
        assert!(answers(Status::Ok, count).is_err(), "{count}");
    }
    enclave.assert_untouched();
}
