//! `compile`: the time of the compiler inside and outside.

use crate::error::{Result, about};
use crate::process::{Job, Runner, Workspace};
use crate::report::{Bar, Case, Section};
use crate::statistics::{Effort, interleaved};
use std::fs;

const BAR: Bar = Bar::AtMost(1.3);

/// Programs from small to large, with arguments with which they end soon.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("hello", &[]),
    ("kernels", &[]),
    ("report", &[]),
    ("lua", &[]),
    ("coremark", &[]),
    ("go", &[]),
    ("ripgrep", &["--version"]),
    ("python", &["--version"]),
];

/// The limit on the size of programs in quick runs, in bytes.
const QUICK: u64 = 4 << 20;

pub(crate) fn measure(workspace: &Workspace, effort: Effort, quick: bool) -> Section {
    let mut section = Section::new(
        "compile",
        "validation and compilation by a thread for each core; the same engine inside and outside",
    );
    for &(name, arguments) in PROGRAMS {
        let program = match workspace.guest(name) {
            Ok(program) => program,
            Err(error) => {
                section.skip(name, error.to_string());
                continue;
            }
        };
        let size = fs::metadata(&program).map_or(0, |file| file.len());
        if quick && size > QUICK {
            section.skip(name, "it takes long: without --quick it is measured");
            continue;
        }
        let job = Job { anew: true, ..Job::new(program, arguments) };
        section.add(name, case(workspace, effort, name, &job));
    }
    section
}

fn case(workspace: &Workspace, effort: Effort, name: &str, job: &Job) -> Result<Case> {
    let bytes = about(job.program.display(), fs::metadata(&job.program))?.len();
    let timed = |runner: Runner| {
        move || -> Result<f64> {
            // The exit code of the program does not matter.
            Ok(workspace.run(runner, job, true)?.stats.milliseconds.compile)
        }
    };
    let rivals = [Runner::Enclave, Runner::Outside];
    let [mut a, mut b] = rivals.map(timed);
    let samples = interleaved(effort, &mut [&mut a, &mut b])?;
    let mib = bytes as f64 / f64::from(1 << 20);
    let speed = samples.first().map(|sample| mib / (sample.median / 1e3));
    let names = rivals.map(Runner::name);
    let case = Case::new(format!("{name}.wasm"), "ms", names.into_iter().zip(samples), Some(BAR));
    Ok(case.detail("KiB", bytes as f64 / 1024.0).detail("MiB/s inside", speed.unwrap_or(0.0)))
}
