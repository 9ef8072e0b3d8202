//! Tests of sockets: listening sockets that the program starts with, and their connections.

use crate::common::*;
use twine_wasi::{SocketError, SystemError};

/// Makes a program with a listening socket, as descriptor 4 after a mount, and waiting connections.
fn listening(connections: usize) -> Program {
    let mut program = Program::over(&Tree::new());
    program.wasi().listen(LISTENER).unwrap();
    for _ in 0..connections {
        program.world().pending.push_back(Connection::default());
    }
    program
}

const LISTENING: i64 = 4;

/// Makes a program with one accepted connection: descriptor 5, the system's number 101.
fn connected() -> Program {
    let mut program = listening(1);
    assert_eq!(program.accept(LISTENING, 0), Ok(5));
    program
}

fn incoming(program: &mut Program, bytes: &[u8]) {
    program.world().connections.get_mut(&101).unwrap().incoming.extend(bytes);
}

fn change(program: &mut Program, body: impl FnOnce(&mut Connection)) {
    body(program.world().connections.get_mut(&101).unwrap());
}

#[test]
fn listening_sockets_come_after_the_mounts() {
    let mut program = listening(0);
    let (kind, flags, base, inheriting) = program.fdstat(LISTENING).unwrap();
    assert_eq!((kind, flags), (IS_SOCKET, NONBLOCK as u16), "as wasmtime hands them over");
    assert_ne!(base & (1 << 29), 0, "it may accept");
    assert_eq!(inheriting & (READ | WRITE), READ | WRITE, "its connections both");
    assert_eq!(program.fd_stat(LISTENING).unwrap().kind, IS_SOCKET);
    assert_eq!(program.call("fd_prestat_get", &[LISTENING, 0]), BADF, "the mounts end here");
}

#[test]
fn connections_are_accepted_and_are_descriptors() {
    let mut program = listening(2);
    assert_eq!(program.accept(LISTENING, 0), Ok(5));
    assert_eq!(program.accept(LISTENING, NONBLOCK), Ok(6));
    let (kind, flags, base, _) = program.fdstat(5).unwrap();
    assert_eq!((kind, flags), (IS_SOCKET, 0));
    assert_eq!(base & (READ | WRITE), READ | WRITE);
    assert_eq!(program.fdstat(6).unwrap().1, NONBLOCK as u16);
    assert_eq!(program.accept(LISTENING, APPEND), Err(INVAL));
    program.close(5).unwrap();
    assert_eq!(program.world().closed, [101]);
    program.world().pending.push_back(Connection::default());
    assert_eq!(program.accept(LISTENING, 0), Ok(5), "the lowest number");
}

#[test]
fn a_connecting_socket_is_a_connection_and_makes_further_ones() {
    let mut program = Program::over(&Tree::new());
    program.wasi().dial(LISTENER).unwrap();
    program.world().connections.insert(LISTENER, Connection::default());
    let (kind, flags, base, inheriting) = program.fdstat(LISTENING).unwrap();
    assert_eq!((kind, flags), (IS_SOCKET, 0), "it waits");
    assert_eq!(base & (READ | WRITE), READ | WRITE);
    assert_eq!(inheriting & (READ | WRITE), READ | WRITE);
    assert_eq!(program.write(LISTENING, b"hello"), Ok(5));
    assert_eq!(program.world().connections[&LISTENER].sent, b"hello");
    program.world().pending.push_back(Connection::default());
    assert_eq!(program.accept(LISTENING, 0), Ok(5));
    assert_eq!(program.write(5, b"again"), Ok(5));
    assert_eq!(program.world().connections[&101].sent, b"again");
    assert_eq!(program.accept(5, 0), Err(INVAL), "an ordinary connection makes none");
    program.world().accept_failure = Some(SocketError::Refused);
    assert_eq!(program.accept(LISTENING, 0), Err(CONNREFUSED));
    program.close(LISTENING).unwrap();
    assert_eq!(program.world().closed, [LISTENER]);
}

#[test]
fn bytes_go_both_ways_by_either_function() {
    let mut program = connected();
    incoming(&mut program, b"hello, world");
    assert_eq!(program.receive(5, 5, 0).unwrap(), b"hello");
    assert_eq!(program.read(5, 100).unwrap(), b", world");
    assert_eq!(program.send(5, b"good ", 0), Ok(5));
    assert_eq!(program.write(5, b"bye"), Ok(3));
    assert_eq!(program.world().connections[&101].sent, b"good bye");
    change(&mut program, |connection| connection.ended = true);
    assert_eq!(program.receive(5, 10, 0), Ok(vec![]), "the other end sends no more");
    assert_eq!(program.read(5, 10), Ok(vec![]));
    assert_eq!(program.send(5, b"", 0), Ok(0));
    assert_eq!(program.receive(5, 0, 0), Ok(vec![]));
}

#[test]
fn peeked_bytes_stay() {
    let mut program = connected();
    incoming(&mut program, b"abc");
    const PEEK: i64 = 1;
    assert_eq!(program.receive(5, 2, PEEK).unwrap(), b"ab");
    assert_eq!(program.receive(5, 9, PEEK | 2).unwrap(), b"abc");
    assert_eq!(program.receive(5, 9, 0).unwrap(), b"abc");
    assert_eq!(program.call("sock_recv", &[5, 0, 0, 4, 100, 104]), INVAL, "no such flag");
}

#[test]
fn waiting_for_all_goes_on_until_all_came() {
    let mut program = connected();
    incoming(&mut program, b"0123456789");
    const WAIT_ALL: i64 = 2;
    change(&mut program, |connection| connection.most = Some(3));
    assert_eq!(program.receive(5, 7, 0).unwrap(), b"012");
    assert_eq!(program.receive(5, 5, WAIT_ALL).unwrap(), b"34567");
    change(&mut program, |connection| connection.ended = true);
    assert_eq!(program.receive(5, 5, WAIT_ALL).unwrap(), b"89", "or it ended");
    assert_eq!(program.receive(5, 5, WAIT_ALL), Ok(vec![]));
}

#[test]
fn short_sends_are_told() {
    let mut program = connected();
    change(&mut program, |connection| connection.most = Some(3));
    assert_eq!(program.send(5, b"abcdef", 0), Ok(3));
    assert_eq!(program.send(5, b"abcdef", 1), Err(INVAL), "no flags are defined");
}

#[test]
fn nonblocking_sockets_do_not_wait() {
    let mut program = listening(0);
    assert_eq!(program.accept(LISTENING, 0), Err(AGAIN));
    program.world().pending.push_back(Connection::default());
    let connection = program.accept(LISTENING, NONBLOCK).unwrap();
    assert_eq!(program.receive(connection, 5, 0), Err(AGAIN));
    assert_eq!(program.receive(connection, 5, 2), Err(AGAIN));
    assert_eq!(program.read(connection, 5), Err(AGAIN));
    assert_eq!(program.send(connection, b"x", 0), Ok(1));
    assert_eq!(program.world().waits, 0, "the system was never told to");
    assert_eq!(program.call("fd_fdstat_set_flags", &[connection, 0]), SUCCESS);
    incoming(&mut program, b"x");
    assert_eq!(program.read(connection, 5).unwrap(), b"x");
    assert_eq!(program.world().waits, 1);
    assert_eq!(program.call("fd_fdstat_set_flags", &[connection, SYNC]), INVAL);
}

#[test]
fn connections_are_shut_down_in_each_direction() {
    let mut program = connected();
    for how in [1, 2, 3] {
        assert_eq!(program.call("sock_shutdown", &[5, how]), SUCCESS);
    }
    assert_eq!(program.call("sock_shutdown", &[5, 0]), INVAL);
    assert_eq!(program.call("sock_shutdown", &[5, 4]), INVAL, "no such direction");
    let expected = [(true, false), (false, true), (true, true)];
    assert_eq!(program.world().connections[&101].down, expected);
}

#[test]
fn failures_have_their_errno() {
    for (failure, errno) in [
        (SocketError::Reset, CONNRESET),
        (SocketError::Refused, CONNREFUSED),
        (SocketError::Unreachable, HOSTUNREACH),
        (SocketError::TimedOut, TIMEDOUT),
        (SocketError::Protocol, PROTO),
        (SocketError::NotConnected, NOTCONN),
        (SocketError::System(SystemError::BrokenPipe), PIPE),
        (SocketError::System(SystemError::Io), IO),
    ] {
        let mut program = connected();
        change(&mut program, |connection| connection.failure = Some(failure));
        assert_eq!(program.receive(5, 5, 0), Err(errno), "{failure}");
        assert_eq!(program.receive(5, 5, 2), Err(errno), "{failure}");
        assert_eq!(program.send(5, b"x", 0), Err(errno), "{failure}");
        assert_eq!(program.call("sock_shutdown", &[5, 1]), errno, "{failure}");
    }
    for (failure, errno) in [(SocketError::Aborted, CONNABORTED), (SocketError::TooManyOpen, NFILE)]
    {
        let mut program = listening(1);
        program.world().accept_failure = Some(failure);
        assert_eq!(program.accept(LISTENING, 0), Err(errno), "{failure}");
    }
}

#[test]
fn each_kind_of_descriptor_refuses_what_is_not_its() {
    let mut program = connected();
    program.file("file", b"x");
    let file = program.open("file", 0).unwrap();
    for fd in [0, 1, ROOT, file] {
        assert_eq!(program.accept(fd, 0), Err(NOTSOCK), "{fd}");
        assert_eq!(program.receive(fd, 1, 0), Err(NOTSOCK), "{fd}");
        assert_eq!(program.send(fd, b"x", 0), Err(NOTSOCK), "{fd}");
        assert_eq!(program.call("sock_shutdown", &[fd, 1]), NOTSOCK, "{fd}");
    }
    assert_eq!(program.accept(5, 0), Err(INVAL));
    assert_eq!(program.receive(LISTENING, 1, 0), Err(NOTCONN));
    assert_eq!(program.send(LISTENING, b"x", 0), Err(NOTCONN));
    assert_eq!(program.read(LISTENING, 1), Err(NOTCONN));
    assert_eq!(program.call("sock_shutdown", &[LISTENING, 1]), NOTCONN);
    for fd in [LISTENING, 5] {
        assert_eq!(program.seek(fd, 0, SET), Err(SPIPE));
        assert_eq!(program.tell(fd), Err(SPIPE));
        assert_eq!(program.pread(fd, 1, 0), Err(SPIPE));
        assert_eq!(program.call("fd_sync", &[fd]), INVAL);
        assert_eq!(program.call("fd_filestat_set_size", &[fd, 0]), INVAL);
        assert_eq!(program.readdir(fd, 10, 0), Err(NOTDIR));
        assert_eq!(program.open_at(fd, "x", true, 0, READ, 0), Err(NOTDIR));
    }
}

#[test]
fn counts_that_cannot_be_are_errors() {
    for lie in [1, usize::MAX >> 1] {
        let mut program = connected();
        program.world().lie = lie;
        program.world().input.extend(b"abc");
        incoming(&mut program, b"abcabcabc");
        assert_eq!(program.read(0, 3), Err(IO));
        assert_eq!(program.write(1, b"x"), Err(IO));
        assert_eq!(program.receive(5, 3, 0), Err(IO));
        assert_eq!(program.receive(5, 3, 2), Err(IO));
        assert_eq!(program.read(5, 3), Err(IO));
        assert_eq!(program.send(5, b"x", 0), Err(IO));
    }
}

#[test]
fn accepting_needs_a_number_first() {
    let mut program = listening(1);
    program.file("file", b"x");
    while program.open_to_read("file").is_ok() {}
    assert_eq!(program.accept(LISTENING, 0), Err(MFILE));
    assert_eq!(program.world().pending.len(), 1, "the connection still waits");
}

#[test]
fn sockets_are_polled() {
    let mut program = listening(1);
    let connection = program.accept(LISTENING, 0).unwrap();
    let subscription = |userdata: u64, fd: i64, write: bool| {
        let mut bytes = [0; 48];
        bytes[0] = userdata as u8;
        bytes[8] = 1 + u8::from(write);
        bytes[16] = fd as u8;
        bytes
    };
    let events = |program: &mut Program| -> Vec<(u64, u64, bool)> {
        let all = [
            subscription(1, LISTENING, false),
            subscription(2, connection, false),
            subscription(3, connection, true),
        ];
        program.put(0, &all.concat());
        assert_eq!(program.call("poll_oneoff", &[0, 4096, 3, 8192]), SUCCESS);
        (0..program.u32(8192) as usize)
            .map(|number| {
                let at = 4096 + number * 32;
                assert_eq!(program.u32(at + 8) as u16, 0);
                (program.u64(at), program.u64(at + 16), program.u32(at + 24) & 1 == 1)
            })
            .collect()
    };
    assert_eq!(events(&mut program), [(3, 1, false)]);
    incoming(&mut program, b"abc");
    program.world().pending.push_back(Connection::default());
    assert_eq!(events(&mut program), [(1, 1, false), (2, 3, false), (3, 1, false)]);
    change(&mut program, |connection| connection.ended = true);
    assert_eq!(events(&mut program)[1], (2, 3, true), "the other end is gone");
}

#[test]
fn finishing_closes_sockets() {
    let mut program = connected();
    assert_eq!(program.wasi().finish(), Ok(()));
    assert_eq!(program.world().closed, [LISTENER, 101]);
}
