//! The folders of this user's, as the XDG base directory specification has them: a variable that
//! is not set, is empty or holds a relative path does not count.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// The folder that `variable` names, else `default` in the user's home. Nothing if there is no
/// home either: HOME is not set, and the list of users has none.
pub(crate) fn folder(variable: &str, default: &str) -> Option<PathBuf> {
    absolute(env::var_os(variable).map(PathBuf::from))
        .or_else(|| absolute(env::home_dir()).map(|home| home.join(default)))
}

/// The path if it is absolute.
fn absolute(path: Option<PathBuf>) -> Option<PathBuf> {
    path.filter(|path| path.is_absolute())
}

/// Makes the folder that a file of the cache will be in.
pub(crate) fn make_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().unwrap_or(file);
    // As the XDG specification wants it.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
