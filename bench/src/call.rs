//! `call`: the cost of leaving the enclave and coming back, and how often that happens.

use crate::error::{Error, Result};
use crate::process::{Job, Runner, Stats, Workspace};
use crate::report::{Bar, Case, Section};
use crate::statistics::{Effort, Sample, interleaved};

/// The way in which a WASI call leaves the enclave.
#[derive(Debug, Clone, Copy)]
enum Leaves {
    Never,
    /// By this host call, at each call.
    Each(&'static str),
    /// At few calls.
    Seldom,
}

/// The functions of `programs/calls.wat`.
const CALLS: &[(&str, Leaves)] = &[
    ("args_sizes_get", Leaves::Never),
    ("sched_yield", Leaves::Each("yield_now")),
    ("clock_time_get", Leaves::Seldom),
    ("fd_write", Leaves::Each("stream_write")),
];

/// The number of calls in one run.
const COUNT: u64 = 100_000;
const COUNT_QUICK: u64 = 10_000;

/// The number of lines beyond the first, to find the cost of a line.
const LINES: u64 = 1000;

/// The limit for exits that every run has besides the measured ones.
const OTHERS: u64 = 100;

pub(crate) fn measure(workspace: &Workspace, effort: Effort, quick: bool) -> Section {
    let mut section = Section::new(
        "call",
        "one call of WASI, in a loop; inside it is one host call (EEXIT and EENTER), but for \
         args_sizes_get, which stays inside, and clock_time_get, which asks the host 50 times a \
         second",
    );
    let program = match workspace.own_program("calls", include_str!("../programs/calls.wat")) {
        Ok(program) => program,
        Err(error) => {
            section.skip("all", error.to_string());
            return section;
        }
    };
    let count = if quick { COUNT_QUICK } else { COUNT };
    for &(name, leaves) in CALLS {
        let job = Job { quiet: true, ..Job::invoke(&program, name, count) };
        section.add(name, case(workspace, effort, name, leaves, count, &job));
    }
    let lines = |count| Job { quiet: true, ..Job::invoke(&program, "fd_write", count) };
    section.add("a line in two pieces", exits_per_line(workspace, "a line in two pieces", lines));
    let script = |count| format!("for i = 1, {count} do print(i) end");
    let lua = workspace.guest("lua").and_then(|program| {
        let job = |count| Job { quiet: true, ..Job::new(&program, &["-e", &script(count)]) };
        exits_per_line(workspace, "a line of Lua's print", job)
    });
    section.add("a line of Lua's print", lua);
    section
}

fn case(
    workspace: &Workspace,
    effort: Effort,
    name: &str,
    leaves: Leaves,
    count: u64,
    job: &Job,
) -> Result<Case> {
    let timed = |runner: Runner| {
        move || -> Result<f64> {
            let run = workspace.run_well(runner, job, true)?;
            if runner == Runner::Enclave {
                check_calls(name, leaves, count, &run.stats)?;
            }
            Ok(run.stats.milliseconds.run * 1e6 / count as f64)
        }
    };
    let rivals = [Runner::Enclave, Runner::Outside];
    let [mut a, mut b] = rivals.map(timed);
    let samples = interleaved(effort, &mut [&mut a, &mut b])?;
    let difference = samples[0].median - samples[1].median;
    let names = rivals.map(Runner::name);
    let case = Case::new(name, "ns", names.into_iter().zip(samples), None);
    Ok(match leaves {
        Leaves::Each(_) => case.detail("exit and entry, ns", difference),
        Leaves::Never | Leaves::Seldom => case,
    })
}

/// Returns the time to leave the enclave and to come back, in microseconds.
pub(crate) fn exit_cost(workspace: &Workspace, effort: Effort) -> Result<f64> {
    let program = workspace.own_program("calls", include_str!("../programs/calls.wat"))?;
    let job = Job { quiet: true, ..Job::invoke(program, "sched_yield", COUNT_QUICK) };
    let case =
        case(workspace, effort, "sched_yield", Leaves::Each("yield_now"), COUNT_QUICK, &job)?;
    let difference = case.details.first().map_or(0.0, |detail| detail.value);
    Ok(difference / 1e3)
}

/// Checks that the timed calls match their name: that host call, that often, and no other.
fn check_calls(name: &str, leaves: Leaves, count: u64, stats: &Stats) -> Result<()> {
    let exits = stats.exits;
    let (made, right) = match leaves {
        Leaves::Never => (0, exits < OTHERS),
        Leaves::Each(call) => {
            let made = stats.calls.get(call).copied().unwrap_or(0);
            (made, made >= count && (count..count + OTHERS).contains(&exits))
        }
        Leaves::Seldom => (0, exits < count),
    };
    if right {
        return Ok(());
    }
    Err(Error::Program(format!("{name}: {made} host calls and {exits} exits for {count} calls")))
}

/// Returns the number of exits for each line beyond the first, without those that grow the memory,
/// and those of threads.
fn exits_per_line(workspace: &Workspace, name: &str, job: impl Fn(u64) -> Job) -> Result<Case> {
    let exits = |lines| -> Result<f64> {
        let stats = workspace.run_well(Runner::Enclave, &job(lines), true)?.stats;
        let growth = stats.calls.get("add_pages").copied().unwrap_or(0);
        let calls: u64 = stats.calls.values().sum();
        // Threads start, wait and end by a few exits that are not host calls of Twine.
        if !(calls..calls + OTHERS).contains(&stats.exits) {
            let exits = stats.exits;
            return Err(Error::Program(format!("{name}: {exits} exits by {calls} host calls")));
        }
        Ok(calls.saturating_sub(growth) as f64)
    };
    // The first start compiles, and stores the code, which takes host calls too.
    workspace.run_well(Runner::Enclave, &job(1), true)?;
    let each = (exits(LINES + 1)? - exits(1)?) / LINES as f64;
    let rival = (Runner::Enclave.name(), Sample::exact(each));
    Ok(Case::new(name, "exits", [rival], Some(Bar::Exactly(1.0))))
}
