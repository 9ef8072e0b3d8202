//! Opens, makes and closes volumes, and reports their problems.

use crate::advice;
use crate::error::Result;
use crate::job::Job;
use crate::outside::{Opening, Outside};
use serde_json::{Value, json};
use twine_protocol::task::OpenVolume;
use twine_protocol::text::visible;
use twine_volume::{Dropped, Volume};

/// Opens a volume, and reports dropped commits.
pub(crate) fn open(
    which: &OpenVolume,
    outside: &mut dyn Outside,
    job: &mut Job<'_>,
) -> Result<Volume> {
    let volume = outside
        .open(which, Opening::of(which.read_only))
        .map_err(|error| advice::refused(which, &error))?;
    tell_dropped(which, &volume, job);
    Ok(volume)
}

/// Formats the commits that a mount dropped as JSON.
pub(crate) fn dropped_object(dropped: Option<&Dropped>) -> Value {
    dropped.map_or(Value::Null, |dropped| {
        json!({
            "found": dropped.found,
            "commits": dropped.commits,
            "newest": dropped.newest,
            "durable": dropped.durable,
            "unreadable": dropped.unreadable,
        })
    })
}

/// Reports the commits that the mount of a volume dropped.
pub(crate) fn tell_dropped(which: &OpenVolume, volume: &Volume, job: &mut Job<'_>) {
    if let Some(dropped) = volume.dropped() {
        job.console.complain(&format!("warning: {}: {dropped}", visible(&which.name)));
    }
}

/// Makes a volume.
pub(crate) fn make(which: &OpenVolume, outside: &mut dyn Outside) -> Result<Volume> {
    let mut with_all = || {
        let mut volume = outside.create(which)?;
        for key in &which.more_keys {
            volume.add_slot(&outside.new_slot(key)?)?;
        }
        Ok(volume)
    };
    with_all().map_err(|error| advice::not_made(which, &error))
}

/// Closes a volume. Reports its first error, which may mean that its last changes are lost.
pub(crate) fn close(which: &OpenVolume, volume: Volume, job: &mut Job<'_>) {
    let trouble = volume.first_error().cloned();
    let result = volume.close();
    let closing = result.err().filter(|_| trouble.is_none());
    if let Some(error) = trouble.or(closing) {
        job.problem(&advice::failed(which, &error));
    }
}

/// Returns the text before paths of a volume in messages.
pub(crate) fn prefix(which: &OpenVolume) -> String {
    format!("{}::", which.name)
}
