//! Replacing a file.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

/// Replaces a file by one with the same owner and the same permissions: it may hold secrets. A file
/// that does not exist is created. A new file is written and renamed, so that no reader sees half of
/// it. If the path is a symbolic link, the file that it leads to stays.
///
/// # Errors
/// An error of the system. The file is unchanged then, and the new one is removed.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let former = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        metadata => Some(metadata?),
    };
    let mut name = OsString::from(path);
    name.push(".twine");
    let new = PathBuf::from(name);
    // A command that was killed may have left it.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let write = || {
        let mode = if former.is_some() { 0o600 } else { 0o666 };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(bytes)?;
        if let Some(former) = &former {
            let own = file.metadata()?;
            if (own.uid(), own.gid()) != (former.uid(), former.gid()) {
                fchown(&file, Some(former.uid()), Some(former.gid()))?;
            }
            file.set_permissions(former.permissions())?;
        }
        fs::rename(&new, path)
    };
    write().inspect_err(|_| {
        // The first error is the one to report.
        let _ = fs::remove_file(&new);
    })
}
