//! This user's folders by the XDG base directory specification. A variable that is not set, is
//! empty or holds a relative path is ignored.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Returns the folder that `variable` names, or `default` in the user's home. `None` if the user
/// has no home: HOME is not set, and the list of users names none.
pub(crate) fn folder(variable: &str, default: &str) -> Option<PathBuf> {
    absolute(env::var_os(variable).map(PathBuf::from))
        .or_else(|| absolute(env::home_dir()).map(|home| home.join(default)))
}

/// Returns the path if it is absolute.
fn absolute(path: Option<PathBuf>) -> Option<PathBuf> {
    path.filter(|path| path.is_absolute())
}

/// Makes the folder for a file of the cache.
pub(crate) fn make_folder(file: &Path) -> io::Result<()> {
    let folder = file.parent().unwrap_or(file);
    // The mode that the XDG specification requires.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
