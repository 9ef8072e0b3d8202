//! Reports about a run: `--stats` and `--stats-json`.

use crate::failure::Failure;
use crate::mounts::Prepared;
use crate::output::{self, Kind};
use crate::print::print_error;
use clap::Args;
use std::path::PathBuf;
use twine_host::Report;
use twine_protocol::launch::Diagnostics;

/// Options for reports about a run.
#[derive(Debug, Args)]
pub(crate) struct ReportOptions {
    /// Print counts and times of the run to the standard error when it ends
    #[arg(long)]
    stats: bool,

    /// Write counts and times of the run to FILE as JSON. Older ones in FILE are replaced, and nothing
    /// else
    #[arg(long, value_name = "FILE")]
    stats_json: Option<PathBuf>,

    /// Print no notes, such as that SGX is simulated or that a volume was created
    #[arg(long, short)]
    pub quiet: bool,
}

/// Files with counts and times of a run. [`json`] makes their start.
const FILES: Kind = Kind {
    name: "file of statistics",
    option: "--stats-json",
    is_one: |bytes| bytes.starts_with(b"{\n  \"milliseconds\": {\n"),
};

impl ReportOptions {
    /// Checks that the statistics would overwrite nothing but older ones.
    ///
    /// # Errors
    /// They would, or the file can't be read.
    pub(crate) fn check_file(&self, prepared: &Prepared) -> Result<(), Failure> {
        prepared.check_output(&FILES, self.stats_json.as_deref())
    }

    /// Whether the enclave must count for these reports.
    pub(crate) fn statistics(&self) -> bool {
        self.stats || self.stats_json.is_some()
    }

    /// What the enclave tells of a run that is on the terms of whoever started it.
    pub(crate) fn diagnostics(&self) -> Diagnostics {
        Diagnostics { backtraces: true, statistics: self.statistics() }
    }

    /// Prints and writes the reports that these options ask for.
    pub(crate) fn print(&self, report: &Report) -> Result<(), Failure> {
        if self.stats {
            print_table(report);
        }
        if let Some(path) = &self.stats_json {
            // Since the first check, the run may have written its evidence there.
            FILES.check(path)?;
            output::replace(path, format!("{:#}\n", json(report)).as_bytes()).map_err(|error| {
                Failure::system(
                    format!("{} can't be written: {error}", path.display()),
                    &error,
                    "name another file",
                )
            })?;
        }
        Ok(())
    }
}

/// Returns the phases of a run in milliseconds.
fn phases(report: &Report) -> Vec<(&'static str, f64)> {
    let inside = report.outcome.timings.unwrap_or_default();
    let known = inside.receive + inside.compile + inside.instantiate + inside.run;
    let whole = report.phases.inside.as_nanos() as u64;
    let milliseconds = |nanoseconds: u64| nanoseconds as f64 / 1e6;
    vec![
        ("load", report.phases.load.as_secs_f64() * 1e3),
        ("enter and leave", milliseconds(whole.saturating_sub(known))),
        ("receive", milliseconds(inside.receive)),
        ("compile", milliseconds(inside.compile)),
        ("instantiate", milliseconds(inside.instantiate)),
        ("run", milliseconds(inside.run)),
    ]
}

fn print_table(report: &Report) {
    if let Some(error) = &report.cache_error {
        print_error!("warning: the compiled code was not cached: {error}");
    }
    for (phase, time) in phases(report) {
        print_error!("{phase:>16} {time:>10.2} ms");
    }
    print_error!("{:>16} {:>10}", "exits", report.stats.exits);
    for call in &report.stats.calls {
        let time = call.time.as_secs_f64() * 1e3;
        print_error!("{:>16} {:>10} {time:>10.2} ms", call.name, call.count);
    }
    for (what, count) in unread(report).into_iter().filter(|(_, count)| *count > 0) {
        print_error!("{:>16} {count:>10} pages of {what}", "not read");
    }
    for volume in &report.outcome.volumes {
        print_error!("volume {}", volume.guest);
        for (name, count) in &volume.counts {
            print_error!("{name:>16} {count:>10}");
        }
    }
}

/// Returns the number of pages that could not be read, for each kind of file.
fn unread(report: &Report) -> [(&'static str, u64); 3] {
    let twine_host::UnreadPages { volumes, program, code, .. } = report.stats.unread;
    [("volumes", volumes), ("program", program), ("code", code)]
}

fn json(report: &Report) -> serde_json::Value {
    let phases: serde_json::Map<_, _> = phases(report)
        .into_iter()
        .map(|(phase, time)| (phase.replace(' ', "_"), time.into()))
        .collect();
    let calls = &report.stats.calls;
    let counts: serde_json::Map<_, _> =
        calls.iter().map(|call| (call.name.to_owned(), call.count.into())).collect();
    let times: serde_json::Map<_, _> = calls
        .iter()
        .map(|call| (call.name.to_owned(), (call.time.as_secs_f64() * 1e3).into()))
        .collect();
    let volumes: Vec<_> = report
        .outcome
        .volumes
        .iter()
        .map(|volume| {
            let counts: serde_json::Map<_, _> = volume
                .counts
                .iter()
                .map(|(name, count)| (name.replace(' ', "_"), (*count).into()))
                .collect();
            serde_json::json!({ "guest": volume.guest, "counts": counts })
        })
        .collect();
    serde_json::json!({
        "milliseconds": phases,
        "exits": report.stats.exits,
        "calls": counts,
        "call_milliseconds": times,
        "unread_pages": serde_json::Value::Object(
            unread(report).map(|(what, count)| (what.to_owned(), count.into())).into_iter().collect(),
        ),
        "volumes": volumes,
    })
}
