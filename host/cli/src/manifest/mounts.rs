//! The mounts of a manifest: how TOML names them.

use super::document::{Recorded, Table, Value};
use super::read::{collect, flag};
use crate::key::Key;
use crate::size;
use std::collections::HashSet;
use twine_evidence::terms::{KeyPolicy, Mount, MountKind};
use twine_protocol::key::{Scope, Sealing};

/// The key of a volume that names none: it opens in this deployment alone.
const DEFAULT_KEY: KeyPolicy = KeyPolicy::Deployment;

/// The policies of sealing keys, as options and manifests write them.
const POLICIES: [(&str, KeyPolicy); 5] = [
    ("sealed:deployment", KeyPolicy::Deployment),
    ("sealed:image", KeyPolicy::ProgramInImage),
    ("sealed", KeyPolicy::Program),
    ("sealed:image:any-program", KeyPolicy::AnyProgramInImage),
    ("sealed:any-program", KeyPolicy::AnyProgram),
];

/// How a manifest writes a key's policy. `None` for keys that the host passes.
pub(super) fn policy_name(policy: KeyPolicy) -> Option<&'static str> {
    POLICIES.iter().find(|(_, other)| *other == policy).map(|(name, _)| *name)
}

/// The policy of a sealing key.
pub(super) fn policy_of(sealing: Sealing) -> KeyPolicy {
    match (sealing.scope, sealing.this_image) {
        (Scope::Deployment, _) => KeyPolicy::Deployment,
        (Scope::Program, true) => KeyPolicy::ProgramInImage,
        (Scope::Program, false) => KeyPolicy::Program,
        (Scope::AnyProgram, true) => KeyPolicy::AnyProgramInImage,
        (Scope::AnyProgram, false) => KeyPolicy::AnyProgram,
    }
}

/// The sealing key of a policy. `None` for keys that the host passes.
pub(super) fn sealing_of(policy: KeyPolicy) -> Option<Sealing> {
    let (this_image, scope) = match policy {
        KeyPolicy::Deployment => (true, Scope::Deployment),
        KeyPolicy::ProgramInImage => (true, Scope::Program),
        KeyPolicy::Program => (false, Scope::Program),
        KeyPolicy::AnyProgramInImage => (true, Scope::AnyProgram),
        KeyPolicy::AnyProgram => (false, Scope::AnyProgram),
        KeyPolicy::KeyFile | KeyPolicy::Passphrase => return None,
    };
    Some(Sealing { this_image, scope })
}

/// Reads the mounts.
pub(super) fn read(value: &Value<'_, '_>) -> Result<Vec<Mount>, Recorded> {
    let mut paths = HashSet::new();
    collect(value.array()?.into_iter().map(|value| mount(value, &mut paths)))
}

fn mount(value: Value<'_, '_>, paths: &mut HashSet<String>) -> Result<Mount, Recorded> {
    let mut table = value.table()?;
    let guest = table
        .need("guest", "give the path at which the program sees it: guest = \"/data\"")
        .and_then(|value| path(&value, paths));
    let kind = table
        .need("kind", "write kind = \"volume\", \"memory\" or \"folder\"")
        .and_then(|value| kind(&value));
    let read_only = flag(&mut table, "read-only");
    let (key, size, main) = (table.take("key"), table.take("size"), table.take("main"));
    let only = |value: &Option<Value<'_, '_>>, wanted: MountKind, what| match (value, kind) {
        (Some(value), Ok(kind)) if kind != wanted => {
            value.problem(format!("only {what} has it"), "leave it out");
        }
        _ => {}
    };
    only(&key, MountKind::Volume, "a volume");
    only(&main, MountKind::Volume, "a volume");
    only(&size, MountKind::Memory, "a file tree in memory");
    let key = key.map(|value| policy(&value)).transpose();
    let main = main.map(|value| main_file(&value)).transpose();
    let bytes = size.map(|value| value.with_unit(size::bytes, "64MiB")).transpose();
    let size = match (kind, bytes) {
        (Ok(MountKind::Memory), Ok(None)) => Err(no_size(&table)),
        (_, bytes) => bytes,
    };
    table.finish();
    let (kind, key) = (kind?, key?);
    let key = key.or((kind == MountKind::Volume).then_some(DEFAULT_KEY));
    Ok(Mount {
        guest: guest?,
        kind,
        key,
        read_only: read_only?,
        size: size?,
        main: main?,
        former: None,
    })
}

fn no_size(table: &Table<'_, '_>) -> Recorded {
    table.problem("`size` is missing", "limit the files in memory: size = \"64MiB\"")
}

fn path(value: &Value<'_, '_>, paths: &mut HashSet<String>) -> Result<String, Recorded> {
    let path = value.text()?;
    if !path.starts_with('/') || path.contains('\0') {
        return Err(value.problem(
            format!("{path:?} is no absolute path"),
            "write the program's path from / on, such as /data",
        ));
    }
    if !paths.insert(path.to_owned()) {
        return Err(value.problem(
            format!("another mount has the path {path} too"),
            "give each mount its own path",
        ));
    }
    Ok(path.to_owned())
}

fn kind(value: &Value<'_, '_>) -> Result<MountKind, Recorded> {
    match value.text()? {
        "volume" => Ok(MountKind::Volume),
        "memory" => Ok(MountKind::Memory),
        "folder" => Ok(MountKind::Folder),
        other => Err(value.problem(
            format!("{other:?} is no kind of mount"),
            "write \"volume\", \"memory\", or \"folder\" for one that the host reads and changes",
        )),
    }
}

fn policy(value: &Value<'_, '_>) -> Result<KeyPolicy, Recorded> {
    let remedy = || format!("write {}", POLICIES.map(|(name, _)| name).join(", "));
    match value.text()?.parse() {
        Ok(Key::Sealed(sealing)) => Ok(policy_of(sealing)),
        Ok(Key::File(_) | Key::Passphrase(_)) => {
            Err(value.problem("the host would choose the key, and so have it", remedy()))
        }
        Err(_) => Err(value.problem(format!("{:?} is no key", value.text()?), remedy())),
    }
}

/// Reads the name of a volume's main file, which lies in the volume's root.
fn main_file(value: &Value<'_, '_>) -> Result<String, Recorded> {
    let name = value.text()?;
    if matches!(name, "" | "." | "..") || name.contains(['/', '\0']) {
        return Err(value.problem(
            format!("{name:?} is no name of a file"),
            "name a file in the volume's root, such as main.db",
        ));
    }
    Ok(name.to_owned())
}
