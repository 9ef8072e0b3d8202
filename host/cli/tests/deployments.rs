//! What a host cannot get from a program that runs under its owner's manifest.

mod common;

use common::owner::Owner;
use common::{Folder, built, twine};
use std::fs;

/// Creates "token" in its first mount, and writes 16 random hexadecimal digits to it, which nobody
/// else knows. Traps if it can't.
const WRITER: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 100) "token")
    (data (i32.const 200) "0123456789abcdef")
    (data (i32.const 0) "\90\01\00\00\10\00\00\00")
    (func (export "_start") (local $at i32)
      (if (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 5) (i32.const 9)
          (i64.const 64) (i64.const 0) (i32.const 0) (i32.const 16))
        (then (unreachable)))
      (drop (call $random (i32.const 300) (i32.const 16)))
      (loop $next
        (i32.store8 (i32.add (i32.const 400) (local.get $at))
          (i32.load8_u (i32.add (i32.const 200)
            (i32.and (i32.load8_u (i32.add (i32.const 300) (local.get $at))) (i32.const 15)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $at) (i32.const 16))))
      (if (call $write (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8))
        (then (unreachable)))))"#;

/// Writes the file "token" to the standard output.
const READER: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 100) "token")
    (data (i32.const 0) "\90\01\00\00\10\00\00\00")
    (func (export "_start")
      (if (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 5) (i32.const 0)
          (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16))
        (then (unreachable)))
      (if (call $read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8))
        (then (unreachable)))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;

/// Uses the first 8 digits of "token" as a key, bit by bit, as a naive modular exponentiation does,
/// and prints nothing. Its functions tell the bits to whoever sees which of them runs.
const BRANCH: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
      (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 100) "token")
    (data (i32.const 0) "\c8\00\00\00\08\00\00\00")
    (func $square (param i32) (result i32) (i32.mul (local.get 0) (local.get 0)))
    (func $multiply (param i32) (result i32) (i32.mul (local.get 0) (i32.const 3)))
    (func $use (export "use") (param $bit i32) (result i32) (local $product i32)
      (local.set $product (i32.const 1))
      (loop $next
        (local.set $product (call $square (local.get $product)))
        (if (i32.and (i32.const 1)
            (i32.shr_u (i32.load8_u (i32.add (i32.const 200) (i32.shr_u (local.get $bit) (i32.const 3))))
              (i32.and (local.get $bit) (i32.const 7))))
          (then (local.set $product (call $multiply (local.get $product)))))
        (local.set $bit (i32.add (local.get $bit) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $bit) (i32.const 64))))
      (local.get $product))
    (func (export "_start")
      (if (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 5) (i32.const 0)
          (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16))
        (then (unreachable)))
      (if (call $read (i32.load (i32.const 16)) (i32.const 0) (i32.const 1) (i32.const 8))
        (then (unreachable)))
      (drop (call $use (i32.const 0)))))"#;

const VOLUME: [&str; 2] = ["--dir", "app.vol::/data"];

/// Returns an owner whose deployment `app` has run its first version, which has put a secret into
/// the volume `app.vol`.
fn deployed() -> Owner {
    let owner = Owner::new("p256");
    for (name, text) in [("writer.wat", WRITER), ("reader.wat", READER), ("branch.wat", BRANCH)] {
        owner.folder().file(name, text);
    }
    owner.init("app", "writer.wat", &["--dir", "::/data", "--name", "app"], &[]);
    owner.sign("app");
    owner.run("app", &VOLUME, &["writer.wat"]).printed("");
    owner
}

/// Signs version 2 of the deployment, with another program and these options.
#[track_caller]
fn update(owner: &Owner, name: &str, program: &str, options: &[&str]) {
    let usual = ["--dir", "::/data", "--name", "app"];
    owner.init(name, program, &[&usual[..], options].concat(), &[]);
    owner.edit(name, "version = 1", "version = 2");
    owner.sign(name);
}

/// Returns the secret, which only a manifest of the owner's can make the deployment print.
fn secret(owner: &Owner) -> String {
    update(owner, "reader", "reader.wat", &["--stream", "stdout"]);
    let ended = owner.run("reader", &VOLUME, &["reader.wat"]);
    let is_secret = ended.out.len() == 16 && ended.out.bytes().all(|b| b.is_ascii_hexdigit());
    assert!(ended.code == Some(0) && is_secret, "{ended:?}");
    ended.out
}

#[test]
fn a_new_version_of_the_owners_opens_the_volume_and_nothing_is_in_clear_in_it() {
    let owner = deployed();
    let secret = secret(&owner);
    let held = fs::read(owner.folder().path().join("app.vol")).unwrap();
    for text in [&*secret, "token"] {
        assert!(!held.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
    }
}

#[test]
fn the_volume_of_a_deployment_opens_for_no_run_without_its_manifest() {
    let owner = deployed();
    let (missing, manifest) =
        ((1, "its sealing key is not available"), (2, "is for runs under its signed manifest"));
    for (key, (code, cause)) in [
        ("sealed", missing),
        ("sealed:image", missing),
        ("sealed:any-program", missing),
        ("sealed:deployment", manifest),
    ] {
        for program in ["writer.wat", "reader.wat"] {
            let usual = ["run", "--quiet", "--key", key];
            let ended = owner.twine(&[&usual[..], &VOLUME, &[program]].concat());
            ended.failed_with(code, cause);
        }
        let ended = owner.twine(&["volume", "cat", "--key", key, "app.vol", "token"]);
        assert!(ended.code == Some(1) && ended.out.is_empty(), "{ended:?}");
    }
    secret(&owner);
}

#[test]
fn the_volume_of_a_deployment_opens_for_no_other_name_generation_or_owner() {
    let owner = deployed();
    let reading = ["--dir", "::/data", "--stream", "stdout", "--name"];
    owner.init("name", "reader.wat", &[&reading[..], &["other"]].concat(), &[]);
    owner.init("generation", "reader.wat", &[&reading[..], &["app"]].concat(), &[]);
    owner.edit("generation", "generation = 1", "generation = 2");
    for manifest in ["name", "generation"] {
        owner.sign(manifest);
        let ended = owner.run(manifest, &VOLUME, &["reader.wat"]);
        ended.failed_with(1, "its sealing key is not available");
    }
    let other = Owner::new("ed25519");
    other.folder().file("reader.wat", READER);
    other.init("app", "reader.wat", &[&reading[..], &["app"]].concat(), &[]);
    other.sign("app");
    let volume = format!("{}::/data", owner.folder().path().join("app.vol").display());
    let ended = other.run("app", &["--dir", &volume], &["reader.wat"]);
    ended.failed_with(1, "its sealing key is not available");
}

#[test]
fn a_volume_that_the_host_made_is_not_taken_for_the_deployments() {
    let owner = deployed();
    owner.folder().file("pw", "a passphrase of the host's");
    let forge = |volume: &str, key: &[&str]| {
        let usual = ["volume", "create", volume];
        owner.twine(&[&usual[..], key, &["--key", "passphrase:file:pw"]].concat())
    };
    let sealed = forge("b.vol", &["--for", "writer.wat", "--key", "sealed"]);
    assert_eq!(sealed.code, Some(0), "{sealed:?}");
    let any = forge("c.vol", &["--key", "sealed:any-program"]);
    assert_eq!(any.code, Some(0), "{any:?}");
    let own = forge("d.vol", &["--for", "writer.wat", "--key", "sealed:deployment"]);
    assert_eq!(own.code, Some(1), "no tool makes volumes of deployments: {own:?}");
    for volume in ["b.vol", "c.vol"] {
        let place = format!("{volume}::/data");
        owner
            .run("app", &["--dir", &place], &["writer.wat"])
            .failed_with(1, "it is not sealed to a deployment");
        let key = ["--key", "passphrase:file:pw"];
        owner.twine(&[&["volume", "ls"][..], &key, &[volume]].concat()).printed("");
    }
}

#[test]
fn a_folder_is_not_taken_for_a_volume_and_gets_no_secret() {
    let owner = deployed();
    let folder = Folder::new();
    let place = format!("{}::/data", folder.path().display());
    owner.run("app", &["--plain-dir", &place], &["writer.wat"]).failed_with(2, "--plain-dir");
    owner.run("app", &["--dir", &place], &["writer.wat"]).failed_with(1, "is a folder");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn another_image_or_another_program_does_not_run_under_the_manifest() {
    let owner = deployed();
    owner
        .run("app", &VOLUME, &["reader.wat"])
        .failed_with(1, "the manifest does not allow this launch: program");
    let large = built("release/twine-large.sgxs");
    let image = ["--image", large.to_str().unwrap()];
    owner
        .run("app", &[&VOLUME[..], &image].concat(), &["writer.wat"])
        .failed_with(1, "the manifest does not allow this image");
}

#[test]
fn the_key_of_a_program_cannot_be_stepped_out_of_it() {
    let owner = deployed();
    update(&owner, "branch", "branch.wat", &[]);
    let ended = owner.run("branch", &VOLUME, &["branch.wat"]);
    assert_eq!((ended.code, &*ended.out, &*ended.err), (Some(0), "", ""), "{ended:?}");
    for option in [["--fuel", "300"], ["--timeout", "1ms"], ["--invoke", "use"]] {
        let ended = owner.run("branch", &[&VOLUME[..], &option].concat(), &["branch.wat"]);
        assert!(ended.code == Some(2) && ended.err.contains(option[0]), "{ended:?}");
    }
}

/// The owner may limit the fuel. What the host then sees is the same for each amount of it.
#[test]
fn a_program_that_runs_out_of_the_manifests_fuel_does_not_tell_where() {
    let owner = deployed();
    let mut said = Vec::new();
    for fuel in ["100", "300", "305", "310"] {
        update(&owner, "branch", "branch.wat", &["--fuel", fuel]);
        let ended = owner.run("branch", &VOLUME, &["branch.wat"]);
        assert_eq!((ended.code, &*ended.out), (Some(134), ""), "{ended:?}");
        for name in ["square", "multiply", "use", "0x"] {
            assert!(!ended.err.contains(name), "{ended:?}");
        }
        said.push(ended.err);
    }
    said.dedup();
    assert_eq!(said.len(), 1, "{said:?}");
}

#[test]
fn backtraces_and_statistics_are_told_only_if_the_manifest_says_so() {
    let owner = Owner::new("ed25519");
    let text = r#"(module (func $inner (unreachable)) (func (export "_start") (call $inner)))"#;
    owner.folder().file("trap.wat", text);
    owner.init("trap", "trap.wat", &[], &[]);
    owner.sign("trap");
    let quiet = owner.run("trap", &[], &["trap.wat"]);
    assert!(quiet.code == Some(134) && !quiet.err.contains("inner"), "{quiet:?}");
    owner.edit("trap", "backtraces = false", "backtraces = true");
    owner.edit("trap", "statistics = false", "statistics = true");
    owner.sign("trap");
    let told = owner.run("trap", &["--stats"], &["trap.wat"]);
    assert!(told.code == Some(134) && told.err.contains("inner"), "{told:?}");
    assert!(told.err.contains("instantiate"), "{told:?}");
}

#[test]
fn streams_lead_where_the_manifest_says() {
    let owner = Owner::new("ed25519");
    let hello = built("guests/hello.wasm");
    let hello = hello.to_str().unwrap();
    owner.init("none", hello, &[], &[]);
    owner.init("host", hello, &["--stream", "stdout"], &[]);
    for name in ["none", "host"] {
        owner.sign(name);
    }
    owner.run("none", &[], &[hello]).printed("");
    assert!(owner.run("host", &[], &[hello]).out.contains("ello"));
}

#[test]
fn streams_that_lead_to_the_owner_have_no_way_there_in_a_local_run() {
    let owner = Owner::new("ed25519");
    owner.folder().file("app.wat", r#"(module (func (export "_start")))"#);
    owner.init("app", "app.wat", &[], &[]);
    owner.edit("app", "stdin = \"none\"", "stdin = \"owner\"");
    owner.edit("app", "stderr = \"none\"", "stderr = \"owner\"");
    owner.sign("app");
    let ended = owner.run("app", &[], &["app.wat"]);
    ended.failed_with(2, "its streams lead to its owner (stdin, stderr)");
    assert!(ended.err.contains("`twine deploy`"), "{ended:?}");
}

#[test]
fn evidence_of_a_run_under_a_manifest_passes_its_policy_and_that_of_a_free_run_does_not() {
    let owner = deployed();
    let policy = ["policy", "init", "--root", "simulation", "--output", "policy.toml"];
    owner.twine(&[&policy[..], &["--manifest", "app.manifest"]].concat()).printed("");
    let nonce = ["--nonce", "5a5a"];
    let held = [&["--evidence", "held"][..], &VOLUME, &nonce].concat();
    owner.run("app", &held, &["writer.wat"]).printed("");
    let free = ["run", "--quiet", "--evidence", "free", "--dir", "free.vol::/data"];
    owner.twine(&[&free[..], &nonce, &["writer.wat"]].concat()).printed("");
    let verify = |evidence: &str| {
        owner.twine(&[&["verify", evidence, "--policy", "policy.toml"][..], &nonce].concat())
    };
    assert_eq!(verify("held").code, Some(0), "{:?}", verify("held"));
    let refused = verify("free");
    let is_failed = |line: &str| line.trim_start().starts_with("FAILED  manifest");
    assert!(refused.code == Some(3) && refused.out.lines().any(is_failed), "{refused:?}");
}

const TREASURE: &str = "the treasure is under the old oak";

#[test]
fn a_database_of_a_deployment_is_dumped_for_nobody_but_its_owner() {
    let owner = Owner::new("p256");
    let sqlite = built("guests/sqlite.wasm");
    let sqlite = sqlite.to_str().unwrap();
    let make =
        format!("CREATE TABLE IF NOT EXISTS notes(text); INSERT INTO notes VALUES('{TREASURE}')");
    let init = |name: &str, options: &[&str], arguments: &[&str]| {
        let usual = ["--dir", "::/", "--name", "notes"];
        owner.init(name, sqlite, &[&usual[..], options].concat(), arguments);
        owner.sign(name);
    };
    init("insert", &[], &["/main.db", &make]);
    let volume = ["--dir", "notes.vol"];
    owner.run("insert", &volume, &[sqlite]).printed("");

    owner.run("insert", &volume, &[sqlite, "/main.db", ".dump"]).failed_with(2, "arguments");
    let with_input = |arguments: &[&str]| {
        let mut command = twine();
        command.current_dir(owner.folder().path()).args(arguments);
        common::run_with_input(&mut command, b".dump\n")
    };
    let dumped = [
        with_input(&[
            "run",
            "--quiet",
            "--manifest",
            "insert.manifest",
            "--dir",
            "notes.vol",
            sqlite,
        ]),
        owner.twine(&["sqlite", "--quiet", "notes.vol", ".dump"]),
        owner.twine(&["sqlite", "--quiet", "--key", "sealed:deployment", "notes.vol", ".dump"]),
        owner.twine(&["run", "--quiet", "--dir", "notes.vol", sqlite, "/main.db", ".dump"]),
        owner.twine(&["volume", "cat", "notes.vol", "main.db"]),
    ];
    for ended in dumped {
        assert!(!ended.out.contains("treasure") && !ended.err.contains("treasure"), "{ended:?}");
    }

    init("read", &["--stream", "stdout"], &["/main.db", "SELECT DISTINCT text FROM notes"]);
    owner.run("read", &volume, &[sqlite]).printed(&format!("{TREASURE}\n"));
}

#[test]
fn the_host_can_not_swap_the_volumes_of_two_mounts() {
    let owner = Owner::new("ed25519");
    owner.folder().file("writer.wat", WRITER);
    owner.init("two", "writer.wat", &["--dir", "::/data", "--dir", "::/log"], &[]);
    owner.sign("two");
    let run = |data: &str, log: &str| {
        let (data, log) = (format!("{data}::/data"), format!("{log}::/log"));
        owner.run("two", &["--dir", &data, "--dir", &log], &["writer.wat"])
    };
    run("data.vol", "log.vol").printed("");
    run("log.vol", "data.vol").failed_with(1, "the volume for /data");
    run("data.vol", "log.vol").printed("");
}
