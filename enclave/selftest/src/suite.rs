//! Handles the launch request, and makes the outcome.

use crate::setup::{main_configuration, timed};
use crate::{echo, fatal, state, unit};
use twine_protocol::launch::{End, Launch, Outcome};
use twine_protocol::wire::MAX_OUTCOME;
use twine_selftest::spec::Runner;
use twine_selftest::wire::{Result as TestResult, decode_scripts, encode_result};
use twine_sgx::{host, report_panics, use_processor};

/// Runs the suite that the first argument names, and reports the results.
pub(crate) fn main() {
    report_panics();
    use_processor();
    twine_engine::stop_profiling();
    let end = match host().launch() {
        Ok(launch) => run(&launch),
        Err(error) => refused(error.to_string()),
    };
    if host().report(&Outcome::new(end)).is_err() {
        std::process::exit(1);
    }
}

fn refused(cause: String) -> End {
    End::Refused { cause, remedy: "look at `host/host/tests/inside.rs`".into() }
}

fn run(launch: &Launch) -> End {
    let arguments: Vec<&str> = launch
        .arguments
        .iter()
        .map(|bytes| std::str::from_utf8(bytes).unwrap_or_default())
        .collect();
    let (what, filter) = match arguments[..] {
        [what] => (what, ""),
        [what, filter] => (what, filter),
        _ => return refused("one or two arguments are wanted".into()),
    };
    let results = match what {
        "spec" => spec(filter),
        "unit" => Ok(unit::run(filter)),
        "state" => state::run(filter),
        "echo" => echo::run().map(|()| Vec::new()),
        "fatal" => Err(fatal::run(filter)),
        _ => Err(format!("there is no suite {what:?}")),
    };
    match results {
        Ok(results) => ended(results),
        Err(cause) => refused(cause),
    }
}

/// Runs the specification's scripts whose `GROUP/NAME` contains `filter`.
fn spec(filter: &str) -> Result<Vec<TestResult>, String> {
    let bytes = host().program().map_err(|error| error.to_string())?;
    let scripts = decode_scripts(&bytes)?;
    drop(bytes);
    let runner = Runner::new(main_configuration())?;
    let wanted = scripts
        .iter()
        .filter(|script| format!("{}/{}", script.group, script.name).contains(filter));
    let run = |script| {
        let mut result = TestResult::default();
        timed(&mut result, |result| *result = runner.run(script));
        result
    };
    Ok(wanted.map(run).collect())
}

/// The end of the run, with a line for each result. Failure messages are cut so that the outcome
/// is not too long.
fn ended(mut results: Vec<TestResult>) -> End {
    let code = u32::from(results.iter().any(|result| !result.failed.is_empty()));
    let mut max_chars = 400;
    loop {
        let lines = results.iter().map(encode_result).collect();
        let end = End::Exited { code, results: lines };
        let length = Outcome::new(end.clone()).encode().len() as u64;
        if length <= MAX_OUTCOME || max_chars == 0 {
            return end;
        }
        max_chars /= 2;
        for failure in results.iter_mut().flat_map(|result| &mut result.failed) {
            *failure = failure.chars().take(max_chars).collect();
        }
    }
}
