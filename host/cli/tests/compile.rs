//! `twine compile`, and the compilers of `twine run`.

mod common;

use common::{Ended, Folder, built, run, twine};
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

/// Returns the command, with the test's own code cache.
fn with_cache(folder: &Folder) -> Command {
    let mut command = twine();
    command.env("TWINE_CACHE", folder.path().join("cache"));
    command
}

/// Returns the names of the files in the cache, in order.
fn cached(folder: &Folder) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder.path().join("cache")) else { return Vec::new() };
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".code"));
    names.sort();
    names
}

/// Runs a program with some options. Returns its result, and whether code was stored.
fn runs(folder: &Folder, program: &PathBuf, options: &[&str]) -> (Ended, bool) {
    let stats = folder.path().join("stats.json");
    let ended = run(with_cache(folder)
        .args(["run", "--quiet", "--stats-json"])
        .arg(&stats)
        .args(options)
        .arg(program));
    let stored = fs::read_to_string(stats).is_ok_and(|stats| stats.contains("code_store"));
    (ended, stored)
}

/// Returns the lines of a report that are the same each time.
fn steady(report: &str) -> Vec<&str> {
    let changing = |line: &&str| {
        !["clock", "random", "primes"].iter().any(|word| line.trim_start().starts_with(word))
    };
    report.lines().filter(changing).collect()
}

#[test]
fn a_program_that_was_compiled_ahead_compiles_nothing_when_it_is_run() {
    compiles_once("hello.wasm");
}

#[test]
fn a_component_that_was_compiled_ahead_compiles_nothing_when_it_is_run() {
    compiles_once("hello-component.wasm");
}

#[track_caller]
fn compiles_once(program: &str) {
    let folder = Folder::new();
    let program = built("guests").join(program);
    let compiled = run(with_cache(&folder).args(["compile", "--tee", "sim"]).arg(&program));
    assert_eq!(compiled.code, Some(0), "{compiled:?}");
    assert!(compiled.out.contains("of code cached"), "{compiled:?}");
    assert_eq!(cached(&folder).len(), 1);
    let json = |arguments: &[&str]| -> serde_json::Value {
        serde_json::from_str(&run(with_cache(&folder).args(arguments)).out).unwrap()
    };
    let compiled = json(&["compile", "--json", &program.display().to_string()]);
    let listed = json(&["cache", "ls", "--json"]);
    assert_eq!(compiled["cached"], true);
    assert_eq!(compiled["bytes"], listed[0]["bytes"]);
    assert_eq!(format!("{}.code", listed[0]["name"].as_str().unwrap()), cached(&folder)[0]);
    let (ended, stored) = runs(&folder, &program, &[]);
    assert_eq!((ended.code, stored), (Some(0), false), "{ended:?}");
    // Other settings require other code.
    let (ended, stored) = runs(&folder, &program, &["--fuel", "10000000"]);
    assert_eq!((ended.code, stored), (Some(0), true), "{ended:?}");
    let (ended, stored) = runs(&folder, &program, &["--no-guard-pages"]);
    assert_eq!((ended.code, stored), (Some(0), true), "{ended:?}");
    assert_eq!(cached(&folder).len(), 3, "{:?}", cached(&folder));
}

/// The file has pieces of 256 KiB, each after a tag of 16 bytes. They follow a head of 104 bytes.
#[test]
fn cached_code_that_was_changed_truncated_or_reordered_is_compiled_again() {
    const PIECES: usize = 104;
    const PIECE: usize = (256 << 10) + 16;
    let folder = Folder::new();
    let program = built("guests/ripgrep.wasm");
    let options = ["--compiler", "baseline"];
    assert!(runs(&folder, &program, &options).1);
    let path = folder.path().join("cache").join(&cached(&folder)[0]);
    let whole = fs::read(&path).unwrap();
    let (length, last) = (whole.len(), (whole.len() - PIECES) / PIECE * PIECE + PIECES);
    assert!(last > PIECES + PIECE, "there are three pieces at least");
    let flipped = [9, 50, 60, 103, PIECES, PIECES + 16, PIECES + PIECE, last + 16, length - 1];
    let flipped = flipped.map(|at| {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        bytes
    });
    let cut = [0, 50, PIECES, PIECES + PIECE, last, last + 16, length - 1];
    let cut = cut.map(|length| whole[..length].to_vec());
    let (first, rest) = whole[PIECES..].split_at(PIECE);
    let (second, rest) = rest.split_at(PIECE);
    let swapped = [&whole[..PIECES], second, first, rest].concat();
    let longer = [&whole[..], &[0]].concat();
    for bytes in flipped.into_iter().chain(cut).chain([swapped, longer]) {
        fs::write(&path, bytes).unwrap();
        let (_, stored) = runs(&folder, &program, &options);
        assert!(stored, "it was taken up");
    }
    assert!(!runs(&folder, &program, &options).1, "what was stored last is whole");
}

#[test]
fn code_of_both_compilers_gives_the_same_output_and_is_cached_separately() {
    let folder = Folder::new();
    let program = built("guests/report.wasm");
    let (optimizing, stored) = runs(&folder, &program, &[]);
    assert!(stored);
    let (baseline, stored) = runs(&folder, &program, &["--compiler", "baseline"]);
    assert!(stored);
    assert_eq!((optimizing.code, baseline.code), (Some(0), Some(0)), "{baseline:?}");
    assert_eq!(steady(&optimizing.out), steady(&baseline.out));
    assert_eq!(cached(&folder).len(), 2);
    let (again, stored) = runs(&folder, &program, &["--compiler", "baseline"]);
    assert_eq!((steady(&again.out), stored), (steady(&baseline.out), false));
}

#[test]
fn a_trap_in_code_of_the_baseline_compiler_is_reported_as_any_other() {
    let folder = Folder::new();
    let text = folder.path().join("trap.wat");
    let body = "(module (memory (export \"memory\") 1) (table 1 funcref) (type $t (func))
        (func (export \"out\") (drop (i32.load (i32.const 65536))))
        (func (export \"null\") (call_indirect (type $t) (i32.const 0)))
        (func (export \"divide\") (drop (i32.div_s (i32.const 1) (i32.const 0))))
        (func (export \"deep\") (call 3)))";
    fs::write(&text, body).unwrap();
    for (function, words) in [
        ("out", "out of bounds memory access"),
        ("null", "uninitialized element"),
        ("divide", "integer divide by zero"),
        ("deep", "call stack exhausted"),
    ] {
        for compiler in ["baseline", "optimizing"] {
            let (ended, _) = runs(&folder, &text, &["--compiler", compiler, "--invoke", function]);
            assert_eq!(ended.code, Some(134), "{compiler}: {ended:?}");
            assert!(ended.err.contains(words), "{compiler}: {ended:?}");
        }
    }
}

#[test]
fn with_auto_the_next_start_has_optimized_code() {
    let folder = Folder::new();
    let program = built("guests/report.wasm");
    let (ended, stored) = runs(&folder, &program, &["--compiler", "auto"]);
    assert_eq!((ended.code, stored), (Some(0), true), "{ended:?}");
    let begun = Instant::now();
    while cached(&folder).len() < 2 {
        assert!(begun.elapsed() < Duration::from_secs(300), "nobody has compiled it");
        std::thread::sleep(Duration::from_millis(50));
    }
    let optimized = cached(&folder).into_iter().find(|name| !name.contains("baseline")).unwrap();
    let before = fs::metadata(folder.path().join("cache").join(&optimized)).unwrap().len();
    let (ended, stored) = runs(&folder, &program, &["--compiler", "auto"]);
    assert_eq!((ended.code, stored), (Some(0), false), "{ended:?}");
    assert!(before > 0);
}

#[test]
fn a_compiler_that_can_not_be_had_is_refused_with_a_remedy() {
    let folder = Folder::new();
    let program = built("guests/hello.wasm");
    let (ended, _) = runs(&folder, &program, &["--compiler", "baseline", "--no-guard-pages"]);
    ended.failed_with(1, "needs memories with guard pages");
    let missing = run(with_cache(&folder).args(["compile", "--quiet", "no-such.wasm"]));
    missing.failed_with(1, "can't be read");
    let broken = folder.path().join("broken.wasm");
    fs::write(&broken, b"\0asm\x01\0\0\0\xff").unwrap();
    run(with_cache(&folder).args(["compile", "--quiet"]).arg(&broken)).failed_with(1, "not valid");
}
