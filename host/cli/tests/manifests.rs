//! `twine manifest`, and what `twine run --manifest` refuses before it starts an enclave.

mod common;

use common::owner::Owner;
use common::{Ended, run, twine};
use serde_json::Value;
use std::fs;

/// Does nothing.
const NOTHING: &str = r#"(module (memory (export "memory") 1) (func (export "_start")))"#;

/// Returns an owner with the program `app.wat` and a manifest for it with these options.
fn with(options: &[&str], arguments: &[&str]) -> Owner {
    let owner = Owner::new("ed25519");
    owner.folder().file("app.wat", NOTHING);
    owner.init("app", "app.wat", options, arguments);
    owner
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{ended:?}"))
}

#[test]
fn a_manifest_has_the_options_of_the_run_and_what_the_host_chooses_is_left_out() {
    let options = [
        "--env",
        "HOME=/data",
        "--secret",
        "TOKEN=never written",
        "--dir",
        "my.vol::/data",
        "--dir",
        "::/log,ro",
        "--plain-dir",
        "/srv/in::/in,ro",
        "--tmpfs",
        "/tmp=1MiB",
        "--listen",
        "127.0.0.1:8080",
        "--max-memory",
        "64MiB",
        "--fuel",
        "1000",
        "--timeout",
        "5s",
        "--stream",
        "stdout",
    ];
    let owner = with(&options, &["--flag", "b c"]);
    let text = fs::read_to_string(owner.folder().path().join("app.toml")).unwrap();
    for hidden in ["never written", "my.vol", "/srv/in", "127.0.0.1"] {
        assert!(!text.contains(hidden), "{hidden} is in {text}");
    }
    let shown = json(&owner.twine(&["manifest", "show", "--json", "app.toml"]));
    let measured = json(&owner.twine(&["measure", "--json", "app.wat"]));
    let (manifest, terms) = (&shown["manifest"], &shown["manifest"]["terms"]);
    assert_eq!(shown["signed"], false);
    assert_eq!((&manifest["name"], &manifest["version"]), (&"app".into(), &1.into()));
    assert_eq!(manifest["images"][0]["measurement"], measured["mrenclave"]);
    assert_eq!(terms["program"], measured["program_sha256"]);
    assert_eq!(terms["arguments"], serde_json::json!(["app.wat", "--flag", "b c"]));
    assert_eq!(terms["environment"][0], serde_json::json!({ "name": "HOME", "value": "/data" }));
    assert_eq!(terms["secrets"], serde_json::json!(["TOKEN"]));
    assert_eq!(terms["listeners"], 1);
    let streams = serde_json::json!({ "stdin": "none", "stdout": "host", "stderr": "none" });
    assert_eq!(terms["streams"], streams);
    let limits = serde_json::json!({
        "memory": 64 << 20, "fuel": 1000, "timeout": 5_000_000_000_u64, "interrupts": false
    });
    assert_eq!(terms["limits"], limits);
    let mounts: Vec<_> = terms["mounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| ["guest", "kind", "key"].map(|key| mount[key].as_str().unwrap_or("-")))
        .collect();
    assert_eq!(
        mounts,
        [
            ["/data", "volume", "deployment"],
            ["/log", "volume", "deployment"],
            ["/in", "folder", "-"],
            ["/tmp", "memory", "-"],
        ]
    );
}

#[test]
fn a_manifest_that_is_there_is_not_overwritten() {
    let owner = with(&[], &[]);
    owner.edit("app", "version = 1", "version = 2");
    owner.twine(&["manifest", "init", "app.wat"]).failed_with(1, "app.toml is there already");
    let shown = json(&owner.twine(&["manifest", "show", "--json", "app.toml"]));
    assert_eq!(shown["manifest"]["version"], 2);
}

#[test]
fn all_errors_of_a_manifest_are_shown_with_line_and_column() {
    let owner = Owner::new("ed25519");
    let text =
        "name = \"a b\"\nversion = 1\ngeneration = 1\n  color = 1\n[limits]\nfuel = \"many\"";
    owner.folder().file("bad.toml", text);
    for arguments in [
        &["manifest", "check", "bad.toml"][..],
        &["manifest", "sign", "bad.toml", "--key", "owner.pem"],
    ] {
        let ended = owner.twine(arguments);
        assert_eq!((ended.code, &*ended.out), (Some(1), ""), "{ended:?}");
        let (errors, helps): (Vec<_>, Vec<_>) =
            ended.err.lines().partition(|line| line.starts_with("error: bad.toml:"));
        assert_eq!((errors.len(), helps.len()), (6, 6), "{ended:?}");
        for place in ["1:1: `images`", "1:8: `name`", "4:3: `color`", "6:8: `limits.fuel`"] {
            assert!(ended.err.contains(&format!("error: bad.toml:{place}")), "{place} {ended:?}");
        }
    }
    assert!(!owner.folder().path().join("bad.manifest").exists());
}

#[test]
fn a_manifest_is_checked_with_warnings_of_what_the_host_can_do() {
    let owner =
        with(&["--plain-dir", "x::/data/in", "--dir", "v::/data", "--stream", "stdin"], &[]);
    let ended = owner.twine(&["manifest", "check", "app.toml"]);
    ended.printed("app.toml: valid, and not signed yet: app, version 1\n");
    for path in ["streams.stdin", "mounts[1].kind", "mounts[1].guest"] {
        let warned = |line: &str| {
            line.starts_with("warning: app.toml:") && line.contains(&format!("`{path}`"))
        };
        assert!(ended.err.lines().any(warned), "{path} {ended:?}");
    }
    assert_eq!(ended.err.lines().count(), 3, "{ended:?}");
}

#[test]
fn another_program_in_the_place_of_the_hint_is_warned_of() {
    let owner = with(&[], &[]);
    owner.folder().file("app.wat", NOTHING.replace("1)", "2)"));
    let ended = owner.twine(&["manifest", "check", "app.toml"]);
    assert!(ended.code == Some(0) && ended.err.contains("`program-file`"), "{ended:?}");
}

#[test]
fn only_the_owner_signs_and_a_changed_manifest_is_not_signed() {
    let (owner, other) = (with(&[], &[]), Owner::new("p256"));
    let key = other.folder().path().join("owner.pem");
    let sign = |key: &str| owner.twine(&["manifest", "sign", "app.toml", "--key", key]);
    sign(key.to_str().unwrap()).failed_with(1, "is not the key of the manifest's owner");
    sign("owner.pub").failed_with(1, "it is a public key");
    assert!(!owner.folder().path().join("app.manifest").exists());
    owner.sign("app");
    let shown = json(&owner.twine(&["manifest", "show", "--json", "app.manifest"]));
    let id = owner.twine(&["key", "public", "--id", "owner.pub"]).out;
    assert_eq!((&shown["signed"], shown["owner"]["id"].as_str()), (&true.into(), Some(id.trim())));
    let said = owner.twine(&["manifest", "show", "app.manifest"]);
    assert!(
        said.out.contains("signature        valid") && said.out.contains(id.trim()),
        "{said:?}"
    );
    let path = owner.folder().path().join("app.manifest");
    let mut bytes = fs::read(&path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    fs::write(&path, bytes).unwrap();
    for arguments in
        [&["manifest", "show", "app.manifest"][..], &["manifest", "check", "app.manifest"]]
    {
        assert_eq!(owner.twine(arguments).code, Some(1));
    }
    assert_eq!(owner.run("app", &[], &["app.wat"]).code, Some(1));
}

#[test]
fn signing_overwrites_older_signed_manifests_and_nothing_else() {
    let owner = with(&[], &[]);
    owner.sign("app");
    owner.edit("app", "version = 1", "version = 2");
    owner.sign("app");
    let sign = |output: &str| {
        owner.twine(&["manifest", "sign", "app.toml", "--key", "owner.pem", "--output", output])
    };
    for file in ["app.toml", "owner.pem", "app.wat"] {
        let before = fs::read(owner.folder().path().join(file)).unwrap();
        sign(file).failed_with(1, "is no signed manifest");
        assert_eq!(fs::read(owner.folder().path().join(file)).unwrap(), before);
    }
}

#[test]
fn a_run_takes_only_a_signed_manifest() {
    let owner = with(&[], &[]);
    let ended = owner.twine(&["run", "--manifest", "app.toml", "app.wat"]);
    ended.failed_with(1, "app.toml is not a signed manifest");
    assert!(ended.err.contains("twine manifest sign"), "{ended:?}");
}

#[test]
fn whatever_the_manifest_decides_cannot_be_given() {
    let owner = with(&["--dir", "v::/data", "--plain-dir", "f::/in"], &[]);
    owner.sign("app");
    let places = ["--dir", "v::/data", "--plain-dir", ".::/in"];
    for option in [
        &["--env", "A=b"][..],
        &["--fuel", "10"],
        &["--timeout", "1s"],
        &["--max-memory", "1MiB"],
        &["--invoke", "f"],
        &["--key", "sealed"],
        &["--read-only"],
        &["--tmpfs", "/tmp"],
        &["--stats"],
        &["--listen", "127.0.0.1:0"],
        &["--secret", "TOKEN=x"],
        &["--dir", "w::/more"],
        &["--plain-dir", ".::/more"],
    ] {
        let ended = owner.run("app", &[&places[..], option].concat(), &["app.wat"]);
        assert!(ended.code == Some(2) && ended.err.contains(option[0]), "{option:?} {ended:?}");
    }
    for (places, option) in [
        (["--dir", "v::/data,ro", "--plain-dir", ".::/in"], "ro or rw is given"),
        (["--dir", "v::/data,key=sealed", "--plain-dir", ".::/in"], "key is given"),
        (["--dir", "v::/data", "--plain-dir", ".::/in,ro"], "ro or rw is given"),
        (["--dir", "v::/in", "--plain-dir", ".::/data"], "no volume at /in"),
        (["--dir", "v::/data", "--plain-dir", ".::/data"], "no folder at /data"),
        (["--dir", "v::/data", "--dir", "w::/data"], "given twice"),
        (["--dir", "v::/data", "--cache", "1MiB"], "/in has no place"),
        (["--plain-dir", ".::/in", "--cache", "1MiB"], "/data has no place"),
    ] {
        owner.run("app", &places, &["app.wat"]).failed_with(2, option);
    }
    owner.run("app", &places, &["app.wat", "x"]).failed_with(2, "arguments are given");
    assert!(!owner.folder().path().join("v").exists(), "nothing was opened");
}

#[test]
fn a_secret_of_the_manifest_needs_a_value() {
    let owner = with(&["--secret", "TOKEN"], &[]);
    owner.sign("app");
    owner.run("app", &[], &["app.wat"]).failed_with(2, "secret TOKEN has no value");
    owner.run("app", &["--secret", "TOKEN"], &["app.wat"]).failed_with(2, "TOKEN: the variable");
    owner.run("app", &["--secret", "TOKEN=x"], &["app.wat"]).printed("");
}

#[test]
fn a_secret_without_a_value_is_an_error_also_without_a_manifest() {
    let owner = with(&[], &[]);
    let mut command = twine();
    command.current_dir(owner.folder().path()).args(["run", "--quiet", "--secret", "TOKEN"]);
    run(command.arg("app.wat")).failed_with(2, "--secret TOKEN: the variable is not set");
    run(command.env("TOKEN", "x")).printed("");
}

#[test]
fn a_manifest_of_an_oci_image_has_the_images_arguments_and_environment() {
    let owner = with(&[], &[]);
    let image = ["oci", "build", "--tag", "app", "--output", "image", "--env", "A=b"];
    let image = owner.twine(&[&image[..], &["app.wat", "flag"]].concat());
    assert_eq!(image.code, Some(0), "{image:?}");
    owner.init("oci", "oci:image", &["--env", "C=d"], &[]);
    let shown = json(&owner.twine(&["manifest", "show", "--json", "oci.toml"]));
    let terms = &shown["manifest"]["terms"];
    assert_eq!(terms["arguments"], serde_json::json!(["app.wasm", "flag"]));
    let variable = |name: &str, value: &str| serde_json::json!({ "name": name, "value": value });
    let environment = terms["environment"].as_array().unwrap();
    for wanted in [variable("A", "b"), variable("C", "d")] {
        assert!(environment.contains(&wanted), "{environment:?}");
    }
    owner.sign("oci");
    owner.run("oci", &[], &["oci:image"]).printed("");
}

#[test]
fn devices_without_an_end_are_refused() {
    let owner = with(&[], &[]);
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
    let owner = with(&[], &[]);
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
    let owner = with(&[], &[]);
    let shown = json(&owner.twine(&["manifest", "show", "--json", "app.toml"]));
    let measured = shown["manifest"]["images"][0]["measurement"].as_str().unwrap();
    owner.edit("app", &format!("measurement = \"{measured}\""), "product = 1");
    owner.twine(&["manifest", "check", "app.toml"]).failed_with(1, "needs a measurement");
    owner.twine(&["manifest", "show", "owner.pem"]).failed_with(1, "owner.pem is no manifest");
    owner.twine(&["manifest", "show", "owner.pub"]).failed_with(1, "owner.pub is no manifest");
}

#[test]
fn what_the_manifest_decides_is_refused_by_its_name() {
    let owner = with(&["--listen", "127.0.0.1:0"], &[]);
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
    let owner = with(&["--dir", "data::/data,ro"], &[]);
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
    assert!(help.contains("[default: sealed:deployment]"), "{help}");
    for absent in ["passphrase", "file:PATH", "--cache", "without=PATH"] {
        assert!(!help.contains(absent), "{absent} is in {help}");
    }
}

#[test]
fn a_signature_that_can_not_be_written_leaves_the_older_one() {
    let owner = with(&[], &[]);
    owner.sign("app");
    let path = owner.folder().path().join("app.manifest");
    let before = fs::read(&path).unwrap();
    owner.edit("app", "version = 1", "version = 2");
    let mut shell = std::process::Command::new("sh");
    shell
        .current_dir(owner.folder().path())
        .args(["-c", "ulimit -f 0; exec \"$0\" manifest sign app.toml --key owner.pem"]);
    let ended = run(shell.arg(common::built("release/twine")));
    ended.failed_with(1, "app.manifest can't be written");
    assert_eq!(fs::read(&path).unwrap(), before);
    let files = fs::read_dir(owner.folder().path()).unwrap();
    assert!(files.map(|file| file.unwrap().file_name()).all(|name| name != ".app.manifest.part"));
}
