//! From the launch request to the outcome.

use std::process;
use std::thread;
use twine_boundary::Error as BoundaryError;
use twine_engine::{Identified, Platform};
use twine_platform::{HostSystem, code_memory, code_refused, host, report_panics};
use twine_protocol::launch::{End, Launch, Outcome, Timings};
use twine_protocol::wire::Clock;

/// Stack that is left for the functions a program calls, below its own frames. The main
/// thread's stack in `image.toml` has this and `WASM_STACK`.
const WASM_STACK: usize = 8 << 20;

/// Runs what the host asks for and reports the outcome.
pub(crate) fn main() {
    report_panics();
    let outcome = run();
    if host().report(&outcome).is_err() {
        process::exit(1);
    }
}

fn refused(cause: String, remedy: String) -> End {
    End::Refused { cause, remedy }
}

/// A message of the host's that was not as the protocol has it.
fn bad_host(error: &BoundaryError) -> End {
    let remedy = match error {
        BoundaryError::Memory { .. } => {
            "build an image with a larger heap: `twine image build --heap-size SIZE`"
        }
        _ => "use the `twine` command and the image of the same release",
    };
    refused(error.to_string(), remedy.into())
}

/// Takes the time between its calls, where the launch wants to know.
struct Watch {
    wanted: bool,
    last: u64,
}

impl Watch {
    fn now(&self) -> u64 {
        if self.wanted { host().time(Clock::Monotonic).unwrap_or(self.last) } else { 0 }
    }

    fn lap(&mut self) -> u64 {
        let now = self.now();
        now - std::mem::replace(&mut self.last, now)
    }
}

fn run() -> Outcome {
    let launch = match host().launch() {
        Ok(launch) => launch,
        Err(error) => return Outcome { end: bad_host(&error), timings: None },
    };
    let mut timings = Timings::default();
    let end = run_program(&launch, &mut timings);
    Outcome { end, timings: launch.timings.then_some(timings) }
}

fn run_program(launch: &Launch, timings: &mut Timings) -> End {
    let mut watch = Watch { wanted: launch.timings, last: 0 };
    watch.lap();
    let program = match host().program() {
        Ok(bytes) => Identified::new(bytes),
        Err(error) => return bad_host(&error),
    };
    timings.receive = watch.lap();

    let platform = Platform { wasm_stack: WASM_STACK, code_refused, code_memory: code_memory() };
    let linked = program.compile(&launch.limits, &platform).and_then(|compiled| {
        timings.compile = watch.lap();
        compiled.link(Box::new(HostSystem), launch)
    });
    let linked = match linked {
        Ok(linked) => linked,
        Err(error) => return refused(error.to_string(), error.remedy()),
    };
    if let Some(timeout) = launch.limits.timeout {
        let interrupter = linked.interrupter();
        let watcher = thread::Builder::new().spawn(move || {
            // With nothing to wait for, `poll` sleeps.
            let _ = host().poll(&mut [], timeout);
            interrupter.interrupt();
        });
        if watcher.is_err() {
            return refused(
                "no thread for --timeout could be started".into(),
                "use an image with at least 2 threads".into(),
            );
        }
    }
    let end = linked.run(|| timings.instantiate = watch.lap());
    timings.run = watch.lap();
    end
}
