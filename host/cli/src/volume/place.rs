//! The places of a copy: in a volume, on this machine, or a stream.

use super::left::{Left, left};
use super::split;
use crate::failure::Failure;
use std::fs;
use std::path::{Path, PathBuf};
use twine_host::{Access, Folder};
use twine_protocol::task::{FolderPlace, Place};

/// A copy, and what of this machine it needs.
#[derive(Debug)]
pub(super) struct Copying {
    pub(super) volume: PathBuf,
    pub(super) sources: Vec<Place>,
    pub(super) target: Place,
    pub(super) folders: Vec<Folder>,
    /// What of the sources no volume can take.
    pub(super) left: Vec<Left>,
    /// To the volume.
    pub(super) access: Access,
}

/// Sorts out the places of a copy, the target last.
pub(super) fn copying(places: &[String], recursive: bool) -> Result<Copying, Failure> {
    let Some((target, sources)) = places.split_last() else { return Err(no_volume()) };
    let mut volumes = places.iter().filter(|place| split(place).1.is_some());
    let volume = volumes.next().map(|place| split(place).0).ok_or_else(no_volume)?;
    if let Some(other) = volumes.find(|place| split(place).0 != volume) {
        return Err(Failure::new(
            format!("{volume} and {other} are two volumes, and one at a time can be open"),
            "copy out of the one first, or make an archive: `twine volume export`",
        ));
    }
    let plain = sources.iter().filter(|source| recursive && split(source).1.is_none());
    let left = plain.flat_map(|source| left(Path::new(source))).collect();
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
                    "write what is in the volume as VOLUME::PATH; for all else there is cp",
                ));
            }
            place(source, &mut folders, |path| source_place(path, recursive))
        })
        .collect::<Result<_, _>>()?;
    let target = place(target, &mut folders, target_place)?;
    Ok(Copying { volume: volume.into(), sources, target, folders, left, access })
}

fn no_volume() -> Failure {
    Failure::new("no place in a volume was named", "write it as VOLUME::PATH")
}

/// A folder of this machine, and the name of something in it.
struct Found {
    folder: Folder,
    entry: String,
    name: String,
}

fn place(
    text: &str,
    folders: &mut Vec<Folder>,
    find: impl FnOnce(&str) -> Result<Found, Failure>,
) -> Result<Place, Failure> {
    match split(text) {
        (_, Some(path)) => Ok(Place::Volume(path.to_owned())),
        ("-", None) => Ok(Place::Stream),
        (path, None) => {
            let Found { folder, entry, name } = find(path)?;
            let number = folders.len() as u64;
            folders.push(folder);
            Ok(Place::Folder(FolderPlace { folder: number, entry, name, shown: text.to_owned() }))
        }
    }
}

/// The name at the end of a path, as text.
fn last(path: &Path) -> Result<String, Failure> {
    let name = path.file_name().map_or(Some(""), |name| name.to_str());
    name.map(str::to_owned).ok_or_else(|| {
        Failure::new(
            format!("the name of {} is not UTF-8, which names in a volume are", path.display()),
            "rename it first",
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

fn source_place(text: &str, recursive: bool) -> Result<Found, Failure> {
    let path = Path::new(text);
    let there = |error: std::io::Error| {
        Failure::system(format!("{text}: {error}"), &error, "check the path and its permissions")
    };
    let contents = [".", ".."].contains(&text) || text.ends_with("/.") || text.ends_with("/..");
    let metadata = fs::symlink_metadata(path).map_err(there)?;
    // Links are copied as links with all else, and followed when they are named alone.
    let follow = metadata.is_symlink() && (!recursive || text.ends_with('/'));
    let real = if follow { fs::canonicalize(path).map_err(there)? } else { path.to_owned() };
    let name = if contents { String::new() } else { last(path)? };
    if contents || real.file_name().is_none() {
        return Ok(Found { folder: open(&real, true)?, entry: String::new(), name });
    }
    let folder = open(real.parent().unwrap_or(Path::new("/")), true)?;
    Ok(Found { folder, entry: last(&real)?, name })
}

fn target_place(text: &str) -> Result<Found, Failure> {
    let path = Path::new(text);
    if fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        return Ok(Found { folder: open(path, false)?, entry: String::new(), name: String::new() });
    }
    // What is there, where the name is a link to it.
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let entry = last(&real)?;
    let folder = open(real.parent().unwrap_or(Path::new("/")), false)?;
    // A slash at the end says that it can only be a directory.
    let entry = if text.ends_with('/') { entry + "/" } else { entry };
    Ok(Found { folder, entry, name: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(places: &[&str]) -> Result<Copying, Failure> {
        let places: Vec<String> = places.iter().map(|&place| place.to_owned()).collect();
        copying(&places, false)
    }

    #[test]
    fn places_are_told_apart_by_two_colons() {
        let copying = sorted(&["v::a::b", "v::/c"]).unwrap();
        assert_eq!(copying.volume, Path::new("v"));
        assert_eq!(copying.sources, [Place::Volume("a::b".into())]);
        assert_eq!(copying.target, Place::Volume("/c".into()));
        assert_eq!(copying.access, Access::Write);
        let copying = sorted(&["v::", "-"]).unwrap();
        assert_eq!((copying.target, copying.access), (Place::Stream, Access::Read));
    }

    #[test]
    fn copies_without_a_volume_or_with_two_are_refused() {
        for places in [["a", "b"], ["v::a", "w::b"], ["-", "b"]] {
            assert!(sorted(&places).is_err(), "{places:?}");
        }
        assert!(sorted(&["v::a", "a", "b"]).is_err());
    }

    #[test]
    fn a_place_on_this_machine_is_a_name_in_its_folder() {
        let folder = std::env::temp_dir().join(format!("twine-place-{}", std::process::id()));
        fs::create_dir_all(folder.join("d")).unwrap();
        let text = |path: &str| folder.join(path).display().to_string();
        let place = |source: &str, target: &str| {
            let copying = sorted(&[&text(source), target]).unwrap();
            match &copying.sources[..] {
                [Place::Folder(place)] => (place.entry.clone(), place.name.clone()),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(place("d", "v::"), ("d".into(), "d".into()));
        assert_eq!(place("d/", "v::"), ("d".into(), "d".into()));
        assert_eq!(place("d/.", "v::"), (String::new(), String::new()));
        let target = |target: &str| match sorted(&["v::x", &text(target)]).unwrap().target {
            Place::Folder(place) => place.entry,
            other => panic!("{other:?}"),
        };
        assert_eq!(target("d"), "");
        assert_eq!(target("new"), "new");
        assert_eq!(target("new/"), "new/");
        assert!(sorted(&[&text("missing"), "v::"]).is_err());
        fs::remove_dir_all(folder).unwrap();
    }
}
