//! The second command of the README: all checks that must pass before a change lands.

use crate::debian::{install, is_root, packages};
use crate::process::{Failure, Result, command, output, say, succeed};
use crate::reproduce::SecondBuild;
use crate::{deny, enclave, fuzz, guests, hang, patches, published};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The packages whose tests run natively.
const NATIVE: &[&str] = &[
    "sgx-sim-quoting",
    "twine-bench",
    "twine-boundary",
    "twine-channel",
    "twine-cli",
    "twine-client",
    "twine-engine",
    "twine-evidence",
    "twine-fuzz-input",
    "twine-guest",
    "twine-handover",
    "twine-host",
    "twine-hostfs",
    "twine-hosting",
    "twine-image",
    "twine-oci",
    "twine-oci-image",
    "twine-protocol",
    "twine-quoting",
    "twine-selftest",
    "twine-sgx",
    "twine-verifier",
    "twine-vfs",
    "twine-volume",
    "twine-volume-tool",
    "twine-wasi",
];

/// The workspaces with this project's own code.
const WORKSPACES: &[&str] = &[
    "Cargo.toml",
    "xtask/Cargo.toml",
    "bench/outside/Cargo.toml",
    "bench/sqlcipher/Cargo.toml",
    fuzz::MANIFEST,
    "guests/api/Cargo.toml",
    "guests/files-rust/Cargo.toml",
    "guests/hello-rust/Cargo.toml",
    "guests/peer-rust/Cargo.toml",
];

/// The arguments for this program's own workspace.
const XTASK: [&str; 4] = ["--manifest-path", "xtask/Cargo.toml", "--target-dir", "target/xtask"];

/// The packages with code that is compiled only for the enclave, or differs there.
const ENCLAVE: &[&str] =
    &["sgx-sim-enclaves", "twine-runtime", "twine-sgx", "twine-selftest", "twine-unwind"];

/// The sums of the closing lines of test runs.
#[derive(Debug, Default)]
struct Tally {
    passed: u64,
    failed: u64,
    runs: u64,
}

impl Tally {
    /// Adds one line of `cargo test`'s output, if it is a closing line.
    fn read(&mut self, line: &str) {
        let Some(result) = line.strip_prefix("test result: ") else { return };
        self.runs += 1;
        for part in result.split([';', '.']) {
            let mut words = part.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<u64>().ok());
            match (number, words.next()) {
                (Some(number), Some("passed")) => self.passed += number,
                (Some(number), Some("failed")) => self.failed += number,
                _ => {}
            }
        }
    }
}

/// Runs `cargo test` and adds up its closing lines.
fn test(root: &Path, tally: &mut Tally, arguments: &[&str]) -> Result<()> {
    let mut cargo = command("cargo", root);
    cargo.args(["test", "--no-fail-fast"]).args(arguments);
    let status = hang::lines(&mut cargo, hang::PATIENCE, |line| {
        println!("{line}");
        tally.read(line);
    })?;
    if !status.success() && tally.failed == 0 {
        return Err(Failure::new(format!("`cargo test {}` failed", arguments.join(" "))));
    }
    Ok(())
}

/// The commands that the tests with containers run, and their Debian packages.
const CONTAINERS: [(&str, &str); 3] =
    [("containerd", "containerd"), ("runc", "runc"), ("busybox", "busybox-static")];

/// Installs what the tests with containers need. They need root too. Where anything is missing, they
/// say that they were left out.
fn containers() {
    let is_root = is_root().unwrap_or(false);
    // Another containerd, such as Docker's, is as good.
    let is_missing = |name: &str| Command::new(name).arg("--version").output().is_err();
    let missing = CONTAINERS.iter().filter(|(name, _)| is_missing(name));
    let missing: Vec<&str> = missing.map(|(_, package)| *package).collect();
    if is_root && !missing.is_empty() && install(&missing).is_err() {
        say("the tests with containers are left out");
    }
}

/// Returns the arguments that name packages.
fn of<'a>(names: &[&'a str]) -> Vec<&'a str> {
    names.iter().flat_map(|name| ["--package", name]).collect()
}

fn cargo(root: &Path, arguments: &[&str]) -> Command {
    let mut cargo = command("cargo", root);
    cargo.args(arguments);
    cargo
}

/// Builds the enclaves that only tests use.
pub(crate) fn enclaves(root: &Path) -> Result<()> {
    // With the runtime beside it, the self-test gets its dependencies as they were built for the
    // image, and nothing is built a second time with fewer features.
    let runtime = enclave::program(root)?;
    let before = fs::read(&runtime)?;
    enclave::build(root, &["twine-runtime", "twine-selftest"])?;
    if fs::read(&runtime)? != before {
        return Err(Failure::new(
            "twine-selftest asks for features that change the program of the image: give its \
             dependencies those that they have in twine-runtime",
        ));
    }
    enclave::build(root, &["sgx-sim-enclaves"])?;
    published::image(root)
}

/// Lints everything, natively and as compiled for the enclave.
pub(crate) fn lint(root: &Path) -> Result<()> {
    say("linting");
    // Linting one package at a time would compile dependencies in as many ways. These sets differ
    // in the features of sgx-sim, or in their workspace.
    let deny = ["--", "--deny", "warnings"];
    let lint = |set: &[&str]| {
        let arguments = [&["clippy", "--all-targets"], set, &deny].concat();
        succeed(&mut cargo(root, &arguments))
    };
    lint(&of(NATIVE))?;
    lint(&of(&["sgx-sim"]))?;
    lint(&[&of(&fuzz::PACKAGES)[..], &["--features", "fuzzing"]].concat())?;
    lint(&XTASK)?;
    fuzz::lint(root)?;
    enclave::lint(root, ENCLAVE)
}

/// Formats, lints, builds, tests and documents everything. Prints the sums at the end.
pub(crate) fn everything(root: &Path) -> Result<()> {
    crate::toolchain::host_packages()?;
    // The tests sign images with `openssl`, as a user with an offline key does.
    packages(&["openssl"])?;
    containers();
    say("checking the format");
    for workspace in WORKSPACES {
        let arguments = ["fmt", "--all", "--check", "--manifest-path", workspace];
        succeed(&mut cargo(root, &arguments))?;
    }
    patches::check(root)?;
    deny::check(root)?;

    let twine = enclave::image(root)?;
    say("this machine");
    succeed(command(&twine.display().to_string(), root).arg("info"))?;
    enclaves(root)?;
    // Beside the other builds and the lints, which often wait for one compiler, but not beside the
    // runs of tests.
    let second_build = SecondBuild::start(root)?;
    guests::all(root)?;

    lint(root)?;
    // The last crates of the second build wait for each other. Beside it is time to compile the tests.
    for set in [&of(NATIVE)[..], &of(&["sgx-sim"])] {
        succeed(&mut cargo(root, &[&["test", "--no-run"], set].concat()))?;
    }
    fuzz::build_all(root)?;
    second_build.finish()?;

    let mut tally = Tally::default();
    say("testing, natively and inside the enclave");
    test(root, &mut tally, &of(NATIVE))?;
    say("testing the software SGX");
    test(root, &mut tally, &of(&["sgx-sim"]))?;
    say("testing this command");
    test(root, &mut tally, &XTASK)?;

    fuzz::briefly(root)?;

    say("building the documents");
    let arguments = [&["doc", "--no-deps"], &of(NATIVE)[..]].concat();
    succeed(cargo(root, &arguments).env("RUSTDOCFLAGS", "--deny warnings"))?;
    let arguments = ["doc", "--no-deps", "--package", "sgx-sim"];
    succeed(cargo(root, &arguments).env("RUSTDOCFLAGS", "--deny warnings"))?;

    println!("{} passed, {} failed", tally.passed, tally.failed);
    match tally {
        Tally { failed: 0, runs: 1.., passed: 1.. } => Ok(()),
        Tally { failed: 0, .. } => Err(Failure::new("no test was run")),
        _ => Err(Failure::new(format!("{} tests failed", tally.failed))),
    }
}

/// Writes the documents that are generated from the source.
pub(crate) fn write_documents(root: &Path) -> Result<()> {
    let mut cargo = cargo(root, &["run", "--quiet", "--package", "twine-protocol"]);
    let text = output(cargo.args(["--example", "host_calls"]))?;
    std::fs::write(root.join("docs/host-calls.md"), text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_summary_lines_of_tests_are_added_up() {
        let mut tally = Tally::default();
        tally.read("test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out");
        tally.read("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured");
        tally.read("test a_test ... ok");
        assert_eq!((tally.passed, tally.failed, tally.runs), (15, 2, 2));
    }
}
