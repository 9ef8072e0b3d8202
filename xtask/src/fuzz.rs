//! `cargo xtask fuzz`: runs the fuzz targets in `fuzz/`, with the same compiler as all other code.
//! With a nightly compiler, `cargo fuzz run TARGET` runs them too.

use crate::debian::packages;
use crate::process::{Failure, Result, command, say, succeed};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

pub(crate) const MANIFEST: &str = "fuzz/Cargo.toml";

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The flags of `cargo fuzz`, without those that only a nightly compiler has: a counter at each
/// branch, from which libFuzzer learns what an input does. The last flag is the one in
/// `.cargo/config.toml` for all other code.
const RUSTFLAGS: &[&str] = &[
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "--cfg=getrandom_backend=\"linux_raw\"",
];

/// For a target that reads a few bytes: also a call at each comparison, which shows libFuzzer the
/// bytes that the program wants.
const COMPARES: &[&str] = &["-Cllvm-args=-sanitizer-coverage-trace-compares"];

/// For a target that does much work per input: counters cost less in functions that are inlined.
const INLINING: &[&str] = &["-Cllvm-args=-inline-threshold=600"];

/// The limits for one input: its time, in seconds, and its memory, in MiB.
const MAX_SECONDS: u32 = 25;
const MAX_MEMORY: u32 = 2048;

/// The default time of each target, in seconds.
const SECONDS: u64 = 60;

/// The time of each target during the tests, in seconds.
const BRIEF_SECONDS: u64 = 2;

/// The limit of a target's run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Seconds(u64),
    Runs(u64),
}

/// The task that the arguments name.
#[derive(Debug, PartialEq, Eq)]
enum Job {
    /// Run targets, or all targets if the list is empty.
    Run { targets: Vec<String>, until: Until },
    /// Run a target with one input.
    Repeat { target: String, input: PathBuf },
    /// Write the first inputs of the targets.
    Seeds,
}

const USAGE: &str = "`cargo xtask fuzz [--seconds N | --runs N] [TARGET...]`, `cargo xtask fuzz \
                     --repeat FILE TARGET` or `cargo xtask fuzz --seeds`";

impl Job {
    fn parse(arguments: &[&str]) -> Result<Self> {
        let wrong = || Failure::new(USAGE);
        let (mut targets, mut until, mut repeat) = (Vec::new(), None, None);
        let mut rest = arguments.iter();
        if arguments == ["--seeds"] {
            return Ok(Job::Seeds);
        }
        while let Some(argument) = rest.next() {
            if !argument.starts_with('-') {
                targets.push((*argument).to_owned());
                continue;
            }
            let value = *rest.next().ok_or_else(wrong)?;
            let number = || value.parse().ok().filter(|number| *number > 0).ok_or_else(wrong);
            match *argument {
                "--repeat" if repeat.is_none() => repeat = Some(PathBuf::from(value)),
                "--seconds" if until.is_none() => until = Some(Until::Seconds(number()?)),
                "--runs" if until.is_none() => until = Some(Until::Runs(number()?)),
                _ => return Err(wrong()),
            }
        }
        match (repeat, until, &targets[..]) {
            (Some(input), None, [target]) => Ok(Job::Repeat { target: target.clone(), input }),
            (Some(_), ..) => Err(wrong()),
            (None, until, _) => {
                let until = until.unwrap_or(Until::Seconds(SECONDS));
                Ok(Job::Run { targets, until })
            }
        }
    }
}

/// Runs the task that the arguments name.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    match Job::parse(arguments)? {
        Job::Seeds => seeds(root),
        Job::Repeat { target, input } => {
            let targets = known(root, std::slice::from_ref(&target))?;
            build(root, &targets)?;
            succeed(command(&program(root, &target).display().to_string(), root).arg(input))
        }
        Job::Run { targets, until } => {
            let targets = known(root, &targets)?;
            build(root, &targets)?;
            fuzz(root, &targets, until)
        }
    }
}

/// Builds all targets.
pub(crate) fn build_all(root: &Path) -> Result<()> {
    build(root, &all(root)?)
}

/// Runs all targets for some seconds.
pub(crate) fn briefly(root: &Path) -> Result<()> {
    let targets = all(root)?;
    build(root, &targets)?;
    fuzz(root, &targets, Until::Seconds(BRIEF_SECONDS))
}

/// Lints the targets. They are compiled as for running, so that libFuzzer is not compiled twice.
pub(crate) fn lint(root: &Path) -> Result<()> {
    for build in [Build::Decoders, Build::Whole] {
        succeed(build.cargo(root, "clippy")?.args(["--", "--deny", "warnings"]))?;
    }
    Ok(())
}

/// Returns the names of the targets.
fn all(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in fs::read_dir(root.join("fuzz/fuzz_targets"))? {
        let path = file?.path();
        names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    names.sort_unstable();
    Ok(names)
}

/// Returns the targets with these names, or all if `names` is empty.
fn known(root: &Path, names: &[String]) -> Result<Vec<String>> {
    let all = all(root)?;
    match names.iter().find(|name| !all.contains(name)) {
        Some(name) => Err(Failure::new(format!(
            "there is no fuzz target `{name}`; there are {}",
            all.join(", ")
        ))),
        None if names.is_empty() => Ok(all),
        None => Ok(names.to_vec()),
    }
}

/// The ways to compile a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Build {
    /// For targets that read a few bytes.
    Decoders,
    /// For the target that does all operations of a volume.
    Whole,
}

impl Build {
    fn of(target: &str) -> Self {
        if target == "volume" { Build::Whole } else { Build::Decoders }
    }

    fn folder(self, root: &Path) -> PathBuf {
        root.join("target/fuzz").join(match self {
            Build::Decoders => "build",
            Build::Whole => "whole",
        })
    }

    fn cargo(self, root: &Path, what: &str) -> Result<Command> {
        // libFuzzer is written in C++.
        packages(&["g++"])?;
        let (more, features) = match self {
            Build::Decoders => (COMPARES, "decoders"),
            Build::Whole => (INLINING, "whole"),
        };
        let flags: Vec<OsString> = RUSTFLAGS.iter().chain(more).map(OsString::from).collect();
        let mut cargo = command("cargo", root);
        cargo.args([what, "--release", "--manifest-path", MANIFEST, "--target", TARGET]);
        cargo.args(["--no-default-features", "--features", features]);
        cargo.arg("--target-dir").arg(self.folder(root));
        cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join(&OsString::from("\x1f")));
        Ok(cargo)
    }
}

fn build(root: &Path, targets: &[String]) -> Result<()> {
    say("building the fuzz targets");
    for build in [Build::Decoders, Build::Whole] {
        if targets.iter().any(|target| Build::of(target) == build) {
            succeed(build.cargo(root, "build")?.arg("--quiet"))?;
        }
    }
    Ok(())
}

fn program(root: &Path, target: &str) -> PathBuf {
    Build::of(target).folder(root).join(TARGET).join("release").join(target)
}

/// The packages whose code the targets call. Each has an example that writes inputs for them.
pub(crate) const PACKAGES: [&str; 11] = [
    "sgx-sim",
    "twine-boundary",
    "twine-channel",
    "twine-evidence",
    "twine-handover",
    "twine-hostfs",
    "twine-image",
    "twine-protocol",
    "twine-verifier",
    "twine-volume",
    "twine-wasi",
];

/// Writes the first inputs of the targets, in the present formats.
fn seeds(root: &Path) -> Result<()> {
    let corpus = root.join("fuzz/corpus");
    if corpus.exists() {
        fs::remove_dir_all(&corpus)?;
    }
    for package in PACKAGES {
        let mut cargo = command("cargo", root);
        cargo.args(["run", "--quiet", "--package", package, "--features", "fuzzing"]);
        succeed(cargo.args(["--example", "seeds", "--"]).arg(&corpus))?;
    }
    Ok(())
}

/// The result of one run of a target.
struct Outcome {
    target: String,
    told: Told,
    ended_well: bool,
    log: PathBuf,
}

/// Runs targets, as many at once as there are CPUs, and prints the number of inputs of each.
fn fuzz(root: &Path, targets: &[String], until: Until) -> Result<()> {
    let until_shown = match until {
        Until::Seconds(seconds) => format!("{seconds} s"),
        Until::Runs(runs) => format!("{runs} inputs"),
    };
    say(format_args!("fuzzing, each target with {until_shown}: {}", targets.join(", ")));
    let waiting = Mutex::new(targets.iter());
    let next = || waiting.lock().ok().and_then(|mut waiting| waiting.next());
    let work = || -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::new();
        while let Some(target) = next() {
            outcomes.push(one(root, target, until)?);
        }
        Ok(outcomes)
    };
    let workers = thread::available_parallelism().map_or(1, |cpus| cpus.get().min(targets.len()));
    let mut outcomes = thread::scope(|scope| -> Result<Vec<Outcome>> {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        let mut all = Vec::new();
        for thread in threads {
            let outcomes = thread.join().map_err(|_| Failure::new("a thread has panicked"))?;
            all.extend(outcomes?);
        }
        Ok(all)
    })?;
    outcomes.sort_by(|one, other| one.target.cmp(&other.target));
    for Outcome { target, told, .. } in &outcomes {
        let Told { executions, covered, new, .. } = told;
        println!(
            "{target:12} {executions:>12} executions, {covered:>6} branches, {new:>5} new inputs"
        );
    }
    match outcomes.iter().find_map(|outcome| complaint(root, outcome)) {
        Some(complaint) => Err(Failure::new(complaint)),
        None => Ok(()),
    }
}

/// Describes the failure of a run, if there is one.
fn complaint(root: &Path, outcome: &Outcome) -> Option<String> {
    let Outcome { target, told, ended_well, log } = outcome;
    let shown = |path: &Path| path.strip_prefix(root).unwrap_or(path).display().to_string();
    let log = shown(log);
    match (&told.find, ended_well) {
        (Some(find), _) => {
            let find = shown(Path::new(find));
            Some(format!(
                "the fuzz target `{target}` fails with {find}: `cargo xtask fuzz --repeat {find} \
                 {target}` repeats it, and {log} says more"
            ))
        }
        (None, false) => Some(format!("the fuzz target `{target}` failed: see {log}")),
        (None, true) if told.counters == 0 || told.executions == 0 || told.covered == 0 => {
            Some(format!("the fuzz target `{target}` counted no branches: see {log}"))
        }
        (None, true) => None,
    }
}

/// Runs a target. New inputs go to `target/fuzz`; the committed inputs do not change.
fn one(root: &Path, target: &str, until: Until) -> Result<Outcome> {
    let folder = root.join("target/fuzz");
    let (found, finds) =
        (folder.join("corpus").join(target), folder.join("artifacts").join(target));
    fs::create_dir_all(&found)?;
    fs::create_dir_all(&finds)?;
    let log = folder.join(format!("{target}.log"));
    let mut fuzzer = command(&program(root, target).display().to_string(), root);
    fuzzer.arg(found).arg(root.join("fuzz/corpus").join(target));
    fuzzer.arg(match until {
        Until::Seconds(seconds) => format!("-max_total_time={seconds}"),
        Until::Runs(runs) => format!("-runs={runs}"),
    });
    fuzzer.arg(format!("-artifact_prefix={}/", finds.display()));
    fuzzer.args([
        format!("-timeout={MAX_SECONDS}"),
        format!("-rss_limit_mb={MAX_MEMORY}"),
        "-print_final_stats=1".to_owned(),
    ]);
    let told = fs::File::create(&log)?;
    let status = fuzzer.stdout(Stdio::null()).stderr(told).status()?;
    let told = Told::read(&String::from_utf8_lossy(&fs::read(&log)?));
    Ok(Outcome { target: target.to_owned(), told, ended_well: status.success(), log })
}

/// The numbers that libFuzzer reports of a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    /// The number of counters at branches.
    counters: u64,
    executions: u64,
    /// The number of branches that some input has reached.
    covered: u64,
    /// The number of inputs that did something new.
    new: u64,
    /// The file of an input that fails.
    find: Option<String>,
}

impl Told {
    fn read(log: &str) -> Self {
        let mut told = Told::default();
        let number = |text: &str| {
            let digits = text.trim_start();
            let end = digits.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(digits.len());
            digits[..end].parse().unwrap_or(0)
        };
        let behind =
            |line: &str, what: &str| line.split_once(what).map(|(_, rest)| rest.to_owned());
        for line in log.lines() {
            if let Some(rest) = behind(line, "stat::number_of_executed_units:") {
                told.executions = number(&rest);
            } else if let Some(rest) = behind(line, "stat::new_units_added:") {
                told.new = number(&rest);
            } else if let Some(rest) = behind(line, " modules   (") {
                told.counters = number(&rest);
            } else if let Some(rest) = behind(line, "Test unit written to ") {
                told.find = Some(rest.trim_end().to_owned());
            } else if let Some(rest) = behind(line, " cov: ") {
                told.covered = number(&rest);
            }
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\
INFO: Loaded 1 modules   (37961 inline 8-bit counters): 37961 [0x5, 0x6), \n\
#2\tINITED cov: 11 ft: 11 corp: 1/1b exec/s: 0 rss: 29Mb\n\
#2000\tNEW    cov: 17 ft: 18 corp: 2/9b lim: 8 exec/s: 1000 rss: 29Mb L: 8/8 MS: 1\n\
artifact_prefix='/x/'; Test unit written to /x/crash-5ba9\n\
stat::number_of_executed_units: 200000\n\
stat::new_units_added:          3\n";

    #[test]
    fn the_fuzzers_output_is_parsed() {
        let find = Some("/x/crash-5ba9".to_owned());
        let wanted = Told { counters: 37961, executions: 200_000, covered: 17, new: 3, find };
        assert_eq!(Told::read(LOG), wanted);
    }

    #[test]
    fn crashes_failures_and_runs_without_counters_are_reported() {
        let outcome = |told, ended_well| Outcome {
            target: "node".to_owned(),
            told,
            ended_well,
            log: "/checkout/target/fuzz/node.log".into(),
        };
        let said = |told, ended_well| complaint(Path::new("/checkout"), &outcome(told, ended_well));
        let whole = || Told { find: None, ..Told::read(LOG) };
        assert_eq!(said(whole(), true), None);
        let find =
            Told { find: Some("/checkout/target/fuzz/artifacts/node/x".to_owned()), ..whole() };
        let find = said(find, false).unwrap();
        assert!(find.contains("`cargo xtask fuzz --repeat target/fuzz/artifacts/node/x node`"));
        assert!(said(whole(), false).unwrap().ends_with("target/fuzz/node.log"));
        assert!(said(Told { counters: 0, ..whole() }, true).is_some());
        assert!(said(Told { covered: 0, ..whole() }, true).is_some());
        assert!(said(Told { executions: 0, ..whole() }, true).is_some());
    }

    #[test]
    fn arguments_say_which_targets_run_and_how_long() {
        let run = |targets: &[&str], until| {
            let targets = targets.iter().map(|target| (*target).to_owned()).collect();
            Job::Run { targets, until }
        };
        let parsed = |arguments: &[&str]| Job::parse(arguments).ok();
        assert_eq!(parsed(&[]), Some(run(&[], Until::Seconds(SECONDS))));
        assert_eq!(parsed(&["node", "--runs", "9"]), Some(run(&["node"], Until::Runs(9))));
        assert_eq!(
            parsed(&["--seconds", "9", "a", "b"]),
            Some(run(&["a", "b"], Until::Seconds(9)))
        );
        let repeat = Job::Repeat { target: "node".to_owned(), input: "x".into() };
        assert_eq!(parsed(&["--repeat", "x", "node"]), Some(repeat));
        assert_eq!(parsed(&["--seeds"]), Some(Job::Seeds));
        for wrong in [
            &["--runs"][..],
            &["--runs", "none"],
            &["--seconds", "0"],
            &["--runs", "1", "--seconds", "1"],
            &["--repeat", "x"],
            &["--repeat", "x", "node", "--runs", "1"],
            &["--seeds", "node"],
            &["--quick", "1"],
        ] {
            assert_eq!(parsed(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn each_target_is_in_the_manifest_and_has_inputs_to_begin_with() {
        let root = crate::root();
        let targets = all(&root).unwrap();
        assert!(targets.len() >= 24);
        let manifest = fs::read_to_string(root.join(MANIFEST)).unwrap();
        let bins = manifest.lines().filter(|line| *line == "[[bin]]").count();
        assert_eq!(bins, targets.len());
        for target in targets {
            assert!(manifest.contains(&format!("path = \"fuzz_targets/{target}.rs\"")), "{target}");
            let inputs = fs::read_dir(root.join("fuzz/corpus").join(&target)).unwrap();
            assert!(inputs.count() > 0, "{target}");
        }
    }
}
