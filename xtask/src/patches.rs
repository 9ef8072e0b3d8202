//! Third-party crates with this project's changes: `third-party/patches` has the changes. This
//! module makes the changed crates from cargo's downloads. `[patch.crates-io]` in the workspace
//! points to them.

use crate::debian::packages;
use crate::process::{Failure, Result, checked, command, say, succeed};
use std::fs;
use std::path::{Path, PathBuf};

/// The folder of the patched crates. If it is missing, its name tells the user what to do: cargo's
/// message contains the path and nothing more.
const FOLDER: &str = "target/patched/run-cargo-xtask-patch";

/// The folder with the manifest and the lock file that name the crates.
const NAMED: &str = "third-party";

/// A patched crate.
#[derive(Debug, PartialEq, Eq)]
struct Patched {
    name: String,
    version: String,
    /// SHA-256 of the `.crate` file, from the lock file.
    checksum: String,
    patch: PathBuf,
}

impl Patched {
    /// Returns the name of the folder in the `.crate` file, which is also the patch's name.
    fn versioned(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

/// Makes the patched crates, unless they match the patches and the lock file.
pub(crate) fn apply(root: &Path) -> Result<()> {
    let stamp = root.join(FOLDER).join("made-of");
    let recipe = recipe(root)?;
    if fs::read_to_string(&stamp).is_ok_and(|made| made == recipe) {
        return Ok(());
    }
    packages(&["patch"])?;
    let all = patched(root)?;
    let names: Vec<_> = all.iter().map(Patched::versioned).collect();
    say(format_args!("patching {}", names.join(" and ")));
    let folder = root.join(FOLDER);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    unpack(root, &all, &folder)?;
    Ok(fs::write(stamp, recipe)?)
}

/// Makes the patched crates a second time, and compares.
pub(crate) fn check(root: &Path) -> Result<()> {
    apply(root)?;
    let again = root.join("target/patched/again");
    if again.exists() {
        fs::remove_dir_all(&again)?;
    }
    let all = patched(root)?;
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

/// Returns all inputs of the patched crates.
fn recipe(root: &Path) -> Result<String> {
    let mut recipe = fs::read_to_string(root.join(NAMED).join("Cargo.lock"))?;
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

/// Returns the crates that have patches, with their versions from the lock file.
fn patched(root: &Path) -> Result<Vec<Patched>> {
    let lock = fs::read_to_string(root.join(NAMED).join("Cargo.lock"))?;
    let find = |patch: PathBuf| {
        let stem = patch.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        locked(&lock, &stem, &patch).ok_or_else(|| {
            let patch = patch.display();
            Failure::new(format!("{NAMED}/Cargo.lock has no crate of the name of {patch}"))
        })
    };
    patches(root)?.into_iter().map(find).collect()
}

/// Finds the crate with the name and version in `stem` (NAME-VERSION).
fn locked(lock: &str, stem: &str, patch: &Path) -> Option<Patched> {
    lock.split("[[package]]").find_map(|package| {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name))?;
            line.strip_prefix(" = \"")?.strip_suffix('"').map(str::to_owned)
        };
        let found = Patched {
            name: field("name")?,
            version: field("version")?,
            checksum: field("checksum")?,
            patch: patch.to_owned(),
        };
        (found.versioned() == stem).then_some(found)
    })
}

/// Unpacks the published crates, and patches them.
fn unpack(root: &Path, all: &[Patched], folder: &Path) -> Result<()> {
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
        let apply = ["-p1", "--fuzz=0", "--batch", "--quiet", "--input"];
        succeed(command("patch", &source).args(apply).arg(&crate_.patch))?;
    }
    Ok(())
}

/// Returns the `.crate` file that cargo has downloaded.
fn download(crate_: &Patched) -> Result<PathBuf> {
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
    fn crates_are_found_by_the_name_and_version_of_their_patches() {
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"00\"\n\n\
                    [[package]]\nname = \"a-b\"\nversion = \"2.0.0\"\nchecksum = \"11\"\n\n\
                    [[package]]\nname = \"local\"\nversion = \"3.0.0\"\n";
        let find = |stem| locked(lock, stem, Path::new("p")).map(|found| found.checksum);
        assert_eq!(find("a-1.0.0").as_deref(), Some("00"));
        assert_eq!(find("a-b-2.0.0").as_deref(), Some("11"));
        assert_eq!(find("a-2.0.0"), None);
        assert_eq!(find("local-3.0.0"), None, "it has no checksum");
    }

    #[test]
    fn each_patch_is_of_the_version_that_the_workspace_uses() {
        let root = crate::root();
        let lock = fs::read_to_string(root.join("Cargo.lock")).unwrap();
        let all = patched(&root).unwrap();
        assert!(!all.is_empty());
        for Patched { name, version, .. } in all {
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
