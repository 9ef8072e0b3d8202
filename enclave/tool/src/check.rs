//! `check`: what is whole, and what is lost.

use crate::console::Output;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::opening;
use crate::outside::Outside;
use crate::volume::open;
use serde_json::{Value, json};
use twine_protocol::task::OpenVolume;
use twine_protocol::text::visible;
use twine_protocol::wire::Unit;
use twine_volume::{Finding, Report};

/// Verifies every block, and says what is lost.
pub(crate) fn check(
    which: &OpenVolume,
    json: bool,
    outside: &mut dyn Outside,
    job: &mut Job<'_>,
) -> Result<()> {
    let mut volume = open(which, outside)?;
    let wanted = job.console.wants_progress();
    let result = volume.check(&mut |progress| {
        if wanted {
            job.console.progress(progress.done, progress.total, Unit::Blocks);
        }
    });
    // What was found is in the report; nothing was changed.
    drop(volume);
    let report = result.map_err(|error| opening::trouble(which, &error))?;
    let text = if json { object(&report) } else { words(&report) };
    let mut out = Output::new(&mut *job.console);
    out.text(&text)?;
    out.flush()?;
    if lost(&report) {
        job.problem(&Error::Volume {
            cause: format!("{}: something is lost", which.name),
            remedy: "copy out what is whole, with `twine volume cp -r`, and restore the rest"
                .into(),
        });
    }
    Ok(())
}

/// Whether anything is lost. What is not listed may be.
fn lost(report: &Report) -> bool {
    report.findings.iter().any(|finding| finding.lost)
        || report.finding_count > report.findings.len() as u64
}

/// Directories, as `tree` and `info` count them: without the root.
fn directories(report: &Report) -> u64 {
    report.directories.saturating_sub(1)
}

fn words(report: &Report) -> String {
    let mut text = String::new();
    for Finding { path, lost, what, .. } in &report.findings {
        let kind = if *lost { "lost" } else { "wrong" };
        let place = path.as_ref().map(|path| format!("{path}: ")).unwrap_or_default();
        text.push_str(&visible(&format!("{kind}: {place}{what}")));
        text.push('\n');
    }
    let more = report.finding_count.saturating_sub(report.findings.len() as u64);
    if more > 0 {
        text.push_str(&format!("and {more} more\n"));
    }
    text.push_str(&format!(
        "{} blocks are whole; {} files, {} directories, {} links\n",
        report.nodes.saturating_add(report.data_blocks),
        report.files,
        directories(report),
        report.symbolic_links,
    ));
    text
}

fn object(report: &Report) -> String {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| json!({ "path": finding.path, "lost": finding.lost, "what": finding.what }))
        .collect();
    let object = json!({
        "lost": lost(report),
        "whole_nodes": report.nodes,
        "whole_data_blocks": report.data_blocks,
        "files": report.files,
        "directories": directories(report),
        "links": report.symbolic_links,
        "findings": findings,
        "finding_count": report.finding_count,
    });
    format!("{object:#}\n")
}
