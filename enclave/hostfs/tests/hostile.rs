//! Tests with a host that lies about its folder: the file system keeps the contract of its trait.

use std::sync::Mutex;
use twine_boundary::Boundary;
use twine_hostfs::Folder;
use twine_protocol::calls::{RawCall, number};
use twine_protocol::folder::{Answer, Attributes, Entry, Kind, Request};
use twine_protocol::wire::TRANSFER_BUFFER_SIZE;
use twine_vfs::{Change, Error, FileSystem, Inode, Mode};

/// A host that answers each request with a function.
struct Host<F> {
    buffer: Mutex<Vec<u64>>,
    answer: F,
}

impl<F: Fn(Request) -> Answer> RawCall for Host<F> {
    fn raw_call(&self, number: u64, [_, _, length, _]: [u64; 4]) -> (u64, u64) {
        let mut buffer = self.buffer.lock().expect("nobody panicked");
        if number == number::transfer_buffer {
            return (buffer.as_ptr() as u64, TRANSFER_BUFFER_SIZE);
        }
        let bytes: Vec<u8> = buffer.iter().flat_map(|word| word.to_le_bytes()).collect();
        let (request, _) = Request::decode(&bytes[..length as usize]).expect("a request");
        let mut answer = (self.answer)(request).encode();
        let count = answer.len();
        answer.resize(count.next_multiple_of(8), 0);
        for (word, bytes) in buffer.iter_mut().zip(answer.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        (0, count as u64)
    }
}

fn host<F: Fn(Request) -> Answer>(answer: F) -> Boundary<Host<F>> {
    let buffer = Mutex::new(vec![0; TRANSFER_BUFFER_SIZE as usize / 8]);
    Boundary::new(Host { buffer, answer }, 0..8)
}

/// Answers every request, except the one for the root, with `answer`.
fn lying(answer: Answer) -> impl Fn(Request) -> Answer + Send + Sync {
    move |request| match request {
        Request::Root => Answer::Inode(1),
        _ => answer.clone(),
    }
}

fn entry(name: &str, cookie: u64) -> Answer {
    Answer::Entries(vec![Entry { name: name.into(), inode: 7, kind: Kind::File, cookie }])
}

#[test]
fn names_and_cookies_that_cannot_be_are_errors() {
    let long = "x".repeat(256);
    let bad = [("", 9), (".", 9), ("..", 9), ("a/b", 9), ("a\0", 9), (&long, 9), ("good", 3)];
    for (name, cookie) in bad {
        let host = host(lying(entry(name, cookie)));
        let mut folder = Folder::open(&host, 0, false).unwrap();
        let mut given = 0;
        let listed = folder.entries(Inode(1), 0, &mut |_| {
            given += 1;
            false
        });
        assert_eq!((listed, given), (Err(Error::Io), 0), "{name:?}");
    }
}

#[test]
fn answers_to_another_question_are_errors() {
    let attributes = Attributes {
        kind: Kind::File,
        mode: u32::MAX,
        size: 5,
        links: 1,
        accessed: 0,
        modified: 0,
        changed: 0,
    };
    for answer in [
        Answer::Done,
        Answer::Inode(5),
        Answer::Attributes(attributes),
        Answer::Target("target".into()),
        Answer::Usage(1, 2),
        Answer::Entries(vec![]),
        Answer::Count(0),
        Answer::Data(Some(7)),
    ] {
        let host = host(lying(answer.clone()));
        let mut folder = Folder::open(&host, 0, false).unwrap();
        let (one, io) = (Inode(1), Error::Io);
        let is = |wanted: bool, failed: bool| assert_ne!(wanted, failed, "{answer:?}");
        let done = matches!(answer, Answer::Done);
        let inode = matches!(answer, Answer::Inode(_));
        is(inode, folder.lookup(one, "a") == Err(io));
        is(inode, folder.create_file(one, "a") == Err(io));
        is(matches!(answer, Answer::Attributes(_)), folder.attributes(one) == Err(io));
        is(matches!(answer, Answer::Target(_)), folder.read_link(one) == Err(io));
        is(matches!(answer, Answer::Usage(..)), folder.usage() == Err(io));
        is(matches!(answer, Answer::Count(_)), folder.read(one, 0, &mut [0; 4]) == Err(io));
        is(matches!(answer, Answer::Data(_)), folder.next_data(one, 7) == Err(io));
        is(done, folder.unlink(one, "a") == Err(io));
        is(done, folder.set_mode(one, Mode::new(0o600)) == Err(io));
        is(done, folder.set_size(one, 1) == Err(io));
        is(done, folder.sync(one, Change::All) == Err(io));
        assert_eq!(folder.write(one, 0, &[1; 4]), Err(io), "{answer:?}: a write must go on");
    }
}

#[test]
fn counts_beyond_what_was_asked_for_are_errors() {
    for count in [5, 1 << 18, 1 << 40, u64::MAX] {
        let host = host(lying(Answer::Count(count)));
        let mut folder = Folder::open(&host, 0, false).unwrap();
        let mut bytes = [9; 4];
        assert_eq!(folder.read(Inode(1), 0, &mut bytes), Err(Error::Io), "{count}");
        assert_eq!(bytes, [9; 4]);
        assert_eq!(folder.write(Inode(1), 0, &bytes), Err(Error::Io), "{count}");
    }
}

#[test]
fn data_before_what_was_asked_for_is_an_error() {
    for (at, wanted) in [(6, Err(Error::Io)), (7, Ok(Some(7))), (u64::MAX, Ok(Some(u64::MAX)))] {
        let host = host(lying(Answer::Data(Some(at))));
        let mut folder = Folder::open(&host, 0, false).unwrap();
        assert_eq!(folder.next_data(Inode(1), 7), wanted, "{at}");
    }
}

#[test]
fn a_target_that_is_too_long_is_an_error() {
    let host = host(lying(Answer::Target("x".repeat(4096))));
    let mut folder = Folder::open(&host, 0, false).unwrap();
    assert_eq!(folder.read_link(Inode(1)), Err(Error::Io));
}

#[test]
fn a_read_only_folder_asks_for_no_change() {
    let asked = Mutex::new(Vec::new());
    let host = host(|request| {
        asked.lock().expect("nobody panicked").push(request);
        Answer::Inode(1)
    });
    let mut folder = Folder::open(&host, 0, true).unwrap();
    let one = Inode(1);
    assert_eq!(folder.create_file(one, "a"), Err(Error::ReadOnly));
    assert_eq!(folder.create_directory(one, "a"), Err(Error::ReadOnly));
    assert_eq!(folder.create_file_with(one, "a", Mode::new(0)), Err(Error::ReadOnly));
    assert_eq!(folder.create_directory_with(one, "a", Mode::new(0)), Err(Error::ReadOnly));
    assert_eq!(folder.set_mode(one, Mode::new(0)), Err(Error::ReadOnly));
    assert_eq!(folder.write(one, 0, &[1]), Err(Error::ReadOnly));
    assert_eq!(folder.unlink(one, "a"), Err(Error::ReadOnly));
    assert_eq!(folder.rename(one, "a", one, "b"), Err(Error::ReadOnly));
    assert_eq!(folder.set_size(one, 0), Err(Error::ReadOnly));
    assert_eq!(asked.lock().expect("nobody panicked")[..], [Request::Root]);
}
