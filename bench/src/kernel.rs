//! `kernel`: the time of compiled code inside and outside.

use crate::error::{Error, Result};
use crate::process::{Job, Runner, Workspace};
use crate::report::{Bar, Case, Section};
use crate::statistics::{Effort, interleaved};

const BAR: Bar = Bar::AtMost(1.05);

/// The kernels of `guests/kernels`, with sizes that take about half a second, and quick sizes.
const KERNELS: &[(&str, u64, u64)] = &[
    ("matmul", 640, 256),
    ("sieve", 40_000_000, 4_000_000),
    ("chacha", 1_500_000, 200_000),
    ("sort", 500_000, 100_000),
    ("chase", 2_000_000, 200_000),
    ("fib", 38, 32),
];

/// The functions of `programs/memory.wat`, with such sizes.
const MEMORY: &[(&str, u64, u64)] = &[("copy", 1500, 200), ("grow", 2048, 512)];

pub(crate) fn measure(workspace: &Workspace, effort: Effort, quick: bool) -> Section {
    let mut section = Section::new(
        "kernel",
        "the run alone, without start and compilation; outside, wasmtime has guard pages too",
    );
    let size = |full, less| if quick { less } else { full };
    for &(name, full, less) in KERNELS {
        let job = workspace
            .guest("kernels")
            .map(|program| Job::new(program, &[name, &size(full, less).to_string()]));
        section.add(name, job.and_then(|job| case(workspace, effort, name, &job)));
    }
    for &(name, full, less) in MEMORY {
        let job = workspace
            .own_program("memory", include_str!("../programs/memory.wat"))
            .map(|program| Job::invoke(program, name, size(full, less)));
        section.add(name, job.and_then(|job| case(workspace, effort, name, &job)));
    }
    section
}

fn case(workspace: &Workspace, effort: Effort, name: &str, job: &Job) -> Result<Case> {
    let outputs = std::cell::RefCell::new(Vec::new());
    let outputs = &outputs;
    let timed = |runner: Runner| {
        move || -> Result<f64> {
            let run = workspace.run_well(runner, job, true)?;
            outputs.borrow_mut().push(run.stdout);
            Ok(run.stats.milliseconds.run)
        }
    };
    let rivals = [Runner::Enclave, Runner::Wasmtime, Runner::Outside];
    let [mut a, mut b, mut c] = rivals.map(timed);
    let samples = interleaved(effort, &mut [&mut a, &mut b, &mut c])?;
    // Each program prints a checksum, which shows that all did the same work.
    if outputs.borrow().windows(2).any(|pair| pair[0] != pair[1]) {
        return Err(Error::Differs(name.into()));
    }
    let names = rivals.map(Runner::name);
    let shown = match &job.invoke {
        Some(_) => format!("{name} {}", job.arguments.join(" ")),
        None => job.arguments.join(" "),
    };
    Ok(Case::new(shown, "ms", names.into_iter().zip(samples), Some(BAR)))
}
