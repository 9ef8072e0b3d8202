//! Finds files that can't be copied into a volume. The host does not show them to the enclave.

use crate::failure::Failure;
use std::fs::{self, FileType};
use std::path::{Path, PathBuf};

/// A file that can't be copied, and the reason.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Uncopyable {
    path: PathBuf,
    why: &'static str,
}

impl Uncopyable {
    pub(crate) fn new(path: PathBuf, why: &'static str) -> Self {
        Uncopyable { path, why }
    }

    /// A file whose name is not UTF-8.
    pub(crate) fn not_utf_8(path: PathBuf) -> Self {
        Uncopyable::new(path, NOT_UTF_8)
    }

    /// Something of another kind.
    pub(crate) fn special(path: PathBuf) -> Self {
        Uncopyable::new(path, SPECIAL)
    }

    pub(crate) fn failure(&self) -> Failure {
        Failure::new(
            format!("{} was not copied: {}", self.path.display(), self.why),
            "volumes hold files, folders and symbolic links, with names in UTF-8",
        )
    }
}

const NOT_UTF_8: &str = "its name is not UTF-8";
const SPECIAL: &str = "it is neither file, folder nor symbolic link";

/// Why something can't be copied, if so.
pub(crate) fn why(path: &Path, kind: FileType) -> Option<&'static str> {
    if !(kind.is_file() || kind.is_dir() || kind.is_symlink()) {
        return Some(SPECIAL);
    }
    let text = path.file_name().is_none_or(|name| name.to_str().is_some());
    (!text).then_some(NOT_UTF_8)
}

/// Finds all files below a path that can't be copied.
pub(super) fn find_uncopyable(top: &Path) -> Vec<Uncopyable> {
    let mut found = Vec::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        // The copy itself reports folders that can't be read.
        let Ok(entries) = fs::read_dir(folder) else { continue };
        for entry in entries.flatten() {
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
            match why(&path, kind) {
                Some(why) => found.push(Uncopyable { path, why }),
                None if kind.is_dir() => folders.push(path),
                None => {}
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::UnixListener;

    #[test]
    fn only_sockets_and_names_that_are_not_utf_8_are_uncopyable() {
        let folder = std::env::temp_dir().join(format!("twine-uncopyable-{}", std::process::id()));
        fs::create_dir_all(folder.join("a/b")).unwrap();
        fs::write(folder.join("a/file"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", folder.join("a/link")).unwrap();
        assert_eq!(find_uncopyable(&folder), []);
        let odd = folder.join(OsStr::from_bytes(b"a/b/\xff"));
        fs::write(&odd, "").unwrap();
        let socket = folder.join("a/socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        let mut paths: Vec<PathBuf> =
            find_uncopyable(&folder).into_iter().map(|found| found.path).collect();
        paths.sort();
        assert_eq!(paths, [odd, socket]);
        fs::remove_dir_all(folder).unwrap();
    }
}
