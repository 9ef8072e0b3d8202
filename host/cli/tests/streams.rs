//! Standard streams in the states that shells cause: pipes, files, closed, full, slow.

mod common;

use common::{Ended, Folder, built, ended, run, run_with_input, twine};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Copies its input to its output. Exits with the errno of the call that failed.
const CAT: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 8)
  (func $check (param $errno i32)
    (if (local.get $errno) (then (call $exit (local.get $errno)))))
  (func (export "_start") (local $rest i32) (local $at i32)
    (loop $next
      (i32.store (i32.const 0) (i32.const 1024))
      (i32.store (i32.const 4) (i32.const 400000))
      (call $check (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
      (local.set $rest (i32.load (i32.const 8)))
      (local.set $at (i32.const 1024))
      (if (i32.eqz (local.get $rest)) (then (return)))
      (loop $more
        (i32.store (i32.const 0) (local.get $at))
        (i32.store (i32.const 4) (local.get $rest))
        (call $check (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
        (local.set $at (i32.add (local.get $at) (i32.load (i32.const 8))))
        (local.set $rest (i32.sub (local.get $rest) (i32.load (i32.const 8))))
        (br_if $more (local.get $rest)))
      (br $next))))"#;

// Errnos of WASI preview 1.
const BADF: i32 = 8;
const NOSPC: i32 = 51;
const PIPE: i32 = 64;

fn cat(folder: &Folder) -> (Command, PathBuf) {
    let program = folder.file("cat.wat", CAT);
    let mut command = twine();
    command.args(["run", "--quiet"]).arg(&program);
    (command, program)
}

/// Runs the program in a shell with these redirections.
fn shell(redirections: &str) -> Ended {
    let folder = Folder::new();
    let (_, program) = cat(&folder);
    let line = format!(
        "exec {} run --quiet {} {redirections}",
        common::built("release/twine").display(),
        program.display()
    );
    run(Command::new("sh").args(["-c", &line]))
}

#[test]
fn a_large_input_comes_back_byte_for_byte() {
    let folder = Folder::new();
    let input: Vec<u8> =
        (0..3_000_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let path = folder.file("input", &input);
    let out = folder.path().join("output");
    let (mut command, _) = cat(&folder);
    command.stdin(std::fs::File::open(path).unwrap()).stdout(std::fs::File::create(&out).unwrap());
    assert_eq!(run(&mut command).code, Some(0));
    assert!(std::fs::read(out).unwrap() == input, "file to file");
    let (mut command, _) = cat(&folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let sent = input.clone();
    let writer = std::thread::spawn(move || pipe.write_all(&sent).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.stdout == input, "pipe to pipe");
}

#[test]
fn an_empty_input_ends_at_once() {
    let folder = Folder::new();
    run_with_input(&mut cat(&folder).0, b"").printed("");
    run(&mut cat(&folder).0).printed("");
}

#[test]
fn a_slow_writer_is_waited_for() {
    let folder = Folder::new();
    let (mut command, _) = cat(&folder);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    for piece in ["one\n", "two\n", "three\n"] {
        std::thread::sleep(Duration::from_millis(100));
        input.write_all(piece.as_bytes()).unwrap();
        let mut back = vec![0; piece.len()];
        // It answers before it gets more input, so nothing is buffered.
        output.read_exact(&mut back).unwrap();
        assert_eq!(back, piece.as_bytes());
    }
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_closed_pipe_is_an_error_in_the_program() {
    let folder = Folder::new();
    let (mut command, _) = cat(&folder);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"for nobody").unwrap();
    drop(input);
    let ended = ended(child.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.err.as_str()), (Some(PIPE), ""));
}

#[test]
fn a_full_disk_is_an_error_in_the_program() {
    let ended = shell("</proc/version >/dev/full");
    assert_eq!((ended.code, ended.err.as_str()), (Some(NOSPC), ""));
}

#[test]
fn closed_streams_are_errors_of_the_program_and_never_another_file() {
    let ended = shell("<&-");
    // Rust's runtime opens /dev/null in place of a closed stream, so that no file of the command
    // can get its number.
    assert_eq!(ended.code, Some(0), "{ended:?}");
    let ended = shell("</proc/version >&-");
    assert!(matches!(ended.code, Some(0 | BADF)), "{ended:?}");
    assert_eq!(ended.err, "");
}

#[test]
fn a_program_that_waits_for_input_is_ended_after_its_time() {
    let folder = Folder::new();
    let (_, program) = cat(&folder);
    let mut command = twine();
    command.args(["run", "--quiet", "--timeout", "200ms"]).arg(program).stdin(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let input = child.stdin.take();
    let ended = ended(child.wait_with_output().unwrap());
    drop(input);
    ended.failed_with(134, "--timeout");
}

#[test]
fn the_note_about_simulation_is_one_line_and_absent_with_quiet() {
    if run(twine().args(["info", "--json"])).out.contains(r#""tee": "sgx""#) {
        return;
    }
    let folder = Folder::new();
    let program = folder.file("nothing.wat", r#"(module (func (export "_start")))"#);
    let loud = run(twine().arg("run").arg(&program));
    assert_eq!(loud.err.lines().count(), 1, "{loud:?}");
    assert!(loud.err.contains("simulated"), "{loud:?}");
    let quiet = run(twine().args(["run", "--quiet"]).arg(&program));
    assert_eq!(quiet.err, "");
}

/// The program's own input is then at its end, since all of it was the program.
#[test]
fn a_program_comes_from_the_standard_input() {
    let folder = Folder::new();
    let from_input = |command: &str| {
        let mut twine = twine();
        twine.current_dir(folder.path()).arg(command);
        twine
    };
    let program = wat::parse_str(CAT).unwrap();
    run_with_input(from_input("run").arg("-"), &program).printed("");
    run_with_input(from_input("run").arg("-"), CAT.as_bytes()).printed("");
    run_with_input(from_input("run").args(["-q", "-"]), b"no program")
        .failed_with(1, "not a WebAssembly");
    // `./-` names a file with the name `-`.
    folder.file("-", "(module (func (export \"_start\") unreachable))");
    run(twine().current_dir(folder.path()).args(["run", "-q", "./-"])).trapped_with("unreachable");
    // It has the same identity as in a file.
    let measured = run_with_input(from_input("measure").arg("-"), &program);
    let path = folder.file("cat.wasm", &program);
    assert_eq!(measured.out, run(twine().arg("measure").arg(path)).out);
    // The command refuses to read a program that a user would have to type.
    let line = format!("'{}' run -", built("release/twine").display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    let ended = run_with_input(&mut script, b"");
    assert_eq!(ended.code, Some(1));
    assert!(ended.out.contains("a program can't be typed"), "{ended:?}");
}

#[test]
fn exit_codes_and_arguments_are_passed_on() {
    let folder = Folder::new();
    // This exits with the number of its arguments.
    let program = folder.file(
        "count.wat",
        r#"(module
          (import "wasi_snapshot_preview1" "args_sizes_get" (func $sizes (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "environ_sizes_get" (func $env (param i32 i32) (result i32)))
          (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
          (memory (export "memory") 1)
          (func (export "_start")
            (drop (call $sizes (i32.const 0) (i32.const 4)))
            (drop (call $env (i32.const 8) (i32.const 12)))
            (call $exit (i32.add (i32.mul (i32.load (i32.const 0)) (i32.const 10))
                                 (i32.load (i32.const 8))))))"#,
    );
    let count = |options: &[&str], arguments: &[&str]| {
        run(twine().args(["run", "-q"]).args(options).arg(&program).args(arguments)).code
    };
    assert_eq!(count(&[], &[]), Some(10), "its own name");
    assert_eq!(count(&[], &["a", "--help", "-q"]), Some(40), "options behind it are its own");
    assert_eq!(count(&["--env", "A=1", "--env", "B="], &[]), Some(12));
    // A variable without a value is passed on from the command's own environment, if it is set
    // there.
    assert_eq!(count(&["--env", "PATH", "--env", "NOT_SET_ANYWHERE"], &[]), Some(11));
}

#[test]
fn a_program_that_ends_before_its_timeout_is_not_waited_for() {
    let begun = std::time::Instant::now();
    let ended =
        run(twine().args(["run", "--quiet", "--timeout", "1000s"]).arg(built("guests/hello.wasm")));
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // This does not test the speed, but whether it waits for a quarter of an hour.
    assert!(begun.elapsed() < std::time::Duration::from_secs(500));
}

#[test]
fn the_command_ignores_a_closed_pipe() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let info = twine().arg("info").stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let ended = ended(info.wait_with_output().unwrap());
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{ended:?}");
}
