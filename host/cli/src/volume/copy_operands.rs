//! The operands of a copy. Each is a path in a volume, a path on this machine, or a stream.

use super::split;
use super::uncopyable::{Uncopyable, find_uncopyable};
use crate::failure::Failure;
use std::fs;
use std::path::{Path, PathBuf};
use twine_host::{Access, Folder};
use twine_protocol::task::{FolderLocation, Location};

/// The parsed operands, with the folders of this machine that the copy uses.
#[derive(Debug)]
pub(super) struct CopyOperands {
    pub(super) volume: PathBuf,
    pub(super) sources: Vec<Location>,
    pub(super) target: Location,
    pub(super) folders: Vec<Folder>,
    /// The files in the sources that can't be copied.
    pub(super) uncopyable: Vec<Uncopyable>,
    /// The access to the volume.
    pub(super) access: Access,
}

/// Parses the operands of a copy, the target last.
pub(super) fn parse_operands(
    operands: &[String],
    recursive: bool,
) -> Result<CopyOperands, Failure> {
    let Some((target, sources)) = operands.split_last() else { return Err(no_volume()) };
    let mut volumes = operands.iter().filter(|operand| split(operand).1.is_some());
    let volume = volumes.next().map(|operand| split(operand).0).ok_or_else(no_volume)?;
    if let Some(other) = volumes.find(|operand| split(operand).0 != volume) {
        return Err(Failure::new(
            format!("{volume} and {other} are two volumes: a copy can use only one"),
            "copy to a folder first, or make an archive: `twine volume export`",
        ));
    }
    let plain = sources.iter().filter(|source| recursive && split(source).1.is_none());
    let uncopyable = plain.flat_map(|source| find_uncopyable(Path::new(source))).collect();
    let mut folders = Vec::new();
    let (inside, access) = match split(target) {
        (_, Some(_)) => (true, Access::Write),
        _ => (false, Access::Read),
    };
    let sources = sources
        .iter()
        .map(|source| {
            if !inside && split(source).1.is_none() {
                return Err(Failure::new(
                    format!("neither {source} nor {target} is in a volume"),
                    "write a path in a volume as VOLUME::PATH; to copy outside volumes, use cp",
                ));
            }
            parse(source, &mut folders, |path| source_on_host(path, recursive))
        })
        .collect::<Result<_, _>>()?;
    let target = parse(target, &mut folders, target_on_host)?;
    Ok(CopyOperands { volume: volume.into(), sources, target, folders, uncopyable, access })
}

fn no_volume() -> Failure {
    Failure::new("no path in a volume was named", "write one of the paths as VOLUME::PATH")
}

/// A folder of this machine, and the name of an entry in it.
struct HostOperand {
    folder: Folder,
    entry: String,
    name: String,
}

fn parse(
    text: &str,
    folders: &mut Vec<Folder>,
    find: impl FnOnce(&str) -> Result<HostOperand, Failure>,
) -> Result<Location, Failure> {
    match split(text) {
        (_, Some(path)) => Ok(Location::Volume(path.to_owned())),
        ("-", None) => Ok(Location::Stream),
        (path, None) => {
            let HostOperand { folder, entry, name } = find(path)?;
            let number = folders.len() as u64;
            folders.push(folder);
            Ok(Location::Folder(FolderLocation {
                folder: number,
                entry,
                name,
                shown: text.to_owned(),
            }))
        }
    }
}

/// Returns the last component of a path.
fn last(path: &Path) -> Result<String, Failure> {
    let name = path.file_name().map_or(Some(""), |name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| {
        Failure::new(
            format!("the name of {} is not UTF-8", path.display()),
            "rename the file first: names in a volume are UTF-8",
        )
    })
}

fn open(path: &Path, read_only: bool) -> Result<Folder, Failure> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    Folder::open(path, read_only).map_err(|error| {
        Failure::system(
            format!("the folder {} can't be opened: {error}", path.display()),
            &error,
            "check the path and its permissions",
        )
    })
}

fn source_on_host(text: &str, recursive: bool) -> Result<HostOperand, Failure> {
    let path = Path::new(text);
    let failed = |error: std::io::Error| {
        Failure::system(format!("{text}: {error}"), &error, "check the path and its permissions")
    };
    let contents = [".", ".."].contains(&text) || text.ends_with("/.") || text.ends_with("/..");
    let metadata = fs::symlink_metadata(path).map_err(failed)?;
    // A link is followed, unless the copy is recursive. A slash at the end follows it in any case.
    let follow = metadata.is_symlink() && (!recursive || text.ends_with('/'));
    let real = if follow { fs::canonicalize(path).map_err(failed)? } else { path.to_owned() };
    let name = if contents { String::new() } else { last(path)? };
    if contents || real.file_name().is_none() {
        return Ok(HostOperand { folder: open(&real, true)?, entry: String::new(), name });
    }
    let folder = open(real.parent().unwrap_or(Path::new("/")), true)?;
    Ok(HostOperand { folder, entry: last(&real)?, name })
}

fn target_on_host(text: &str) -> Result<HostOperand, Failure> {
    let path = Path::new(text);
    if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(HostOperand {
            folder: open(path, false)?,
            entry: String::new(),
            name: String::new(),
        });
    }
    // If the name is a link, write to the file that it leads to.
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let entry = last(&real)?;
    let folder = open(real.parent().unwrap_or(Path::new("/")), false)?;
    // A slash at the end means that the target must be a directory.
    let entry = if text.ends_with('/') { entry + "/" } else { entry };
    Ok(HostOperand { folder, entry, name: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(operands: &[&str]) -> Result<CopyOperands, Failure> {
        let operands: Vec<String> = operands.iter().map(|&operand| operand.to_owned()).collect();
        parse_operands(&operands, false)
    }

    #[test]
    fn two_colons_mark_a_path_in_a_volume() {
        let copy = parsed(&["v::a::b", "v::/c"]).unwrap();
        assert_eq!(copy.volume, Path::new("v"));
        assert_eq!(copy.sources, [Location::Volume("a::b".into())]);
        assert_eq!(copy.target, Location::Volume("/c".into()));
        assert_eq!(copy.access, Access::Write);
        let copy = parsed(&["v::", "-"]).unwrap();
        assert_eq!((copy.target, copy.access), (Location::Stream, Access::Read));
    }

    #[test]
    fn copies_without_a_volume_or_with_two_are_refused() {
        for operands in [["a", "b"], ["v::a", "w::b"], ["-", "b"]] {
            assert!(parsed(&operands).is_err(), "{operands:?}");
        }
        assert!(parsed(&["v::a", "a", "b"]).is_err());
    }

    #[test]
    fn a_path_on_this_machine_becomes_a_folder_and_an_entry() {
        let folder = std::env::temp_dir().join(format!("twine-operands-{}", std::process::id()));
        fs::create_dir_all(folder.join("d")).unwrap();
        let text = |path: &str| folder.join(path).display().to_string();
        let place = |source: &str, target: &str| {
            let copy = parsed(&[&text(source), target]).unwrap();
            match &copy.sources[..] {
                [Location::Folder(place)] => (place.entry.clone(), place.name.clone()),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(place("d", "v::"), ("d".into(), "d".into()));
        assert_eq!(place("d/", "v::"), ("d".into(), "d".into()));
        assert_eq!(place("d/.", "v::"), (String::new(), String::new()));
        let target = |target: &str| match parsed(&["v::x", &text(target)]).unwrap().target {
            Location::Folder(place) => place.entry,
            other => panic!("{other:?}"),
        };
        assert_eq!(target("d"), "");
        assert_eq!(target("new"), "new");
        assert_eq!(target("new/"), "new/");
        assert!(parsed(&[&text("missing"), "v::"]).is_err());
        fs::remove_dir_all(folder).unwrap();
    }
}
