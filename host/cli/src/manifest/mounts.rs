//! The mounts of a manifest: how TOML names them.

use super::document::{Recorded, Table, Value};
use super::read::{collect, flag};
use crate::size;
use std::collections::HashSet;
use twine_evidence::manifest::is_shortest_path;
use twine_evidence::terms::{KeyPolicy, Mount, MountKind};

/// The only key of a volume. Whoever has another key could make the volume, with contents and further
/// keys of his own.
pub(super) const KEY: &str = "sealed:deployment";

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
    let (key, size) = (table.take("key"), table.take("size"));
    let only = |value: &Option<Value<'_, '_>>, wanted: MountKind, what| match (value, kind) {
        (Some(value), Ok(kind)) if kind != wanted => {
            value.problem(format!("only {what} has it"), "leave it out");
        }
        _ => {}
    };
    only(&key, MountKind::Volume, "a volume");
    only(&size, MountKind::Memory, "a file tree in memory");
    let key = key.map(|value| policy(&value)).transpose();
    let bytes = size.map(|value| value.with_unit(size::bytes, "64MiB")).transpose();
    let size = match (kind, bytes) {
        (Ok(MountKind::Memory), Ok(None)) => Err(no_size(&table)),
        (_, bytes) => bytes,
    };
    table.finish();
    let (kind, key) = (kind?, key?);
    let key = key.or((kind == MountKind::Volume).then_some(KeyPolicy::Deployment));
    Ok(Mount {
        guest: guest?,
        kind,
        key,
        read_only: read_only?,
        size: size?,
        main: None,
        former: None,
    })
}

fn no_size(table: &Table<'_, '_>) -> Recorded {
    table.problem("`size` is missing", "limit the files in memory: size = \"64MiB\"")
}

fn path(value: &Value<'_, '_>, paths: &mut HashSet<String>) -> Result<String, Recorded> {
    let path = value.text()?;
    if !is_shortest_path(path) {
        return Err(value.problem(
            format!("{path:?} is no absolute path in its shortest form"),
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
    match value.text()? {
        KEY => Ok(KeyPolicy::Deployment),
        _ => Err(value.problem(
            "others could have this key too, and make the volume with contents of their own",
            format!("write key = \"{KEY}\", or leave it out"),
        )),
    }
}
