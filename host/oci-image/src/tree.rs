//! The folder that the layers of an image are put into.

use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags, ResolveFlags};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

/// How many folders may lie in one another. Removing a tree holds a descriptor for each of them.
const MAX_DEPTH: usize = 256;

/// What a layer has at a path.
pub(crate) enum Node<'e> {
    Folder,
    File(&'e mut dyn Read),
    /// A symbolic link, with its target.
    Symlink(PathBuf),
    /// Another name of the file at this path in the image.
    Link(PathBuf),
}

/// The folder while one layer is put into it. Paths are those in the image, without a slash in
/// front and without `..`. Symbolic links are followed as in a container, for which the folder is
/// `/`: no path leads out of it. Owners and modes are those of new files, because a program sees
/// neither.
pub(crate) struct Tree {
    root: OwnedFd,
    /// The path of the root, without symbolic links.
    path: PathBuf,
    /// The paths on this machine that this layer has. Its whiteouts do not concern them.
    own: HashSet<PathBuf>,
}

/// The path of a folder, without symbolic links.
fn path_of(folder: &OwnedFd) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", folder.as_raw_fd()))
}

pub(crate) fn open_folder(folder: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(folder, flags, Mode::empty())?)
}

impl Tree {
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        let root = open_folder(folder)?;
        Ok(Tree { path: path_of(&root)?, root, own: HashSet::new() })
    }

    /// The path on this machine of a folder of the image.
    fn folder(&self, inside: &Path) -> io::Result<PathBuf> {
        let inside = if inside.as_os_str().is_empty() { Path::new(".") } else { inside };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let within = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let folder = rustix::fs::openat2(&self.root, inside, flags, Mode::empty(), within)?;
        let path = path_of(&folder)?;
        let depth = path.strip_prefix(&self.path).map_err(io::Error::other)?.components().count();
        match depth < MAX_DEPTH {
            true => Ok(path),
            false => Err(io::Error::other(format!("more than {MAX_DEPTH} folders in one another"))),
        }
    }

    /// As [`folder`](Self::folder), and makes the folders that are missing.
    fn make_folder(&self, inside: &Path) -> io::Result<PathBuf> {
        match (self.folder(inside), inside.parent(), inside.file_name()) {
            (Err(error), Some(above), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
                new_folder(&self.make_folder(above)?.join(name))?;
                self.folder(inside)
            }
            (folder, ..) => folder,
        }
    }

    /// Puts something into a folder. It replaces what is there; a folder is merged with a folder.
    pub(crate) fn put(&mut self, above: &Path, name: &OsStr, node: Node<'_>) -> io::Result<()> {
        let path = self.make_folder(above)?.join(name);
        match path.symlink_metadata() {
            Ok(there) if there.is_dir() && matches!(node, Node::Folder) => {}
            Ok(_) => {
                remove_any(&path)?;
                self.new_node(&path, node)?;
            }
            Err(_) => self.new_node(&path, node)?,
        }
        for path in path.ancestors().take_while(|path| *path != self.path) {
            if !self.own.insert(path.to_owned()) {
                break;
            }
        }
        Ok(())
    }

    fn new_node(&self, path: &Path, node: Node<'_>) -> io::Result<()> {
        match node {
            Node::Folder => new_folder(path),
            Node::File(contents) => {
                let mut file =
                    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                io::copy(contents, &mut file).map(drop)
            }
            Node::Symlink(target) => symlink(target, path),
            Node::Link(inside) => {
                let above = self.folder(inside.parent().unwrap_or(Path::new("")))?;
                let other = above.join(inside.file_name().unwrap_or_default());
                match other.symlink_metadata()?.is_dir() {
                    true => Err(io::ErrorKind::IsADirectory.into()),
                    false => fs::hard_link(other, path),
                }
            }
        }
    }

    /// Removes what lower layers have at a path.
    pub(crate) fn remove(&self, above: &Path, name: &OsStr) -> io::Result<()> {
        self.folder(above).and_then(|above| self.remove_lower(&above.join(name))).or_else(missing)
    }

    /// Removes all that lower layers have in a folder.
    pub(crate) fn empty(&self, inside: &Path) -> io::Result<()> {
        self.folder(inside).and_then(|folder| self.empty_lower(&folder)).or_else(missing)
    }

    fn remove_lower(&self, path: &Path) -> io::Result<()> {
        let is_folder = path.symlink_metadata()?.is_dir();
        match self.own.contains(path) {
            true if is_folder => self.empty_lower(path),
            true => Ok(()),
            false => remove_any(path),
        }
    }

    fn empty_lower(&self, folder: &Path) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            self.remove_lower(&entry?.path())?;
        }
        Ok(())
    }
}

/// A path that is not there needs no removal.
fn missing(error: io::Error) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(()),
        _ => Err(error),
    }
}

fn new_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

fn remove_any(path: &Path) -> io::Result<()> {
    match path.symlink_metadata()?.is_dir() {
        true => fs::remove_dir_all(path),
        false => fs::remove_file(path),
    }
}
