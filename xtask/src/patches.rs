//! Third-party crates that this project needs as folders: those that it changes, and those with
//! files that it reads. `third-party/Cargo.toml` names them, and `third-party/patches` has the
//! changes. This module makes the folders from cargo's downloads. `[patch.crates-io]` in the
//! workspace points to the changed crates.

use crate::debian::packages;
use crate::process::{Failure, Result, checked, command, say, succeed};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the unpacked crates. If it is missing, its name tells the user what to do: cargo's
/// message contains the path and nothing more.
const FOLDER: &str = "target/patched/run-cargo-xtask-patch";

/// The folder with the manifest and the lock file that name the crates.
const NAMED: &str = "third-party";

/// A crate to unpack.
#[derive(Debug, PartialEq, Eq)]
struct Unpacked {
    name: String,
    version: String,
    /// SHA-256 of the `.crate` file, from the lock file.
    checksum: String,
}

impl Unpacked {
    /// Returns the name of the folder in the `.crate` file, which is also the patch's name.
    fn versioned(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

/// Makes the folders of the crates, unless they match the patches and the lock file.
pub(crate) fn apply(root: &Path) -> Result<()> {
    let stamp = root.join(FOLDER).join("made-of");
    let recipe = recipe(root)?;
    if fs::read_to_string(&stamp).is_ok_and(|made| made == recipe) {
        return Ok(());
    }
    packages(&["patch"])?;
    let all = named(root)?;
    let names: Vec<_> = all.iter().map(Unpacked::versioned).collect();
    say(format_args!("unpacking and patching {}", names.join(", ")));
    let folder = root.join(FOLDER);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    unpack(root, &all, &folder)?;
    Ok(fs::write(stamp, recipe)?)
}

/// Makes the folders a second time, and compares.
pub(crate) fn check(root: &Path) -> Result<()> {
    apply(root)?;
    let again = root.join("target/patched/again");
    if again.exists() {
        fs::remove_dir_all(&again)?;
    }
    let all = named(root)?;
    unpack(root, &all, &again)?;
    for crate_ in &all {
        let mut diff = command("diff", root);
        diff.arg("-r").arg(again.join(&crate_.name)).arg(root.join(FOLDER).join(&crate_.name));
        succeed(&mut diff).map_err(|_| {
            Failure::new(format!(
                "{FOLDER}/{} was changed by hand: make the change in {NAMED}/patches, and remove \
                 that folder",
                crate_.name
            ))
        })?;
    }
    Ok(fs::remove_dir_all(again)?)
}

/// Returns all inputs of the folders.
fn recipe(root: &Path) -> Result<String> {
    let mut recipe = String::new();
    for file in ["Cargo.toml", "Cargo.lock"] {
        recipe += &fs::read_to_string(root.join(NAMED).join(file))?;
    }
    for patch in patches(root)? {
        recipe += &fs::read_to_string(patch)?;
    }
    Ok(recipe)
}

fn patches(root: &Path) -> Result<Vec<PathBuf>> {
    let mut patches = Vec::new();
    for entry in fs::read_dir(root.join(NAMED).join("patches"))? {
        patches.push(entry?.path());
    }
    patches.sort();
    Ok(patches)
}

/// Returns the crates that `third-party/Cargo.toml` names, with their versions from the lock file.
/// Each patch must be of one of them.
fn named(root: &Path) -> Result<Vec<Unpacked>> {
    let read = |name: &str| fs::read_to_string(root.join(NAMED).join(name));
    let (manifest, lock) = (read("Cargo.toml")?, read("Cargo.lock")?);
    let all = dependencies(&manifest)
        .map(|name| {
            locked(&lock, name)
                .ok_or_else(|| Failure::new(format!("{NAMED}/Cargo.lock has no crate {name}")))
        })
        .collect::<Result<Vec<_>>>()?;
    for patch in patches(root)? {
        let stem = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !all.iter().any(|crate_| crate_.versioned() == stem) {
            let patch = patch.display();
            return Err(Failure::new(format!(
                "{NAMED}/Cargo.lock has no crate of the name of {patch}"
            )));
        }
    }
    Ok(all)
}

/// Returns the names of the dependencies in a manifest.
fn dependencies(manifest: &str) -> impl Iterator<Item = &str> {
    let lines = manifest.lines().skip_while(|line| *line != "[dependencies]").skip(1);
    lines.take_while(|line| !line.starts_with('[')).filter_map(|line| {
        let (name, _) = line.split_once('=')?;
        Some(name.trim()).filter(|name| !name.starts_with('#'))
    })
}

/// Finds the crate with this name.
fn locked(lock: &str, wanted: &str) -> Option<Unpacked> {
    lock.split("[[package]]").find_map(|package| {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name))?;
            line.strip_prefix(" = \"")?.strip_suffix('"').map(str::to_owned)
        };
        let found = Unpacked {
            name: field("name")?,
            version: field("version")?,
            checksum: field("checksum")?,
        };
        (found.name == wanted).then_some(found)
    })
}

/// Unpacks the published crates, and patches those that have patches.
fn unpack(root: &Path, all: &[Unpacked], folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let manifest = root.join(NAMED).join("Cargo.toml");
    let fetch = ["fetch", "--quiet", "--locked", "--target", "x86_64-unknown-linux-gnu"];
    succeed(command("cargo", root).args(fetch).arg("--manifest-path").arg(manifest))?;
    for crate_ in all {
        let file = download(crate_)?;
        checked(&file, &crate_.checksum)?;
        succeed(command("tar", folder).arg("-xzf").arg(file))?;
        let source = folder.join(&crate_.name);
        fs::rename(folder.join(crate_.versioned()), &source)?;
        let patch = root.join(NAMED).join("patches").join(crate_.versioned() + ".patch");
        if patch.exists() {
            let apply = ["-p1", "--fuzz=0", "--batch", "--quiet", "--input"];
            succeed(command("patch", &source).args(apply).arg(patch))?;
        }
    }
    Ok(())
}

/// Returns the `.crate` file that cargo has downloaded.
fn download(crate_: &Unpacked) -> Result<PathBuf> {
    let cache = crate::toolchain::cargo_home()?.join("registry/cache");
    let name = format!("{}.crate", crate_.versioned());
    for registry in fs::read_dir(&cache)? {
        let file = registry?.path().join(&name);
        if file.exists() {
            return Ok(file);
        }
    }
    Err(Failure::new(format!("cargo has fetched {name}, and it is not in {}", cache.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_are_found_by_their_names() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"00\"\n\n\
                    [[package]]\nname = \"a-b\"\nversion = \"2.0.0\"\nchecksum = \"11\"\n\n\
                    [[package]]\nname = \"local\"\nversion = \"3.0.0\"\n";
        let find = |name| locked(lock, name).map(|found| (found.versioned(), found.checksum));
        assert_eq!(find("a"), Some(("a-1.0.0".into(), "00".into())));
        assert_eq!(find("a-b"), Some(("a-b-2.0.0".into(), "11".into())));
        assert_eq!(find("b"), None);
        assert_eq!(find("local"), None, "it has no checksum");
        let manifest = "[package]\nname = \"x\"\n\n[dependencies]\n# A note = 1.\na = \"=1.0.0\"\n\
                        a-b = \"2\"\n\n[lib]\npath = \"y\"\n";
        assert_eq!(dependencies(manifest).collect::<Vec<_>>(), ["a", "a-b"]);
    }

    #[test]
    fn each_crate_is_of_the_version_that_the_workspace_uses() {
        let root = crate::root();
        let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap();
        let all = named(&root).unwrap();
        assert!(all.len() >= patches(&root).unwrap().len());
        for Unpacked { name, version, .. } in all {
            let used = format!("name = \"{name}\"\nversion = \"{version}\"\n");
            assert!(lock.contains(&used), "{name} {version}");
        }
    }

    /// In a workspace without the folder, cargo's own message must name the command.
    #[test]
    fn without_the_patched_crates_cargo_names_the_command_to_run() {
        let root = crate::root();
        let folder = std::env::temp_dir().join(format!("xtask-patch-{}", std::process::id()));
        fs::create_dir_all(folder.join("src")).unwrap();
        let whole = fs::read_to_string(root.join("Cargo.toml")).unwrap();
        let begin = whole.find("[patch.crates-io]").unwrap();
        let patch = whole[begin..].split("\n\n").next().unwrap();
        let package = "[package]\nname = \"user\"\nedition = \"2024\"\n\
                       [dependencies]\ngraviola = \"0.4\"\n";
        fs::write(folder.join("Cargo.toml"), format!("{package}{patch}\n")).unwrap();
        fs::write(folder.join("src/lib.rs"), "").unwrap();
        let mut cargo = command("cargo", &folder);
        let output = cargo.args(["build", "--offline"]).output().unwrap();
        fs::remove_dir_all(&folder).unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains("run-cargo-xtask-patch"), "{text}");
    }
}
