//! Checks that the same source gives the same MRENCLAVE anywhere: builds the image's program a
//! second time, from nothing, in another folder with another home, and compares.

use crate::enclave;
use crate::process::{Failure, Result, command, output, say, succeed};
use crate::toolchain::cargo_home;
use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The folder of the second build. Other commands may fail at the space in its path.
const ELSEWHERE: &str = "target/reproduce/a folder elsewhere";

/// Builds in this checkout and in a copy of it, and compares. The copy has its own folder, home and
/// cargo folder. The second build uses cargo's downloads, but nothing that was compiled here.
pub(crate) fn check(root: &Path) -> Result<()> {
    let here = enclave::mrenclave(root, &enclave::program(root)?)?;
    say("building the image's program from nothing in another folder");
    let elsewhere = root.join(ELSEWHERE);
    if elsewhere.exists() {
        fs::remove_dir_all(&elsewhere)?;
    }
    let copy = elsewhere.join("checkout");
    copy_source(root, &copy)?;
    let (home, cargo) = (elsewhere.join("home"), elsewhere.join("cargo"));
    fs::create_dir_all(&home)?;
    fs::create_dir_all(cargo.join("registry"))?;
    for downloads in ["cache", "index"] {
        let name = Path::new("registry").join(downloads);
        symlink(cargo_home()?.join(&name), cargo.join(&name))?;
    }
    let mut build = command("cargo", &copy);
    build.args(["xtask", "program"]).env("HOME", home).env("CARGO_HOME", cargo);
    build.env_remove("CARGO_TARGET_DIR").env_remove("XDG_CACHE_HOME");
    // The toolchain is the same, whoever's home contains it.
    let rustup = env::var_os("RUSTUP_HOME").map(PathBuf::from);
    if let Some(rustup) = rustup.or_else(|| env::home_dir().map(|home| home.join(".rustup"))) {
        build.env("RUSTUP_HOME", rustup);
    }
    succeed(&mut build)?;
    let program = enclave::programs(&copy).join("twine-runtime");
    let there = enclave::mrenclave(root, &program)?;
    if here != there {
        return Err(Failure::new(format!(
            "MRENCLAVE is {here} here and {there} in another folder: something of the folder, of \
             the home or of what was built before went into {}",
            program.display()
        )));
    }
    fs::remove_dir_all(root.join("target/reproduce"))?;
    println!("MRENCLAVE is the same from nothing in another folder: {here}");
    Ok(())
}

/// Copies the present files of a checkout.
pub(crate) fn copy_source(root: &Path, copy: &Path) -> Result<()> {
    let list = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    for file in output(command("git", root).args(list))?.split_terminator('\0') {
        let (from, to) = (root.join(file), copy.join(file));
        if let (true, Some(folder)) = (from.exists(), to.parent()) {
            fs::create_dir_all(folder)?;
            fs::copy(from, to)?;
        }
    }
    Ok(())
}
