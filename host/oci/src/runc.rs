//! Finds runc, and becomes it.

use crate::error::{Error, Result};
use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// The folders to search for runc in addition to PATH, which is often short for services.
const FOLDERS: [&str; 4] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin"];

/// Finds runc, or crun if there is no runc: by the environment variable `TWINE_RUNC`, otherwise on
/// the PATH.
fn find() -> Result<PathBuf> {
    if let Some(named) = env::var_os("TWINE_RUNC").filter(|name| !name.is_empty()) {
        return Ok(named.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = env::split_paths(&path).chain(FOLDERS.map(PathBuf::from)).collect();
    let candidates =
        ["runc", "crun"].into_iter().flat_map(|name| folders.iter().map(move |at| at.join(name)));
    candidates.into_iter().find(|path| path.is_file()).ok_or(Error::NoRunc)
}

/// Replaces this process by runc with these arguments. Returns only if that fails, with the reason.
pub fn become_runc(arguments: &[OsString]) -> Error {
    match find() {
        Err(error) => error,
        Ok(path) => {
            let source = Command::new(&path).args(arguments).exec();
            Error::File { path, source }
        }
    }
}
