//! Vectors, and what tests do with them. They are other projects' data and no part of this repository:
//! most lie in `../shared/vectors` beside the checkout, the others in the source of `dcap-qvl`.

#![allow(dead_code, reason = "no test uses all of it")]

pub mod cbor;
pub mod pki;
pub mod simulation;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::OnceLock;
use std::{env, fs};
use twine_verifier::{
    CheckName, Collateral, Moment, Outcome, Policy, Request, Roots, Verdict, verify,
};

/// Accepts any enclave, debug or not, on any platform that is not revoked. Each test that uses it
/// looks at the checks that it is about.
pub const OPEN: &str = r#"
    root = "intel"
    [enclave]
    any = true
    debug = true
    [claims]
    required = false
    [tcb]
    statuses = [
        "UpToDate", "SWHardeningNeeded", "ConfigurationNeeded", "ConfigurationAndSWHardeningNeeded",
        "OutOfDate", "OutOfDateConfigurationNeeded",
    ]
"#;

/// The moment at which most of the vectors are good: 2025-06-21.
pub const JUNE_2025: Moment = Moment(1_750_464_000);

/// Reads a vector; `None` where the folder of vectors is missing, which is said loudly.
pub fn vector(name: &str) -> Option<Vec<u8>> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vectors");
        if folder.is_dir() {
            return Some(folder);
        }
        let said = format!("LEFT OUT: tests with vectors, for {} is missing\n", folder.display());
        std::io::stderr().write_all(said.as_bytes()).expect("the standard error is open");
        None
    });
    let path = folder.as_ref()?.join(name);
    Some(fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Reads a sample that comes with the source of `dcap-qvl`.
pub fn sample(name: &str) -> Vec<u8> {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["metadata", "--format-version", "1", "--offline", "--manifest-path"]);
        cargo.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
        let output = cargo.output().expect("cargo runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let packages = metadata["packages"].as_array().unwrap();
        let package = packages.iter().find(|package| package["name"] == "dcap-qvl").unwrap();
        let manifest = Path::new(package["manifest_path"].as_str().unwrap());
        manifest.parent().unwrap().join("sample")
    });
    fs::read(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Reads collateral.
pub fn collateral(json: &[u8]) -> Collateral {
    Collateral::from_json(json).unwrap()
}

/// Reads a policy.
pub fn policy(text: &str) -> Policy {
    Policy::from_toml(text).unwrap()
}

/// A folder that goes away with the value.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        let folder = env::temp_dir().join(format!("twine-verifier-{name}-{}", process::id()));
        fs::create_dir_all(&folder).unwrap();
        Folder(folder)
    }

    /// Writes a file, and returns its path.
    pub fn write(&self, name: &str, content: &[u8]) -> PathBuf {
        fs::write(self.0.join(name), content).unwrap();
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Makes a request with nothing but the evidence that is needed in all of them.
pub fn request<'a>(
    evidence: &'a [u8],
    collateral: &'a Collateral,
    policy: &'a Policy,
    roots: &'a Roots,
    at: Moment,
) -> Request<'a> {
    Request {
        evidence,
        collateral,
        policy,
        roots,
        at,
        nonce: None,
        data: None,
        public_key: None,
        channel: None,
        report_data: None,
    }
}

/// Verifies evidence under a policy for hardware.
pub fn verdict(evidence: &[u8], collateral: &Collateral, policy: &Policy, at: Moment) -> Verdict {
    verify(&request(evidence, collateral, policy, &Roots::hardware(), at))
}

/// Returns the names of the checks that failed.
pub fn failed(verdict: &Verdict) -> Vec<CheckName> {
    verdict.failed().map(|check| check.name).collect()
}

/// Asserts how a check ended, and why.
#[track_caller]
pub fn assert_check(verdict: &Verdict, name: CheckName, result: Outcome, reason: &str) {
    let check = verdict.check(name);
    assert_eq!((check.result, &check.reason[..]), (result, reason), "{name}");
}

/// Asserts that one check fails and no other, and why.
#[track_caller]
pub fn assert_fails(verdict: &Verdict, name: CheckName, reason: &str) {
    assert_eq!(failed(verdict), [name]);
    assert_check(verdict, name, Outcome::Failed, reason);
    assert!(!verdict.is_accepted());
}

/// Asserts that one check passes and none fails, and why.
#[track_caller]
pub fn assert_passes(verdict: &Verdict, name: CheckName, reason: &str) {
    assert_eq!(failed(verdict), []);
    assert_check(verdict, name, Outcome::Passed, reason);
    assert!(verdict.is_accepted());
}
