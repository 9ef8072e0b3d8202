//! Volumes in files that become unreadable while a program runs. A failed read returns an error to
//! the program, and is counted.

mod common;

use common::{Ended, Folder, ended, twine};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

/// If there is no file "g", creates it with 256 blocks. Each word of a block holds the block's
/// number. Otherwise prints "r" and, for each byte of standard input, reads all blocks and prints
/// "0" if all reads succeeded, "1" if some returned EIO, "2" if all did. Exits with 90 if a block
/// was wrong, or with any other errno.
const READER: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pread"
      (func $pread (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_pwrite"
      (func $pwrite (param i32 i32 i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 64) "g")
    (data (i32.const 72) "r\n0\n1\n2\n")
    (data (i32.const 16) "\48\00\00\00\02\00\00\00")
    (data (i32.const 24) "\00\10\00\00\00\10\00\00")
    (func $opened (param $flags i32) (result i32)
      (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 1) (local.get $flags)
        (i64.const 0x7f) (i64.const 0) (i32.const 0) (i32.const 96)))
    (func $must (param $errno i32)
      (if (local.get $errno) (then (call $exit (local.get $errno)))))
    (func $at (param $block i32) (result i64)
      (i64.extend_i32_u (i32.shl (local.get $block) (i32.const 12))))
    (func $fill (param $block i32)
      (local $word i32)
      (local.set $word (i32.const 0x1000))
      (loop $next
        (i64.store (local.get $word) (i64.extend_i32_u (local.get $block)))
        (local.set $word (i32.add (local.get $word) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $word) (i32.const 0x2000)))))
    (func $check (param $block i32)
      (local $word i32)
      (local.set $word (i32.const 0x1000))
      (loop $next
        (if (i64.ne (i64.load (local.get $word)) (i64.extend_i32_u (local.get $block)))
          (then (call $exit (i32.const 90))))
        (local.set $word (i32.add (local.get $word) (i32.const 8)))
        (br_if $next (i32.lt_u (local.get $word) (i32.const 0x2000)))))
    (func $say (param $text i32)
      (i32.store (i32.const 16) (local.get $text))
      (call $must (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 100))))
    (func $blocks (result i32)
      (local $block i32) (local $errno i32) (local $failed i32)
      (loop $next
        (local.set $errno (call $pread (i32.load (i32.const 96)) (i32.const 24) (i32.const 1)
          (call $at (local.get $block)) (i32.const 100)))
        (if (local.get $errno)
          (then
            (if (i32.ne (local.get $errno) (i32.const 29)) (then (call $exit (local.get $errno))))
            (local.set $failed (i32.add (local.get $failed) (i32.const 1))))
          (else (call $check (local.get $block))))
        (local.set $block (i32.add (local.get $block) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $block) (i32.const 256))))
      (if (i32.eq (local.get $failed) (i32.const 256)) (then (return (i32.const 2))))
      (i32.ne (local.get $failed) (i32.const 0)))
    (func (export "_start")
      (local $block i32)
      (if (call $opened (i32.const 0))
        (then
          (call $must (call $opened (i32.const 1)))
          (loop $next
            (call $fill (local.get $block))
            (call $must (call $pwrite (i32.load (i32.const 96)) (i32.const 24) (i32.const 1)
              (call $at (local.get $block)) (i32.const 100)))
            (local.set $block (i32.add (local.get $block) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $block) (i32.const 256))))
          (call $exit (i32.const 0))))
      (call $say (i32.const 72))
      (loop $round
        (i32.store (i32.const 28) (i32.const 1))
        (call $must (call $read (i32.const 0) (i32.const 24) (i32.const 1) (i32.const 100)))
        (if (i32.eqz (i32.load (i32.const 100))) (then (call $exit (i32.const 0))))
        (i32.store (i32.const 28) (i32.const 4096))
        (call $say (i32.add (i32.const 74) (i32.shl (call $blocks) (i32.const 1))))
        (br $round))))"#;

/// The volume "v" in a folder, and its program.
struct Desk {
    folder: Folder,
}

impl Desk {
    fn new() -> Self {
        let desk = Desk { folder: Folder::new() };
        desk.folder.file("reader.wat", READER);
        let made = common::run(desk.command().arg("reader.wat"));
        assert_eq!(made.code, Some(0), "{made:?}");
        desk
    }

    fn command(&self) -> std::process::Command {
        let mut command = twine();
        command.current_dir(self.folder.path());
        command.args(["run", "--quiet", "--dir", "v", "--stats-json", "stats.json"]);
        command
    }

    fn volume(&self) -> std::path::PathBuf {
        self.folder.path().join("v")
    }

    /// Runs the program, and makes each change while the program waits. Returns the program's
    /// answer after each, and the command's result.
    fn meanwhile(&self, changes: &[&dyn Fn(&Path)]) -> (Vec<String>, Ended) {
        let mut command = self.command();
        command.arg("reader.wat").stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the command starts");
        let mut input = child.stdin.take().expect("a pipe");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let mut line = || lines.next().expect("a line").expect("it can be read");
        assert_eq!(line(), "r");
        let mut said = Vec::new();
        for change in changes {
            change(&self.volume());
            input.write_all(b"x").expect("the program reads it");
            said.push(line());
        }
        drop(input);
        (said, ended(child.wait_with_output().expect("it ends")))
    }

    /// Returns the number of pages of the volume that the last run could not read, and of read
    /// calls.
    fn unread(&self) -> (u64, u64) {
        let text = fs::read_to_string(self.folder.path().join("stats.json")).expect("statistics");
        let stats: serde_json::Value = serde_json::from_str(&text).expect("they are JSON");
        let pages = &stats["unread_pages"];
        assert_eq!((&pages["program"], &pages["code"]), (&0.into(), &0.into()));
        let calls = stats["calls"]["storage_read"].as_u64().unwrap_or(0);
        (pages["volumes"].as_u64().expect("it is a number"), calls)
    }
}

fn nothing(_: &Path) {}

/// Cuts the last quarter of a MiB off the file.
fn cut(volume: &Path) {
    let file = File::options().write(true).open(volume).expect("the volume");
    let length = file.metadata().expect("it is there").len();
    file.set_len(length - (256 << 10)).expect("truncating the file succeeds");
}

#[test]
fn a_readable_volume_needs_no_read_calls() {
    let desk = Desk::new();
    let (said, ended) = desk.meanwhile(&[&nothing]);
    assert_eq!((&said[..], ended.code, ended.err.as_str()), (&["0".into()][..], Some(0), ""));
    assert_eq!(desk.unread(), (0, 0));
}

#[test]
fn a_truncated_volume_gives_errors_until_its_bytes_are_back() {
    let desk = Desk::new();
    let whole = fs::read(desk.volume()).expect("the volume");
    let put_back = |volume: &Path| {
        let mut file = File::options().write(true).open(volume).expect("the volume");
        file.write_all(&whole).expect("writing the volume succeeds");
    };
    let (said, ended) = desk.meanwhile(&[&cut, &nothing, &put_back]);
    assert_eq!(said, ["1", "1", "0"], "{ended:?}");
    // The command reports at the end the errors that the program got.
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.err.contains("the volume for /: reading "), "{ended:?}");
    assert!(ended.err.contains("it is shorter than it should be"), "{ended:?}");
    let (pages, calls) = desk.unread();
    assert!(pages > 0 && calls >= pages, "{pages} pages, {calls} calls");
}
