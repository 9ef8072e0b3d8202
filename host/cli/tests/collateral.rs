//! `twine verify` with evidence of others, and where it gets collateral.

mod common;

use common::{Ended, Folder, root, run, twine};
use std::fs;
use std::path::PathBuf;

/// The time at which the collateral `icx17` was good.
const THEN: &str = "2025-06-21T00:00:00Z";

/// Returns a file of the vectors of other projects. `None`, with a note, where they are missing.
fn vector(name: &str) -> Option<PathBuf> {
    let path = root().join("../shared/vectors").join(name);
    let found = path.exists().then_some(path);
    if found.is_none() {
        eprintln!("SKIPPED: there is no ../shared/vectors/{name}");
    }
    found
}

/// Writes a policy that takes debug enclaves on platforms that are out of date.
fn prepared() -> Folder {
    let folder = Folder::new();
    folder.file(
        "policy.toml",
        "root = \"intel\"\n[enclave]\nany = true\ndebug = true\n\
         [tcb]\nstatuses = [\"OutOfDate\"]\n",
    );
    folder
}

fn verify(folder: &Folder, evidence: &PathBuf, options: &[&str]) -> Ended {
    let mut command = twine();
    command.current_dir(folder.path()).env("XDG_CACHE_HOME", folder.path().join("cache"));
    command.arg("verify").arg(evidence).args(["--policy", "policy.toml", "--at", THEN]);
    run(command.args(options))
}

#[test]
fn a_certificate_of_gramine_is_verified_with_collateral_in_a_file() {
    let (Some(evidence), Some(json)) = (vector("ra-tls-gramine.pem"), vector("icx17.json")) else {
        return;
    };
    let folder = prepared();
    let json = json.display().to_string();
    let ended = verify(&folder, &evidence, &["--collateral", &json]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.out.contains("it is that of the certificate's key"), "{ended:?}");
    let ended = verify(&folder, &evidence, &["--collateral", &json, "--nonce", "00"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("refused: nonce"), "{ended:?}");
}

#[test]
fn a_certificate_of_rats_tls_is_refused_for_its_dates_alone() {
    let (Some(evidence), Some(json)) = (vector("ra-tls-rats-tls.pem"), vector("icx17.json")) else {
        return;
    };
    let folder = prepared();
    let ended = verify(&folder, &evidence, &["--collateral", &json.display().to_string()]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("refused: certificate-dates\n"), "{ended:?}");
}

#[test]
fn what_was_kept_in_a_folder_serves_without_a_network() {
    let (Some(evidence), Some(json)) = (vector("ra-tls-gramine.pem"), vector("icx17.json")) else {
        return;
    };
    let folder = prepared();
    let kept = folder.path().join("kept");
    fs::create_dir(&kept).unwrap();
    verify(&folder, &evidence, &["--collateral", "kept"])
        .failed_with(1, "kept has no collateral of this platform");
    fs::copy(json, kept.join("00606a000000-platform-standard.json")).unwrap();
    let ended = verify(&folder, &evidence, &["--collateral", "kept"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

#[test]
fn a_service_that_can_not_be_reached_is_named() {
    let Some(evidence) = vector("ra-tls-gramine.pem") else { return };
    let folder = prepared();
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    verify(&folder, &evidence, &["--pccs", &format!("http://{closed}")])
        .failed_with(1, &closed.to_string());
    verify(&folder, &evidence, &["--pccs", "ftp://example.org"])
        .failed_with(1, "is not the address of a service");
    assert!(!folder.path().join("cache/twine/collateral").exists());
}

#[test]
fn hardware_evidence_is_never_accepted_as_simulated() {
    let Some(evidence) = vector("ra-tls-gramine.pem") else { return };
    let folder = prepared();
    folder.file("policy.toml", "root = \"simulation\"\n[enclave]\nany = true\ndebug = true\n");
    let ended = verify(&folder, &evidence, &[]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.err.contains("simulated"), "{ended:?}");
}
