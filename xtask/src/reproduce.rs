//! The same source gives the same MRENCLAVE, wherever it lies: builds the image's program a
//! second time in another folder and compares.

use crate::enclave;
use crate::process::{Failure, Result, command, output, say, succeed};
use std::fs;
use std::path::Path;

/// MRENCLAVE of the program of a checkout's.
fn mrenclave(root: &Path, checkout: &Path) -> Result<String> {
    let elf = enclave::build(checkout, &["twine-enclave"])?.join("twine-enclave");
    let image = checkout.join("target/reproduced.sgxs");
    let mut twine = command(&root.join("target/release/twine").display().to_string(), checkout);
    twine.args(["image", "build", "--manifest", "enclave/entry/image.toml", "--output"]);
    let line = output(twine.arg(&image).arg(elf))?;
    fs::remove_file(&image)?;
    line.split_whitespace().next().map(str::to_owned).ok_or_else(|| Failure::new("no measurement"))
}

/// Builds in this checkout and in a copy of it, and compares. Libraries that were built
/// already are copied with it; everything of this project's is compiled anew.
pub(crate) fn check(root: &Path) -> Result<()> {
    say("building the image's program in another folder");
    let here = mrenclave(root, root)?;
    let copy = root.join("target/reproduce/a-checkout-that-lies-elsewhere");
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    fs::create_dir_all(copy.join("target"))?;
    let list = ["ls-files", "--cached", "--others", "--exclude-standard"];
    for file in output(command("git", root).args(list))?.lines() {
        let (from, to) = (root.join(file), copy.join(file));
        if let (true, Some(folder)) = (from.exists(), to.parent()) {
            fs::create_dir_all(folder)?;
            fs::copy(from, to)?;
        }
    }
    succeed(command("cp", root).args(["--archive", "target/sgx"]).arg(copy.join("target")))?;
    let there = mrenclave(root, &copy)?;
    fs::remove_dir_all(root.join("target/reproduce"))?;
    if here != there {
        return Err(Failure::new(format!(
            "MRENCLAVE is {here} here and {there} in another folder: something of the folder's \
             path went into the image"
        )));
    }
    println!("MRENCLAVE is the same in another folder: {here}");
    Ok(())
}
