//! The command's answers to programs that can't be run, or that misbehave: one line of cause and
//! one of remedy, never a panic or a hang.

mod common;

use common::{Ended, Folder, run, twine};
use std::time::{Duration, Instant};

/// Runs a program in text format, after the options.
fn run_text(options: &[&str], text: &str) -> Ended {
    let folder = Folder::new();
    let program = folder.file("program.wat", text);
    run(twine().args(["run", "--quiet"]).args(options).arg(program))
}

/// Runs a file with these bytes.
fn run_bytes(bytes: &[u8]) -> Ended {
    let folder = Folder::new();
    let program = folder.file("program.wasm", bytes);
    run(twine().args(["run", "--quiet"]).arg(program))
}

#[test]
fn files_that_are_not_webassembly_are_reported() {
    run_bytes(b"int main(void) { return 0; }").failed_with(1, "not a WebAssembly binary");
    run_bytes(b"").failed_with(1, "not a WebAssembly binary");
    run_bytes(b"\x7fELF\x02\x01\x01\0").failed_with(1, "not a WebAssembly binary");
}

#[test]
fn programs_truncated_anywhere_are_reported() {
    run_bytes(b"\0as").failed_with(1, "truncated");
    run_bytes(b"\0asm\x01\0").failed_with(1, "truncated");
    let whole = wat::parse_str(
        r#"(module (memory 1) (data (i32.const 0) "abc") (func (export "_start") (nop) (nop)))"#,
    )
    .unwrap();
    run_bytes(&whole).printed("");
    for length in [9, 11, whole.len() - 3, whole.len() - 1] {
        run_bytes(&whole[..length]).failed_with(1, "truncated");
    }
}

/// Nobody is asked for a passphrase for nothing, and no volume is made.
#[test]
fn a_missing_program_is_reported_before_its_files_are_opened() {
    let folder = Folder::new();
    for program in ["missing.wasm", "oci:missing"] {
        let mut command = twine();
        command.args(["run", "--key", "passphrase", "--dir", "v", program]);
        let ended = run(command.current_dir(folder.path()));
        ended.failed_with(1, "missing");
        assert!(!ended.err.contains("passphrase"), "{ended:?}");
        assert!(!folder.path().join("v").exists());
    }
}

#[test]
fn other_versions_and_components_are_named() {
    run_bytes(b"\0asm\x02\0\0\0").failed_with(1, "version 2");
    run_bytes(b"\0asm\x0d\0\x01\0").failed_with(1, "component");
}

#[test]
fn a_program_that_does_not_validate_says_where() {
    run_bytes(b"\0asm\x01\0\0\0\xff\x01\0").failed_with(1, "not valid");
    run_text(&[], "(module (func (export \"_start\") (i32.add)))").failed_with(1, "not valid");
}

#[test]
fn errors_in_webassembly_text_are_reported() {
    run_text(&[], "(module (func (export \"_start\")").failed_with(1, "expected `)`");
}

#[test]
fn missing_files_and_folders_are_named() {
    run(twine().args(["run", "/nonexistent/app.wasm"])).failed_with(1, "No such file");
    run(twine().args(["run", "/"])).failed_with(1, "Is a directory");
}

#[test]
fn all_unknown_imports_are_named_at_once() {
    let ended = run_text(
        &[],
        r#"(module (import "env" "one" (func)) (import "env" "two" (memory 1))
             (import "wasi_snapshot_preview1" "fd_tell" (func (param i32 i32) (result i32)))
             (import "env" "three" (global i32)) (func (export "_start")))"#,
    );
    ended.failed_with(1, "env::one, env::two, env::three");
}

#[test]
fn an_import_of_another_type_shows_both_types() {
    let ended = run_text(
        &[],
        r#"(module (import "wasi_snapshot_preview1" "fd_write" (func (param i32) (result i32)))
             (func (export "_start")))"#,
    );
    ended.failed_with(1, "(param i32 i32 i32 i32)");
}

#[test]
fn a_module_without_a_start_says_what_to_do() {
    let ended = run_text(&[], r#"(module (func (export "other")))"#);
    ended.failed_with(1, "`_start`");
    assert!(ended.err.contains("--invoke"));
    run_text(&[], r#"(module (func (export "_start") (param i32)))"#).failed_with(1, "`_start`");
}

#[test]
fn invoke_checks_the_function_and_its_arguments() {
    let text = r#"(module (func (export "add") (param i32 i64) (result i64)
        (i64.add (i64.extend_i32_s (local.get 0)) (local.get 1))))"#;
    let folder = Folder::new();
    let program = folder.file("add.wat", text);
    let invoke = |arguments: &[&str]| {
        run(twine()
            .args(["run", "-q", "--invoke"])
            .arg(arguments[0])
            .arg(&program)
            .args(&arguments[1..]))
    };
    invoke(&["add", "-2", "44"]).printed("42\n");
    invoke(&["add", "0xff", "1"]).printed("256\n");
    invoke(&["add", "1"]).failed_with(1, "takes 2 arguments");
    invoke(&["add", "1", "two"]).failed_with(1, "\"two\"");
    invoke(&["sub", "1", "2"]).failed_with(1, "`sub`");
}

#[test]
fn impossible_memory_sizes_are_refused_before_the_program_starts() {
    let big = r#"(module (memory 65536) (memory 65536) (func (export "_start")))"#;
    run_text(&[], big).failed_with(1, "no enclave memory");
    run_text(&["--max-memory", "1MiB"], big).failed_with(1, "1048576 allowed");
    run_text(&[], r#"(module (table 4000000000 funcref) (func (export "_start")))"#)
        .failed_with(1, "table");
}

#[test]
fn growing_beyond_the_limit_fails_in_the_program_alone() {
    // The limit allows 16 pages. From 1 page, growing by 10 works once.
    let text = r#"(module (memory 1) (func (export "grow") (result i32 i32)
        (memory.grow (i32.const 10)) (memory.grow (i32.const 10))))"#;
    run_text(&["--max-memory", "1MiB", "--invoke", "grow"], text).printed("1\n-1\n");
}

#[test]
fn the_error_for_code_that_does_not_fit_names_a_size_that_fits() {
    // These are twenty thousand stores of constants: more than 64 KiB of code.
    let stores: String = (0..20_000)
        .map(|n| format!("(i64.store (i32.const {n}) (i64.const {}))", (n as i64) << 40))
        .collect();
    let text = format!("(module (memory 1) (func (export \"_start\") {stores}))");
    let folder = Folder::new();
    let program = folder.file("large.wat", text);
    let options = ["--code-arena-size", "64KiB", "--manifest", &common::manifest()];
    let image = common::image(&folder, "small.sgxs", &options);
    let ended = run(twine().args(["run", "-q", "--image"]).arg(&image).arg(program));
    ended.failed_with(1, "this image has 65536 in all");
    assert!(ended.err.contains("--code-arena-size"), "{ended:?}");
}

#[test]
fn traps_exit_with_134_and_name_the_functions() {
    let ended = run_text(
        &[],
        r#"(module (func $inner unreachable) (func $outer (export "_start") (call $inner)))"#,
    );
    ended.trapped_with("unreachable");
    assert!(ended.err.contains("inner") && ended.err.contains("outer"), "{ended:?}");
    run_text(
        &[],
        r#"(module (memory 1) (func (export "_start") (drop (i32.load (i32.const 65536)))))"#,
    )
    .trapped_with("out of bounds memory access");
    run_text(
        &[],
        r#"(module (func (export "_start") (drop (i32.div_s (i32.const 1) (i32.const 0)))))"#,
    )
    .trapped_with("integer divide by zero");
    run_text(
        &[],
        r#"(module (table 1 funcref) (func (export "_start") (call_indirect (i32.const 0))))"#,
    )
    .trapped_with("uninitialized element");
}

#[test]
fn endless_recursion_is_a_trap() {
    run_text(&[], r#"(module (func $f (export "_start") (call $f)))"#)
        .trapped_with("call stack exhausted");
}

const LOOP: &str = r#"(module (func (export "_start") (loop $l (br $l))))"#;

/// The message has no backtrace: with a chosen fuel, the host could step through a program's
/// secrets.
#[test]
fn an_endless_loop_ends_at_its_timeout_or_fuel_without_a_backtrace() {
    for (option, value, cause) in
        [("--timeout", "200ms", "--timeout"), ("--fuel", "100000", "fuel"), ("--fuel", "3", "fuel")]
    {
        let ended = run_text(&[option, value], LOOP);
        ended.trapped_with(cause);
        assert_eq!(ended.err.lines().count(), 1, "{ended:?}");
    }
    // The program's own trap has a backtrace.
    let own = run_text(&[], r#"(module (func (export "_start") unreachable))"#);
    own.trapped_with("unreachable");
    assert!(own.err.lines().count() > 1, "{own:?}");
}

#[test]
fn a_timeout_also_ends_a_start_function_that_loops() {
    let text = r#"(module (func $s (loop $l (br $l))) (start $s) (func (export "_start")))"#;
    run_text(&["--timeout", "200ms"], text).trapped_with("--timeout");
}

/// A process that is killed when this is dropped. If the test fails, it could run for ever.
struct Killed(std::process::Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // This fails if the process has already ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn interrupting_the_command_ends_it_at_once() {
    let folder = Folder::new();
    let program = folder.file("loop.wat", LOOP);
    // A shell makes its background processes ignore the signal, and their children inherit that.
    let mut env = std::process::Command::new("env");
    env.arg("--default-signal=INT").arg(twine().get_program()).args(["run", "--quiet"]);
    env.env_remove("TWINE_IMAGE").env("TWINE_CACHE", common::cache());
    let mut child = Killed(env.arg(program).spawn().unwrap());
    let child = &mut child.0;
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(child.try_wait().unwrap(), None, "it should still be running");
    common::interrupt(child.id());
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() && start.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(child.try_wait().unwrap().is_some(), "it does not end");
    let status = child.wait().unwrap();
    assert_eq!(status.code(), None, "it ends by the signal: {status}");
}

#[test]
fn wrong_usage_exits_with_2() {
    for arguments in [
        &[][..],
        &["run"],
        &["run", "--nonsense", "a.wasm"],
        &["run", "--timeout", "soon", "a.wasm"],
        &["fly"],
    ] {
        let ended = run(twine().args(arguments));
        assert_eq!(ended.code, Some(2), "{ended:?}");
    }
}

#[test]
fn missing_hardware_sgx_is_an_error() {
    if run(twine().args(["info", "--json"])).out.contains(r#""tee": "sgx""#) {
        return;
    }
    let ended = run_text(&["--tee", "sgx"], LOOP);
    ended.failed_with(1, "SGX can't be used");
}

/// Compiling a large program takes minutes. The code of these programs is invalid, and must not be
/// read.
#[test]
fn errors_that_need_no_compiler_come_before_compiling() {
    const BAD: &str = "i32.const 1";
    let import = format!(r#"(module (import "env" "f" (func)) (func (export "_start") {BAD}))"#);
    run_text(&[], &import).failed_with(1, "imports what Twine does not provide: env::f");
    let shared = format!(r#"(module (memory 1 1 shared) (func (export "_start") {BAD}))"#);
    let ended = run_text(&[], &shared);
    ended.failed_with(1, "shares its memory with threads");
    assert!(ended.err.contains("wasm32-wasip1,"), "{ended:?}");
    let nothing = format!("(module (func {BAD}))");
    run_text(&[], &nothing).failed_with(1, "no function `_start`");
    let large = format!(r#"(module (memory 100) (func (export "_start") {BAD}))"#);
    run_text(&["--max-memory", "1MiB"], &large).failed_with(1, "wants 6553600 bytes");
    let table = r#"(module (table 20000000 funcref) (func (export "_start")))"#;
    run_text(&[], table).failed_with(1, "wants tables of 20000000 elements");
    let bad = format!(r#"(module (func (export "_start") {BAD}))"#);
    run_text(&[], &bad).failed_with(1, "not valid");
}
