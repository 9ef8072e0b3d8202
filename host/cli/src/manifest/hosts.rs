//! The parts of a manifest for a deployment on somebody else's host: how TOML names them.

use super::document::{Recorded, Value};
use super::read::{collect, digest, public_key};
use std::collections::HashSet;
use std::path::Path;
use twine_evidence::access::{Access, MAX_KEYS};
use twine_evidence::bytes::{Bytes, Digest};
use twine_evidence::manifest::{Handover, MAX_FROM, Restart};
use twine_evidence::owner::PublicKey;
use twine_evidence::platform::{MAX_PLATFORMS, Platform, Root, TcbStatus};

/// Reads who may do what. `folder` is that of the manifest, and `owner` its owner, if that could be
/// read.
pub(super) fn access(
    value: Value<'_, '_>,
    folder: &Path,
    owner: Option<&PublicKey>,
) -> Result<Access, Recorded> {
    let mut table = value.table()?;
    let mut list =
        |key| table.take(key).map_or(Ok(Vec::new()), |value| keys(&value, folder, owner));
    let (deploy, look) = (list("deploy"), list("look"));
    let (stop, files) = (list("stop"), list("files"));
    table.finish();
    Ok(Access { deploy: deploy?, look: look?, stop: stop?, files: files? })
}

/// Reads the keys that have a right.
fn keys(
    value: &Value<'_, '_>,
    folder: &Path,
    owner: Option<&PublicKey>,
) -> Result<Vec<Bytes>, Recorded> {
    let values = value.texts()?;
    if values.len() > MAX_KEYS {
        return Err(value.problem(
            format!("{} keys are too many", values.len()),
            format!("name at most {MAX_KEYS}"),
        ));
    }
    let mut known = HashSet::new();
    let key = |value: &Value<'_, '_>| {
        let key = public_key(value, folder)?;
        if Some(&key) == owner {
            return Err(
                value.problem("it is the owner's key, who may do everything", "leave it out")
            );
        }
        let der = Bytes(key.der().to_vec());
        if !known.insert(der.clone()) {
            return Err(value.problem("this key is given twice", "name it once"));
        }
        Ok(der)
    };
    collect(values.iter().map(key))
}

/// Reads whether a host may start the deployment again.
pub(super) fn restart(value: &Value<'_, '_>) -> Result<Restart, Recorded> {
    match value.text()? {
        "never" => Ok(Restart::Never),
        "always" => Ok(Restart::Always),
        other => Err(value.problem(
            format!("{other:?} does not say when a host may start it again"),
            "write \"never\", or \"always\" if it may do so without the owner",
        )),
    }
}

/// Reads what the owner demands of the platform.
pub(super) fn platform(value: Value<'_, '_>) -> Result<Platform, Recorded> {
    let mut table = value.table()?;
    let root = table.take("root").map_or(Ok(Root::Intel), |value| root(&value));
    let statuses = table.take("statuses").map_or(Ok(Vec::new()), |value| statuses(&value));
    let number = table.take("least-evaluation-number").map(Value::into_number).transpose();
    let hashes = table.take("ppid-hashes").map_or(Ok(Vec::new()), |value| platforms(&value));
    table.finish();
    Ok(Platform {
        root: root?,
        statuses: statuses?,
        least_evaluation_number: number?,
        ppid_hashes: hashes?,
    })
}

fn root(value: &Value<'_, '_>) -> Result<Root, Recorded> {
    match value.text()? {
        "intel" => Ok(Root::Intel),
        "simulation" => Ok(Root::Simulation),
        other => Err(value.problem(
            format!("{other:?} is no root of trust"),
            "write \"intel\", or \"simulation\", which protects nothing",
        )),
    }
}

/// Records that a list is empty which would accept everything if it were left out.
fn empty(value: &Value<'_, '_>) -> Recorded {
    value.problem("an empty list names nothing", "leave it out")
}

/// Reads the accepted statuses, and puts them into their order.
fn statuses(value: &Value<'_, '_>) -> Result<Vec<TcbStatus>, Recorded> {
    let values = value.texts()?;
    if values.is_empty() {
        return Err(empty(value));
    }
    let mut known = Vec::new();
    let status = |value: &Value<'_, '_>| {
        let text = value.text()?;
        let found = TcbStatus::ALL.into_iter().find(|status| status.to_string() == text);
        let status = found.ok_or_else(|| {
            let names = TcbStatus::ALL.map(|status| status.to_string());
            value.problem(
                format!("{text:?} is no TCB status that can be accepted"),
                format!("write one of {}", names.join(", ")),
            )
        })?;
        if known.contains(&status) {
            return Err(value.problem(format!("{text} is named twice"), "name it once"));
        }
        known.push(status);
        Ok(status)
    };
    let mut statuses = collect(values.iter().map(status))?;
    statuses.sort_unstable();
    Ok(statuses)
}

/// Reads the hashes of the accepted platforms.
fn platforms(value: &Value<'_, '_>) -> Result<Vec<Digest>, Recorded> {
    let hint = "give 64 hexadecimal digits: the PPID's hash, as `twine verify` prints";
    digests(value, "platform", MAX_PLATFORMS, hint)
}

/// Reads from which older images the deployment's volumes are taken over.
pub(super) fn handover(value: Value<'_, '_>) -> Result<Handover, Recorded> {
    let hint = "give the older image's MRENCLAVE, as `twine image inspect` prints";
    let mut table = value.table()?;
    let from = table.need("from", "name the older images: from = [\"MRENCLAVE\"]");
    let from = from.and_then(|value| digests(&value, "image", MAX_FROM, hint));
    table.finish();
    Ok(Handover { from: from? })
}

/// Reads different SHA-256, at least one and at most `most`, each of a `what`.
fn digests(
    value: &Value<'_, '_>,
    what: &str,
    most: usize,
    hint: &str,
) -> Result<Vec<Digest>, Recorded> {
    let values = value.array()?;
    if values.is_empty() {
        return Err(empty(value));
    }
    if values.len() > most {
        return Err(value.problem(
            format!("{} {what}s are too many", values.len()),
            format!("name at most {most}"),
        ));
    }
    let mut known = HashSet::new();
    let hash = |value: &Value<'_, '_>| {
        let hash = digest(value, hint)?;
        if !known.insert(hash) {
            return Err(value.problem(format!("this {what} is given twice"), "name it once"));
        }
        Ok(hash)
    };
    collect(values.iter().map(hash))
}
