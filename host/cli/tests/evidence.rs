//! `twine run --evidence`, `twine policy init` and `twine verify`.

mod common;

use common::{Ended, Folder, run, twine};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Prints "started".
const HELLO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\10\00\00\00\08\00\00\00")
    (data (i32.const 16) "started\n")
    (func (export "_start")
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 32)))))"#;

const NONCE: &str = "00112233445566778899aabbccddeeff";

fn in_folder(folder: &Folder, arguments: &[&str]) -> Ended {
    run(twine().current_dir(folder.path()).args(arguments))
}

/// Makes `hello.wat`, its policy `policy.toml` for the simulation, and `evidence` with the nonce.
fn prepared() -> Folder {
    let folder = Folder::new();
    folder.file("hello.wat", HELLO);
    let policy = ["policy", "init", "hello.wat", "--root", "simulation", "-o", "policy.toml"];
    in_folder(&folder, &policy).printed("");
    launch(&folder, &[]).printed("started\n");
    folder
}

/// Runs `hello.wat` with evidence and the nonce, and with further options.
fn launch(folder: &Folder, options: &[&str]) -> Ended {
    let usual = ["run", "--quiet", "--evidence", "evidence", "--nonce", NONCE];
    in_folder(folder, &[&usual[..], options, &["hello.wat", "an argument"]].concat())
}

fn verify(folder: &Folder, options: &[&str]) -> Ended {
    let usual = ["verify", "evidence", "--policy", "policy.toml"];
    in_folder(folder, &[&usual[..], options].concat())
}

/// Returns the verdict as JSON, with the exit code.
fn verdict(folder: &Folder, options: &[&str]) -> (Option<i32>, Value) {
    let ended = verify(folder, &[options, &["--json"]].concat());
    let verdict = serde_json::from_str(&ended.out).unwrap_or_else(|_| panic!("{ended:?}"));
    (ended.code, verdict)
}

/// Returns the names of the checks with this result.
fn checks(verdict: &Value, result: &str) -> Vec<String> {
    let checks = verdict["checks"].as_array().unwrap().iter();
    let named = checks.filter(|check| check["result"] == result);
    named.map(|check| check["name"].as_str().unwrap().to_owned()).collect()
}

/// Checks that the evidence is refused, for these reasons alone.
#[track_caller]
fn refused_for(folder: &Folder, options: &[&str], names: &[&str]) {
    let (code, verdict) = verdict(folder, options);
    assert_eq!(code, Some(3), "{verdict:#}");
    assert_eq!(verdict["accepted"], false);
    assert_eq!(checks(&verdict, "failed"), names, "{verdict:#}");
}

/// Changes a text of the policy, which must have it.
fn edit_policy(folder: &Folder, from: &str, to: &str) {
    let path = folder.path().join("policy.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

#[test]
fn evidence_of_a_launch_is_accepted_by_the_policy_for_its_program_and_image() {
    let folder = prepared();
    let (code, verdict) = verdict(&folder, &["--nonce", NONCE]);
    assert_eq!((code, &verdict["accepted"]), (Some(0), &true.into()), "{verdict:#}");
    assert_eq!(checks(&verdict, "failed"), [""; 0]);
    let passed = checks(&verdict, "passed");
    for check in ["quote", "measurement", "report-data", "nonce", "statement", "program"] {
        assert!(passed.contains(&check.to_owned()), "{check} of {verdict:#}");
    }
    let statement = &verdict["facts"]["launch"]["statement"];
    assert_eq!(statement["kind"], "local");
    assert_eq!(statement["terms"]["arguments"], serde_json::json!(["hello.wat", "an argument"]));
    assert_eq!(statement["engine"]["writable-code"], false);
    assert_eq!(statement["run"]["nonce"], NONCE);
    let text = verify(&folder, &["--nonce", NONCE]);
    assert_eq!(text.code, Some(0), "{text:?}");
    assert!(text.out.contains("protects nothing"), "{text:?}");
    assert!(text.out.ends_with("accepted\n"), "{text:?}");
    for reason in [
        "a local launch: whoever started it chose its terms\n",
        "-  platform               the policy names none; the PPID's hash is ",
    ] {
        assert!(text.out.contains(reason), "{reason} {text:?}");
    }
}

#[test]
fn evidence_without_the_nonce_that_was_asked_for_is_refused() {
    let folder = prepared();
    refused_for(&folder, &["--nonce", "00"], &["nonce"]);
    let (code, verdict) = verdict(&folder, &[]);
    assert_eq!(code, Some(0));
    assert!(checks(&verdict, "warning").contains(&"nonce".to_owned()), "{verdict:#}");
    in_folder(&folder, &["run", "--quiet", "--evidence", "evidence", "hello.wat"])
        .printed("started\n");
    refused_for(&folder, &["--nonce", NONCE], &["nonce"]);
}

#[test]
fn evidence_of_another_program_or_launch_is_refused() {
    let folder = prepared();
    let (_, first) = verdict(&folder, &[]);
    let launch_hash = first["facts"]["launch"]["hash"].as_str().unwrap().to_owned();
    edit_policy(&folder, "[launch]\n", &format!("[launch]\nlaunches = [\"{launch_hash}\"]\n"));
    launch(&folder, &[]).printed("started\n");
    assert_eq!(verify(&folder, &[]).code, Some(0), "each run on these terms has this hash");
    launch(&folder, &["--env", "A=1"]).printed("started\n");
    refused_for(&folder, &[], &["launch"]);
    launch(&folder, &["--max-memory", "1MiB"]).printed("started\n");
    refused_for(&folder, &[], &["launch"]);
    folder.file("hello.wat", HELLO.replace("started", "another"));
    launch(&folder, &[]).printed("another\n");
    refused_for(&folder, &[], &["launch", "program"]);
}

#[test]
fn simulated_evidence_is_never_accepted_as_hardware() {
    let folder = prepared();
    let collateral = root_collateral(&folder);
    edit_policy(&folder, "root = \"simulation\"", "root = \"intel\"");
    let (code, verdict) = verdict(&folder, &["--collateral", &collateral]);
    assert_eq!(code, Some(3));
    let failed = checks(&verdict, "failed");
    for check in ["simulated", "quote", "chain"] {
        assert!(failed.contains(&check.to_owned()), "{check} of {verdict:#}");
    }
}

#[test]
fn what_no_collateral_makes_good_is_refused_without_a_network() {
    let folder = prepared();
    launch(&folder, &[]).printed("started\n");
    edit_policy(&folder, "root = \"simulation\"", "root = \"intel\"");
    folder.file("text", "no evidence");
    fs::create_dir(folder.path().join("kept")).unwrap();
    for collateral in [["--pccs", "http://127.0.0.1:1"], ["--collateral", "kept"]] {
        for (name, check) in [("evidence", "simulated"), ("text", "format")] {
            let usual = ["verify", name, "--policy", "policy.toml"];
            let ended = in_folder(&folder, &[&usual[..], &collateral].concat());
            ended.failed_with(3, "the evidence is refused");
            assert!(ended.out.contains(&format!("FAILED  {check} ")), "{ended:?}");
        }
    }
}

/// Writes the collateral of the simulation into a file.
fn root_collateral(folder: &Folder) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let json = sgx_sim_quoting::collateral(now).unwrap();
    folder.file("collateral.json", json).display().to_string()
}

#[test]
fn evidence_of_another_image_or_with_a_changed_byte_is_refused() {
    let folder = prepared();
    let evidence = fs::read(folder.path().join("evidence")).unwrap();
    let facts =
        |verdict: &Value| (verdict["facts"]["launch"].clone(), verdict["facts"]["tcb"].clone());
    let genuine = verdict(&folder, &["--nonce", NONCE]).1;
    let mut refused = 0;
    // Bytes of each part: heads, quote, report, signatures, certificates, claims, statement.
    for at in (0..evidence.len()).step_by(97) {
        let mut changed = evidence.clone();
        changed[at] ^= 0x10;
        folder.file("evidence", changed);
        let (code, verdict) = verdict(&folder, &["--nonce", NONCE]);
        match code {
            Some(3) => refused += 1,
            // The chain has a copy of the root, which nobody looks at: the policy's counts.
            Some(0) => assert_eq!(facts(&verdict), facts(&genuine), "byte {at}"),
            _ => panic!("byte {at}: {verdict:#}"),
        }
    }
    assert!(refused > 30, "{refused}");
    folder.file("evidence", evidence);
    let path = folder.path().join("policy.toml");
    let text = fs::read_to_string(&path).unwrap();
    let at = text.find("measurements = [\"").unwrap() + 17;
    let other = if &text[at..=at] == "0" { "1" } else { "0" };
    fs::write(&path, format!("{}{other}{}", &text[..at], &text[at + 1..])).unwrap();
    refused_for(&folder, &[], &["measurement"]);
}

#[test]
fn collateral_that_has_run_out_is_refused_and_old_evidence_is_accepted_at_its_time() {
    let folder = prepared();
    let collateral = root_collateral(&folder);
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let at = |days: u64| (now + days * 24 * 60 * 60).to_string();
    let verified = |days| verdict(&folder, &["--collateral", &collateral, "--at", &at(days)]);
    assert_eq!(verified(1).0, Some(0));
    let (code, late) = verified(27);
    assert_eq!(code, Some(0));
    assert!(checks(&late, "warning").contains(&"collateral-expiry".to_owned()), "{late:#}");
    let (code, too_late) = verified(31);
    assert_eq!(code, Some(3));
    assert!(checks(&too_late, "failed").contains(&"collateral-expiry".to_owned()), "{too_late:#}");
}

#[test]
fn a_certificate_carries_the_same_evidence() {
    let folder = prepared();
    launch(&folder, &["--evidence-form", "certificate"]).printed("started\n");
    let (code, verdict) = verdict(&folder, &["--nonce", NONCE]);
    assert_eq!(code, Some(0), "{verdict:#}");
    let passed = checks(&verdict, "passed");
    for check in ["pubkey-hash", "certificate-signature", "certificate-dates", "program"] {
        assert!(passed.contains(&check.to_owned()), "{check} of {verdict:#}");
    }
    let path = folder.path().join("evidence");
    let mut openssl = Command::new("openssl");
    let text = run(openssl.args(["x509", "-noout", "-text", "-in"]).arg(&path));
    assert_eq!(text.code, Some(0), "{text:?}");
    let extension = text.out.lines().find(|line| line.trim() == "2.23.133.5.4.9:");
    assert!(extension.is_some(), "the extension is there, and not critical: {text:?}");
    assert!(text.out.contains("prime256v1"), "{text:?}");
    let mut day = Command::new("openssl");
    let day = run(day.args(["x509", "-noout", "-checkend", "90000", "-in"]).arg(&path));
    assert_eq!(day.code, Some(1), "it is valid for a day: {day:?}");
}

#[test]
fn the_values_of_secrets_are_not_in_evidence() {
    let folder = prepared();
    let (value, open) = ("the-treasure-is-under-the-oak", "anybody-may-know");
    let secret = format!("TOKEN={value}");
    launch(&folder, &["--secret", &secret, "--env", &format!("A={open}")]).printed("started\n");
    let evidence = fs::read(folder.path().join("evidence")).unwrap();
    let has = |text: &str| evidence.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(!has(value));
    assert!(has("TOKEN") && has(open));
    let first = verdict(&folder, &[]).1["facts"]["launch"]["hash"].clone();
    launch(&folder, &["--secret", "TOKEN=another", "--env", &format!("A={open}")])
        .printed("started\n");
    assert_eq!(verdict(&folder, &[]).1["facts"]["launch"]["hash"], first);
}

#[test]
fn no_program_starts_without_the_evidence_that_was_asked_for() {
    let folder = prepared();
    let run = |file: &str| in_folder(&folder, &["run", "-q", "--evidence", file, "hello.wat"]);
    run("missing/evidence").failed_with(1, "missing/evidence can't be written");
    run("/dev/full").failed_with(1, "/dev/full can't be written");
    let long = "x".repeat(100_000);
    let arguments = ["run", "-q", "--evidence", "e", "hello.wat", &long, &long];
    in_folder(&folder, &arguments).failed_with(1, "too many for evidence");
    assert!(!folder.path().join("e").exists());
}

#[test]
fn evidence_replaces_older_evidence_and_nothing_else() {
    let folder = prepared();
    let run = |file: &str, options: &[&str]| {
        let usual = ["run", "-q", "--evidence", file];
        in_folder(&folder, &[&usual[..], options, &["hello.wat"]].concat())
    };
    for (name, contents) in [
        ("key", &b"0123456789abcdef"[..]),
        ("m.manifest", &[0xd2]),
        ("b", b" "),
        ("server.pem", b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"),
    ] {
        let path = folder.file(name, contents);
        run(name, &[]).failed_with(1, &format!("{name} is there, and is no evidence"));
        assert_eq!(fs::read(path).unwrap(), contents);
    }
    run("hello.wat", &[]).failed_with(1, "hello.wat is there");
    // The file of a new volume is still empty when the evidence is written.
    run("new.vol", &["--dir", "new.vol"]).failed_with(1, "new.vol is there");
    folder.file("empty", "");
    for older in ["empty", "empty", "evidence"] {
        run(older, &[]).printed("started\n");
        assert!(fs::read(folder.path().join(older)).unwrap().starts_with(&[0xd9, 0xea, 0x60]));
    }
    launch(&folder, &["--evidence-form", "certificate"]).printed("started\n");
    launch(&folder, &[]).printed("started\n");
    let left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains(".part")), "{left:?}");
}

#[test]
fn statistics_replace_older_ones_and_nothing_else() {
    let folder = prepared();
    let run = |file: &str, options: &[&str]| {
        let usual = ["run", "-q", "--stats-json", file];
        in_folder(&folder, &[&usual[..], options, &["hello.wat"]].concat())
    };
    let path = folder.file("package.json", "{}\n");
    run("package.json", &[]).failed_with(1, "package.json is there, and is no file of statistics");
    assert_eq!(fs::read(path).unwrap(), b"{}\n");
    run("new.vol", &["--dir", "new.vol"]).failed_with(1, "new.vol is there");
    for _ in 0..2 {
        run("stats.json", &[]).printed("started\n");
    }
    // The evidence of the same run is no older file of its statistics.
    run("both", &["--evidence", "both"]).failed_with(1, "both is there");
    assert!(fs::read(folder.path().join("both")).unwrap().starts_with(&[0xd9, 0xea, 0x60]));
}

#[test]
fn evidence_can_be_written_to_a_pipe() {
    let folder = prepared();
    let mut command = twine();
    command.current_dir(folder.path()).args([
        "run",
        "-q",
        "--evidence",
        "/dev/stdout",
        "hello.wat",
    ]);
    let output = command.output().unwrap();
    assert!(output.stdout.starts_with(&[0xd9, 0xea, 0x60]), "{output:?}");
    assert!(output.stdout.ends_with(b"started\n"), "{output:?}");
}

#[test]
fn wrong_options_are_wrong_usage() {
    let folder = prepared();
    for options in [
        &["run", "--nonce", "00", "hello.wat"][..],
        &["run", "--evidence-form", "certificate", "hello.wat"],
        &["run", "--evidence", "e", "--nonce", "0", "hello.wat"],
        &["run", "--evidence", "e", "--nonce", "", "hello.wat"],
        &["run", "--evidence", "e", "--nonce", &"00".repeat(65), "hello.wat"],
        &["verify", "evidence"],
        &["verify", "evidence", "--policy", "policy.toml", "--nonce", ""],
        &["verify", "evidence", "--policy", "policy.toml", "--nonce", "0"],
        &["verify", "evidence", "--policy", "policy.toml", "--at", "yesterday"],
        &["policy", "init"],
    ] {
        assert_eq!(in_folder(&folder, options).code, Some(2), "{options:?}");
    }
}

#[test]
fn files_that_are_missing_or_something_else_are_named() {
    let folder = prepared();
    let verify = |evidence: &str, policy: &str| {
        in_folder(&folder, &["verify", evidence, "--policy", policy])
    };
    verify("missing", "policy.toml").failed_with(1, "missing can't be read");
    verify("evidence", "missing").failed_with(1, "missing");
    verify("evidence", "hello.wat").failed_with(1, "line 1, column");
    assert_eq!(verify("hello.wat", "policy.toml").code, Some(3));
    let verify_by = |options: &[&str]| {
        let usual = ["verify", "evidence", "--policy", "policy.toml"];
        in_folder(&folder, &[&usual[..], options].concat())
    };
    verify_by(&["--pccs", "nope"]).failed_with(1, "`nope` is not the address of a service");
    for key in ["hello.wat", "evidence"] {
        verify_by(&["--key", key]).failed_with(1, &format!("{key} is no public key"));
    }
    folder.file("cut.der", [0x30, 0x59, 0x30, 0x13]);
    verify_by(&["--key", "cut.der"]).failed_with(1, "cut.der is no public key");
    folder.file("typo.toml", "root = \"simulation\"\n[enclave]\nany = true\nsinger = []\n");
    verify("evidence", "typo.toml").failed_with(1, "line 4");
    let again = ["policy", "init", "hello.wat", "-o", "policy.toml"];
    in_folder(&folder, &again).failed_with(1, "policy.toml is there already");
}

#[test]
fn evidence_without_a_root_secret_is_refused_before_anything_runs() {
    let folder = prepared();
    let state = folder.file("not-a-folder", "");
    let mut command = twine();
    command.current_dir(folder.path()).env("XDG_STATE_HOME", Path::new(&state));
    let ended = run(command.args(["run", "-q", "--evidence", "e", "hello.wat"]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(ended.out, "");
}
