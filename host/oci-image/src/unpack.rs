//! Putting the layers of an image into a folder.

use crate::blob::{check, digest_of, path};
use crate::error::{Error, Result};
use flate2::read::GzDecoder;
use oci_spec::image::Descriptor;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The prefix of a file that says that a lower layer's file is gone.
const WHITEOUT: &[u8] = b".wh.";

/// The name of a file that says that all that lower layers have in its folder is gone.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// The files of an image in a temporary folder, which is removed when this is dropped.
#[derive(Debug)]
pub struct Unpacked {
    folder: TempDir,
}

impl Unpacked {
    pub(crate) fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("twine-oci-").tempdir();
        let folder = folder.map_err(Error::at(&std::env::temp_dir()))?;
        Ok(Unpacked { folder })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.folder().join(name);
        fs::write(&path, bytes).map_err(Error::at(&path))
    }

    /// Opens a file by its path in the image. A symbolic link leads to a file of the image, as in a
    /// container.
    ///
    /// # Errors
    /// When there is no such file, or it can't be opened.
    pub fn open(&self, path: &str) -> Result<File> {
        let open = || {
            let root = open_folder(self.folder())?;
            let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            Ok(rustix::fs::openat2(root, path, flags, Mode::empty(), within)?.into())
        };
        open().map_err(Error::at(Path::new(path)))
    }

    /// Whether there is anything but the file at this path and the folders that it is in.
    ///
    /// # Errors
    /// When the folder can't be read.
    pub fn has_other_files(&self, program: &str) -> Result<bool> {
        let program = self.folder().join(program.trim_start_matches('/'));
        let mut folders = vec![self.folder().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).map_err(Error::at(&folder))? {
                let entry = entry.map_err(Error::at(&folder))?;
                let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
                match entry.path() {
                    path if path == program => {}
                    path if is_folder && program.starts_with(&path) => folders.push(path),
                    _ => return Ok(true),
                }
            }
        }
        Ok(false)
    }
}

fn open_folder(folder: &Path) -> io::Result<rustix::fd::OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(folder, flags, Mode::empty())?)
}

/// Counts and hashes what is read.
struct Hashed<R> {
    from: R,
    hash: Sha256,
    size: u64,
}

impl<R> Hashed<R> {
    fn new(from: R) -> Self {
        Hashed { from, hash: Sha256::new(), size: 0 }
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.from.read(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or_default());
        self.size += count as u64;
        Ok(count)
    }
}

/// Puts a layer into a folder, over what lower layers have put there, and compares it with its
/// digests.
///
/// # Errors
/// When the layer can't be read, is damaged or leads out of the folder, or the folder can't be
/// written.
pub(crate) fn layer(layout: &Path, layer: &Descriptor, diff_id: &str, folder: &Path) -> Result<()> {
    let path = path(layout, layer)?;
    let file = File::open(&path).map_err(Error::at(&path))?;
    let mut stored = Hashed::new(io::BufReader::new(file));
    let found = decompress(&mut stored, layer.media_type().as_ref(), folder, &path)?;
    io::copy(&mut stored, &mut io::sink()).map_err(|error| Error::damaged(&path, error))?;
    check(&path, layer, stored.size, &stored.hash.finalize())?;
    match found == diff_id {
        true => Ok(()),
        false => Err(Error::damaged(&path, "its contents are not those that the config names")),
    }
}

/// Puts a layer of this media type into a folder. Returns the digest of its archive.
fn decompress<'s>(
    stored: impl Read + 's,
    kind: &str,
    folder: &Path,
    layer: &Path,
) -> Result<String> {
    let archive: Box<dyn Read + 's> = match kind {
        kind if kind.ends_with("gzip") => Box::new(GzDecoder::new(stored)),
        kind if kind.ends_with(".tar") => Box::new(stored),
        _ => {
            return Err(Error::Unsupported {
                what: format!("a layer of the type {kind}"),
                remedy: "build the image with layers that gzip compresses, or none".into(),
            });
        }
    };
    let mut archive = Hashed::new(archive);
    unpack(&mut archive, folder, layer)?;
    // What follows the end of the archive belongs to the layer too.
    io::copy(&mut archive, &mut io::sink()).map_err(|error| Error::damaged(layer, error))?;
    Ok(digest_of(&archive.hash.finalize()).to_string())
}

/// Puts an archive into a folder.
fn unpack(archive: impl Read, folder: &Path, layer: &Path) -> Result<()> {
    let damaged = |error: io::Error| Error::damaged(layer, error);
    let mut archive = tar::Archive::new(archive);
    archive.set_preserve_mtime(false);
    // What this layer itself has put there is not gone.
    let mut own = HashSet::new();
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let inside = entry.path().map_err(damaged)?.into_owned();
        let name = inside.file_name().unwrap_or_default().as_bytes();
        let above = inside.parent().unwrap_or(Path::new(""));
        if name == OPAQUE {
            empty(folder, above, &own).map_err(damaged)?;
        } else if let Some(name) = name.strip_prefix(WHITEOUT) {
            remove(folder, &above.join(OsStr::from_bytes(name))).map_err(damaged)?;
        } else if is_for_a_program(entry.header().entry_type()) {
            let unpacked = entry.unpack_in(folder).map_err(damaged)?;
            if !unpacked {
                let cause = format!("{} leads out of the image", inside.display());
                return Err(Error::damaged(layer, cause));
            }
            own.insert(relative(&inside).to_owned());
        }
    }
    Ok(())
}

/// Whether a program in an enclave can use it. Devices and pipes are left out.
fn is_for_a_program(kind: tar::EntryType) -> bool {
    kind.is_file() || kind.is_dir() || kind.is_symlink() || kind.is_hard_link()
}

/// A path in the image, without the slash in front.
fn relative(inside: &Path) -> &Path {
    inside.strip_prefix("/").or_else(|_| inside.strip_prefix(".")).unwrap_or(inside)
}

/// The path of a folder in `folder` that the image names, if there is one. No symbolic link is
/// followed.
fn below(folder: &Path, inside: &Path) -> io::Result<Option<PathBuf>> {
    let inside = relative(inside);
    if inside.as_os_str().is_empty() {
        return Ok(Some(folder.to_owned()));
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let within = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match rustix::fs::openat2(open_folder(folder)?, inside, flags, Mode::empty(), within) {
        Ok(_) => Ok(Some(folder.join(inside))),
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Removes all that lower layers have put into a folder of the image.
fn empty(folder: &Path, inside: &Path, own: &HashSet<PathBuf>) -> io::Result<()> {
    let Some(path) = below(folder, inside)? else { return Ok(()) };
    for entry in fs::read_dir(&path)? {
        let entry = entry?;
        let inside = relative(inside).join(entry.file_name());
        match own.contains(&inside) {
            true if entry.file_type()?.is_dir() => empty(folder, &inside, own)?,
            true => {}
            false => remove_any(&entry.path())?,
        }
    }
    Ok(())
}

/// Removes a file or a folder of the image, if it is there.
fn remove(folder: &Path, inside: &Path) -> io::Result<()> {
    let (Some(above), Some(name)) = (inside.parent(), inside.file_name()) else { return Ok(()) };
    let Some(above) = below(folder, above)? else { return Ok(()) };
    match remove_any(&above.join(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn remove_any(path: &Path) -> io::Result<()> {
    match path.symlink_metadata()?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}
