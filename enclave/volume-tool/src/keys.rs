//! `key`: manages the keys of a volume.

use crate::advice;
use crate::console::Output;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::outside::Outside;
use crate::session::{close, open};
use serde_json::{Value, json};
use twine_protocol::key::{Scope, VolumeKey};
use twine_protocol::task::OpenVolume;
use twine_volume::{Error as VolumeError, SlotInfo, SlotKind, Volume};

/// Describes in words what opens a slot.
pub(crate) fn words(slot: &SlotInfo, outside: &dyn Outside) -> String {
    match slot.kind {
        SlotKind::Sealed => match outside.sealing(&slot.parameters) {
            Some(sealing) => format!(
                "sealed to {} in {}",
                match sealing.scope {
                    Scope::Program => "one program",
                    Scope::AnyProgram => "any program",
                    Scope::Deployment => "one deployment",
                },
                if sealing.this_image { "one image" } else { "its signer's images" },
            ),
            None => "sealed, in a way that is not known".into(),
        },
        kind => kind.to_string(),
    }
}

/// Describes a slot in JSON.
#[expect(clippy::indexing_slicing, reason = "an object accepts any name")]
pub(crate) fn object(slot: &SlotInfo, outside: &dyn Outside) -> Value {
    let kind = match slot.kind {
        SlotKind::Sealed => "sealed",
        SlotKind::KeyFile => "file",
        SlotKind::Passphrase => "passphrase",
        _ => "other",
    };
    let mut object = json!({ "slot": slot.number, "kind": kind });
    if slot.kind == SlotKind::Sealed
        && let Some(sealing) = outside.sealing(&slot.parameters)
    {
        object["scope"] = match sealing.scope {
            Scope::Program => "program",
            Scope::AnyProgram => "any-program",
            Scope::Deployment => "deployment",
        }
        .into();
        object["this_image"] = sealing.this_image.into();
    }
    object
}

/// Lists the slots of a volume.
pub(crate) fn list(
    which: &OpenVolume,
    json: bool,
    outside: &mut dyn Outside,
    job: &mut Job<'_>,
) -> Result<()> {
    let volume = open(which, outside, job)?;
    let slots = volume.slots();
    close(which, volume, job);
    let mut out = Output::new(&mut *job.console);
    if json {
        let slots: Vec<Value> = slots.iter().map(|slot| object(slot, outside)).collect();
        out.text(&format!("{:#}\n", Value::from(slots)))?;
    } else {
        for slot in &slots {
            out.text(&format!("{:>3}  {}\n", slot.number, words(slot, outside)))?;
        }
    }
    Ok(out.flush()?)
}

/// Changes the slots of a volume.
pub(crate) fn change(
    which: &OpenVolume,
    outside: &mut dyn Outside,
    job: &mut Job<'_>,
    change: impl FnOnce(&mut Volume, &mut dyn Outside) -> Result<(), VolumeError>,
) -> Result<()> {
    let mut volume = open(which, outside, job)?;
    let result = change(&mut volume, outside);
    // Closing reports errors of the volume itself, so do not report them twice.
    let told = volume.first_error().is_some();
    close(which, volume, job);
    match result {
        Err(error) if !told => Err(advice::failed(which, &error)),
        _ => Ok(()),
    }
}

/// Adds a key.
pub(crate) fn add(
    volume: &mut Volume,
    outside: &mut dyn Outside,
    key: &VolumeKey,
) -> Result<(), VolumeError> {
    let slot = outside.new_slot(key)?;
    volume.add_slot(&slot).map(drop)
}

/// Replaces an old key by a new one.
pub(crate) fn rotate(
    which: &OpenVolume,
    slot: Option<u32>,
    key: &VolumeKey,
    outside: &mut dyn Outside,
    job: &mut Job<'_>,
) -> Result<()> {
    let volume = open(which, outside, job)?;
    let chosen = match slot {
        Some(slot) => Ok(slot),
        None => only(which, &volume.slots()),
    };
    close(which, volume, job);
    let chosen = chosen?;
    change(which, outside, job, |volume, outside| {
        let new = outside.new_slot(key)?;
        volume.replace_slot(chosen, &new).map(drop)
    })
}

/// Finds the only slot of the kind of key that opened the volume.
fn only(which: &OpenVolume, slots: &[SlotInfo]) -> Result<u32> {
    let kind = advice::kind(&which.key);
    let mut same = slots.iter().filter(|slot| slot.kind == kind);
    match (same.next(), same.next()) {
        (Some(slot), None) => Ok(slot.number),
        _ => Err(Error::Volume {
            cause: format!("{}: several of its slots are opened by a {kind}", which.name),
            remedy: "name the slot to replace; `twine volume key ls` lists them".into(),
        }),
    }
}
