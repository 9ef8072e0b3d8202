//! Mistakes with `twine manifest`, `twine policy` and `twine run --manifest`: each has its own cause
//! and remedy, and leaves no file behind.

mod common;

use common::owner::Owner;
use common::{Ended, built, ended, run, twine};
use serde_json::Value;
use std::fs;
use std::process::{Command, Stdio};

/// Does nothing.
const NOTHING: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;

/// Returns an owner with the program `app.wat` and a manifest for it with these options.
fn with(options: &[&str]) -> Owner {
    let owner = Owner::new("ed25519");
    owner.folder().file("app.wat", NOTHING);
    owner.init("app", "app.wat", options, &[]);
    owner
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{ended:?}"))
}

#[test]
fn devices_without_an_end_are_refused() {
    let owner = with(&[]);
    for arguments in [
        &["manifest", "check", "/dev/zero"][..],
        &["manifest", "sign", "app.toml", "--key", "/dev/zero"],
        &["run", "--manifest", "/dev/zero", "app.wat"],
        &["key", "public", "/dev/zero"],
        &["policy", "init", "--manifest", "/dev/zero"],
    ] {
        owner.twine(arguments).failed_with(1, "/dev/zero is larger than ");
    }
    owner.edit("app", "owner = \"owner.pub\"", "owner = \"/dev/zero\"");
    owner.twine(&["manifest", "check", "app.toml"]).failed_with(1, "`owner`: /dev/zero is larger");
    owner.edit("app", "owner = \"/dev/zero\"", "owner = \"owner.pub\"");
    let full = ["manifest", "sign", "app.toml", "--key", "owner.pem", "-o", "/dev/full"];
    owner.twine(&full).failed_with(1, "/dev/full is there, and is no signed manifest");
}

#[test]
fn the_policy_of_a_manifest_accepts_the_images_of_the_manifest() {
    let owner = with(&[]);
    let other = "ab".repeat(32);
    let shown = json(&owner.twine(&["manifest", "show", "--json", "app.toml"]));
    let measured = shown["manifest"]["images"][0]["measurement"].as_str().unwrap();
    owner.edit("app", measured, &other);
    owner.sign("app");
    let init = ["policy", "init", "--manifest", "app.manifest", "--root", "simulation"];
    let policy = owner.twine(&init);
    assert_eq!(policy.code, Some(0), "{policy:?}");
    let measurements = format!("measurements = [\"{other}\"]\n\n[launch]\n");
    assert!(policy.out.contains(&measurements), "{policy:?}");
    let signer = format!("signer = \"{other}\"\nproduct = 2\nmin-svn = 3");
    owner.edit("app", &format!("measurement = \"{other}\""), &signer);
    owner.sign("app");
    let policy = owner.twine(&init);
    let signers = format!("signers = [\"{other}\"]\nproduct-id = 2\nleast-svn = 3\n\n[launch]\n");
    assert!(policy.out.contains(&signers), "{policy:?}");
    assert!(!policy.out.contains("measurements ="), "{policy:?}");
}

#[test]
fn a_file_that_is_no_program_gets_neither_policy_nor_manifest() {
    let owner = Owner::new("ed25519");
    owner.folder().file("notes.txt", "no program");
    owner.folder().file("bad.wat", "(module");
    owner.twine(&["policy", "init", "notes.txt"]).failed_with(1, "notes.txt is no WebAssembly");
    owner.twine(&["policy", "init", "bad.wat"]).failed_with(1, "not valid WebAssembly text");
    owner.twine(&["manifest", "init", "notes.txt"]).failed_with(1, "notes.txt is no WebAssembly");
    assert!(!owner.folder().path().join("notes.toml").exists());
}

#[test]
fn options_that_make_no_valid_manifest_write_none() {
    let owner = Owner::new("ed25519");
    owner.folder().file("app.wat", NOTHING);
    let twice = ["manifest", "init", "--dir", "a::/data", "--tmpfs", "/data", "app.wat"];
    owner.twine(&twice).failed_with(2, "another mount has the path /data too");
    assert!(!owner.folder().path().join("app.toml").exists());
}

#[test]
fn one_mistake_is_one_error() {
    let owner = with(&[]);
    let shown = json(&owner.twine(&["manifest", "show", "--json", "app.toml"]));
    let measured = shown["manifest"]["images"][0]["measurement"].as_str().unwrap();
    owner.edit("app", &format!("measurement = \"{measured}\""), "product = 1");
    owner.twine(&["manifest", "check", "app.toml"]).failed_with(1, "needs a measurement");
    owner.twine(&["manifest", "show", "owner.pem"]).failed_with(1, "owner.pem is no manifest");
    owner.twine(&["manifest", "show", "owner.pub"]).failed_with(1, "owner.pub is no manifest");
}

#[test]
fn what_the_manifest_decides_is_refused_by_its_name() {
    let owner = with(&["--listen", "127.0.0.1:0"]);
    owner.sign("app");
    for (option, value) in [
        ("--env", "A=b"),
        ("--invoke", "f"),
        ("--timeout", "5s"),
        ("--max-memory", "1MiB"),
        ("--fuel", "1"),
        ("--key", "sealed"),
        ("--tmpfs", "/tmp"),
    ] {
        let ended = owner.run("app", &[option, value], &["app.wat"]);
        ended.failed_with(2, &format!("{option} is given, and the manifest decides it"));
    }
    owner.run("app", &["--read-only"], &["app.wat"]).failed_with(2, "the manifest decides it");
    let listen = ["--listen", "127.0.0.1:0"];
    let ended = owner.run("app", &[listen, listen, listen].concat(), &["app.wat"]);
    ended.failed_with(2, "--listen is given 3 times");
    assert!(ended.err.contains("leave out 2 of them"), "{ended:?}");
    let ended = owner.run("app", &[], &["app.wat"]);
    assert!(ended.err.contains("give each listener an address"), "{ended:?}");
}

#[test]
fn a_read_only_volume_that_is_missing_has_a_remedy() {
    let owner = with(&["--dir", "data::/data,ro"]);
    let checked = owner.twine(&["manifest", "check", "app.toml"]);
    assert!(checked.err.contains("one without read-only must have made it"), "{checked:?}");
    owner.sign("app");
    let ended = owner.run("app", &["--dir", "missing::/data"], &["app.wat"]);
    ended.failed_with(1, "missing does not exist, and the manifest mounts /data read-only");
    assert!(ended.err.contains("a version of the manifest without read-only"), "{ended:?}");
}

#[test]
fn the_help_of_init_says_what_its_options_mean_there() {
    let help = run(twine().args(["manifest", "init", "--help"])).out;
    let help: Vec<_> = help.split_whitespace().collect();
    let help = help.join(" ");
    assert!(help.contains("A volume opens in this deployment alone"), "{help}");
    for absent in ["--key", "passphrase", "file:PATH", "--cache", "without=PATH"] {
        assert!(!help.contains(absent), "{absent} is in {help}");
    }
}

#[test]
fn a_signature_that_can_not_be_written_leaves_the_older_one() {
    let owner = with(&[]);
    owner.sign("app");
    let path = owner.folder().path().join("app.manifest");
    let before = fs::read(&path).unwrap();
    owner.edit("app", "version = 1", "version = 2");
    let mut shell = Command::new("sh");
    shell
        .current_dir(owner.folder().path())
        .args(["-c", "ulimit -f 0; exec \"$0\" manifest sign app.toml --key owner.pem"]);
    let ended = run(shell.arg(built("release/twine")));
    ended.failed_with(1, "app.manifest can't be written");
    assert_eq!(fs::read(&path).unwrap(), before);
    let files = fs::read_dir(owner.folder().path()).unwrap();
    assert!(files.map(|file| file.unwrap().file_name()).all(|name| name != ".app.manifest.part"));
}

#[test]
fn a_program_that_waits_beyond_its_time_under_a_manifest_has_a_remedy_that_the_manifest_allows() {
    const WAITS: &str = r#"(module
        (import "wasi_snapshot_preview1" "fd_read"
          (func $read (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00\08\00\00\00")
        (func (export "_start")
          (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 32)))))"#;
    let owner = Owner::new("ed25519");
    owner.folder().file("app.wat", WAITS);
    owner.init("app", "app.wat", &["--stream", "stdin", "--timeout", "100ms"], &[]);
    owner.sign("app");
    let mut command = twine();
    command.current_dir(owner.folder().path()).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        command.args(["run", "-q", "--manifest", "app.manifest", "app.wat"]).spawn().unwrap();
    // While this is open, the program waits for input.
    let _pipe = child.stdin.take();
    let ended = ended(child.wait_with_output().unwrap());
    ended.failed_with(134, "was still running 2s after the time that its manifest allows");
    assert!(ended.err.contains("have the manifest's owner give it more time"), "{ended:?}");
}
