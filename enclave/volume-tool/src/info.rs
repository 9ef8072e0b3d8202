//! `info`: shows facts about a volume.

use crate::console::Output;
use crate::error::{At, Result};
use crate::job::{Job, Tree};
use crate::outside::{Opening, Outside};
use crate::session::{close, dropped_object, prefix, tell_dropped};
use crate::walk::{Step, Walk};
use crate::{advice, keys};
use serde_json::{Value, json};
use twine_protocol::task::OpenVolume;
use twine_protocol::text::visible;
use twine_vfs::{FileKind, FileSystem, Usage};
use twine_volume::{Dropped, Error as VolumeError, SlotInfo, VERSION, Volume, VolumeId};

/// Facts about a volume.
struct Known {
    id: VolumeId,
    slots: Vec<SlotInfo>,
    size: u64,
    inside: Option<Inside>,
}

/// Facts that only a key reveals.
#[derive(Default)]
pub(crate) struct Inside {
    sequence: u64,
    dropped: Option<Dropped>,
    used: u64,
    pub(crate) files: u64,
    pub(crate) directories: u64,
    pub(crate) links: u64,
}

/// Shows facts about a volume. If the key does not open it and `header` is set, shows only facts
/// from the header.
pub(crate) fn info(
    which: &OpenVolume,
    header: bool,
    json: bool,
    outside: &mut dyn Outside,
    job: &mut Job<'_>,
) -> Result<()> {
    let known = match outside.open(which, Opening::of(which.read_only)) {
        Ok(mut volume) => {
            tell_dropped(which, &volume, job);
            let known = inside(which, &mut volume, job);
            close(which, volume, job);
            known?
        }
        Err(VolumeError::NoSlotOpens(_)) if header => {
            outer(which, outside).map_err(|error| advice::refused(which, &error))?
        }
        Err(error) => return Err(advice::refused(which, &error)),
    };
    let text = if json { object(which, &known, outside) } else { words(which, &known, outside) };
    let mut out = Output::new(&mut *job.console);
    out.text(&text)?;
    Ok(out.flush()?)
}

/// Reads the facts in the header. They are not authenticated.
fn outer(which: &OpenVolume, outside: &mut dyn Outside) -> Result<Known, VolumeError> {
    let mut storage = outside.storage(which.storage);
    let described = twine_volume::describe(&mut *storage)?;
    let (id, slots, size) = (described.id, described.slots, described.size);
    Ok(Known { id, slots, size, inside: None })
}

fn inside(which: &OpenVolume, volume: &mut Volume, job: &mut Job<'_>) -> Result<Known> {
    let (id, slots, sequence) = (volume.id(), volume.slots(), volume.mark().sequence);
    let dropped = volume.dropped().copied();
    let Usage { used, size } = volume.usage().at(|| which.name.clone())?;
    let mut inside = Inside { sequence, dropped, used, ..Inside::default() };
    let tree = Tree { files: volume, prefix: prefix(which), host: false };
    count(&tree.prefix, tree.files, &mut inside, job)?;
    Ok(Known { id, slots, size, inside: Some(inside) })
}

/// Counts the contents of a tree, as far as it can be read.
pub(crate) fn count(
    prefix: &str,
    files: &mut dyn FileSystem,
    inside: &mut Inside,
    job: &mut Job<'_>,
) -> Result<()> {
    let mut walk = Walk::new(files.root(), false);
    loop {
        let place = |walk: &Walk, name: &str| format!("{prefix}{}", walk.path(name));
        let result = match walk.next(files).at(|| place(&walk, "")) {
            Ok(None) => return Ok(()),
            Ok(Some(Step::Left(_))) => Ok(()),
            Ok(Some(Step::Item(item))) => match item.kind {
                FileKind::File => {
                    inside.files += 1;
                    Ok(())
                }
                FileKind::SymbolicLink => {
                    inside.links += 1;
                    Ok(())
                }
                FileKind::Directory => {
                    inside.directories += 1;
                    walk.enter(files, &item.name).at(|| place(&walk, &item.name))
                }
            },
            Err(error) => Err(error),
        };
        job.attempt(result)?;
    }
}

fn words(which: &OpenVolume, known: &Known, outside: &dyn Outside) -> String {
    let mut lines = vec![
        ("volume", known.id.to_string()),
        ("file", which.name.clone()),
        ("format", format!("version {VERSION}")),
        ("size", size(known.size)),
    ];
    match &known.inside {
        Some(inside) => lines.extend([
            ("used", size(inside.used)),
            ("state", format!("number {}", inside.sequence)),
            ("files", inside.files.to_string()),
            ("directories", inside.directories.to_string()),
            ("links", inside.links.to_string()),
        ]),
        None => lines.push(("contents", "unknown: no key was given that opens it".into())),
    }
    for (at, slot) in known.slots.iter().enumerate() {
        let heading = if at == 0 { "keys" } else { "" };
        lines.push((heading, format!("{}  {}", slot.number, keys::words(slot, outside))));
    }
    let mut text = String::new();
    for (heading, line) in lines {
        text.push_str(&format!("{heading:<12} {}\n", visible(&line)));
    }
    text
}

/// Formats a size for a person, and in bytes.
fn size(bytes: u64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes >> shift > 0 {
            return format!("{:.1} {unit} ({bytes} bytes)", bytes as f64 / (1_u64 << shift) as f64);
        }
    }
    format!("{bytes} bytes")
}

#[expect(clippy::indexing_slicing, reason = "an object accepts any name")]
fn object(which: &OpenVolume, known: &Known, outside: &dyn Outside) -> String {
    let slots: Vec<Value> = known.slots.iter().map(|slot| keys::object(slot, outside)).collect();
    let mut object = json!({
        "volume": known.id.to_string(),
        "file": which.name,
        "format": VERSION,
        "size": known.size,
        "keys": slots,
        "opened": known.inside.is_some(),
    });
    if let Some(inside) = &known.inside {
        object["used"] = inside.used.into();
        object["sequence"] = inside.sequence.into();
        object["dropped"] = dropped_object(inside.dropped.as_ref());
        object["files"] = inside.files.into();
        object["directories"] = inside.directories.into();
        object["links"] = inside.links.into();
    }
    format!("{object:#}\n")
}
