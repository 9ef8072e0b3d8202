//! `cargo xtask bench`: prepares and runs the measurements with one command.

use crate::process::{Failure, Result, command, say, succeed, succeeds};
use crate::{enclave, guests};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The real-time priority of the measured processes: other processes that want the CPU wait.
const PRIORITY: &str = "10";

/// Builds everything that is compared, and runs `twine-bench` with these arguments.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    match arguments {
        ["paper", rest @ ..] => paper(root, rest),
        ["compare" | "draw", ..] => succeed(&mut bench(root, &build(root)?, arguments)),
        [] => Err(Failure::new(
            "`cargo xtask bench paper [--quick]` repeats the experiments; `cargo xtask bench \
             compare A.json B.json` shows what has changed",
        )),
        _ => {
            prepare(root)?;
            succeed(&mut bench(root, &build(root)?, arguments))
        }
    }
}

/// Runs all experiments, and writes their results to `target/bench`.
fn paper(root: &Path, arguments: &[&str]) -> Result<()> {
    prepare(root)?;
    let program = build(root)?;
    let folder = root.join("target/bench");
    fs::create_dir_all(&folder)?;
    let mut bench = bench(root, &program, arguments);
    bench.arg("--json").arg(folder.join("report.json"));
    bench.arg("--csv").arg(&folder);
    bench.arg("--html").arg(folder.join("report.html"));
    succeed(&mut bench)?;
    say("target/bench/report.html is the report; report.json and the tables are beside it");
    Ok(())
}

/// Builds the image, the command, the programs and their rivals.
fn prepare(root: &Path) -> Result<()> {
    enclave::image(root)?;
    guests::all(root)?;
    guests::rivals::all(root)
}

/// Builds the program that measures, and returns its path.
fn build(root: &Path) -> Result<String> {
    let mut cargo = command("cargo", root);
    succeed(cargo.args(["build", "--release", "--quiet", "--package", "twine-bench"]))?;
    Ok(root.join("target/release/twine-bench").display().to_string())
}

/// Returns a command that runs with real-time priority, if that is allowed, as do all processes
/// that it starts. Its report names the priority.
fn bench(root: &Path, program: &str, arguments: &[&str]) -> Command {
    let allowed = succeeds(Command::new("chrt").args(["--fifo", PRIORITY, "true"]));
    let mut bench = match allowed {
        true => {
            let mut chrt = command("chrt", root);
            chrt.args(["--fifo", PRIORITY, program]);
            chrt
        }
        false => command(program, root),
    };
    bench.args(arguments);
    bench
}
