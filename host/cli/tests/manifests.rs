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
    let listens = serde_json::json!([{ "name": "listen-1", "way": "listen", "port": 8080 }]);
    assert_eq!(terms["sockets"], listens);
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
