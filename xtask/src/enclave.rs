//! Building what runs inside, and the image of it.

use crate::process::{Result, command, say, succeed};
use crate::toolchain::{TARGET, Toolchain, host_packages};
use std::path::{Path, PathBuf};

/// The target folder of everything that is built for the enclave.
fn target(root: &Path) -> PathBuf {
    root.join("target/sgx")
}

/// Builds packages for the enclave; the folder with their programs.
pub(crate) fn build(root: &Path, packages: &[&str]) -> Result<PathBuf> {
    let toolchain = Toolchain::find(root)?;
    say(format_args!("building {} for {TARGET} with {}", packages.join(", "), toolchain.name()));
    let target = target(root);
    let mut cargo = toolchain.cargo(root, &target)?;
    for package in packages {
        cargo.args(["--package", package]);
    }
    succeed(&mut cargo)?;
    Ok(target.join(TARGET).join("release"))
}

/// Builds the `twine` command; its path.
pub(crate) fn command_line(root: &Path) -> Result<PathBuf> {
    host_packages()?;
    say("building the `twine` command");
    succeed(command("cargo", root).args(["build", "--release", "--package", "twine"]))?;
    Ok(root.join("target/release/twine"))
}

/// The layout of the images.
const MANIFEST: &str = "enclave/entry/image.toml";

/// The images, and in what each differs from the manifest: one for most programs, one with more
/// memory for large ones. Compiling CPython takes 1.1 GiB of heap.
const IMAGES: &[(&str, &[&str])] = &[
    ("twine.sgxs", &[]),
    ("twine-large.sgxs", &["--heap-size", "1536MiB", "--code-arena-size", "128MiB"]),
];

/// Builds the images next to the `twine` command and signs them; the command's path.
pub(crate) fn image(root: &Path) -> Result<PathBuf> {
    let elf = build(root, &["twine-enclave"])?.join("twine-enclave");
    let twine = command_line(root)?;
    let path = |path: &Path| path.display().to_string();
    for (name, sizes) in IMAGES {
        let image = path(&twine.with_file_name(name));
        let build = ["image", "build", &path(&elf), "--manifest", MANIFEST, "--output", &image];
        succeed(command(&path(&twine), root).args(build).args(*sizes))?;
        succeed(command(&path(&twine), root).args(["image", "sign", &image]))?;
    }
    Ok(twine)
}
