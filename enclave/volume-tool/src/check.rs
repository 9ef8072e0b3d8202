//! `check`: reports damage, and repairs.

use crate::advice;
use crate::console::Output;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::outside::{Opening, Outside};
use crate::session::{dropped_object, open, tell_dropped};
use serde_json::{Value, json};
use twine_protocol::task::{OpenVolume, Repair};
use twine_protocol::text::visible;
use twine_protocol::wire::Unit;
use twine_volume::{Dropped, Error as VolumeError, Finding, Report, Volume};

/// Verifies every block, and reports the damage.
pub(crate) fn check(
    which: &OpenVolume,
    json: bool,
    repair: Repair,
    outside: &mut dyn Outside,
    job: &mut Job<'_>,
) -> Result<()> {
    let mut volume = match repair {
        Repair::No => open(which, outside, job)?,
        Repair::Ask | Repair::Yes => repaired(which, repair, outside, job)?,
    };
    let dropped = volume.dropped().copied();
    let wanted = job.console.wants_progress();
    let result = volume.check(&mut |progress| {
        if wanted {
            job.console.progress(progress.done, progress.total, Unit::Blocks);
        }
    });
    // The report contains the findings. Nothing was changed, except by a repair.
    drop(volume);
    let report = result.map_err(|error| advice::failed(which, &error))?;
    let text = if json { object(&report, dropped.as_ref()) } else { words(&report) };
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
    if let Some(dropped) = dropped.filter(Dropped::is_loss)
        && repair == Repair::No
    {
        job.problem(&advice::refused(which, &VolumeError::Lossy(dropped)));
    }
    Ok(())
}

/// Opens a volume in its newest undamaged state, and continues from that state. If this loses
/// something, reports what, and asks the user first unless `repair` says yes.
fn repaired(
    which: &OpenVolume,
    repair: Repair,
    outside: &mut dyn Outside,
    job: &mut Job<'_>,
) -> Result<Volume> {
    let loss = match outside.open(which, Opening::ReadWrite) {
        // If it dropped commits, a crash explains it.
        Ok(volume) => {
            tell_dropped(which, &volume, job);
            return Ok(volume);
        }
        Err(VolumeError::Lossy(dropped)) => format!("{dropped}; what came after it will be lost"),
        Err(error @ (VolumeError::Storage { .. } | VolumeError::Damaged { .. })) => {
            format!("{error}; what can't be read will be taken for lost")
        }
        Err(error) => return Err(advice::refused(which, &error)),
    };
    job.console.complain(&format!("warning: {}: {loss}", visible(&which.name)));
    let yes = repair == Repair::Yes
        || job.console.confirm("Repair the volume, and lose that for good? [y/N] ").ok_or_else(
            || Error::Volume {
                cause: format!("{}: nobody is there to be asked", which.name),
                remedy: "copy the file first; then give --yes to lose that for good".into(),
            },
        )?;
    if !yes {
        return Err(Error::Volume {
            cause: format!("{}: nothing was repaired", which.name),
            remedy: "read what is there: `twine volume ls` and `cp -r` open it read-only".into(),
        });
    }
    outside.open(which, Opening::Repair).map_err(|error| advice::refused(which, &error))
}

/// Whether anything is lost. Findings that are not listed may be losses.
fn lost(report: &Report) -> bool {
    report.findings.iter().any(|finding| finding.lost)
        || report.finding_count > report.findings.len() as u64
}

/// The number of directories without the root, as `tree` and `info` count them.
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

fn object(report: &Report, dropped: Option<&Dropped>) -> String {
    let findings: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| json!({ "path": finding.path, "lost": finding.lost, "what": finding.what }))
        .collect();
    let object = json!({
        "lost": lost(report) || dropped.is_some_and(Dropped::is_loss),
        "dropped": dropped_object(dropped),
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
