//! `compact`: returns free space to the host.

use crate::advice;
use crate::console::Output;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::outside::Outside;
use crate::session::{close, open};
use serde_json::json;
use twine_protocol::task::OpenVolume;
use twine_protocol::wire::Unit;
use twine_vfs::FileSystem;

/// The free space that may remain: this fraction of the space in use, or a few blocks.
const LEFT_SHARE: u64 = 50;
const LEFT_BYTES: u64 = 64 << 10;

/// Has the volume move blocks from its end into free blocks, and cuts off the free space at the
/// end. The volume is consistent at each moment.
pub(crate) fn compact(
    which: &OpenVolume,
    json: bool,
    outside: &mut dyn Outside,
    job: &mut Job<'_>,
) -> Result<()> {
    let size = |outside: &mut dyn Outside| outside.storage(which.storage).size().unwrap_or(0);
    let before = size(outside);
    let mut volume = open(which, outside, job)?;
    let wanted = job.console.wants_progress();
    let packed = volume.compact(&mut |progress| {
        if wanted {
            job.console.progress(progress.done, progress.total, Unit::Blocks);
        }
    });
    let used = volume.usage().map_or(0, |usage| usage.used);
    let told = volume.first_error().is_some();
    close(which, volume, job);
    let packing = match packed {
        Ok(packing) => packing,
        // Closing the volume reported this error.
        Err(_) if told => return Ok(()),
        Err(error) => return Err(advice::failed(which, &error)),
    };
    let after = size(outside);
    let mut out = Output::new(&mut *job.console);
    out.text(&match json {
        true => {
            let object = json!({
                "bytes_before": before,
                "bytes_now": after,
                "bytes_used": used,
                "blocks_not_moved": packing.damaged,
            });
            format!("{object:#}\n")
        }
        false => format!("{before} bytes before, {after} bytes now\n"),
    })?;
    out.flush()?;
    say_what_is_left(which, (used, after), packing.damaged, job);
    Ok(())
}

/// If the file is longer than its contents need, reports why.
fn say_what_is_left(
    which: &OpenVolume,
    (used, after): (u64, u64),
    damaged: u64,
    job: &mut Job<'_>,
) {
    let left = after.saturating_sub(used);
    if left <= (used / LEFT_SHARE).max(LEFT_BYTES) {
        return;
    }
    let why = match damaged {
        0 => "what lies behind them could not be moved".to_owned(),
        1 => "a block behind them can't be read, and stays where it is".to_owned(),
        _ => format!("{damaged} blocks can't be read, and stay where they are"),
    };
    job.problem(&Error::Volume {
        cause: format!("{}: {left} free bytes remain: {why}", which.name),
        remedy: "see what is damaged, `twine volume check`, and remove it; else compact again"
            .into(),
    });
}
