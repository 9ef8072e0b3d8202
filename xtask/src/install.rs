//! `cargo xtask install`: installs the command, its images, manual pages and completions where a
//! system looks for them.

use crate::enclave;
use crate::process::{Failure, Result, command, output, say, succeed};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const USAGE: &str = "`cargo xtask install [--prefix FOLDER]`";

/// The files of an image: itself, its signature, its manifest, and the program in all images.
const IMAGE_FILES: [&str; 4] = ["sgxs", "sig", "toml", "elf"];

/// Builds what is missing, and installs everything below a folder.
pub(crate) fn run(root: &Path, arguments: &[&str]) -> Result<()> {
    let prefix = match arguments {
        [] => home()?,
        ["--prefix", folder] => env::current_dir()?.join(folder),
        _ => return Err(Failure::new(USAGE)),
    };
    let twine = enclave::image(root)?;
    let from = root.join("target/release");
    say(format_args!("installing into {}", prefix.display()));
    place(&twine, &prefix.join("bin/twine"), 0o755)?;
    succeed(command("cargo", root).args(["build", "--release", "--package", "twine-oci"]))?;
    place(&from.join("twine-oci"), &prefix.join("bin/twine-oci"), 0o755)?;
    for file in fs::read_dir(&from)? {
        let file = file?.path();
        let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
        let extension = file.extension().and_then(OsStr::to_str).unwrap_or_default();
        if name.starts_with("twine") && IMAGE_FILES.contains(&extension) {
            place(&file, &prefix.join("lib/twine").join(name), 0o644)?;
        }
    }
    let manual = prefix.join("share/man/man1");
    succeed(command(&twine.display().to_string(), root).args(["man", "--output"]).arg(&manual))?;
    println!("{}/twine*.1", manual.display());
    for (shell, place) in [
        ("bash", "share/bash-completion/completions/twine"),
        ("zsh", "share/zsh/site-functions/_twine"),
        ("fish", "share/fish/vendor_completions.d/twine.fish"),
    ] {
        let mut completions = command(&twine.display().to_string(), root);
        let script = output(completions.args(["completions", shell]))?;
        let path = prefix.join(place);
        make_folder(&path)?;
        fs::write(&path, script + "\n")?;
        println!("{}", path.display());
    }
    say(format_args!("installed; {} must be on the PATH", prefix.join("bin").display()));
    Ok(())
}

/// Returns the folder where an ordinary user keeps programs.
fn home() -> Result<PathBuf> {
    let home = env::home_dir().filter(|home| home.is_absolute());
    let home = home.ok_or_else(|| Failure::new("there is no home folder: give --prefix FOLDER"))?;
    Ok(home.join(".local"))
}

fn make_folder(path: &Path) -> Result<()> {
    Ok(fs::create_dir_all(path.parent().unwrap_or(path))?)
}

/// Copies a file. An existing file is replaced, not overwritten, since it may be a running command.
fn place(from: &Path, to: &Path, mode: u32) -> Result<()> {
    make_folder(to)?;
    let new = to.with_extension("new");
    fs::copy(from, &new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(mode))?;
    fs::rename(&new, to)?;
    println!("{}", to.display());
    Ok(())
}
