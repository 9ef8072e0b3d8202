//! `call`: what it costs to leave the enclave and come back, and how often that happens.

use crate::error::{Error, Result};
use crate::process::{Job, Place, Runner, Stats};
use crate::report::{Bar, Case, Section};
use crate::statistics::{Effort, Sample, interleaved};

/// Functions of `programs/calls.wat`, and the host call that each is made of.
const CALLS: &[(&str, Option<&str>)] = &[
    ("args_sizes_get", None),
    ("sched_yield", Some("yield_now")),
    ("clock_time_get", Some("clock_time")),
    ("fd_write", Some("stream_write")),
];

/// Calls in one run.
const COUNT: u64 = 100_000;
const COUNT_QUICK: u64 = 10_000;

/// Lines beyond the first, to see what a line costs.
const LINES: u64 = 1000;

pub(crate) fn measure(place: &Place, effort: Effort, quick: bool) -> Section {
    let mut section = Section::new(
        "call",
        "one call of WASI, in a loop; inside it is one host call (EEXIT and EENTER), but for \
         args_sizes_get, which stays inside",
    );
    let program = match place.own_program("calls", include_str!("../programs/calls.wat")) {
        Ok(program) => program,
        Err(error) => {
            section.skip("all", error.to_string());
            return section;
        }
    };
    let count = if quick { COUNT_QUICK } else { COUNT };
    for &(name, call) in CALLS {
        let job = Job { quiet: true, ..Job::invoke(&program, name, count) };
        section.add(name, case(place, effort, name, call, count, &job));
    }
    let lines = |count| Job { quiet: true, ..Job::invoke(&program, "fd_write", count) };
    section.add("a line in two pieces", exits_per_line(place, "a line in two pieces", lines));
    let script = |count| format!("for i = 1, {count} do print(i) end");
    let lua = place.guest("lua").and_then(|program| {
        let job = |count| Job { quiet: true, ..Job::new(&program, &["-e", &script(count)]) };
        exits_per_line(place, "a line of Lua's print", job)
    });
    section.add("a line of Lua's print", lua);
    section
}

fn case(
    place: &Place,
    effort: Effort,
    name: &str,
    call: Option<&str>,
    count: u64,
    job: &Job,
) -> Result<Case> {
    let timed = |runner: Runner| {
        move || -> Result<f64> {
            let run = place.run_well(runner, job, true)?;
            if runner == Runner::Enclave {
                check_calls(name, call, count, &run.stats)?;
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
    Ok(match call {
        Some(_) => case.detail("exit and entry, ns", difference),
        None => case,
    })
}

/// Microseconds that it takes to leave the enclave and to come back.
pub(crate) fn exit_cost(place: &Place, effort: Effort) -> Result<f64> {
    let program = place.own_program("calls", include_str!("../programs/calls.wat"))?;
    let job = Job { quiet: true, ..Job::invoke(program, "sched_yield", COUNT_QUICK) };
    let case = case(place, effort, "sched_yield", Some("yield_now"), COUNT_QUICK, &job)?;
    let difference = case.details.first().map_or(0.0, |detail| detail.value);
    Ok(difference / 1e3)
}

/// What is timed must be what the name says: that host call, that often, and no other.
fn check_calls(name: &str, call: Option<&str>, count: u64, stats: &Stats) -> Result<()> {
    /// Exits that every run has, and some.
    const OTHERS: u64 = 100;
    let expected = if call.is_some() { count } else { 0 };
    let made = call.and_then(|call| stats.calls.get(call)).copied().unwrap_or(0);
    let right = made >= expected && (expected..expected + OTHERS).contains(&stats.exits);
    if right {
        return Ok(());
    }
    let exits = stats.exits;
    Err(Error::Program(format!("{name}: {made} host calls and {exits} exits for {count} calls")))
}

/// Exits that a program makes for each line beyond the first, but for those by which its memory
/// grows.
fn exits_per_line(place: &Place, name: &str, job: impl Fn(u64) -> Job) -> Result<Case> {
    let exits = |lines| -> Result<f64> {
        let stats = place.run_well(Runner::Enclave, &job(lines), true)?.stats;
        let growth = stats.calls.get("add_pages").copied().unwrap_or(0);
        Ok(stats.exits.saturating_sub(growth) as f64)
    };
    // The first start compiles, and keeps the code by calls of its own.
    exits(1)?;
    let each = (exits(LINES + 1)? - exits(1)?) / LINES as f64;
    let rival = (Runner::Enclave.name(), Sample::exact(each));
    Ok(Case::new(name, "exits", [rival], Some(Bar::Exactly(1.0))))
}
