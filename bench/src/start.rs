//! `start`: how long a user waits for a program that does almost nothing.

use crate::error::{Error, Result};
use crate::process::{Job, Milliseconds, Runner, Workspace};
use crate::report::{Bar, Case, Section};
use crate::statistics::{Effort, Sample, interleaved};
use std::cell::RefCell;

/// The bar: 40 milliseconds, or twice wasmtime's time.
const BAR: Bar = Bar::AtMostOr { ratio: 2.0, value: 40.0 };

pub(crate) fn measure(workspace: &Workspace, effort: Effort) -> Section {
    let mut section = Section::new(
        "start",
        "the whole process, from its start to its end, files in the page cache; the enclave has kept the \
         compiled code from an earlier start, wasmtime compiles",
    );
    for name in ["hello", "report"] {
        let result =
            workspace.guest(name).and_then(|program| case(workspace, effort, name, &program));
        section.add(name, result);
    }
    section
}

fn case(
    workspace: &Workspace,
    effort: Effort,
    name: &str,
    program: &std::path::Path,
) -> Result<Case> {
    let job = Job::new(program, &[]);
    let wall = |runner: Runner| {
        let job = job.clone();
        move || -> Result<f64> {
            Ok(workspace.run_well(runner, &job, false)?.wall.as_secs_f64() * 1e3)
        }
    };
    let phases = RefCell::new(Vec::new());
    let mut ours = wall(Runner::Enclave);
    let mut theirs = wall(Runner::Wasmtime);
    // Statistics come from separate runs, so that the timed runs are exactly a user's.
    let mut told = || {
        let run = workspace.run_well(Runner::Enclave, &job, true)?;
        phases.borrow_mut().push(run.stats.milliseconds);
        Ok::<_, Error>(run.wall.as_secs_f64() * 1e3)
    };
    // These runs fill the page cache.
    ours()?;
    theirs()?;
    let samples = interleaved(effort, &mut [&mut ours, &mut theirs, &mut told])?;
    let mut samples = samples.into_iter();
    let rivals = ["twine run", "wasmtime outside, its own settings"].into_iter().zip(&mut samples);
    let mut case = Case::new(format!("{name}.wasm"), "ms", rivals, Some(BAR));
    let phases = phases.into_inner();
    for (name, of) in PHASES {
        let median = Sample::of(phases.iter().map(of).collect()).map(|sample| sample.median);
        case = case.detail(*name, median.unwrap_or(0.0));
    }
    Ok(case)
}

type Phase = (&'static str, fn(&Milliseconds) -> f64);

/// The phases, in the order in which they happen.
const PHASES: &[Phase] = &[
    ("load", |phases| phases.load),
    ("enter and leave", |phases| phases.enter_and_leave),
    ("receive", |phases| phases.receive),
    ("compile", |phases| phases.compile),
    ("instantiate", |phases| phases.instantiate),
    ("run", |phases| phases.run),
];
