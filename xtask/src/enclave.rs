//! Builds the code that runs inside, and the images of it.

use crate::process::{Failure, Result, command, output, say, succeed};
use crate::toolchain::{TARGET, Toolchain, cargo_home, host_packages, sysroot};
use std::env;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The target of the code outside.
const HOST: &str = "x86_64-unknown-linux-gnu";

/// Returns the target folder of all enclave builds.
pub(crate) fn target(root: &Path) -> PathBuf {
    root.join("target/sgx")
}

/// Returns the folder with the programs that are built for the enclave.
pub(crate) fn programs(root: &Path) -> PathBuf {
    target(root).join(TARGET).join("release")
}

/// Builds packages for the enclave, and returns the folder with their programs.
pub(crate) fn build(root: &Path, packages: &[&str]) -> Result<PathBuf> {
    let toolchain = Toolchain::find(root)?;
    // `cargo fetch` creates the folders of the dependencies, whose names the compiler then gets.
    succeed(command("cargo", root).args(["fetch", "--quiet", "--locked", "--target", HOST]))?;
    say(format_args!("building {} for {TARGET} with {}", packages.join(", "), toolchain.name()));
    let target = target(root);
    let mut cargo = toolchain.cargo(root, &target, &["build", "--release"])?;
    for package in packages {
        cargo.args(["--package", package]);
    }
    succeed(&mut cargo)?;
    Ok(programs(root))
}

/// Lints packages as compiled for the enclave.
pub(crate) fn lint(root: &Path, packages: &[&str]) -> Result<()> {
    say(format_args!("linting {} for {TARGET}", packages.join(", ")));
    let mut clippy = Toolchain::find(root)?.clippy(root, &target(root))?;
    for package in packages {
        clippy.args(["--package", package]);
    }
    clippy.args(["--", "--deny", "warnings"]);
    // On this target, the lint asks for a `const` that is already there.
    succeed(clippy.args(["--allow", "clippy::missing_const_for_thread_local"]))
}

/// Builds the `twine` command, and returns its path.
pub(crate) fn command_line(root: &Path) -> Result<PathBuf> {
    host_packages()?;
    say("building the `twine` command");
    succeed(command("cargo", root).args(["build", "--release", "--package", "twine-cli"]))?;
    Ok(root.join("target/release/twine"))
}

/// The layout of the images.
const MANIFEST: &str = "enclave/runtime/image.toml";

/// The images, with their differences from the manifest: one for most programs, one with more
/// addresses for large programs, and one for machines that cannot add pages to a running enclave,
/// so it has all pages from the start. Compiling 70 MB of C++ takes 1.6 GiB of heap and 210 MiB of
/// code memory.
const IMAGES: &[(&str, &[&str])] = &[
    ("twine.sgxs", &[]),
    ("twine-large.sgxs", &["--heap-growth-size", "12GiB", "--code-arena-size", "1GiB"]),
    (
        "twine-host.sgxs",
        &[
            "--threads",
            "72",
            "--thread-stack-size",
            "4MiB",
            "--heap-growth-size",
            "12GiB",
            "--code-arena-size",
            "1GiB",
            "--guard-size",
            "432GiB",
        ],
    ),
    (
        "twine-sgx1.sgxs",
        &[
            "--heap-size",
            "448MiB",
            "--heap-growth-size",
            "0",
            "--code-arena-size",
            "64MiB",
            "--code-arena-at-start",
            "64MiB",
            "--guard-size",
            "0",
        ],
    ),
];

/// Builds the program of the images, checks that it contains no path of this machine, and returns
/// its path.
pub(crate) fn program(root: &Path) -> Result<PathBuf> {
    let elf = build(root, &["twine-runtime"])?.join("twine-runtime");
    let found = paths_in(&fs::read(&elf)?, &machine_paths(root)?);
    match found[..] {
        [] => Ok(elf),
        _ => Err(Failure::new(format!(
            "{} holds paths of this machine, so that its measurement is another elsewhere: {}",
            elf.display(),
            found.join(", ")
        ))),
    }
}

/// Returns the folders of this machine that a compiler sees.
fn machine_paths(root: &Path) -> Result<Vec<PathBuf>> {
    let mut all = vec![root.to_owned(), cargo_home()?, sysroot(root)?];
    all.extend(env::home_dir());
    all.extend(["/usr/lib/rustlib", "/usr/src"].map(PathBuf::from));
    // A user's home may be `/`, which is in every path.
    all.retain(|path| path.components().count() > 1);
    Ok(all)
}

/// Returns the folders whose names are in a file, with the text after them.
fn paths_in(file: &[u8], folders: &[PathBuf]) -> Vec<String> {
    const SHOWN: usize = 80;
    let goes_on = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let find = |folder: &PathBuf| {
        let name = folder.as_os_str().as_encoded_bytes();
        let mut places = file.windows(name.len()).enumerate();
        let (at, _) = places.find(|(at, window)| {
            *window == name && !file.get(at + name.len()).copied().is_some_and(goes_on)
        })?;
        let shown = &file[at..file.len().min(at + SHOWN)];
        let end = shown.iter().position(|byte| !byte.is_ascii_graphic()).unwrap_or(shown.len());
        Some(String::from_utf8_lossy(&shown[..end]).into_owned())
    };
    folders.iter().filter_map(find).collect()
}

/// Returns MRENCLAVE of the image of a program, made with the `twine` command of this checkout.
pub(crate) fn mrenclave(root: &Path, elf: &Path) -> Result<String> {
    let image = root.join("target/measured.sgxs");
    forget_layout(&image)?;
    let mut twine = command(&command_line(root)?.display().to_string(), root);
    twine.args(["image", "build", "--manifest", MANIFEST, "--output"]).arg(&image).arg(elf);
    let line = output(&mut twine)?;
    fs::remove_file(&image)?;
    line.split_whitespace().next().map(str::to_owned).ok_or_else(|| Failure::new("no measurement"))
}

/// Removes the stored layout beside an image: it comes from an earlier build.
fn forget_layout(image: &Path) -> Result<()> {
    match fs::remove_file(image.with_extension("toml")) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Builds the images next to the `twine` command and signs them. Returns the command's path.
pub(crate) fn image(root: &Path) -> Result<PathBuf> {
    let elf = program(root)?;
    let twine = command_line(root)?;
    // `twine image build` uses it to make images of other sizes.
    fs::copy(&elf, twine.with_extension("elf"))?;
    let path = |path: &Path| path.display().to_string();
    for (name, sizes) in IMAGES {
        let image = twine.with_file_name(name);
        forget_layout(&image)?;
        let image = path(&image);
        let build = ["image", "build", &path(&elf), "--manifest", MANIFEST, "--output", &image];
        succeed(command(&path(&twine), root).args(build).args(*sizes))?;
        succeed(command(&path(&twine), root).args(["image", "sign", &image]))?;
    }
    Ok(twine)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_found_in_a_file_and_shown_with_what_follows() {
        let paths = ["/home/somebody", "/elsewhere"].map(PathBuf::from);
        let file = b"\0\0panicked at /home/somebody/src/lib.rs\0/home/some\0";
        assert_eq!(paths_in(file, &paths), ["/home/somebody/src/lib.rs"]);
        assert!(paths_in(b"/cargo/registry/x/src/lib.rs", &paths).is_empty());
        assert_eq!(paths_in(b"/elsewhere", &paths), ["/elsewhere"]);
        assert_eq!(paths_in(b"/elsewheres /elsewhere/x", &paths), ["/elsewhere/x"]);
    }
}
