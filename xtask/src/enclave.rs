//! Building what runs inside, and the image of it.

use crate::process::{Result, command, say, succeed};
use crate::toolchain::{TARGET, Toolchain, host_packages};
use std::path::{Path, PathBuf};

/// The target folder of everything that is built for the enclave.
pub(crate) fn target(root: &Path) -> PathBuf {
    root.join("target/sgx")
}

/// The folder with the programs that are built for the enclave.
pub(crate) fn programs(root: &Path) -> PathBuf {
    target(root).join(TARGET).join("release")
}

/// Builds packages for the enclave; the folder with their programs.
pub(crate) fn build(root: &Path, packages: &[&str]) -> Result<PathBuf> {
    let toolchain = Toolchain::find(root)?;
    say(format_args!("building {} for {TARGET} with {}", packages.join(", "), toolchain.name()));
    let target = target(root);
    let mut cargo = toolchain.cargo(root, &target, &["build", "--release"])?;
    for package in packages {
        cargo.args(["--package", package]);
    }
    succeed(&mut cargo)?;
    Ok(programs(root))
}

/// Lints packages as they are compiled for the enclave.
pub(crate) fn lint(root: &Path, packages: &[&str]) -> Result<()> {
    say(format_args!("linting {} for {TARGET}", packages.join(", ")));
    let mut clippy = Toolchain::find(root)?.clippy(root, &target(root))?;
    for package in packages {
        clippy.args(["--package", package]);
    }
    clippy.args(["--", "--deny", "warnings"]);
    // On this target it asks for the `const` that is there.
    succeed(clippy.args(["--allow", "clippy::missing_const_for_thread_local"]))
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
/// memory for large ones. Compiling CPython takes 0.4 GiB of heap on two threads, and more on more.
/// Running it does not: pages that are added when they are needed don't make every start longer.
const IMAGES: &[(&str, &[&str])] = &[
    ("twine.sgxs", &[]),
    ("twine-large.sgxs", &["--heap-growth-size", "1GiB", "--code-arena-size", "128MiB"]),
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
