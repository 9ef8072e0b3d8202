//! The messages of `twine run` about wrong mounts and keys, and its use of the code cache.

mod common;

use common::{Ended, Folder, built, cache, run, twine};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Opens "file" at descriptor 3, creates it if it is missing, and writes "x". Exits with the errno
/// of the first failure.
const WRITER: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
    (memory (export "memory") 1)
    (data (i32.const 64) "file")
    (data (i32.const 16) "\58\00\00\00\01\00\00\00")
    (data (i32.const 88) "x")
    (func (export "_start")
      (local $errno i32)
      (local.set $errno (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 4)
        (i32.const 1) (i64.const 0x42) (i64.const 0) (i32.const 0) (i32.const 96)))
      (if (local.get $errno) (then (call $exit (local.get $errno))))
      (call $exit (call $write (i32.load (i32.const 96)) (i32.const 16) (i32.const 1) (i32.const 100)))))"#;

fn in_folder(folder: &Folder, program: &Path, options: &[&str]) -> Ended {
    let mut command = twine();
    command.current_dir(folder.path()).args(["run", "--quiet"]).args(options).arg(program);
    run(&mut command)
}

fn writer(folder: &Folder, options: &[&str]) -> Ended {
    let program = folder.file("writer.wat", WRITER);
    in_folder(folder, &program, options)
}

#[test]
fn a_missing_volume_is_created_with_a_note() {
    let folder = Folder::new();
    let program = folder.file("writer.wat", WRITER);
    let mut command = twine();
    command.current_dir(folder.path()).args(["run", "--dir", "v"]).arg(&program);
    let first = run(&mut command);
    assert_eq!(first.code, Some(0), "{first:?}");
    assert!(first.err.contains("created v: a new volume, sealed to this program"), "{first:?}");
    let second = run(&mut command);
    assert_eq!(second.code, Some(0), "{second:?}");
    assert!(!second.err.contains("created"), "{second:?}");
}

#[test]
fn no_volume_is_made_for_a_program_that_does_not_start() {
    let folder = Folder::new();
    let program = folder.file("bad.wasm", "no module");
    in_folder(&folder, &program, &["--dir", "v"]).failed_with(1, "not a WebAssembly binary");
    assert!(!folder.path().join("v").exists());
}

/// A note about a new volume comes only after the volume exists.
#[test]
fn a_failed_creation_prints_no_note() {
    let folder = Folder::new();
    let program = folder.file("writer.wat", WRITER);
    let mut shell = Command::new("sh");
    // This is far less than the smallest volume, in units of 512 bytes or 1 KiB.
    shell.current_dir(folder.path()).env("TWINE_CACHE", cache()).arg("-c");
    shell.arg("ulimit -f 64; exec \"$0\" run --dir v \"$1\"").arg(built("release/twine"));
    let ended = run(shell.arg(&program));
    assert!(ended.code == Some(1) && !ended.err.contains("created"), "{ended:?}");
    assert!(ended.err.contains("may not become so large"), "{ended:?}");
    assert!(ended.err.contains("ulimit -f unlimited"), "{ended:?}");
    let bad = folder.file("bad.wasm", "no module");
    let ended = run(twine().current_dir(folder.path()).args(["run", "--dir", "w"]).arg(&bad));
    assert!(ended.code == Some(1) && !ended.err.contains("created"), "{ended:?}");
    assert!(!folder.path().join("v").exists() && !folder.path().join("w").exists());
}

#[test]
fn options_beyond_the_images_memory_print_a_note() {
    let folder = Folder::new();
    let program = folder.file("writer.wat", WRITER);
    let said = |option: &str, value: &str| {
        let options = [option, value, "--dir", "v"];
        run(twine().current_dir(folder.path()).arg("run").args(options).arg(&program)).err
    };
    for (option, value) in
        [("--tmpfs", "/tmp=99999GiB"), ("--cache", "99GiB"), ("--max-memory", "40GiB")]
    {
        let told = said(option, value);
        assert!(told.contains(&format!("{option} allows ")), "{told}");
    }
    assert!(!said("--max-memory", "100MiB").contains("allows"));
}

#[test]
fn a_volume_of_another_program_does_not_open() {
    let folder = Folder::new();
    writer(&folder, &["--dir", "v"]).printed("");
    let hello = built("guests/hello.wasm");
    in_folder(&folder, &hello, &["--dir", "v"])
        .failed_with(1, "its sealing key is not available: this key is a different one");
    writer(&folder, &["--dir", "v"]).printed("");
}

#[test]
fn a_volume_for_any_program_opens_for_another() {
    let folder = Folder::new();
    writer(&folder, &["--dir", "v", "--key", "sealed:any-program"]).printed("");
    let hello = built("guests/hello.wasm");
    let ended = in_folder(&folder, &hello, &["--dir", "v", "--key", "sealed:any-program"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_wrong_key_opens_nothing_and_changes_nothing() {
    let folder = Folder::new();
    folder.file("right", [1; 32]);
    folder.file("wrong", [2; 32]);
    folder.file("short", [3; 31]);
    writer(&folder, &["--dir", "v", "--key", "file:right"]).printed("");
    let before = fs::read(folder.path().join("v")).expect("the volume");
    for (key, cause) in [
        ("file:wrong", "this key file does not open it"),
        ("sealed", "no sealing key opens it, only: key file"),
        ("file:short", "too short for a key file"),
        ("file:missing", "can't be read"),
        ("passphrase:env:TWINE_NO_SUCH", "environment variable not found"),
    ] {
        writer(&folder, &["--dir", "v", "--key", key]).failed_with(1, cause);
    }
    assert_eq!(before, fs::read(folder.path().join("v")).expect("the volume"));
    writer(&folder, &["--dir", "v", "--key", "file:right"]).printed("");
}

#[test]
fn files_without_a_volume_and_other_versions_are_different_errors() {
    let folder = Folder::new();
    folder.file("text", "some text that is no volume");
    writer(&folder, &["--dir", "text"]).failed_with(1, "this is not a volume");
    writer(&folder, &["--dir", "v"]).printed("");
    let mut bytes = fs::read(folder.path().join("v")).expect("the volume");
    for copy in [0, 4096] {
        bytes[copy + 8] = 9;
    }
    folder.file("newer", bytes);
    writer(&folder, &["--dir", "newer"]).failed_with(1, "version 9 of the format");
    writer(&folder, &["--dir", "."]).failed_with(1, "is a folder, not a volume");
    writer(&folder, &["--dir", "no/such/place"]).failed_with(1, "can't be opened");
    writer(&folder, &["--dir", "missing", "--read-only"]).failed_with(1, "there is no volume");
}

#[test]
fn read_only_mounts_refuse_with_the_errno_for_it() {
    const ROFS: i32 = 69;
    let folder = Folder::new();
    writer(&folder, &["--dir", "v"]).printed("");
    let before = fs::read(folder.path().join("v")).expect("the volume");
    let ended = writer(&folder, &["--dir", "v", "--read-only"]);
    assert_eq!(ended.code, Some(ROFS), "{ended:?}");
    assert_eq!(before, fs::read(folder.path().join("v")).expect("the volume"));
    let ended = writer(&folder, &["--plain-dir", ".", "--read-only"]);
    assert_eq!(ended.code, Some(ROFS), "{ended:?}");
    assert!(!folder.path().join("file").exists());
}

#[test]
fn folders_and_memory_store_what_is_written() {
    let folder = Folder::new();
    writer(&folder, &["--plain-dir", "."]).printed("");
    assert_eq!(fs::read(folder.path().join("file")).expect("the program has written it"), b"x");
    writer(&folder, &["--tmpfs", "/tmp=1MiB"]).printed("");
}

#[test]
fn invalid_mounts_are_refused() {
    let folder = Folder::new();
    writer(&folder, &["--dir", "a", "--dir", "b"]).failed_with(1, "two mounts have the same path");
    writer(&folder, &["--plain-dir", "nowhere"]).failed_with(1, "can't be opened");
    writer(&folder, &["--tmpfs", "/tmp=much"]).failed_with(1, "--tmpfs /tmp=much");
    assert_eq!(writer(&folder, &["--dir", "a", "--key", "wax"]).code, Some(2));
}

#[test]
fn cached_code_is_used_and_damaged_code_is_compiled_again() {
    let folder = Folder::new();
    let program = built("guests/hello.wasm");
    let cache = folder.path().join("cache");
    let compiled = |options: &[&str]| {
        let stats = folder.path().join("stats.json");
        let mut command = twine();
        command.env("TWINE_CACHE", &cache).args(["run", "--quiet", "--stats-json"]).arg(&stats);
        let ended = run(command.args(options).arg(&program));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let stats = fs::read_to_string(stats).expect("statistics");
        stats.contains("\"code_store\"") || !stats.contains("\"code_load\"")
    };
    assert!(compiled(&[]), "the first start compiles");
    assert!(!compiled(&[]), "the second does not");
    assert!(compiled(&["--no-code-cache"]));
    assert!(compiled(&["--timeout", "60s"]), "with other settings it is other code");
    assert!(!compiled(&["--timeout", "60s"]));
    let files = || -> Vec<_> {
        fs::read_dir(&cache).expect("the cache").map(|e| e.unwrap().path()).collect()
    };
    let kept = files();
    assert_eq!(kept.len(), 2, "{kept:?}");
    let [plain, timed] = match kept[0].to_string_lossy().contains("timeout") {
        true => [&kept[1], &kept[0]],
        false => [&kept[0], &kept[1]],
    };
    let good = fs::read(plain).expect("code");
    for at in [0, 8, 20, 70, 105, 120, 130, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(plain, bad).expect("writing the code succeeds");
        assert!(compiled(&[]), "byte {at} was changed");
        assert!(!compiled(&[]), "it was replaced");
    }
    for length in [0, 1, 127, 128, good.len() / 2] {
        fs::write(plain, &good[..length]).expect("writing the code succeeds");
        assert!(compiled(&[]), "cut to {length} bytes");
    }
    fs::copy(timed, plain).expect("copying the code succeeds");
    assert!(compiled(&[]), "code for other settings");

    // This code is authentic, and for these settings, but belongs to another program.
    let other = folder.path().join("other.wat");
    fs::write(&other, r#"(module (func (export "_start") unreachable))"#).expect("a program");
    let before = files();
    let mut command = twine();
    command.env("TWINE_CACHE", &cache).args(["compile", "--quiet"]).arg(&other);
    assert_eq!(run(&mut command).code, Some(0));
    let code = files().into_iter().find(|file| !before.contains(file)).expect("its code");
    fs::copy(code, plain).expect("copying the code succeeds");
    assert!(compiled(&[]), "code of another program");
    assert!(!compiled(&[]), "it was replaced");
    let clear = run(twine().env("TWINE_CACHE", &cache).args(["cache", "clear"]));
    assert_eq!(clear.code, Some(0), "{clear:?}");
    assert_eq!(fs::read_dir(&cache).expect("the cache").count(), 0);
}

#[test]
fn each_mount_has_options_of_its_own() {
    const ROFS: i32 = 69;
    let folder = Folder::new();
    let key = folder.file("key", "k".repeat(32));
    let key = format!("key=file:{}", key.display());
    fs::create_dir(folder.path().join("plain")).unwrap();
    assert_eq!(writer(&folder, &["--dir", "v::/,rw"]).code, Some(0));
    assert_eq!(writer(&folder, &["--dir", "v::/,ro"]).code, Some(ROFS));
    assert_eq!(writer(&folder, &["--dir", "v,ro"]).code, Some(ROFS));
    assert_eq!(writer(&folder, &["--plain-dir", "plain::/,ro"]).code, Some(ROFS));
    for option in ["key=sealed", "cache=8MiB"] {
        writer(&folder, &["--plain-dir", &format!("plain::/,{option}")])
            .failed_with(1, "has neither key nor cache");
    }
    // The first descriptor belongs to the first mount. The other mounts may have any options.
    let two = ["--read-only", "--dir", "v::/a,rw", "--dir", &format!("w::/b,{key},cache=8MiB,rw")];
    assert_eq!(writer(&folder, &two).code, Some(0));
    assert_eq!(writer(&folder, &["--dir", &format!("w,{key}")]).code, Some(0));
    writer(&folder, &["--dir", "w"]).failed_with(1, "no sealing key opens it, only: key file");
    assert_eq!(writer(&folder, &["--dir", "a,b::/"]).code, Some(0));
    assert!(folder.path().join("a,b").exists(), "a comma of the path's");
    writer(&folder, &["--dir", "v,key=nonsense"]).failed_with(1, "is no key");
    writer(&folder, &["--dir", "v,cache=much"]).failed_with(1, "--dir v,cache=much");
}

#[test]
fn the_remedy_for_a_mistyped_mount_is_the_right_syntax() {
    let folder = Folder::new();
    let ended = writer(&folder, &["--dir", "v:/data"]);
    ended.failed_with(1, "there is no file v:/data");
    assert!(ended.err.contains("my.vol::/data"), "{ended:?}");
    let ended = writer(&folder, &["--mapdir", "/data::v"]);
    ended.failed_with(1, "--mapdir /data::v");
    assert!(ended.err.contains("--plain-dir HOST::GUEST"), "{ended:?}");
    writer(&folder, &["--dir", "v::/a", "--dir", "./v::/b"]).failed_with(1, "v is mounted twice");
    assert!(!folder.path().join("v").exists());
}

/// A program that requires its own key gets no volume that other programs can open.
#[test]
fn a_volume_does_not_open_with_a_less_strict_key_than_requested() {
    let folder = Folder::new();
    let open = |key: &str, asked: &str| {
        let _ = fs::remove_file(folder.path().join("v"));
        assert_eq!(writer(&folder, &["--dir", "v", "--key", key]).code, Some(0), "{key}");
        writer(&folder, &["--dir", "v", "--key", asked])
    };
    for (key, asked) in [
        ("sealed", "sealed"),
        ("sealed", "sealed:any-program"),
        ("sealed:image", "sealed"),
        ("sealed:image", "sealed:any-program"),
        ("sealed:image:any-program", "sealed:any-program"),
    ] {
        assert_eq!(open(key, asked).code, Some(0), "{key} asked for as {asked}");
    }
    for (key, asked, cause) in [
        ("sealed:any-program", "sealed", "it is sealed to any program"),
        ("sealed:image:any-program", "sealed:image", "it is sealed to any program"),
        ("sealed", "sealed:image", "it is sealed to all images of a signer"),
    ] {
        open(key, asked).failed_with(1, cause);
    }
}

#[test]
fn a_folder_is_not_mounted_over_what_a_volume_has() {
    let folder = Folder::new();
    fs::create_dir(folder.path().join("plain")).unwrap();
    // The volume contains "file" afterwards.
    assert_eq!(writer(&folder, &["--dir", "v::/data"]).code, Some(0));
    let over = |guest: &str| {
        writer(&folder, &["--dir", "v::/data", "--plain-dir", &format!("plain::{guest}")])
    };
    for guest in ["/data/file", "data/file", "/data/./file/", "data"] {
        let ended = over(guest);
        ended.failed_with(1, &format!("the unprotected folder for {guest} would hide"));
        assert!(ended.err.contains("the volume for /data"), "{ended:?}");
    }
    for guest in ["/data/new", "/data/file2", "/database", "/"] {
        assert_eq!(over(guest).code, Some(0), "{guest}");
    }
}
