//! Putting the layers of an image into a folder.

use crate::WHITEOUT;
use crate::blob::{self, Hashed};
use crate::error::{Error, Result};
use crate::tree::{Node, Tree, open_folder};
use flate2::read::MultiGzDecoder;
use oci_spec::image::{Descriptor, Digest, DigestAlgorithm};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use tar::EntryType;
use tempfile::TempDir;

/// The size of a block of an archive, in bytes.
const BLOCK: u64 = 512;

/// Limit on the headers of one entry, with its names and other records, in bytes.
const MAX_NAMES: u64 = 1 << 20;

/// The name of a file that says that all that lower layers have in its folder is gone.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// The files of an image in a temporary folder, which is removed when this is dropped.
#[derive(Debug)]
pub struct Unpacked {
    folder: TempDir,
}

impl Unpacked {
    /// Makes an empty folder.
    ///
    /// # Errors
    /// When the folder can't be made.
    pub fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("twine-oci-").tempdir();
        let folder = folder.map_err(Error::at(&std::env::temp_dir()))?;
        Ok(Unpacked { folder })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts a blob into the folder, as a file with this name.
    pub(crate) fn write(&self, name: &str, layout: &Path, blob: &Descriptor) -> Result<()> {
        let (from, file) = blob::open(layout, blob)?;
        let mut file = Hashed::new(file);
        let path = self.folder().join(name);
        File::create_new(&path)
            .and_then(|mut new| io::copy(&mut file, &mut new))
            .map_err(Error::at(&path))?;
        file.check(&from, blob)
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

/// Puts a layer into a folder, over what lower layers have put there, and compares it with its
/// digests.
///
/// # Errors
/// When the layer can't be read, is damaged or leads out of the folder, or the folder can't be
/// written.
pub(crate) fn layer(layout: &Path, layer: &Descriptor, diff_id: &str, folder: &Path) -> Result<()> {
    let by = diff_id.parse::<Digest>().ok().map(|digest| digest.algorithm().clone());
    if let Some(by) = by.filter(|by| *by != DigestAlgorithm::Sha256) {
        return Err(blob::unsupported(&by));
    }
    let (path, file) = blob::open(layout, layer)?;
    let mut stored = Hashed::new(io::BufReader::new(file));
    let found = decompress(&mut stored, layer.media_type().as_ref(), folder, &path)?;
    io::copy(&mut stored, &mut io::sink()).map_err(|error| Error::damaged(&path, error))?;
    stored.check(&path, layer)?;
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
        // Some tools compress each file on its own.
        kind if kind.ends_with("gzip") => Box::new(MultiGzDecoder::new(stored)),
        kind if kind.ends_with(".tar") => Box::new(stored),
        _ => {
            return Err(Error::Unsupported {
                what: format!("a layer of the type {kind}"),
                remedy: "copy the image with layers that gzip compresses: `skopeo copy \
                         --dest-compress-format gzip oci:FOLDER:NAME oci:OTHER:NAME`"
                    .into(),
            });
        }
    };
    let mut archive = Hashed::new(archive);
    unpack(&mut archive, folder, layer)?;
    // What follows the end of the archive belongs to the layer too.
    io::copy(&mut archive, &mut io::sink()).map_err(|error| Error::damaged(layer, error))?;
    Ok(archive.digest().to_string())
}

/// What is read of an archive.
struct Blocks<'n, R> {
    from: R,
    size: u64,
    /// How many more bytes may be read before the contents of an entry. They are kept in memory.
    names: &'n Cell<Option<u64>>,
}

impl<R: Read> Read for Blocks<'_, R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = match self.from.read(bytes)? {
            // `umoci insert` does not fill the last block.
            0 => {
                let missing = self.size.next_multiple_of(BLOCK) - self.size;
                io::repeat(0).take(missing).read(bytes)?
            }
            count => count,
        };
        self.size += count as u64;
        if let Some(left) = self.names.get() {
            let left = left.checked_sub(count as u64).ok_or_else(|| {
                io::Error::other(format!("the names of a file have more than {MAX_NAMES} bytes"))
            })?;
            self.names.set(Some(left));
        }
        Ok(count)
    }
}

/// Puts an archive into a folder.
fn unpack(archive: impl Read, folder: &Path, layer: &Path) -> Result<()> {
    let damaged = |error: io::Error| Error::damaged(layer, error);
    let mut tree = Tree::open(folder).map_err(Error::at(folder))?;
    let names = Cell::new(None);
    let mut archive = tar::Archive::new(Blocks { from: archive, size: 0, names: &names });
    let mut entries = archive.entries().map_err(damaged)?;
    loop {
        names.set(Some(MAX_NAMES));
        let Some(entry) = entries.next() else { return Ok(()) };
        names.set(None);
        let mut entry = entry.map_err(damaged)?;
        let named = PathBuf::from(OsStr::from_bytes(&entry.path_bytes()));
        let inside = inside(&named).map_err(damaged)?;
        // The root folder is there.
        let (above, name) = (inside.parent(), inside.file_name());
        let (above, name) = (above.unwrap_or(Path::new("")), name.unwrap_or_default());
        let done = if name.is_empty() {
            Ok(())
        } else if name.as_bytes() == OPAQUE {
            tree.empty(above)
        } else if let Some(gone) = name.as_bytes().strip_prefix(WHITEOUT) {
            match gone {
                b"" | b"." | b".." => Err(io::Error::other("a whiteout names no file")),
                gone => tree.remove(above, OsStr::from_bytes(gone)),
            }
        } else {
            match node(&mut entry).map_err(damaged)? {
                Some(node) => tree.put(above, name, node),
                None => Ok(()),
            }
        };
        done.map_err(|error| match is_of_this_machine(&error) {
            true => Error::at(&folder.join(&inside))(error),
            false => Error::damaged(layer, format!("{}: {error}", named.display())),
        })?;
        // What is left of the contents of an entry that was left out.
        if !entry.header().entry_type().is_gnu_sparse() {
            io::copy(&mut entry, &mut io::sink()).map_err(damaged)?;
        }
    }
}

/// What an entry of an archive is. Devices and pipes are left out: a program in an enclave can't use
/// them.
fn node<'e, R: Read>(entry: &'e mut tar::Entry<'_, R>) -> io::Result<Option<Node<'e>>> {
    let target = entry.link_name_bytes().unwrap_or_default().into_owned();
    let target = PathBuf::from(OsStr::from_bytes(&target));
    Ok(Some(match entry.header().entry_type() {
        EntryType::Directory => Node::Folder,
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => Node::File(entry),
        EntryType::Symlink => Node::Symlink(target),
        EntryType::Link => Node::Link(inside(&target)?),
        _ => return Ok(None),
    }))
}

/// Whether an error comes from this machine, and not from what is in an archive.
fn is_of_this_machine(error: &io::Error) -> bool {
    let causes = [
        Errno::NOSPC,
        Errno::DQUOT,
        Errno::FBIG,
        Errno::ROFS,
        Errno::ACCESS,
        Errno::PERM,
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::IO,
    ];
    Errno::from_io_error(error).is_some_and(|error| causes.contains(&error))
}

/// A path in the image, without the slash in front.
fn inside(path: &Path) -> io::Result<PathBuf> {
    let leads_out = path.components().any(|component| component == Component::ParentDir);
    match leads_out {
        true => Err(io::Error::other(format!("{} leads out of the image", path.display()))),
        false => {
            let names = path.components().filter(|one| matches!(one, Component::Normal(_)));
            Ok(names.collect())
        }
    }
}
