//! The rivals outside of an enclave: they must run the same program, or the numbers mean nothing.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("twine-bench-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Scratch(folder)
    }

    fn program(&self, text: &str) -> PathBuf {
        let path = self.0.join("program.wasm");
        fs::write(&path, wat::parse_str(text).unwrap()).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn native_run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_twine-bench"))
        .arg("native-run")
        .args(arguments)
        .output()
        .unwrap()
}

/// Twine's settings, and wasmtime's own.
const SETTINGS: [&[&str]; 2] = [&[], &["--own-settings"]];

#[test]
fn both_settings_write_the_same_and_tell_their_times() {
    let scratch = Scratch::new("write");
    let calls = scratch.program(include_str!("../programs/calls.wat"));
    let stats = scratch.0.join("stats.json");
    for settings in SETTINGS {
        let told = ["--stats-json", stats.to_str().unwrap()];
        let rest = ["--invoke", "fd_write", calls.to_str().unwrap(), "3"];
        let output = native_run(&[settings, &told, &rest].concat());
        assert!(output.status.success(), "{output:?}");
        assert_eq!(output.stdout, b"line\nline\nline\n");
        let stats: serde_json::Value = serde_json::from_slice(&fs::read(&stats).unwrap()).unwrap();
        for phase in ["compile", "instantiate", "run"] {
            assert!(stats["milliseconds"][phase].as_f64().unwrap() > 0.0, "{stats}");
        }
    }
}

#[test]
fn every_function_of_the_measurements_runs_to_its_end() {
    let scratch = Scratch::new("functions");
    // Each round moves the words by 8 bytes; a word holds its address, multiplied.
    let copied = (3 * 0x80000 - 8 * (1 + 2 + 3)) * 0x9e37_79b1_i64;
    let copied = format!("{}\n", copied as i32);
    let programs = [
        (include_str!("../programs/calls.wat"), "sched_yield", ""),
        (include_str!("../programs/calls.wat"), "clock_time_get", ""),
        (include_str!("../programs/calls.wat"), "args_sizes_get", ""),
        (include_str!("../programs/memory.wat"), "copy", &*copied),
        (include_str!("../programs/memory.wat"), "grow", "67\n"),
    ];
    for settings in SETTINGS {
        for (text, function, result) in programs {
            let program = scratch.program(text);
            let rest = ["--invoke", function, program.to_str().unwrap(), "3"];
            let output = native_run(&[settings, &rest].concat());
            assert!(output.status.success(), "{function}: {output:?}");
            assert_eq!(String::from_utf8_lossy(&output.stdout), result, "{function}");
        }
    }
}

#[test]
fn exit_codes_and_traps_come_through() {
    let scratch = Scratch::new("ends");
    let exits = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "_start") (call $exit (i32.const 7))))"#;
    let traps = r#"(module (func (export "_start") unreachable))"#;
    for settings in SETTINGS {
        for (text, code) in [(exits, 7), (traps, 134)] {
            let program = scratch.program(text);
            let output = native_run(&[settings, &[program.to_str().unwrap()]].concat());
            assert_eq!(output.status.code(), Some(code), "{output:?}");
        }
    }
}

#[test]
fn a_file_that_is_no_program_is_an_error() {
    let scratch = Scratch::new("nothing");
    let path = scratch.0.join("nothing.wasm");
    fs::write(&path, "nothing").unwrap();
    for settings in SETTINGS {
        let output = native_run(&[settings, &[path.to_str().unwrap()]].concat());
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "));
    }
}
