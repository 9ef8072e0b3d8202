//! Writes whole files, so that a failure leaves no part of one.

use crate::failure::Failure;
use crate::input;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Limit on what is read of a file to see whether it is an older one, in bytes.
const MAX_OLDER_BYTES: usize = 1 << 20;

/// A kind of file that a run writes.
pub(crate) struct Kind {
    /// What such a file is, after "is".
    pub name: &'static str,
    /// The option that names it.
    pub option: &'static str,
    /// Whether a file is one, by its first [`MAX_OLDER_BYTES`].
    pub is_one: fn(&[u8]) -> bool,
}

impl Kind {
    /// Checks that nothing is overwritten but an older file of this kind, or an empty one. A pipe or
    /// a device is written to, and a file that is missing is made.
    ///
    /// # Errors
    /// Another file would be, or it can't be read.
    pub(crate) fn check(&self, path: &Path) -> Result<(), Failure> {
        if !fs::metadata(path).is_ok_and(|found| found.is_file()) {
            return Ok(());
        }
        let found = input::start(path, MAX_OLDER_BYTES)
            .map_err(|error| Failure::unreadable(path, &error))?;
        match found.is_empty() || (self.is_one)(&found) {
            true => Ok(()),
            false => Err(self.refused(path)),
        }
    }

    /// Returns the failure of a run that would overwrite a file of another kind.
    pub(crate) fn refused(&self, path: &Path) -> Failure {
        let Kind { name, option, is_one: _ } = self;
        Failure::new(
            format!("{} is there, and is no {name}: it is not overwritten", path.display()),
            format!("name another file: {option} FILE"),
        )
    }
}

/// Writes a file that must not be there yet, with these permissions. If that fails, no part of it
/// stays.
///
/// # Errors
/// It is there, or can't be written.
pub(crate) fn write_new(path: &Path, contents: &[u8], mode: u32) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    written(file, path, contents)
}

/// Writes a file in full, or removes it.
fn written(mut file: File, path: &Path, contents: &[u8]) -> io::Result<()> {
    let written = file.write_all(contents).and_then(|()| file.sync_all());
    if written.is_err() {
        // Only the first error is reported.
        let _ = fs::remove_file(path);
    }
    written
}

/// Returns the failure of [`write_new`]. `remedy` is used if the file is there.
pub(crate) fn not_new(path: &Path, error: &io::Error, remedy: &str) -> Failure {
    if error.kind() == ErrorKind::AlreadyExists {
        return Failure::new(
            format!("{} is there already, and is not overwritten", path.display()),
            remedy,
        );
    }
    Failure::unwritable(path, error)
}

/// Writes a file, or replaces the one of this name at once: if that fails, the old one stays. What
/// is no regular file, such as a pipe, is written to.
///
/// # Errors
/// It can't be written.
pub(crate) fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    if !is_replaceable(path) {
        return fs::write(path, contents);
    }
    // If the name is a link, replace the file that it leads to.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let other = beside(&path)?;
    // An earlier process of this number may have been killed: in a container, all have number 1.
    let _ = fs::remove_file(&other);
    let file = OpenOptions::new().write(true).create_new(true).open(&other)?;
    written(file, &other, contents)?;
    let renamed = match fs::metadata(&path) {
        Ok(old) => fs::set_permissions(&other, old.permissions()),
        Err(_) => Ok(()),
    }
    .and_then(|()| fs::rename(&other, &path));
    if renamed.is_err() {
        // Only the first error is reported.
        let _ = fs::remove_file(&other);
    }
    renamed
}

/// Whether the name can be given to another file: it is free, or that of a regular file. A name in
/// /dev or /proc, such as /dev/stdout, can lead to a file that another descriptor writes.
fn is_replaceable(path: &Path) -> bool {
    let is_kernels = path.starts_with("/dev") || path.starts_with("/proc");
    !is_kernels && fs::metadata(path).map_or(true, |file| file.is_file())
}

/// Returns a name for a temporary file in the folder of `path`.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let last = path.file_name().ok_or(ErrorKind::InvalidInput)?;
    let mut name = OsString::from(".");
    name.push(last);
    name.push(format!(".{}.part", std::process::id()));
    Ok(path.with_file_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    /// Makes a folder for a test of this name.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("twine-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        folder
    }

    #[test]
    fn a_file_is_replaced_behind_its_links_and_keeps_its_permissions() {
        let folder = folder("replace");
        let (file, link) = (folder.join("file"), folder.join("link"));
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&file, &link).unwrap();
        // What a process left that was killed.
        fs::write(beside(&file).unwrap(), "part").unwrap();
        replace(&link, b"new").unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"new");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_device_is_written_to_and_not_replaced() {
        replace(Path::new("/dev/null"), b"new").unwrap();
        assert_eq!(
            replace(Path::new("/dev/full"), b"new").unwrap_err().kind(),
            ErrorKind::StorageFull
        );
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_new_file_never_takes_the_place_of_another() {
        let folder = folder("new");
        let file = folder.join("file");
        write_new(&file, b"old", 0o644).unwrap();
        let error = write_new(&file, b"new", 0o644).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&file).unwrap(), b"old");
        fs::remove_dir_all(folder).unwrap();
    }
}
