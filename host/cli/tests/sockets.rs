//! `twine run --listen`.

mod common;

use common::{Folder, ended, run, twine};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Stdio;
use std::time::Duration;

/// Waits for one connection on descriptor 3, accepts it, and sends back what it receives until the
/// other end sends no more. Exits with the errno of a failure, or 0.
const ECHO: &str = r#"(module
    (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sock_recv"
      (func $recv (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sock_send"
      (func $send (param i32 i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "sock_shutdown" (func $shutdown (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_fdstat_set_flags"
      (func $set_flags (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 2)
    (func $must (param $errno i32)
      (if (local.get $errno) (then (call $exit (local.get $errno)))))
    (func (export "_start") (local $connection i32)
      (call $must (call $set_flags (i32.const 3) (i32.const 0)))
      (call $must (call $accept (i32.const 3) (i32.const 0) (i32.const 0)))
      (local.set $connection (i32.load (i32.const 0)))
      (loop $more
        (i32.store (i32.const 16) (i32.const 4096))
        (i32.store (i32.const 20) (i32.const 65536))
        (call $must (call $recv (local.get $connection) (i32.const 16) (i32.const 1) (i32.const 0)
          (i32.const 24) (i32.const 28)))
        (if (i32.load (i32.const 24))
          (then
            (i32.store (i32.const 20) (i32.load (i32.const 24)))
            (call $must (call $send (local.get $connection) (i32.const 16) (i32.const 1)
              (i32.const 0) (i32.const 32)))
            (br $more))))
      (call $must (call $shutdown (local.get $connection) (i32.const 2)))))"#;

#[test]
fn a_program_accepts_a_connection_and_answers() {
    let folder = Folder::new();
    let program = folder.file("echo.wat", ECHO);
    // This port was free a moment ago.
    let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).unwrap();
    let mut command = twine();
    command.args(["run", "--quiet", "--listen", &address.to_string()]).arg(program);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut connection = (0..200)
        .find_map(|_| {
            std::thread::sleep(Duration::from_millis(50));
            TcpStream::connect(address).ok()
        })
        .expect("the program listens");
    for text in ["hello", "and once more"] {
        connection.write_all(text.as_bytes()).unwrap();
        let mut answer = vec![0; text.len()];
        connection.read_exact(&mut answer).unwrap();
        assert_eq!(answer, text.as_bytes());
    }
    connection.shutdown(Shutdown::Write).unwrap();
    let mut rest = Vec::new();
    connection.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"");
    ended(child.wait_with_output().unwrap()).printed("");
}

#[test]
fn invalid_and_used_addresses_are_errors() {
    let folder = Folder::new();
    let program = folder.file("echo.wat", ECHO);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (address, cause) in [(taken.as_str(), "in use"), ("nowhere", "--listen nowhere")] {
        run(twine().args(["run", "--quiet", "--listen", address]).arg(&program))
            .failed_with(1, cause);
    }
}

#[test]
fn without_listen_a_program_has_no_socket() {
    const BADF: i32 = 8;
    let folder = Folder::new();
    let program = folder.file("echo.wat", ECHO);
    let ended = run(twine().args(["run", "--quiet"]).arg(program));
    assert_eq!(ended.code, Some(BADF), "{ended:?}");
}
