//! Hides the folders of this machine from the image: its measurement must be the same everywhere.
//!
//! The compiler's `--remap-path-prefix` does this. Cargo must not see the flag: from the flags that
//! it sees, cargo makes the names of symbols and of the folders of generated sources, which would
//! then differ in each checkout. Instead cargo starts this program as the compiler
//! (`RUSTC_WRAPPER`). It adds the arguments and then becomes the compiler.

use crate::process::{Failure, Result};
use crate::toolchain::{TARGET, cargo_home};
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Holds the arguments to add for the compiler. If it is set, this program is the wrapper.
const VARIABLE: &str = "TWINE_XTASK_REMAP";

/// The separator between arguments, as in cargo's own variables.
const SEPARATOR: u8 = 0x1f;

/// Makes `cargo` hide the folders of this machine from the code that it compiles for the enclave.
/// `source` is the folder of the standard library's source.
pub(crate) fn hide(cargo: &mut Command, root: &Path, source: &Path) -> Result<()> {
    let cargo_home = cargo_home()?;
    let mut folders = vec![(cargo_home.clone(), "/cargo"), (root.to_owned(), "/twine")];
    // The names of these folders name the server from which cargo downloads.
    if let Ok(registries) = fs::read_dir(cargo_home.join("registry/src")) {
        for registry in registries {
            folders.push((registry?.path(), "/cargo/registry"));
        }
    }
    folders.push((source.to_owned(), "/rust"));
    // Debian's source is a link to a folder.
    if let Ok(path) = source.canonicalize() {
        folders.push((path, "/rust"));
    }
    cargo.env("RUSTC_WRAPPER", env::current_exe()?).env(VARIABLE, arguments(&folders));
    Ok(())
}

/// Returns the arguments. If several folders match a path, the compiler takes the last.
fn arguments(folders: &[(PathBuf, &str)]) -> OsString {
    let mut all = Vec::new();
    for (folder, instead) in folders {
        if !all.is_empty() {
            all.push(SEPARATOR);
        }
        all.extend_from_slice(b"--remap-path-prefix=");
        all.extend_from_slice(folder.as_os_str().as_bytes());
        all.push(b'=');
        all.extend_from_slice(instead.as_bytes());
    }
    OsString::from_vec(all)
}

/// Becomes the compiler that the first argument names, if this program was started as the wrapper.
pub(crate) fn become_compiler() -> Result<()> {
    let Some(added) = env::var_os(VARIABLE) else { return Ok(()) };
    let mut given = env::args_os().skip(1);
    let compiler = given.next().ok_or_else(|| Failure::new("no compiler is named"))?;
    let given: Vec<OsString> = given.collect();
    let mut rustc = Command::new(compiler);
    // Clippy expects the compiler's name first.
    rustc.args(&given);
    if given.iter().any(|argument| argument == TARGET) {
        rustc.args(added.as_bytes().split(|byte| *byte == SEPARATOR).map(OsStr::from_bytes));
    }
    Err(Failure::new(format!("the compiler can't be started: {}", rustc.exec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_with_spaces_stay_one_argument() {
        let folders = [(PathBuf::from("/a b"), "/x"), (PathBuf::from("/c"), "/y")];
        let all = arguments(&folders);
        let all: Vec<&[u8]> = all.as_bytes().split(|byte| *byte == SEPARATOR).collect();
        let expected: [&[u8]; 2] = [b"--remap-path-prefix=/a b=/x", b"--remap-path-prefix=/c=/y"];
        assert_eq!(all, expected);
    }
}
